//! API servers that are older, busier or colder than others: trueup asks them in a way that they can answer.

use super::ground::{Ground, on_the_api_server_only};
use super::harness::{World, config_map};
use serde_json::json;
use std::fmt::Write as _;
use trueup_testkit::{Audit, Components, Options, User};

on_the_api_server_only! {
    "What it is about are flags of the API server.":
        lists_are_streamed_where_the_server_can_and_read_in_pages_where_it_cannot,
        a_server_that_takes_few_requests_at_once_gets_all_of_them_in_the_end;
}

fn many(count: usize, value: &str) -> String {
    (0..count).fold(String::new(), |mut all, index| {
        writeln!(all, "{}---", config_map(&format!("c{index:03}"), value)).unwrap();
        all
    })
}

fn lists_are_streamed_where_the_server_can_and_read_in_pages_where_it_cannot(ground: Ground) {
    for (flag, streams) in
        [("--feature-gates=WatchList=true", true), ("--feature-gates=WatchList=false", false)]
    {
        let options = Options {
            components: Components::ApiOnly,
            audit: Audit::Requests,
            api_server_flags: vec![flag.to_owned()],
            ..Options::default()
        };
        let plane = ground.start(options);
        let mut world = World::on(&plane, "lists");
        let first = world.repo.commit(&[("app/all.yaml", &many(30, "1"))], "first").unwrap();
        world.start();
        world.synced(&first);
        world.kill();
        plane.api().delete(&world.config_map("c001")).unwrap();
        let mark = plane.mark();
        world.start();
        world.holds("what was deleted meanwhile is there again", |world| {
            plane.api().find(&world.config_map("c001")).unwrap().is_some()
        });
        plane.api().merge(&world.config_map("c002"), &json!({"data": {"value": "drifted"}})).unwrap();
        world.holds("drift is seen", |world| {
            plane.api().get(&world.config_map("c002")).unwrap()["data"]["value"] == "1"
        });
        let requests = plane.requests_since(mark);
        let of_members = |verb: &str| {
            let asked =
                requests.iter().filter(|r| r.verb == verb && r.resource == "configmaps" && r.status == 200);
            asked.filter(|r| r.uri.contains("part-of")).count()
        };
        assert_eq!(of_members("list"), usize::from(!streams), "{requests:#?}");
        assert!(of_members("watch") >= 1, "{requests:#?}");
    }
}

fn a_server_that_takes_few_requests_at_once_gets_all_of_them_in_the_end(ground: Ground) {
    let user = User::named("limited");
    let options = Options {
        components: Components::ApiOnly,
        users: vec![user.clone()],
        // Without priority and fairness nothing waits in the server: what is too much is refused with 429.
        api_server_flags: ["--enable-priority-and-fairness=false", "--max-mutating-requests-inflight=2"]
            .map(str::to_owned)
            .to_vec(),
        ..Options::default()
    };
    let plane = ground.start(options);
    plane
        .api()
        .create(
            "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
            &json!({"metadata": {"name": "limited"},
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
                "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user.name}]}),
        )
        .unwrap();
    let mut world = World::on(&plane, "few").reached_with(plane.kubeconfig_for(&user.name));
    let first = world.repo.commit(&[("app/all.yaml", &many(200, "1"))], "first").unwrap();
    world.start();
    let status = world.synced(&first);
    assert_eq!(status["objects"], 200);
    let history = world.trueup(&["history", "app@test", "-o", "json"]);
    let history: serde_json::Value = serde_json::from_slice(&history.stdout).unwrap();
    assert!(!history.to_string().contains("Failed"), "no object failed on the way: {history}");
}
