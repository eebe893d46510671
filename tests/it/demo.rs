//! The play that a new user sees first, in memory and on a real control plane.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Command, Output, Stdio};
use trueup_testkit::played;

fn demo(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_trueup"));
    command.env_remove("TRUEUP_SERVER").env_remove("TRUEUP_CONFIG").env_remove("TRUEUP_STATE");
    command.args(["demo", "--once"]).args(arguments).output().unwrap()
}

fn check(output: &Output) {
    let text = String::from_utf8_lossy(&output.stdout);
    let all = format!("{text}\n{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{all}");
    let told = [
        "staging and production are Synced and Healthy",
        "the new image is in both environments",
        "rolled out",
        "again after",
        "said where, and nothing was touched",
        "well again",
        "gone from both environments",
        "all of it held",
    ];
    for line in told {
        assert!(text.contains(line), "{line} is not told:\n{all}");
    }
}

#[test]
fn the_demo_plays_in_memory_and_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_trueup"));
    command.env("TMPDIR", folder.path()).args(["demo", "--once"]);
    check(&command.output().unwrap());
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_terminal_that_is_closed_in_the_middle_ends_the_demo_and_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_trueup"));
    command.env("TMPDIR", folder.path()).arg("demo").stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut told = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(told.any(|line| line.unwrap().contains("Synced and Healthy after")));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    // Nobody reads any more, either.
    drop(told);
    let hangup = Command::new("kill").args(["-HUP", &child.id().to_string()]).status().unwrap();
    assert!(hangup.success());
    let mut errors = String::new();
    // Ends only when the demo's trueup has ended as well: it writes to the log, and its commands to this pipe.
    child.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0), "{errors}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn the_demo_plays_on_a_real_control_plane_and_takes_away_what_it_made() {
    let plane = played().unwrap();
    let kubeconfig = plane.kubeconfig().to_str().unwrap();
    check(&demo(&["--kubeconfig", kubeconfig]));
    for name in ["shop-staging", "shop-production"] {
        let space = plane.api().find(&format!("/api/v1/namespaces/{name}")).unwrap();
        assert!(space.is_none_or(|space| space["metadata"]["deletionTimestamp"].is_string()));
    }
}

#[test]
fn a_cluster_that_cannot_be_reached_is_an_error_that_names_it() {
    let output = demo(&["--kubeconfig", "/nowhere/kubeconfig"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("/nowhere/kubeconfig"));
}
