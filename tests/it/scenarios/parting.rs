//! Apps that AppSets made and that go: what they applied goes with them where they say so, and by all rules of deletion.

use super::custom::path;
use super::governed::{Governed, condition, is};
use super::ground::{Ground, scenarios};
use super::harness::{World, config_map, forget};
use serde_json::{Value, json};
use std::fs;
use std::time::{Duration, Instant};
use trueup_testkit::Options;

scenarios![
    an_app_that_goes_takes_what_it_applied_with_it,
    one_that_is_on_its_way_out_when_trueup_is_killed_goes_on_once_its_source_says_so_again,
    one_that_comes_back_while_it_leaves_is_there_again,
    an_app_under_another_name_or_of_another_set_takes_over_what_was_applied,
    a_cluster_that_is_gone_holds_no_app_up,
    the_resource_tells_of_those_that_leave_and_remembers_them,
];

const PRUNES: &str = ", deletionPolicy: Delete";

/// An AppSet of the folders below one, whose Apps are called like this and say this as well.
fn set(name: &str, folder: &str, app: &str, more: &str) -> String {
    format!(
        "---\napiVersion: trueup.dev/v1alpha1\nkind: AppSet\nmetadata: {{name: {name}}}\nspec:\n  maxRemoved: 100%\n  generators: [{{folders: {{repository: config, paths: ['{folder}/*']}}}}]\n  \
         template: {{metadata: {{name: '{app}'}}, spec: {{repository: config, path: '{{folder.path}}', environments: [test]{more}}}}}\n"
    )
}

/// A ConfigMap that somebody else has to let go.
fn held(name: &str) -> String {
    config_map(name, "1")
        .replace(&format!("{{name: {name}}}"), &format!("{{name: {name}, finalizers: [example.com/hold]}}"))
}

impl World {
    fn with_sets(&self, sets: &[String]) {
        self.write_configuration(&(self.configuration("", self.namespace.name()) + &sets.concat()));
    }

    /// A world in which two such Apps are Synced, which prune when they go.
    fn with_held(ground: Ground, hint: &str) -> Self {
        let mut world = Self::new(ground, hint);
        world.commit_held();
        world.with_sets(&[set("folders", "apps", "{folder.name}", PRUNES)]);
        world.start();
        world.is_synced("one");
        world.is_synced("two");
        world
    }

    /// Two Apps below `apps`: of the second, one ConfigMap is let go by somebody else.
    fn commit_held(&self) {
        let files = [
            ("app/a.yaml", config_map("a", "1")),
            ("apps/one/a.yaml", config_map("one", "1")),
            ("apps/two/a.yaml", config_map("two", "1")),
            ("apps/two/held.yaml", held("held")),
        ];
        let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (*path, text.as_str())).collect();
        self.repo.commit(&files, "two Apps").unwrap();
    }

    fn free(&self, name: &str) {
        let free = json!({"metadata": {"finalizers": null}});
        self.api.merge(&self.config_map(name), &free).unwrap();
    }

    fn uid(&self, name: &str) -> Value {
        self.api.get(&self.config_map(name)).unwrap()["metadata"]["uid"].clone()
    }

    /// Waits until `two@test` is on its way out, and waits for the one that is held.
    fn is_leaving(&self) {
        self.holds("two@test waits for what is held", |world| {
            let two = world.status("two@test").unwrap_or_default();
            let message = two["message"].as_str().unwrap_or_default().to_owned();
            message.starts_with("is being deleted: ") && message.contains("held")
        });
        assert!(!self.has("two") && self.has("held") && self.has("trueup.two.test") && self.has("one"));
    }
}

fn an_app_that_goes_takes_what_it_applied_with_it(ground: Ground) {
    let world = World::with_held(ground, "parting");
    assert!(world.has("two") && world.has("held"));

    world.repo.remove(&["apps/two/a.yaml", "apps/two/held.yaml"], "two leaves").unwrap();
    world.is_leaving();
    world.until_set("Made", "App two is being deleted: two@test: ");
    assert_eq!((&world.app_set()["apps"], &world.app_set()["leaving"]), (&json!(["one"]), &json!(["two"])));
    world.free("held");
    world.holds("two@test is gone", |world| !world.has_target("two"));
    assert!(!world.has("held") && !world.has("trueup.two.test") && world.has("one") && world.has("a"));
    world.holds("it is told no more", |world| world.app_set()["leaving"].is_null());

    // What a person ends, and what a source that fails cannot say, takes nothing away.
    world.commit_held();
    world.is_synced("two");
    world.repo.remove(&["apps/two/a.yaml", "apps/two/held.yaml"], "two leaves").unwrap();
    world.is_leaving();
    world.with_sets(&[set("folders", "apps", "{folder.name}", ", deletionPolicy: Orphan")]);
    world.holds("two@test is no target any more", |world| !world.has_target("two"));
    assert!(world.has("held") && world.has("trueup.two.test"));
    world.free("held");
    world.with_sets(&[set("folders", "apps", "{folder.name}", PRUNES)]);
    world.repo.remove(&["apps/one/a.yaml"], "the folder itself is gone").unwrap();
    world.until_set("Failed", "there is no such file or folder");
    // So does the AppSet that is taken away itself.
    world.with_sets(&[]);
    world.holds("one@test is no target any more", |world| !world.has_target("one"));
    assert!(world.has("one") && world.has("trueup.one.test"));
}

fn one_that_is_on_its_way_out_when_trueup_is_killed_goes_on_once_its_source_says_so_again(ground: Ground) {
    let mut world = World::with_held(ground, "parting-killed");
    world.repo.remove(&["apps/two/a.yaml", "apps/two/held.yaml"], "two leaves").unwrap();
    world.is_leaving();
    world.kill();

    // Nobody can say whether it is still meant to go: it goes no further.
    let (there, away) = (world.repo.bare_path().to_owned(), world.path("away"));
    fs::rename(&there, &away).unwrap();
    world.free("held");
    world.start();
    world.until_set("Failed", "Repository config: ");
    world.holds("the other one had its turn", |world| {
        world
            .status("one@test")
            .is_some_and(|status| !status["message"].as_str().unwrap_or_default().is_empty())
    });
    assert!(world.has("trueup.two.test") && !world.has_target("two") && world.has("one"));
    assert_eq!(world.app_set()["leaving"], json!(["two"]));

    fs::rename(&away, &there).unwrap();
    world.holds("its record is gone", |world| !world.has("trueup.two.test"));
    world.holds("nothing is on its way out", |world| world.app_set()["leaving"].is_null());
    world.is_synced("one");
    assert!(world.has("one") && !world.has("held"));
}

fn one_that_comes_back_while_it_leaves_is_there_again(ground: Ground) {
    let world = World::with_held(ground, "parting-back");
    let before = world.uid("held");
    world.repo.remove(&["apps/two/a.yaml", "apps/two/held.yaml"], "two leaves").unwrap();
    world.is_leaving();
    world.commit_held();
    world.holds("what could be made again is there", |world| world.has("two"));
    assert_eq!(world.app_set()["leaving"], Value::Null);
    world.free("held");
    world.holds("so is the other one", |world| world.has("held") && world.uid("held") != before);
    world.is_synced("two");
    assert!(world.has("trueup.two.test"));
}

fn an_app_under_another_name_or_of_another_set_takes_over_what_was_applied(ground: Ground) {
    let mut world = World::new(ground, "parting-renamed");
    world.repo.commit(&[("app/a.yaml", &config_map("a", "1"))], "first").unwrap();
    world.commit_apps(&["one", "two"]);
    world.with_sets(&[set("folders", "apps", "{folder.name}", PRUNES)]);
    world.start();
    world.is_synced("one");
    world.is_synced("two");
    let before = (world.uid("one"), world.uid("two"));
    world.with_sets(&[set("folders", "apps", "x-{folder.name}", PRUNES)]);
    for name in ["one", "two"] {
        world.is_synced(&format!("x-{name}"));
        world.holds(&format!("{name}@test is gone"), |world| !world.has_target(name));
        assert!(!world.has(&format!("trueup.{name}.test")));
    }
    assert_eq!((world.uid("one"), world.uid("two")), before, "they were never deleted");

    // From one AppSet to another one in one commit; the other one is looked at first.
    let moved = [
        set("folders", "apps", "x-{folder.name}", PRUNES),
        set("another", "more", "x-{folder.name}", PRUNES),
    ];
    let files = [("more/three/a.yaml", &*config_map("three", "1"))];
    world.repo.commit(&files, "another folder").unwrap();
    world.with_sets(&moved);
    world.is_synced("x-three");
    world.repo.write("more/two/a.yaml", config_map("two", "2").as_bytes()).unwrap();
    world.repo.remove(&["apps/two/a.yaml"], "two moves").unwrap();
    world.holds("it has the value of its new folder", |world| {
        world.api.get(&world.config_map("two")).unwrap()["data"]["value"] == "2"
    });
    world.is_synced("x-two");
    assert_eq!((world.uid("one"), world.uid("two")), before);

    // Into the folder of another App.
    world.repo.write("apps/one/two.yaml", config_map("two", "3").as_bytes()).unwrap();
    world.repo.remove(&["more/two/a.yaml"], "two becomes part of one").unwrap();
    world.holds("x-two@test is gone", |world| !world.has_target("x-two"));
    world.is_synced("x-one");
    assert_eq!((world.uid("one"), world.uid("two")), before);
    assert_eq!(world.api.get(&world.config_map("two")).unwrap()["data"]["value"], "3");
}

fn a_cluster_that_is_gone_holds_no_app_up(ground: Ground) {
    let far = ground.start(Options::default());
    let mut world = World::new(ground, "parting-far");
    world.repo.commit(&[("app/a.yaml", &config_map("a", "1"))], "first").unwrap();
    world.commit_apps(&["one", "two"]);
    let beyond = format!(
        "---\napiVersion: trueup.dev/v1alpha1\nkind: Cluster\nmetadata: {{name: far}}\nspec: {{kubeconfig: {{path: '{}'}}}}\n---\n\
         apiVersion: trueup.dev/v1alpha1\nkind: Environment\nmetadata: {{name: far}}\nspec: {{cluster: far, namespace: default}}\n",
        far.kubeconfig().display()
    );
    let sets = set("folders", "apps", "{folder.name}", PRUNES).replace("[test]", "[far]");
    world.with_sets(&[beyond, sets]);
    world.start_with(&["--deletion-timeout", "4s"]);
    for name in ["one", "two"] {
        world.holds("it is Synced", |world| {
            world.status(&format!("{name}@far")).is_some_and(|status| status["sync"] == "Synced")
        });
    }
    far.stop_api_server();
    let begun = Instant::now();
    world.repo.remove(&["apps/two/a.yaml"], "two leaves").unwrap();
    world.holds("two@far is gone", |world| world.status("two@far").is_none());
    assert!(begun.elapsed() >= Duration::from_secs(4));
    let log = fs::read_to_string(world.path("log")).unwrap();
    assert!(log.contains("the App is gone, and left something behind"), "{log}");
    assert!(world.status("one@far").is_some());
}

fn the_resource_tells_of_those_that_leave_and_remembers_them(ground: Ground) {
    let mut governed = Governed::new(ground, "parting-resource");
    governed.world.commit_held();
    let set = json!({
        "maxRemoved": "100%",
        "generators": [{"folders": {"repository": "config", "paths": ["apps/*"]}}],
        "template": {
            "metadata": {"name": "{folder.name}"},
            "spec": {"repository": "config", "path": "{folder.path}", "environments": ["test"], "deletionPolicy": "Delete"},
        },
    });
    governed.apply("appsets", "AppSet", "folders", &set);
    governed.start();
    governed.world.is_synced("one");
    governed.world.is_synced("two");
    governed.world.repo.remove(&["apps/two/a.yaml", "apps/two/held.yaml"], "two leaves").unwrap();
    governed.world.is_leaving();
    let told = |set: &Value| {
        let ready = condition(set, "Ready");
        is(set, "Ready", "True")
            && ready["message"].as_str().unwrap().starts_with("1 Apps; App two is being deleted: ")
    };
    governed.until("appsets", "folders", "the status tells of it", told);

    // Whoever has no memory of his own goes on with what the status says.
    governed.world.kill();
    forget(&governed.world.state());
    governed.start();
    governed.world.is_leaving();
    governed.world.free("held");
    governed.until("appsets", "folders", "nothing leaves any more", |set| {
        let made = set["status"]["made"].as_str().unwrap_or_default();
        condition(set, "Ready")["message"] == "1 Apps" && made.starts_with("{\"one\":")
    });
    assert!(
        !governed.world.has("held") && !governed.world.has("trueup.two.test") && governed.world.has("one")
    );
    let events = format!("/apis/events.k8s.io/v1/namespaces/{}/events", governed.world.namespace.name());
    governed.world.holds("an Event tells that it went", |world| {
        let events = world.api.get(&events).unwrap();
        events["items"].as_array().unwrap().iter().any(|event| {
            event["regarding"]["kind"] == "AppSet"
                && event["reason"] == "AppDeleted"
                && event["note"] == "App two is gone, with all that it applied"
        })
    });
    let apps = governed.world.api.get(&path(&governed.world, "apps", "")).unwrap();
    assert_eq!(apps["items"].as_array().unwrap().len(), 1, "only the one that somebody wrote");
}
