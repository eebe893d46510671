//! A commit goes over the clusters of an environment group by group. The clusters are one API server under several names, and a
//! namespace stands for each.

use super::ground::{Ground, scenarios};
use super::harness::{World, config_map};
use serde_json::{Value, json};

scenarios![
    a_commit_goes_to_the_canary_first_and_to_the_rest_one_by_one,
    a_commit_that_fails_on_the_canary_reaches_no_other_cluster_until_it_is_mended,
];

const CLUSTERS: [&str; 3] = ["canary", "east", "west"];

fn space(world: &World, cluster: &str) -> String {
    format!("{}-{cluster}", world.namespace.name())
}

/// Three clusters, of which one goes first, and the others one at a time.
fn configure(world: &mut World) {
    let cluster = |name: &str| {
        format!(
            "---\napiVersion: trueup.dev/v1alpha1\nkind: Cluster\nmetadata: {{name: {name}, labels: {{tier: {}}}}}\nspec: {{kubeconfig: {{path: '{}'}}}}\n",
            if name == "canary" { "first" } else { "rest" },
            world.kubeconfig().display()
        )
    };
    let text = format!(
        "apiVersion: trueup.dev/v1alpha1\nkind: Repository\nmetadata: {{name: config}}\nspec: {{url: '{}', interval: 200ms}}\n\
         {}---\n\
         apiVersion: trueup.dev/v1alpha1\nkind: Environment\nmetadata: {{name: fleet}}\nspec:\n  clusters: {{names: [canary, east, west]}}\n\
         \x20 rollout: {{waves: [{{selector: {{matchLabels: {{tier: first}}}}}}], maxUnavailable: 1}}\n---\n\
         apiVersion: trueup.dev/v1alpha1\nkind: App\nmetadata: {{name: app}}\nspec: {{repository: config, path: app, environments: [fleet], namespace: '{}-{{cluster}}'}}\n",
        world.repo.file_url(),
        CLUSTERS.map(cluster).concat(),
        world.namespace.name(),
    );
    world.write_configuration(&text);
    for cluster in CLUSTERS {
        let name = space(world, cluster);
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
        world.api.create("/api/v1/namespaces", &namespace).unwrap();
        world.takes_away(format!("/api/v1/namespaces/{name}"));
    }
}

fn value(world: &World, cluster: &str) -> Option<String> {
    let path = format!("/api/v1/namespaces/{}/configmaps/settings", space(world, cluster));
    Some(world.api.find(&path).unwrap()?["data"]["value"].as_str()?.to_owned())
}

fn values(world: &World) -> [Option<String>; 3] {
    CLUSTERS.map(|cluster| value(world, cluster))
}

fn message(world: &World, cluster: &str) -> String {
    let status = world.status(&format!("app@fleet/{cluster}")).unwrap_or(Value::Null);
    status["message"].as_str().unwrap_or_default().to_owned()
}

fn is_settled(world: &World, cluster: &str) -> bool {
    let status = world.status(&format!("app@fleet/{cluster}")).unwrap_or(Value::Null);
    status["sync"] == "Synced" && status["health"] == "Healthy"
}

/// A claim for which there is no volume: until there is one, the target is Progressing.
const CLAIM: &str = "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {name: disk}\n\
    spec: {accessModes: [ReadWriteOnce], storageClassName: by-hand, resources: {requests: {storage: 1Gi}}}\n";

fn bind(world: &mut World, cluster: &str) {
    let namespace = space(world, cluster);
    let volume = json!({"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": namespace},
        "spec": {"accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Gi"}, "storageClassName": "by-hand",
            "hostPath": {"path": "/tmp"}, "claimRef": {"namespace": namespace, "name": "disk"}}});
    world.api.create("/api/v1/persistentvolumes", &volume).unwrap();
    world.takes_away(format!("/api/v1/persistentvolumes/{namespace}"));
}

fn some(values: [&str; 3]) -> [Option<String>; 3] {
    values.map(|value| Some(value.to_owned()))
}

fn a_commit_goes_to_the_canary_first_and_to_the_rest_one_by_one(ground: Ground) {
    let mut world = World::new(ground, "rollout");
    configure(&mut world);
    world.repo.commit(&[("app/settings.yaml", &config_map("settings", "one"))], "first").unwrap();
    world.start();
    world.holds("all clusters have it", |world| CLUSTERS.iter().all(|cluster| is_settled(world, cluster)));
    assert_eq!(values(&world), some(["one", "one", "one"]));

    let two = config_map("settings", "two");
    world.repo.commit(&[("app/settings.yaml", &two), ("app/claim.yaml", CLAIM)], "two, and a disk").unwrap();
    world.holds("the canary is under way", |world| value(world, "canary").as_deref() == Some("two"));
    world.holds("the others wait for it", |world| {
        ["east", "west"].iter().all(|cluster| message(world, cluster).contains("app@fleet/canary has to be"))
    });
    assert_eq!(values(&world), some(["two", "one", "one"]));

    bind(&mut world, "canary");
    world.holds("one of the others begins", |world| {
        values(world).iter().flatten().filter(|value| *value == "two").count() == 2
    });
    let (begun, waits) =
        if value(&world, "east").as_deref() == Some("two") { ("east", "west") } else { ("west", "east") };
    world.holds("and the last one waits", |world| message(world, waits).contains("waits in the rollout"));
    assert_eq!(value(&world, waits).as_deref(), Some("one"));
    bind(&mut world, begun);
    world.holds("the last one has it", |world| values(world) == some(["two", "two", "two"]));
    bind(&mut world, waits);
    world.holds("all clusters are well", |world| CLUSTERS.iter().all(|cluster| is_settled(world, cluster)));
}

fn a_commit_that_fails_on_the_canary_reaches_no_other_cluster_until_it_is_mended(ground: Ground) {
    let mut world = World::new(ground, "stops");
    configure(&mut world);
    let first = config_map("settings", "one");
    world.repo.commit(&[("app/settings.yaml", &first)], "first").unwrap();
    world.start();
    world.holds("all clusters have it", |world| CLUSTERS.iter().all(|cluster| is_settled(world, cluster)));

    let refused = "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {ports: [{port: 99999}]}\n";
    let two = config_map("settings", "two");
    world.repo.commit(&[("app/settings.yaml", &two), ("app/web.yaml", refused)], "refused").unwrap();
    world.holds("the rollout stops", |world| {
        ["east", "west"]
            .iter()
            .all(|cluster| message(world, cluster).contains("stops, because app@fleet/canary is Failed"))
    });
    assert_eq!(values(&world), some(["two", "one", "one"]));
    world.repo.remove(&["app/web.yaml"], "mended").unwrap();
    world.holds("all clusters have it", |world| values(world) == some(["two", "two", "two"]));
}
