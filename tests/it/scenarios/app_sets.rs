//! Apps that follow from folders of a repository: they come and go with them, and stay where nobody knows.

use super::custom::path;
use super::governed::{Governed, condition, is};
use super::ground::{Ground, scenarios};
use super::harness::{PATIENCE, World, config_map, forget};
use super::replicas::{CLUSTERS, Shared};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use trueup_testkit::{played, wait_until};

scenarios![
    an_app_comes_and_goes_with_its_folder,
    a_source_that_fails_takes_nothing_away_also_over_a_restart,
    more_apps_than_may_go_wait_until_exactly_they_are_confirmed,
    a_name_that_is_taken_stops_that_app_and_no_other,
    an_app_set_is_a_resource_and_says_how_it_stands,
    an_app_that_somebody_wrote_waits_for_one_that_is_made,
];

impl World {
    /// Writes the configuration with an AppSet of the folders below `apps`, and more in its metadata and its spec.
    fn configure_set(&self, metadata: &str, spec: &str) {
        let set = format!(
            "---\napiVersion: trueup.dev/v1alpha1\nkind: AppSet\nmetadata: {{name: folders{metadata}}}\nspec:\n  generators: [{{folders: {{repository: config, paths: ['apps/*']}}}}]\n  \
             template: {{metadata: {{name: '{{folder.name}}'}}, spec: {{repository: config, path: '{{folder.path}}', environments: [test]}}}}\n{spec}"
        );
        self.write_configuration(&(self.configuration("", self.namespace.name()) + &set));
    }

    /// Commits a ConfigMap of the same name in each of these folders below `apps`.
    pub(super) fn commit_apps(&self, names: &[&str]) -> String {
        let files: Vec<(String, String)> =
            names.iter().map(|name| (format!("apps/{name}/a.yaml"), config_map(name, "1"))).collect();
        let files: Vec<(&str, &str)> =
            files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
        self.repo.commit(&files, &names.join(" ")).unwrap()
    }

    pub(super) fn app_set(&self) -> Value {
        let output = self.trueup(&["status", "-o", "json"]);
        let all: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        all["appSets"][0].clone()
    }

    pub(super) fn until_set(&self, state: &str, words: &str) -> String {
        self.holds(&format!("the AppSet is {state}: {words}"), |world| {
            let set = world.app_set();
            set["state"] == state && set["message"].as_str().unwrap_or_default().contains(words)
        });
        self.app_set()["message"].as_str().unwrap_or_default().to_owned()
    }

    pub(super) fn is_synced(&self, app: &str) {
        self.holds(&format!("{app}@test is Synced"), |world| {
            world.status(&format!("{app}@test")).is_some_and(|status| status["sync"] == "Synced")
        });
    }

    /// Whether trueup has the target of an App; waits until it says what it has.
    pub(super) fn has_target(&self, app: &str) -> bool {
        let target = format!("{app}@test");
        let told = wait_until("trueup says which targets it has", PATIENCE, || {
            let told = self.trueup(&["status", "-o", "json"]).stdout;
            let told = serde_json::from_slice::<Value>(&told).ok();
            Ok(told.and_then(|told| told["targets"].as_array().cloned()))
        });
        told.unwrap().iter().any(|status| status["target"] == target.as_str())
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.api.find(&self.config_map(name)).unwrap().is_some()
    }
}

fn an_app_comes_and_goes_with_its_folder(ground: Ground) {
    let mut world = World::new(ground, "sets");
    world.repo.commit(&[("app/a.yaml", &config_map("a", "1"))], "an App that somebody wrote").unwrap();
    world.commit_apps(&["one", "two"]);
    world.configure_set("", "");
    world.start();
    for name in ["app", "one", "two"] {
        world.is_synced(name);
    }
    assert!(world.has("one") && world.has("two"));
    assert_eq!(world.app_set()["apps"], serde_json::json!(["one", "two"]));

    world.commit_apps(&["three"]);
    world.is_synced("three");
    assert!(world.has("three"));

    // It leaves the configuration, as an App does that somebody takes out: what it applied stays.
    world.repo.remove(&["apps/two/a.yaml"], "two leaves").unwrap();
    world.holds("two@test is gone", |world| !world.has_target("two"));
    assert!(world.has("two") && world.has_target("one") && world.has_target("three"));
    let last = world.commit_apps(&["two"]);
    world.holds("two@test is there again", |world| {
        world.status("two@test").is_some_and(|status| status["revision"] == last.as_str())
    });
    world.synced(&last);

    // A command that works alone makes the same Apps.
    world.terminate();
    let diff = world.alone(&["diff", "three"]);
    assert_eq!(diff.status.code(), Some(0), "{}", String::from_utf8_lossy(&diff.stderr));

    // Where nobody can say which Apps there are, the clusters still say how the others stand.
    let shown = |world: &World| {
        forget(&world.state());
        let all: Value = serde_json::from_slice(&world.alone(&["status", "-o", "json"]).stdout).unwrap();
        let targets = all["targets"].as_array().unwrap().iter();
        targets.map(|status| status["target"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(shown(&world), ["app@test", "one@test", "three@test", "two@test"]);
    fs::rename(world.repo.bare_path(), world.path("away")).unwrap();
    assert_eq!(shown(&world), ["app@test"]);
}

fn a_source_that_fails_takes_nothing_away_also_over_a_restart(ground: Ground) {
    let mut world = World::new(ground, "sets-fail");
    world.repo.commit(&[("app/a.yaml", &config_map("a", "1"))], "first").unwrap();
    world.commit_apps(&["one", "two"]);
    world.configure_set("", "");
    world.start();
    world.is_synced("one");
    world.is_synced("two");

    world.repo.remove(&["apps/one/a.yaml", "apps/two/a.yaml"], "the folder itself is gone").unwrap();
    world.until_set("Failed", "spec.generators[0].folders.paths[0]: apps: there is no such file or folder");
    assert!(world.has_target("one") && world.has_target("two"));
    assert_eq!(world.trueup(&["status"]).status.code(), Some(1));
    let good = world.commit_apps(&["one", "two"]);
    world.until_set("Made", "");
    world.holds("both are at the commit", |world| {
        let is_at = |name: &str| {
            world
                .status(name)
                .is_some_and(|status| status["revision"] == good.as_str() && status["sync"] == "Synced")
        };
        is_at("one@test") && is_at("two@test")
    });

    // Nobody answers, and another process begins.
    let (there, away) = (world.repo.bare_path().to_owned(), world.path("away"));
    world.terminate();
    fs::rename(&there, &away).unwrap();
    world.start();
    world.until_set("Failed", "Repository config: ");
    assert!(world.has_target("one") && world.has_target("two"));
    fs::rename(&away, &there).unwrap();
    world.until_set("Made", "");
    let last = world.commit_apps(&["three"]);
    world.holds("three@test is at the commit", |world| {
        world.status("three@test").is_some_and(|status| status["revision"] == last.as_str())
    });
    assert!(world.has("one") && world.has("two"));
}

fn more_apps_than_may_go_wait_until_exactly_they_are_confirmed(ground: Ground) {
    let mut world = World::new(ground, "sets-budget");
    world.repo.commit(&[("app/a.yaml", &config_map("a", "1"))], "first").unwrap();
    world.commit_apps(&["one", "two", "three", "four"]);
    world.configure_set("", "");
    world.start();
    for name in ["one", "two", "three", "four"] {
        world.is_synced(name);
    }
    world.repo.remove(&["apps/one/a.yaml", "apps/two/a.yaml"], "a slip").unwrap();
    let of_two = world.until_set("Held", "2 of 4 Apps would go (one, two)");
    world.commit_apps(&["five"]);
    world.is_synced("five");
    world.repo.remove(&["apps/three/a.yaml"], "a larger one").unwrap();
    let of_three = world.until_set("Held", "3 of 5 Apps would go (one, three, two)");
    let code = |message: &str| {
        message.split("confirm-removal: \"").nth(1).unwrap().split('"').next().unwrap().to_owned()
    };
    let confirm = |code: &str| format!(", annotations: {{trueup.dev/confirm-removal: '{code}'}}");

    // They are held over a start, and by the code of others.
    world.terminate();
    world.configure_set(&confirm(&code(&of_two)), "");
    world.start();
    world.until_set("Held", "3 of 5 Apps would go (one, three, two)");
    assert!(["one", "two", "three", "four", "five"].iter().all(|name| world.has_target(name)));

    // The running one can be told as well: exactly the same.
    let late = world.trueup(&["confirm", "folders", &code(&of_two)]);
    let words = String::from_utf8_lossy(&late.stderr).into_owned();
    assert_eq!(late.status.code(), Some(2), "{words}");
    assert!(words.contains("does not stand for what AppSet folders holds: 3 of 5 Apps would go"), "{words}");
    let unknown = world.trueup(&["confirm", "nothing", "1"]);
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("there is no AppSet nothing"), "{unknown:?}");
    let set = world.app_set();
    assert_eq!((&set["held"], &set["code"]), (&json!(["one", "three", "two"]), &json!(code(&of_three))));
    let confirmed = world.trueup(&["confirm", "folders", &code(&of_three)]);
    let words = String::from_utf8_lossy(&confirmed.stdout).into_owned();
    assert_eq!((confirmed.status.code(), &*words), (Some(0), "App one goes\nApp three goes\nApp two goes\n"));
    world.until_set("Made", "");
    world.holds("exactly they are gone", |world| {
        ["one", "two", "three", "four", "five"].map(|name| world.has_target(name))
            == [false, false, false, true, true]
    });
}

fn a_name_that_is_taken_stops_that_app_and_no_other(ground: Ground) {
    let mut world = World::new(ground, "sets-names");
    world.repo.commit(&[("app/a.yaml", &config_map("a", "1"))], "first").unwrap();
    world.commit_apps(&["app", "one"]);
    world.configure_set("", "");
    world.start();
    world.is_synced("one");
    world.until_set("Misfit", "App app: there is an App of this name already, which somebody wrote");
    // The one that is written is the one that is there.
    world.is_synced("app");
    assert!(world.has("a") && !world.has("app"));

    // What it asks for in an environment that is not there is told, and does not stop the others.
    world.configure_set("", "  suspend: true\n");
    world.until_set("Suspended", "");
    world.commit_apps(&["two"]);
    let last = world.repo.commit(&[("app/a.yaml", &config_map("a", "2"))], "last").unwrap();
    world.synced(&last);
    assert!(!world.has_target("two") && world.has_target("one"));
}

fn an_app_set_is_a_resource_and_says_how_it_stands(ground: Ground) {
    let mut governed = Governed::new(ground, "sets-resource");
    governed.world.repo.commit(&[("app/a.yaml", &config_map("a", "1"))], "first").unwrap();
    governed.world.commit_apps(&["one", "two", "three"]);
    let set = |pattern: &str| {
        json!({
            "generators": [{"matrix": [
                {"folders": {"repository": "config", "paths": [pattern]}},
                {"clusters": {}},
            ]}],
            "template": {
                "metadata": {"name": "{folder.name}"},
                "spec": {"repository": "config", "path": "apps/{folder.name}", "environments": ["test"]},
            },
        })
    };
    governed.apply("appsets", "AppSet", "folders", &set("apps/*"));
    governed.start();
    let made = governed.until("appsets", "folders", "Ready", |set| is(set, "Ready", "True"));
    assert_eq!(made["status"]["apps"], 3, "{made:#}");
    assert_eq!(made["status"]["names"], json!(["one", "three", "two"]));
    for name in ["one", "two", "three"] {
        governed.world.is_synced(name);
    }
    let apps = governed.world.api.get(&path(&governed.world, "apps", "")).unwrap();
    assert_eq!(apps["items"].as_array().unwrap().len(), 1, "only the one that somebody wrote");

    // What leads nowhere takes nothing away, and neither does a resource that is wrong, or too much at once.
    let not_ready = |reason: &'static str, words: &'static str| {
        let set = governed.until("appsets", "folders", words, |set| {
            let ready = condition(set, "Ready");
            ready["reason"] == reason && ready["message"].as_str().unwrap_or_default().contains(words)
        });
        assert!(is(&set, "Ready", "False") && set["status"]["apps"] == 3, "{set:#}");
        assert!(["one", "two", "three"].iter().all(|name| governed.world.has_target(name)));
        condition(&set, "Ready")["message"].as_str().unwrap().to_owned()
    };
    governed.apply("appsets", "AppSet", "folders", &set("aps/*"));
    not_ready("SourceFailed", "aps: there is no such file or folder");
    governed.apply("appsets", "AppSet", "folders", &set("/apps"));
    not_ready("Invalid", "is absolute");
    governed.apply("appsets", "AppSet", "folders", &set("apps/o*"));
    not_ready("RemovalHeld", "2 of 3 Apps would go (three, two)");
    // Whoever has no memory of his own goes on with what the status says.
    governed.world.terminate();
    forget(&governed.world.state());
    governed.start();
    governed.world.is_synced("one");
    governed.world.holds("all are there again", |world| world.has_target("two") && world.has_target("three"));
    let set = governed.get("appsets", "folders");
    assert_eq!(
        (&set["status"]["apps"], &condition(&set, "Ready")["reason"]),
        (&json!(3), &json!("RemovalHeld"))
    );
    let message = condition(&set, "Ready")["message"].as_str().unwrap();
    let code = message.split("confirm-removal: \"").nth(1).unwrap().split('"').next().unwrap();
    let confirmed = json!({"metadata": {"annotations": {"trueup.dev/confirm-removal": code}}});
    governed.world.api.merge(&path(&governed.world, "appsets", "folders"), &confirmed).unwrap();
    let set = governed.until("appsets", "folders", "Ready again", |set| is(set, "Ready", "True"));
    assert_eq!(set["status"]["names"], json!(["one"]));
    governed.world.holds("they are gone", |world| !world.has_target("two") && !world.has_target("three"));
    assert!(governed.world.has("two") && governed.world.has_target("one"));
}

fn an_app_that_somebody_wrote_waits_for_one_that_is_made(ground: Ground) {
    let mut world = World::new(ground, "sets-depends");
    world.repo.commit(&[("app/a.yaml", &config_map("a", "1"))], "first").unwrap();
    world.commit_apps(&["one"]);
    world.configure_set("", "");
    let waiting = "---\napiVersion: trueup.dev/v1alpha1\nkind: App\nmetadata: {name: late}\nspec: {repository: config, path: late, environments: [test], dependsOn: [two]}\n";
    let written = fs::read_to_string(world.path("trueup.yaml")).unwrap();
    world.write_configuration(&(written + waiting));
    world.repo.commit(&[("late/a.yaml", &config_map("late", "1"))], "what waits").unwrap();
    world.start();
    world.is_synced("one");
    let says = |world: &World, words: &str| {
        let late = world.status("late@test").unwrap_or_default();
        late["sync"] == "OutOfSync" && late["message"].as_str().unwrap_or_default().contains(words)
    };
    world.holds("it waits", |world| says(world, "waits for two@test, which no AppSet makes"));
    assert!(!world.has("late"));

    world.commit_apps(&["two"]);
    world.is_synced("late");
    assert!(world.has("late") && world.has("two"));

    // What it waits for goes: what is there stays, and nothing new comes.
    world.repo.remove(&["apps/two/a.yaml"], "two leaves").unwrap();
    world.holds("two@test is gone", |world| !world.has_target("two"));
    world.repo.commit(&[("late/a.yaml", &config_map("late", "2"))], "later").unwrap();
    world.holds("it waits again", |world| says(world, "waits for two@test, which no AppSet makes"));
    let value = |world: &World| world.api.get(&world.config_map("late")).unwrap()["data"]["value"].clone();
    assert_eq!(value(&world), "1");

    // A command that works alone knows which Apps there are, and what is waited for in vain.
    world.terminate();
    let diff = world.alone(&["diff", "late"]);
    let words = String::from_utf8_lossy(&diff.stderr).into_owned();
    assert_eq!(diff.status.code(), Some(2), "{words}");
    assert!(
        words.contains("App late: spec.dependsOn: there is no App `two`, and no AppSet makes one"),
        "{words}"
    );
}

#[test]
fn replicas_make_the_same_apps_and_let_them_go_together() {
    const NAMES: [&str; 4] = ["four", "one", "three", "two"];
    let mut shared = Shared::new("sets-replicas", 2, 1);
    let environments: Vec<String> = (0..CLUSTERS).map(|number| format!("e{number}")).collect();
    let files = NAMES.iter().flat_map(|name| {
        let object = move |environment| config_map(&format!("{name}-{environment}"), "1");
        environments
            .iter()
            .map(move |environment| (format!("sets/{name}/{environment}/a.yaml"), object(environment)))
    });
    let files: Vec<(String, String)> = files.collect();
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (&**path, &**text)).collect();
    shared.world.repo.commit(&files, "first").unwrap();
    let set = json!({
        "generators": [{"folders": {"repository": "config", "paths": ["sets/*"]}}],
        "template": {
            "metadata": {"name": "{folder.name}"},
            "spec": {
                "repository": "config",
                "path": "sets/{folder.name}/{environment}",
                "environments": environments,
                "deletionPolicy": "Delete",
            },
        },
    });
    shared.apply("appsets", "AppSet", "folders", &set);
    let started = played().unwrap().mark().unwrap();
    shared.start(0);
    shared.start(1);
    shared.shared_by(2);
    let objects = |shared: &Shared| -> BTreeSet<String> {
        let list = shared.world.api.get(&shared.world.config_map("")).unwrap();
        let names = list["items"].as_array().unwrap().iter();
        let names = names.filter_map(|object| object["metadata"]["name"].as_str().map(str::to_owned));
        names.filter(|name| NAMES.iter().any(|app| name.starts_with(&format!("{app}-")))).collect()
    };
    shared.within(PATIENCE, "all is applied", |shared| objects(shared).len() == NAMES.len() * CLUSTERS);
    let writers: BTreeSet<String> =
        shared.writes_since(started).into_iter().map(|write| write.user).collect();
    assert_eq!(writers.len(), 2, "each has some of the clusters");
    let told = |shared: &Shared, number: usize| -> Value {
        let output = shared.ask(number, &["status", "-o", "json"]);
        let all: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        all["appSets"][0].clone()
    };
    for number in 0..2 {
        shared.within(PATIENCE, "both have made them", |shared| told(shared, number)["apps"] == json!(NAMES));
    }

    // A slip: each holds all, by the same code, and one of them is told.
    shared.world.repo.remove(&["sets/one", "sets/two"], "a slip").unwrap();
    let held = |shared: &Shared, number: usize| told(shared, number)["held"] == json!(["one", "two"]);
    for number in 0..2 {
        shared.within(PATIENCE, "both hold two", |shared| held(shared, number));
    }
    let codes = [0, 1].map(|number| told(&shared, number)["code"].clone());
    assert_eq!(codes[0], codes[1]);
    assert_eq!(objects(&shared).len(), NAMES.len() * CLUSTERS);
    let confirmed = shared.ask(1, &["confirm", "folders", codes[1].as_str().unwrap()]);
    assert_eq!(confirmed.status.code(), Some(0), "{confirmed:?}\n{}", shared.logs());
    shared.within(PATIENCE, "exactly they are gone, at both", |shared| {
        let left = objects(shared);
        left.len() == 2 * CLUSTERS
            && left.iter().all(|name| name.starts_with("three-") || name.starts_with("four-"))
    });
    for number in 0..2 {
        let left = json!(["four", "three"]);
        shared.within(PATIENCE, "both have let them go", |shared| told(shared, number)["apps"] == left);
    }
    // Nobody did what the other one had done.
    let mut written = BTreeMap::new();
    for write in shared.writes_since(started) {
        if write.resource == "configmaps"
            && NAMES.iter().any(|app| write.name.starts_with(&format!("{app}-")))
        {
            *written.entry((write.name, write.verb)).or_insert(0) += 1;
        }
    }
    assert_eq!(written.len(), NAMES.len() * CLUSTERS + 2 * CLUSTERS, "{written:?}");
    assert!(written.values().all(|times| *times == 1), "{written:?}");
}
