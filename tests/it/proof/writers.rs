//! Others who write: every way in which an API server lets an object be changed.

use super::random::{Random, disturb, places};
use super::server::Server;
use serde_json::{Value, json};
use trueup_plan::apply_set::PART_OF;

const JSON: &str = "application/json";
const MERGE: &str = "application/merge-patch+json";
const STRATEGIC: &str = "application/strategic-merge-patch+json";
const JSON_PATCH: &str = "application/json-patch+json";
const APPLY: &str = "application/apply-patch+yaml";

/// A way to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Way {
    /// Nobody has written since our apply.
    Nothing,
    /// Git wants something else.
    Commit,
    Update,
    Merge,
    Strategic,
    JsonPatch,
    Apply,
    ApplyByForce,
    ApplyAsUs,
    UpdateAsUs,
    Scale,
    Status,
    Labels,
    StripLabel,
    WipeManagers,
    EditManagers,
    OtherVersion,
    ApplyInOtherVersion,
    Touch,
    /// The schema was changed.
    Schema,
    /// A mutating webhook came, changed or went.
    Webhook,
    /// A mutating admission policy came, changed or went.
    Policy,
}

/// What may befall a single object after it was applied.
pub(super) const WAYS: [Way; 18] = [
    Way::Commit,
    Way::Update,
    Way::Merge,
    Way::Strategic,
    Way::JsonPatch,
    Way::Apply,
    Way::ApplyByForce,
    Way::ApplyAsUs,
    Way::UpdateAsUs,
    Way::Scale,
    Way::Status,
    Way::Labels,
    Way::StripLabel,
    Way::WipeManagers,
    Way::EditManagers,
    Way::OtherVersion,
    Way::ApplyInOtherVersion,
    Way::Touch,
];

/// What is written to: the object as it is now, where it is, and where it is in another version, if there is one.
pub(super) struct Subject<'a> {
    pub(super) wanted: &'a Value,
    pub(super) live: &'a Value,
    pub(super) path: &'a str,
    pub(super) other: Option<(&'a str, &'a str)>,
}

/// Writes in one way; gives the answer, or nothing where the way does not fit the object.
pub(super) async fn write(
    server: &Server,
    subject: &Subject<'_>,
    way: Way,
    random: &mut Random,
) -> Option<(u16, Value)> {
    let Subject { wanted, live, path, other } = subject;
    let by = |manager: &str| format!("{path}?fieldManager={manager}");
    let send = |method: &'static str, path: String, kind: &'static str, body: Value| async move {
        Some(server.send(method, &path, kind, Some(&body)).await)
    };
    match way {
        Way::Nothing | Way::Commit | Way::Schema | Way::Webhook | Way::Policy => None,
        Way::Touch => send("PUT", by("toucher"), JSON, (*live).clone()).await,
        Way::Update => send("PUT", by("updater"), JSON, disturbed(live, wanted, random)).await,
        Way::UpdateAsUs => send("PUT", by("trueup"), JSON, disturbed(live, wanted, random)).await,
        Way::Merge => send("PATCH", by("merger"), MERGE, difference(live, wanted, random)?).await,
        Way::Strategic => send("PATCH", by("strategist"), STRATEGIC, difference(live, wanted, random)?).await,
        Way::JsonPatch => send("PATCH", by("patcher"), JSON_PATCH, operations(live, wanted, random)?).await,
        Way::Apply => send("PATCH", by("applier"), APPLY, part(wanted, random)).await,
        Way::ApplyByForce => {
            let force = format!("{}&force=true", by(["applier", "other"][random.below(2)]));
            send("PATCH", force, APPLY, part(wanted, random)).await
        }
        Way::ApplyAsUs => {
            send("PATCH", format!("{}&force=true", by("trueup")), APPLY, part(wanted, random)).await
        }
        Way::Scale => {
            let body = json!({"spec": {"replicas": random.below(4)}});
            send("PATCH", format!("{path}/scale?fieldManager=scaler"), MERGE, body).await
        }
        Way::Status => {
            let body =
                json!({"status": {"observedGeneration": random.below(9), "replicas": random.below(4)}});
            send("PATCH", format!("{path}/status?fieldManager=controller"), MERGE, body).await
        }
        Way::Labels => {
            let value = random.pick(&[Value::Null, json!("x"), json!("1")]).clone();
            let field = *random.pick(&["labels", "annotations"]);
            let body = json!({"metadata": {field: {*random.pick(&["app", "b", "new", "note"]): value}}});
            send("PATCH", by("labeller"), MERGE, body).await
        }
        Way::StripLabel => {
            send("PATCH", by("stripper"), MERGE, json!({"metadata": {"labels": {PART_OF: null}}})).await
        }
        Way::WipeManagers => {
            send("PATCH", by("wiper"), MERGE, json!({"metadata": {"managedFields": [{}]}})).await
        }
        Way::EditManagers => send("PUT", by("editor"), JSON, other_books(live, random)?).await,
        Way::OtherVersion => {
            let (path, _) = (*other)?;
            let (_, live) = server.send("GET", path, JSON, None).await;
            send("PUT", format!("{path}?fieldManager=versioner"), JSON, disturbed(&live, &live, random)).await
        }
        Way::ApplyInOtherVersion => {
            let (path, api_version) = (*other)?;
            let mut body = part(wanted, random);
            body["apiVersion"] = api_version.into();
            let manager = *random.pick(&["applier", "versioner", "trueup"]);
            send("PATCH", format!("{path}?force=true&fieldManager={manager}"), APPLY, body).await
        }
    }
}

/// A place, more often one that we want than any that is there.
fn place(live: &Value, wanted: &Value, random: &mut Random) -> Option<String> {
    let all = if random.one_in(3) { places(live) } else { places(wanted) };
    let all: Vec<&String> = all.iter().filter(|place| live.pointer(place).is_some()).collect();
    (!all.is_empty()).then(|| (*random.pick(&all)).clone())
}

fn disturbed(live: &Value, wanted: &Value, random: &mut Random) -> Value {
    let mut changed = live.clone();
    for _ in 0..=random.below(2) {
        if let Some(place) = place(&changed, wanted, random) {
            disturb(&mut changed, &place, random);
        }
    }
    changed
}

/// A merge patch of one field: lists are given whole, as merge patches have it.
fn difference(live: &Value, wanted: &Value, random: &mut Random) -> Option<Value> {
    let place = place(live, wanted, random)?;
    let mut changed = live.clone();
    disturb(&mut changed, &place, random);
    let mut at = String::new();
    let mut names = Vec::new();
    for name in place.split('/').skip(1) {
        if live.pointer(&at).is_some_and(Value::is_array) {
            break;
        }
        at = format!("{at}/{name}");
        names.push(name.replace("~1", "/").replace("~0", "~"));
    }
    let value = changed.pointer(&at).cloned().unwrap_or_default();
    Some(names.iter().rev().fold(value, |below, name| json!({name: below})))
}

fn operations(live: &Value, wanted: &Value, random: &mut Random) -> Option<Value> {
    let place = place(live, wanted, random)?;
    let value = live.pointer(&place)?;
    Some(match random.below(4) {
        0 => json!([{"op": "remove", "path": place}]),
        1 if place.rsplit('/').next().is_some_and(|name| name.parse::<usize>().is_ok()) => {
            json!([{"op": "add", "path": place, "value": value}])
        }
        2 => json!([{"op": "remove", "path": place}, {"op": "add", "path": place, "value": value}]),
        _ => json!([{"op": "replace", "path": place, "value": random.scalar(value)}]),
    })
}

/// A random part of what we want, some of it with other values, without the label of our set.
fn part(wanted: &Value, random: &mut Random) -> Value {
    let mut part = wanted.clone();
    if let Some(labels) = part.pointer_mut("/metadata/labels").and_then(Value::as_object_mut) {
        labels.remove(PART_OF);
    }
    super::kinds::thin(&mut part, random);
    if random.one_in(2)
        && let Some(place) = random.any(&places(&part))
    {
        disturb(&mut part, &place, random);
    }
    part
}

/// The object with books that somebody edited: an entry or a field gone, a manager renamed, fields that nobody set.
fn other_books(live: &Value, random: &mut Random) -> Option<Value> {
    let mut changed = live.clone();
    let entries = changed.pointer_mut("/metadata/managedFields")?.as_array_mut()?;
    if entries.is_empty() {
        return None;
    }
    let at = random.below(entries.len());
    match random.below(4) {
        0 => drop(entries.remove(at)),
        1 => entries[at]["manager"] = (*random.pick(&["trueup", "renamed"])).into(),
        2 => entries[at]["operation"] = (*random.pick(&["Apply", "Update"])).into(),
        _ => {
            let fields = entries[at].get_mut("fieldsV1")?;
            let place = random.any(&places(fields))?;
            let (parent, name) = place.rsplit_once('/')?;
            let name = name.replace("~1", "/").replace("~0", "~");
            let parent = fields.pointer_mut(parent)?.as_object_mut()?;
            if random.one_in(2) {
                parent.remove(&name);
            } else {
                parent.insert("f:nobody".to_owned(), json!({}));
            }
        }
    }
    Some(changed)
}
