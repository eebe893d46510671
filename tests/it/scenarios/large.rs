//! A repository of which only a part is fetched.

use super::ground::{Ground, scenarios};
use super::harness::{World, config_map};
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use trueup_testkit::GitServer;

scenarios![of_a_large_repository_what_is_rendered_is_fetched_and_what_cannot_be_is_named,];

/// More files than are fetched unasked.
const OTHERS: usize = 6_000;

fn app(name: &str) -> String {
    format!(
        "---\napiVersion: trueup.dev/v1alpha1\nkind: App\nmetadata: {{name: {name}}}\nspec: {{repository: config, path: {name}, environments: [test]}}\n"
    )
}

/// How many objects the only mirror has.
fn mirrored(world: &World) -> usize {
    let only = |folder: PathBuf| fs::read_dir(folder).unwrap().next().unwrap().unwrap().path();
    let mirror = only(world.state().join("git"));
    let output =
        Command::new("git").arg("-C").arg(mirror.join("g1")).args(["count-objects", "-v"]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().find_map(|line| line.strip_prefix("in-pack: ")).unwrap().parse().unwrap()
}

fn of_a_large_repository_what_is_rendered_is_fetched_and_what_cannot_be_is_named(ground: Ground) {
    let mut world = World::new(ground, "large");
    let server = GitServer::serve(&world.repo).unwrap();
    let before = format!("url: '{}'", world.repo.file_url());
    let configuration = world.configuration("", world.namespace.name());
    let configuration =
        configuration.replace(&before, &format!("url: '{}'", server.url("config.git"))) + &app("two");
    world.write_configuration(&configuration);
    let other = |number: usize| (format!("other/{:02}/{number:04}.txt", number / 100), format!("{number}\n"));
    let kustomization = |name: &str| format!("resources: [../base]\nnameSuffix: -{name}\n");
    let mut files: Vec<(String, String)> = (0..OTHERS).map(other).collect();
    for (path, text) in [
        ("app/kustomization.yaml", kustomization("app")),
        ("two/kustomization.yaml", kustomization("two")),
        ("base/kustomization.yaml", "resources: [a.yaml]\n".to_owned()),
        ("base/a.yaml", config_map("a", "1")),
        ("later/b.yaml", config_map("b", "1")),
    ] {
        files.push((path.to_owned(), text));
    }
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    let first = world.repo.commit(&files, "first").unwrap();
    world.start();
    world.synced(&first);
    world.holds("the other is there, too", |world| {
        world.status("two@test").is_some_and(|status| status["sync"] == "Synced")
    });
    assert!(mirrored(&world) < 100, "{} objects", mirrored(&world));

    let second = world.repo.commit(&[("base/a.yaml", &config_map("a", "2"))], "second").unwrap();
    world.synced(&second);
    assert_eq!(world.api.get(&world.config_map("a-app")).unwrap()["data"]["value"], "2");
    let rendered = world.alone(&["render", "app@test"]);
    assert!(String::from_utf8(rendered.stdout).unwrap().contains("name: a-app"));

    assert_eq!(world.trueup(&["diff"]).status.code(), Some(0));

    server.pause().unwrap();
    world.write_configuration(&(configuration + &app("later")));
    world.holds("what is missing, and why", |world| {
        let status = world.status("later@test").unwrap_or_default();
        let message = status["message"].to_string();
        message.contains("later/b.yaml has not been fetched: cannot reach") && status["sync"] == "Failed"
    });
    assert_eq!(world.status("app@test").unwrap()["sync"], "Synced");
    server.resume().unwrap();
    world.holds("it is synced", |world| {
        world.status("later@test").is_some_and(|status| status["sync"] == "Synced")
    });
    assert!(mirrored(&world) < 200, "{} objects", mirrored(&world));
}
