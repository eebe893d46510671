//! The same scenarios on the sandbox, with the same expectations: those that need nothing but an API server whose controllers
//! roll out. docs/sandbox.md says which are left out, and why.
//!
//! They run in a second process of this program, to which the sandbox is the cluster that it was given.

use jiff::Timestamp;
use std::process::Command;
use tokio::net::TcpListener;
use trueup_sandbox::Sandbox;
use trueup_sandbox::serve::Served;

/// By file.
const SCENARIOS: &[(&str, &[&str])] = &[
    (
        "drift",
        &[
            "a_changed_field_a_taken_label_and_a_deleted_object_are_put_back",
            "drift_that_is_not_repaired_is_reported_with_field_manager_and_time",
            "an_object_that_kubectl_applied_is_taken_over_and_its_old_fields_really_go",
            "an_object_of_two_targets_is_refused_with_both_names",
            "an_immutable_field_is_named_and_changed_only_where_that_is_allowed",
        ],
    ),
    (
        "life",
        &[
            "a_commit_becomes_the_state_of_the_cluster_and_each_further_one_too",
            "what_leaves_git_is_pruned_unless_it_says_otherwise",
            "a_target_that_renders_to_nothing_deletes_nothing",
            "a_crd_and_its_object_and_a_namespace_come_in_one_commit",
            "a_renamed_app_keeps_its_objects",
            "a_target_that_moves_to_another_namespace_leaves_nothing_behind",
        ],
    ),
    (
        "faults",
        &[
            "a_broken_commit_changes_nothing_and_is_named_with_file_and_line",
            "one_bad_object_among_a_hundred_stops_only_itself",
            "a_killed_trueup_goes_on_where_it_was_and_a_lost_store_is_no_loss",
            "a_finalizer_that_hangs_is_named_and_holds_up_nothing",
        ],
    ),
    ("ignore", &["the_drift_of_a_secret_is_told_by_hashes_alone"]),
    (
        "scheduling",
        &[
            "a_wave_waits_for_the_health_of_the_one_before_it",
            "an_atomic_app_applies_all_or_nothing_and_names_all_that_is_refused",
            "an_object_whose_kind_another_target_brings_waits_for_it_and_never_fails",
            "a_refusal_names_the_field_that_cannot_change_and_quotes_no_secret",
            "a_newer_commit_replaces_one_that_waits_for_health",
        ],
    ),
];

/// The program that has the tests, as the one process and as the other.
fn names() -> Vec<String> {
    let named = |(file, tests): &(&str, &[&str])| {
        tests.iter().map(|test| format!("scenarios::{file}::{test}")).collect::<Vec<_>>()
    };
    SCENARIOS.iter().flat_map(named).collect()
}

#[test]
fn scenarios_that_need_no_more_than_an_api_end_on_the_sandbox_as_on_the_real_one() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap();
    let served = Served::new(Sandbox::new(Timestamp::now()));
    runtime.spawn(served.serve(listener, std::future::pending()));

    let folder = tempfile::tempdir().unwrap();
    let kubeconfig = folder.path().join("kubeconfig");
    let text = format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: sandbox\n\
         clusters: [{{name: sandbox, cluster: {{server: 'http://{address}'}}}}]\n\
         contexts: [{{name: sandbox, context: {{cluster: sandbox, user: sandbox}}}}]\n\
         users: [{{name: sandbox, user: {{}}}}]\n"
    );
    std::fs::write(&kubeconfig, text).unwrap();

    let names = names();
    let output = Command::new(std::env::current_exe().unwrap())
        .env("TRUEUP_TEST_KUBECONFIG", &kubeconfig)
        .args(["--exact", "--test-threads", "2"])
        .args(&names)
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    let passed = format!("{} passed; 0 failed", names.len());
    assert!(output.status.success() && told.contains(&passed), "of {} scenarios: {told}", names.len());
}
