//! What came in is recorded, and planned again without anybody being asked.

use super::ground::{Ground, scenarios};
use super::harness::{World, config_map};
use serde_json::Value;
use std::fs;

scenarios![
    a_recording_is_planned_again_as_of_any_moment_and_shows_no_secret,
    an_app_at_a_reference_of_its_own_is_planned_again_from_that,
];

const SECRET: &str =
    "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {password: hunter2-hunter2}\n";
/// The same in base64.
const ENCODED: &str = "aHVudGVyMi1odW50ZXIy";

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The moment before the API server told of `a` with its second content, be it in an answer or an event.
fn before_second(lines: &[Value], second: &str) -> String {
    let commit = lines.iter().position(|line| line["commit"]["revision"] == second).unwrap();
    let applied = |line: &&Value| {
        let answer = &line["answer"];
        let is_real = answer["query"].as_str().is_some_and(|query| !query.contains("dryRun"));
        is_real
            && [&answer["body"], &answer["body"]["object"]]
                .iter()
                .any(|object| object["data"]["value"] == "two")
    };
    let applied = lines[commit..].iter().find(applied).unwrap();
    let at: jiff::Timestamp = applied["at"].as_str().unwrap().parse().unwrap();
    (at - jiff::SignedDuration::from_nanos(1)).to_string()
}

fn a_recording_is_planned_again_as_of_any_moment_and_shows_no_secret(ground: Ground) {
    let mut world = World::new(ground, "recording");
    let first = world
        .repo
        .commit(&[("app/a.yaml", &config_map("a", "one")), ("app/s.yaml", SECRET)], "first")
        .unwrap();
    let path = world.path("recording.jsonl");
    let file = path.to_str().unwrap().to_owned();
    world.start_with(&["--record", &file]);
    world.synced(&first);
    let second = world.repo.commit(&[("app/a.yaml", &config_map("a", "two"))], "second").unwrap();
    world.synced(&second);
    assert_eq!(world.terminate(), Some(0));
    // A recording is never written over.
    let again = world.alone(&["run", "--record", &file]);
    assert_eq!(again.status.code(), Some(2));
    assert!(text(&again.stderr).contains("the recording cannot be begun"), "{}", text(&again.stderr));

    let recorded = fs::read_to_string(&path).unwrap();
    for value in ["hunter2", ENCODED] {
        assert!(!recorded.contains(value), "{value} is in the recording");
    }
    let lines: Vec<Value> = recorded.lines().map(|line| serde_json::from_str(line).unwrap()).collect();

    // Neither the repository nor the configuration is needed any more.
    world.write_configuration("");
    let told = world.alone(&["replay", &file]);
    let (out, err) = (text(&told.stdout), text(&told.stderr));
    assert_eq!(told.status.code(), Some(0), "{out}{err}");
    assert!(out.contains("app@test was Synced and Healthy") && out.contains("no difference"), "{out}{err}");

    let told = world.alone(&["replay", &file, "app@test", "--at", &before_second(&lines, &second)]);
    let (out, err) = (text(&told.stdout), text(&told.stderr));
    assert_eq!(told.status.code(), Some(1), "{out}{err}");
    assert!(out.contains("-  value: one") && out.contains("+  value: two"), "{out}{err}");
    assert!(out.contains("1 to update"), "{out}{err}");
}

fn an_app_at_a_reference_of_its_own_is_planned_again_from_that(ground: Ground) {
    let mut world = World::new(ground, "recording-ref");
    let files =
        |value: &str| [("app/a.yaml", config_map("a", value)), ("pinned/p.yaml", config_map("p", value))];
    let commit = |value: &str| {
        let files = files(value);
        let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (*path, text.as_str())).collect();
        world.repo.commit(&files, value).unwrap()
    };
    let first = commit("first");
    world.repo.tag("v1").unwrap();
    let second = commit("second");
    let pinned = "---\napiVersion: trueup.dev/v1alpha1\nkind: App\nmetadata: {name: pinned}\nspec: {repository: config, ref: {tag: v1}, path: pinned, environments: [test]}\n";
    world.write_configuration(&(world.configuration("", world.namespace.name()) + pinned));
    let path = world.path("recording.jsonl");
    let file = path.to_str().unwrap().to_owned();
    world.start_with(&["--record", &file]);
    world.synced(&second);
    world.holds("pinned@test is Synced at its tag", |world| {
        let status = world.status("pinned@test").unwrap_or_default();
        status["revision"] == first && status["sync"] == "Synced"
    });
    assert_eq!(world.terminate(), Some(0));

    world.write_configuration("");
    let told = world.alone(&["replay", &file]);
    let (out, err) = (text(&told.stdout), text(&told.stderr));
    assert_eq!(told.status.code(), Some(0), "{out}{err}");
    assert_eq!(out.matches("no difference").count(), 2, "{out}{err}");
}
