//! An environment for each pull request of a repository at a real Gitea, from another repository or from the request's own commit.

use super::ground::{Ground, scenarios};
use super::harness::{PATIENCE, World, config_map};
use super::previews::{TEMPLATE, commit_chart};
use super::shop::Shop;
use serde_json::{Value, json};
use std::fs;
use trueup_testkit::{Gitea, wait_until};

scenarios![
    previews_follow_the_requests_of_a_real_forge,
    a_preview_runs_what_its_request_has,
    a_real_forge_tells_of_pushes_and_requests,
];

/// An AppSet of the requests with the label `preview`, with more in the generator.
fn configure(world: &World, shop: &Shop, more: &str) {
    fs::write(world.path("token"), shop.forge.token()).unwrap();
    let set = format!(
        "---\napiVersion: trueup.dev/v1alpha1\nkind: AppSet\nmetadata: {{name: previews}}\nspec:\n  generators:\n  - pullRequests:\n      gitea: {{owner: {}, repo: shop, api: '{}'}}\n      \
         labels: [preview]\n      credentials: {{bearerToken: {{file: token}}}}\n{more}{TEMPLATE}",
        Gitea::USER,
        shop.forge.url()
    );
    world.write_configuration(&(world.configuration("", world.namespace.name()) + &set));
}

fn commit_of(world: &World, name: &str) -> String {
    let found = world.api.find(&world.config_map(name)).unwrap().unwrap_or_default();
    found["data"]["commit"].as_str().unwrap_or_default().to_owned()
}

fn makes(world: &World, names: &[&str]) {
    world.holds(&format!("the Apps are {names:?}"), |world| world.app_set()["apps"] == json!(names));
}

fn previews_follow_the_requests_of_a_real_forge(ground: Ground) {
    let mut shop = Shop::open();
    let mut world = World::new(ground, "gitea");
    commit_chart(&world);
    configure(&world, &shop, "      interval: 300ms\n");
    world.start();
    world.until_set("Made", "");

    let login = shop.request("feature/Login", "Log in");
    let agit = shop.request_without_a_branch("agit");
    for number in [login, agit] {
        shop.label(number);
    }
    makes(&world, &["preview-1"]);
    world.until_set("Made", "#2 from forks");
    let pushed = shop.commit("feature/Login", "second");
    world.holds("the push is there", |world| commit_of(world, "p1-feature-login") == pushed);

    // More than a page of them.
    let others: Vec<u64> = ["three", "four", "five"].map(|branch| shop.request(branch, branch)).to_vec();
    for number in &others {
        shop.label(*number);
    }
    makes(&world, &["preview-1", "preview-3", "preview-4", "preview-5"]);
    for number in &others {
        world.is_synced(&format!("preview-{number}"));
    }

    // Nothing goes while nobody can be asked.
    shop.forge.stop();
    world.until_set("Failed", "spec.generators[0].pullRequests");
    shop.forge.start_again().unwrap();
    world.until_set("Made", "");
    assert!(others.iter().all(|number| world.has_target(&format!("preview-{number}"))));

    shop.merge(3);
    shop.close(4);
    makes(&world, &["preview-1", "preview-5"]);
    world.holds("what they applied is gone", |world| !world.has("p3-three") && !world.has("p4-four"));
    assert!(world.has("p1-feature-login") && world.has("p5-five"));
}

/// What all Apps of the shop's own repository run.
fn deployed(value: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: of-${{app}}\ndata:\n  value: {value}\n")
}

/// The App `shop` at the repository's `main`, and for each request with the label one at its commit. All is asked for after each `interval`.
fn configure_own(world: &World, shop: &Shop, interval: &str, webhook: &str) {
    fs::write(world.path("token"), shop.forge.token()).unwrap();
    let (user, forge, url) = (Gitea::USER, shop.forge.url(), shop.url());
    let own = format!(
        "---\napiVersion: trueup.dev/v1alpha1\nkind: Repository\nmetadata: {{name: shop}}\nspec:\n  url: '{url}'\n  interval: {interval}\n  {webhook}\n  \
         credentials: {{username: {{value: {user}}}, password: {{file: token}}}}\n\
         ---\napiVersion: trueup.dev/v1alpha1\nkind: App\nmetadata: {{name: shop}}\nspec: {{repository: shop, path: deploy, environments: [test], substitute: strict}}\n\
         ---\napiVersion: trueup.dev/v1alpha1\nkind: AppSet\nmetadata: {{name: previews}}\nspec:\n  generators:\n  - pullRequests:\n      gitea: {{owner: {user}, repo: shop, api: '{forge}'}}\n      \
         labels: [preview]\n      interval: {interval}\n      credentials: {{bearerToken: {{file: token}}}}\n  \
         template:\n    metadata: {{name: 'preview-{{pull.number}}'}}\n    spec:\n      repository: shop\n      ref: {{commit: '{{pull.head_sha}}'}}\n      \
         path: deploy\n      environments: [test]\n      substitute: strict\n      deletionPolicy: Delete\n"
    );
    world.write_configuration(&(world.configuration("", world.namespace.name()) + &own));
}

/// Waits until an App runs a value, at a commit.
fn runs(world: &World, app: &str, value: &str, commit: &str) {
    let mut last = Value::Null;
    let ran = wait_until("the App runs it", PATIENCE, || {
        let found = world.api.find(&world.config_map(&format!("of-{app}")))?.unwrap_or_default();
        last = world.status(&format!("{app}@test")).unwrap_or_default();
        let is_there = found["data"]["value"] == value && last["revision"] == commit;
        Ok((is_there && last["sync"] == "Synced").then_some(()))
    });
    assert!(
        ran.is_ok(),
        "{app} runs {value} at {commit}: {last:#}\n{}",
        fs::read_to_string(world.path("log")).unwrap()
    );
}

/// A shop whose `main` has something to run, and a world that may run it.
fn own(ground: Ground, hint: &str) -> (Shop, World, String) {
    let shop = Shop::open();
    let main = shop.commit_files("main", &[("deploy/a.yaml", &deployed("main"))]);
    let world = World::new(ground, hint);
    world.repo.commit(&[("app/a.yaml", &config_map("a", "1"))], "first").unwrap();
    (shop, world, main)
}

fn a_preview_runs_what_its_request_has(ground: Ground) {
    let (mut shop, mut world, main) = own(ground, "gitea-own");
    configure_own(&world, &shop, "300ms", "");
    world.start();
    runs(&world, "shop", "main", &main);

    let extra = config_map("extra", "x");
    let first = shop.commit_files("topic", &[("deploy/a.yaml", &deployed("one")), ("deploy/b.yaml", &extra)]);
    let number = shop.open_request("topic", "Topic");
    shop.label(number);
    let preview = format!("preview-{number}");
    runs(&world, &preview, "one", &first);
    assert!(world.has("extra"));
    runs(&world, "shop", "main", &main);

    let second = shop.commit_files("topic", &[("deploy/a.yaml", &deployed("two"))]);
    runs(&world, &preview, "two", &second);
    // The commit before is in no branch any more, and what it brought stays in force until the new one is there.
    let third = shop.rewrite("topic", &[("deploy/a.yaml", &deployed("three"))]);
    runs(&world, &preview, "three", &third);
    assert!(world.has("extra"));
    let fourth = shop.commit_files("topic", &[("deploy/b.yaml", &config_map("other", "y"))]);
    runs(&world, &preview, "three", &fourth);
    world.holds("what the request took away is gone", |world| !world.has("extra") && world.has("other"));

    // Nothing goes while nobody can be asked, also over a restart.
    world.kill();
    shop.forge.stop();
    world.start();
    world.until_set("Failed", "spec.generators[0].pullRequests");
    assert!(world.has(&format!("of-{preview}")) && world.has("other"));
    shop.forge.start_again().unwrap();
    world.until_set("Made", "");
    runs(&world, &preview, "three", &fourth);

    shop.close(number);
    makes(&world, &[]);
    world.holds("what it applied is gone", |world| {
        !world.has(&format!("of-{preview}")) && !world.has("other")
    });
    runs(&world, "shop", "main", &main);
}

fn a_real_forge_tells_of_pushes_and_requests(ground: Ground) {
    let (shop, mut world, main) = own(ground, "gitea-told");
    fs::write(world.path("secret"), "shared\n").unwrap();
    configure_own(&world, &shop, "1h", "webhook: {secret: {file: secret}}");
    world.start();
    runs(&world, "shop", "main", &main);
    shop.tells(&world.address(), "shared");

    let second = shop.commit_files("main", &[("deploy/a.yaml", &deployed("main again"))]);
    runs(&world, "shop", "main again", &second);
    let first = shop.commit_files("topic", &[("deploy/a.yaml", &deployed("one"))]);
    let number = shop.open_request("topic", "Topic");
    shop.label(number);
    let preview = format!("preview-{number}");
    runs(&world, &preview, "one", &first);
    let pushed = shop.rewrite("topic", &[("deploy/a.yaml", &deployed("two"))]);
    runs(&world, &preview, "two", &pushed);
    shop.close(number);
    makes(&world, &[]);
    world.holds("what it applied is gone", |world| !world.has(&format!("of-{preview}")));
}
