//! Apps that name a reference of their own: followed beside that of the Repository, and kept where it was while it cannot be read.

use super::ground::{Ground, scenarios};
use super::harness::{World, config_map};
use serde_json::{Value, json};

scenarios![
    an_app_follows_its_own_branch_beside_those_that_follow_the_repository,
    a_reference_that_cannot_be_read_takes_nothing_away_also_over_a_restart,
];

/// The configuration of `app@test` and of `pinned@test`, which has a reference of its own.
fn configure(world: &World, reference: &str) {
    let pinned = format!(
        "---\napiVersion: trueup.dev/v1alpha1\nkind: App\nmetadata: {{name: pinned}}\nspec: {{repository: config, {reference} path: pinned, environments: [test], prune: true}}\n"
    );
    world.write_configuration(&(world.configuration("", world.namespace.name()) + &pinned));
}

/// Commits both Apps' files with a value and more files, on the branch that is checked out; gives the commit.
fn commit(world: &World, value: &str, more: &[(&str, &str)]) -> String {
    let (app, pinned) = (config_map("a", value), config_map("p", value));
    let files = [&[("app/a.yaml", app.as_str()), ("pinned/p.yaml", pinned.as_str())], more].concat();
    world.repo.commit(&files, value).unwrap()
}

/// Begins the branch `next`.
fn branch_off(world: &World) {
    world.repo.git(&["checkout", "--quiet", "-b", "next"]).unwrap();
}

fn value(world: &World, name: &str) -> Value {
    world.api.find(&world.config_map(name)).unwrap().unwrap_or_default()["data"]["value"].clone()
}

fn pinned_is(world: &World, sync: &str, revision: &str, words: &str) {
    world.holds(&format!("pinned@test is {sync} at {revision}: {words}"), |world| {
        let Some(status) = world.status("pinned@test") else { return false };
        let message = status["message"].as_str().unwrap_or_default();
        status["sync"] == sync && status["revision"] == revision && message.contains(words)
    });
}

fn an_app_follows_its_own_branch_beside_those_that_follow_the_repository(ground: Ground) {
    let mut world = World::new(ground, "ref");
    let first = commit(&world, "main 1", &[]);
    let extra = config_map("extra", "x");
    branch_off(&world);
    let next = commit(&world, "next 1", &[("pinned/extra.yaml", &extra)]);
    configure(&world, "ref: {branch: next},");
    world.start();
    world.synced(&first);
    pinned_is(&world, "Synced", &next, "");
    assert_eq!([value(&world, "a"), value(&world, "p"), value(&world, "extra")], ["main 1", "next 1", "x"]);
    // A difference is taken at the App's own reference.
    let shown = world.trueup(&["diff", "pinned@test"]);
    assert_eq!(shown.status.code(), Some(0), "{}", String::from_utf8_lossy(&shown.stdout));

    // Each moves by itself.
    let again = commit(&world, "next 2", &[]);
    pinned_is(&world, "Synced", &again, "");
    assert_eq!([value(&world, "a"), value(&world, "p")], ["main 1", "next 2"]);
    world.repo.git(&["checkout", "--quiet", "main"]).unwrap();
    let second = commit(&world, "main 2", &[]);
    world.synced(&second);
    assert_eq!([value(&world, "a"), value(&world, "p")], ["main 2", "next 2"]);

    // A commit, and then what the Repository follows: what is not there goes as with any other commit.
    configure(&world, &format!("ref: {{commit: {next}}},"));
    pinned_is(&world, "Synced", &next, "");
    configure(&world, "");
    pinned_is(&world, "Synced", &second, "");
    world.holds("what main has not is pruned", |world| value(world, "extra").is_null());
    assert_eq!(value(&world, "p"), "main 2");
    assert_eq!(json!(world.status("app@test").unwrap()["revision"]), second);
}

fn a_reference_that_cannot_be_read_takes_nothing_away_also_over_a_restart(ground: Ground) {
    let mut world = World::new(ground, "ref");
    let first = commit(&world, "main", &[]);
    let extra = config_map("extra", "x");
    branch_off(&world);
    let next = commit(&world, "next", &[("pinned/extra.yaml", &extra)]);
    configure(&world, "ref: {branch: next},");
    world.start();
    world.synced(&first);
    pinned_is(&world, "Synced", &next, "");

    let missing = "f".repeat(40);
    configure(&world, &format!("ref: {{commit: {missing}}},"));
    let told = format!("has no commit {missing}");
    let stays = |world: &World| {
        world.holds("it says what is missing", |world| {
            world.status("pinned@test").is_some_and(|status| status.to_string().contains(&told))
        });
        // What was rendered last is still in force.
        world.api.merge(&world.config_map("p"), &json!({"data": {"value": "by hand"}})).unwrap();
        world.holds("drift is repaired", |world| value(world, "p") == "next");
        assert_eq!(value(world, "extra"), "x");
    };
    stays(&world);
    world.kill();
    world.start();
    stays(&world);
    // Others are not concerned.
    world.synced(&first);

    configure(&world, "ref: {branch: main},");
    pinned_is(&world, "Synced", &first, "");
    world.holds("what main has not is pruned", |world| value(world, "extra").is_null());
}
