//! An environment for each pull request of a repository at a real Gitea.

use super::ground::{Ground, scenarios};
use super::harness::World;
use super::previews::{TEMPLATE, commit_chart};
use super::shop::Shop;
use serde_json::json;
use std::fs;
use trueup_testkit::Gitea;

scenarios![previews_follow_the_requests_of_a_real_forge,];

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
