//! Rules that change under objects that stand still: the schema of their kind, a webhook, an admission policy. That they did
//! has to show in their number before long, and then nothing may be taken for proven by the old rules.

use super::admission::{LABEL, policy_of, set, webhook_of};
use super::definitions::{CHANGING, definition, manifest, spec_schema};
use super::prover::{Prover, Subjected};
use super::random::Random;
use super::tally::Tally;
use super::writers::Way;
use futures::StreamExt as _;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use trueup_testkit::AdmissionWebhook;

const KIND: &str = "Changing";
const VERSIONS: [&str; 2] = ["changing.trueup.dev/v1", "changing.trueup.dev/v1beta1"];
const OBJECTS: usize = 48;
/// Of which so many are worked on at once.
const AT_ONCE: usize = 8;
/// Within this time a change of the rules has to show.
const NOTICED: Duration = Duration::from_mins(1);
/// After this time the server answers by the new rules, and the index of its schemas has followed.
const IN_FORCE: Duration = Duration::from_secs(4);

/// Changes rules until enough was compared.
pub(super) async fn change_rules(
    prover: Arc<Prover>,
    webhook: Arc<AdmissionWebhook>,
    mut random: Random,
    done: Arc<AtomicUsize>,
    wanted: usize,
) -> Tally {
    let mut tally = Tally::default();
    let mut schema = spec_schema();
    prover.define(&definition(CHANGING, KIND, &schema)).await;
    prover.watch(&[manifest(CHANGING, KIND, &mut random)]).await;
    // The first definition has settled before anything is learnt.
    tokio::time::sleep(IN_FORCE).await;
    let (mut subjects, mut made) = (Vec::new(), 0);
    while done.load(Ordering::Relaxed) < wanted {
        let before = tally.comparisons();
        while subjects.len() < OBJECTS {
            made += 1;
            let mut object = manifest(CHANGING, KIND, &mut random);
            if !random.one_in(3) {
                super::kinds::thin(&mut object, &mut random);
            }
            match prover.begin(object, &format!("c-{made}"), false).await {
                Some(subject) => subjects.push(subject),
                None => tally.refused += 1,
            }
        }
        round(&prover, &webhook, &mut schema, &mut subjects, &mut random, &mut tally).await;
        done.fetch_add(tally.comparisons() - before, Ordering::Relaxed);
    }
    tally
}

async fn round(
    prover: &Prover,
    webhook: &AdmissionWebhook,
    schema: &mut Value,
    subjects: &mut Vec<Subjected>,
    random: &mut Random,
    tally: &mut Tally,
) {
    let rules = || VERSIONS.map(|version| prover.rules(version));
    let before = rules();
    let way = *random.pick(&[Way::Schema, Way::Schema, Way::Webhook, Way::Policy]);
    let changed = match way {
        Way::Webhook => change_webhook(prover, webhook, random).await,
        Way::Policy => change_policy(prover, random).await,
        _ => change_schema(prover, schema, random).await,
    };
    let began = tokio::time::Instant::now();
    while rules() == before && began.elapsed() < NOTICED {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    if rules() == before {
        // A choice may be what was in force already.
        if changed {
            tally.wrong.push(format!("nothing shows that the rules changed: {way:?}"));
        }
        return;
    }
    // As trueup does, at once, and not all of them: who was not asked about must not be taken for proven either.
    for subject in subjects.iter_mut() {
        Prover::forget(subject);
        if random.one_in(2) {
            prover.learn(subject).await;
        }
    }
    tokio::time::sleep(IN_FORCE).await;
    let lives = subjects.drain(..).map(|subject| {
        let random = random.another();
        afterwards(prover, way, subject, random)
    });
    let lives: Vec<_> = lives.collect();
    let mut under_way = futures::stream::iter(lives).buffer_unordered(AT_ONCE);
    while let Some((alive, more)) = under_way.next().await {
        tally.add(more);
        subjects.extend(alive);
    }
}

/// What is said of an object after the rules changed, and after writes that follow; gives the object if it goes on.
async fn afterwards(
    prover: &Prover,
    way: Way,
    mut subject: Subjected,
    mut random: Random,
) -> (Option<Subjected>, Tally) {
    let mut tally = Tally::default();
    Prover::forget(&mut subject);
    prover.compare(&mut subject, way, &mut random, &mut tally).await;
    let writes = random.below(2);
    let mut lives = !random.one_in(12);
    for _ in 0..writes {
        lives &= prover.write_and_compare(&mut subject, &mut random, &mut tally).await;
    }
    (lives.then_some(subject), tally)
}

// Gives whether anything is other than before.
async fn change_schema(prover: &Prover, schema: &mut Value, random: &mut Random) -> bool {
    let before = schema.clone();
    let fields = &mut schema["properties"];
    match random.below(9) {
        0 => fields["level"]["default"] = (*random.pick(&["info", "warn"])).into(),
        1 => fields["added"] = json!({"type": "string", "default": *random.pick(&["x", "y"])}),
        2 => fields["map"] = list_type(&spec_schema()["properties"]["map"], random),
        3 => fields["set"]["x-kubernetes-list-type"] = (*random.pick(&["set", "atomic"])).into(),
        4 => fields["labels"]["x-kubernetes-map-type"] = (*random.pick(&["atomic", "granular"])).into(),
        5 => fields["whole"]["x-kubernetes-map-type"] = (*random.pick(&["atomic", "granular"])).into(),
        6 => {
            fields["map"]["items"]["properties"]["mode"]["default"] =
                (*random.pick(&["auto", "none"])).into();
        }
        7 => fields["defaulted"]["properties"]["size"]["default"] = (*random.pick(&[3, 4])).into(),
        _ => *schema = spec_schema(),
    }
    prover.define(&definition(CHANGING, KIND, schema)).await;
    *schema != before
}

fn list_type(map: &Value, random: &mut Random) -> Value {
    let mut list = map.clone();
    if random.one_in(2) {
        list["x-kubernetes-list-type"] = "atomic".into();
        if let Some(list) = list.as_object_mut() {
            list.remove("x-kubernetes-list-map-keys");
        }
    }
    list
}

fn of_the_group() -> Value {
    json!([{"apiGroups": [CHANGING], "apiVersions": ["*"], "resources": ["*"], "operations": ["CREATE", "UPDATE"]}])
}

async fn change_webhook(prover: &Prover, webhook: &AdmissionWebhook, random: &mut Random) -> bool {
    // The webhook does to each object what its path says.
    let mut configuration = webhook_of("changing", webhook, &of_the_group(), &json!({}));
    let client = &mut configuration["webhooks"][0]["clientConfig"];
    let url = format!("{}{}", client["url"].as_str().unwrap(), random.pick(&["stamp", "rewrite", "drop"]));
    client["url"] = url.into();
    configuration["webhooks"][0]["timeoutSeconds"] = (1 + random.below(20)).into();
    set(prover.server(), &configuration, !random.one_in(3)).await;
    false
}

async fn change_policy(prover: &Prover, random: &mut Random) -> bool {
    let value = *random.pick(&["one", "two"]);
    let expression = match random.below(3) {
        0 => format!("Object{{metadata: Object.metadata{{annotations: {{'by-policy': '{value}'}}}}}}"),
        1 => format!("Object{{spec: Object.spec{{level: '{value}'}}}}"),
        _ => format!("Object{{metadata: Object.metadata{{labels: {{'{LABEL}': '{value}'}}}}}}"),
    };
    let mutations =
        json!([{"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": expression}}]);
    let there = !random.one_in(3);
    for object in policy_of("changing", &of_the_group(), &json!({}), &mutations) {
        set(prover.server(), &object, there).await;
    }
    false
}
