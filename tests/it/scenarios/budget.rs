//! A slip that takes a little out of each of many targets: the budget of their repository holds most of it until a person approves it.

use super::ground::{Ground, scenarios};
use super::harness::{PATIENCE, World, config_map};
use super::replicas::{CLUSTERS, Shared};
use serde_json::{Value, json};
use std::collections::BTreeSet;

scenarios![
    a_slip_in_all_targets_deletes_no_more_than_the_budget_of_the_repository,
    what_comes_back_in_git_is_held_no_longer,
];

const ENVIRONMENTS: usize = 4;
const OBJECTS: usize = 10;

/// Four environments of ten objects, in one namespace; their repository may lose a tenth of them.
fn configure(world: &World) {
    let environment = |number: usize| {
        format!(
            "---\napiVersion: trueup.dev/v1alpha1\nkind: Environment\nmetadata: {{name: e{number}}}\nspec: {{cluster: here, namespace: {}}}\n",
            world.namespace.name()
        )
    };
    let text = format!(
        "apiVersion: trueup.dev/v1alpha1\nkind: Repository\nmetadata: {{name: config}}\nspec: {{url: '{}', interval: 200ms, maxPrune: 10%}}\n---\n\
         apiVersion: trueup.dev/v1alpha1\nkind: Cluster\nmetadata: {{name: here}}\nspec: {{kubeconfig: {{path: '{}'}}}}\n\
         {}---\n\
         apiVersion: trueup.dev/v1alpha1\nkind: App\nmetadata: {{name: app}}\nspec: {{repository: config, path: 'app/{{environment}}', environments: [e0, e1, e2, e3]}}\n",
        world.repo.file_url(),
        world.kubeconfig().display(),
        (0..ENVIRONMENTS).map(environment).collect::<String>(),
    );
    world.write_configuration(&text);
}

fn file(environment: usize, number: usize) -> (String, String) {
    (format!("app/e{environment}/{number}.yaml"), config_map(&format!("e{environment}-{number}"), "1"))
}

/// Commits these objects of all environments.
fn commit(world: &World, numbers: std::ops::Range<usize>) -> String {
    let all = (0..ENVIRONMENTS)
        .flat_map(|environment| numbers.clone().map(move |number| file(environment, number)));
    let files: Vec<(String, String)> = all.collect();
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (&**path, &**text)).collect();
    world.repo.commit(&files, "some").unwrap()
}

/// Takes these objects out of the first environments.
fn slip(world: &World, environments: usize, numbers: &[usize]) -> String {
    let paths = (0..environments)
        .flat_map(|environment| numbers.iter().map(move |number| file(environment, *number).0));
    let paths: Vec<String> = paths.collect();
    let paths: Vec<&str> = paths.iter().map(|path| &**path).collect();
    world.repo.remove(&paths, "a slip").unwrap()
}

/// The App's objects that there are.
fn there(world: &World) -> BTreeSet<String> {
    let list = world.api.get(&world.config_map("")).unwrap();
    let names =
        list["items"].as_array().unwrap().iter().map(|object| object["metadata"]["name"].as_str().unwrap());
    names.filter(|name| name.starts_with('e') && name.contains('-')).map(str::to_owned).collect()
}

fn standing(world: &World) -> Value {
    serde_json::from_slice(&world.trueup(&["status", "-o", "json"]).stdout).unwrap_or_default()
}

/// The only repository of which something is held, when all targets have been at the commit and so many objects of it are.
fn held(world: &World, revision: &str, objects: usize) -> Value {
    world.holds(&format!("{objects} deletions are held at {revision}"), |world| {
        let standing = standing(world);
        let targets = standing["targets"].as_array().cloned().unwrap_or_default();
        let is_at = |status: &Value| status["revision"] == revision || status["wantedRevision"] == revision;
        let of = standing["heldDeletions"].as_array().map_or(0, Vec::len);
        targets.len() == ENVIRONMENTS
            && targets.iter().all(is_at)
            && of == usize::from(objects > 0)
            && (objects == 0 || standing["heldDeletions"][0]["deletions"] == objects)
    });
    standing(world)["heldDeletions"][0].clone()
}

fn synced(world: &World, revision: &str) {
    world.holds(&format!("all targets are Synced at {revision}"), |world| {
        let standing = standing(world);
        let targets = standing["targets"].as_array().cloned().unwrap_or_default();
        targets.len() == ENVIRONMENTS
            && targets.iter().all(|status| status["revision"] == revision && status["sync"] == "Synced")
    });
}

/// A world whose targets have all objects.
fn all_synced(ground: Ground) -> World {
    let mut world = World::new(ground, "repository-budget");
    configure(&world);
    let first = commit(&world, 0..OBJECTS);
    world.start();
    synced(&world, &first);
    world
}

fn a_slip_in_all_targets_deletes_no_more_than_the_budget_of_the_repository(ground: Ground) {
    let mut world = all_synced(ground);

    // Three of one target are within four of forty; nothing else is.
    let second = slip(&world, ENVIRONMENTS, &[7, 8, 9]);
    let hold = held(&world, &second, 9);
    assert_eq!(there(&world).len(), ENVIRONMENTS * OBJECTS - 3);
    assert_eq!((&hold["repository"], &hold["budget"]), (&json!("config"), &json!("10%")));
    let code = hold["code"].as_str().unwrap().to_owned();
    let table = String::from_utf8(world.trueup(&["status"]).stdout).unwrap();
    assert!(table.contains(&format!("approve with `trueup sync --confirm-prune {code}`")), "{table}");

    // It is known after a start, from the state folder and without it; and a small deletion waits beside it.
    for forgets in [false, true] {
        world.kill();
        if forgets {
            std::fs::remove_dir_all(world.state()).unwrap();
        }
        world.start();
        assert_eq!(held(&world, &second, 9)["code"], code);
    }
    let third = slip(&world, ENVIRONMENTS, &[6]);
    let hold = held(&world, &third, 9 + ENVIRONMENTS);
    assert_eq!(there(&world).len(), ENVIRONMENTS * OBJECTS - 3);

    // What somebody looked at is not what would go now.
    let late = world.trueup(&["sync", "--confirm-prune", &code]);
    let told = String::from_utf8_lossy(&late.stderr).into_owned();
    assert!(
        !late.status.success() && told.contains("no repository has deletions held under the code"),
        "{told}"
    );
    let approved = world.trueup(&["sync", "--wait", "--confirm-prune", hold["code"].as_str().unwrap()]);
    assert_eq!(approved.status.code(), Some(0), "{approved:?}");
    synced(&world, &third);
    assert_eq!(there(&world).len(), ENVIRONMENTS * (OBJECTS - 4));
    held(&world, &third, 0);
}

fn what_comes_back_in_git_is_held_no_longer(ground: Ground) {
    let mut world = all_synced(ground);
    let second = slip(&world, 2, &[0, 1, 2, 3, 4]);
    held(&world, &second, 10);
    assert_eq!(there(&world).len(), ENVIRONMENTS * OBJECTS);
    let third = commit(&world, 0..OBJECTS);
    synced(&world, &third);
    held(&world, &third, 0);
    // Nothing was spent, so four may go.
    let fourth = slip(&world, ENVIRONMENTS, &[0]);
    synced(&world, &fourth);
    assert_eq!(there(&world).len(), ENVIRONMENTS * (OBJECTS - 1));
    // And the fifth within the hour may not, over a start without what was known.
    world.kill();
    std::fs::remove_dir_all(world.state()).unwrap();
    world.start();
    synced(&world, &fourth);
    let fifth = slip(&world, 1, &[1]);
    held(&world, &fifth, 1);
    assert_eq!(there(&world).len(), ENVIRONMENTS * (OBJECTS - 1));
}

#[test]
fn replicas_keep_the_budget_of_a_repository_together() {
    const OBJECTS: usize = 5;
    let mut shared = Shared::new("repository-budget", 2, OBJECTS);
    let mut repository =
        shared.world.api.get(&super::custom::path(&shared.world, "repositories", "config")).unwrap();
    repository["spec"]["maxPrune"] = json!(12);
    shared.apply("repositories", "Repository", "config", &repository["spec"]);
    shared.start(0);
    shared.start(1);
    shared.shared_by(2);
    let first = shared.commit("1", CLUSTERS);
    shared.ready(&first, CLUSTERS, PATIENCE);
    // Two of five objects of each of twelve targets.
    slip(&shared.world, CLUSTERS, &[3, 4]);
    let hold = |shared: &Shared, number: usize| -> Value {
        let output = shared.ask(number, &["status", "-o", "json"]);
        let all: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        all["heldDeletions"][0].clone()
    };
    for number in 0..2 {
        shared.within(PATIENCE, "both know what is held", |shared| hold(shared, number)["deletions"] == 12);
    }
    assert_eq!(there(&shared.world).len(), CLUSTERS * OBJECTS - 12);
    let code = hold(&shared, 1)["code"].as_str().unwrap().to_owned();
    let approved = shared.ask(1, &["sync", "--wait", "--confirm-prune", &code]);
    assert_eq!(approved.status.code(), Some(0), "{approved:?}\n{}", shared.logs());
    assert_eq!(there(&shared.world).len(), CLUSTERS * (OBJECTS - 2));
}
