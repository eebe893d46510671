//! Whether the server would change something: its dry run of our apply, held against the live object.
//!
//! Nothing is forgiven of an object's content nor of what is ours by its books. Beside the version and the times of books,
//! which every write moves, two things are no change, and each is counted where it occurs: see [`Exempt`].

use super::server::Server;
use serde_json::Value;
use trueup::cluster::MANAGER;
use trueup_merge::fields::{FieldSet, has_keys};
use trueup_merge::managed::raw;
use trueup_model::{FieldPath, Segment};

/// A difference that is no change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Exempt {
    /// Only `generation` moves: no field of the object does, so the number says nothing but that something was written. The
    /// server counts again with each apply of an empty list that it keeps as none.
    Generation,
    /// Fields that are not ours, which admission adds or changes on the way in of anything at all: a write of nothing by somebody
    /// else has the same content come out. It is the rule of a policy or webhook that came after the object was last written, it
    /// takes hold with the next write whoever makes it, and Git says nothing of these fields.
    Admission,
    /// Claims of others to a field of ours that admission rewrites. Our apply gives it Git's value, which takes it from whoever
    /// claims it too; then admission gives it the value that it has. Nothing is other than before but who else is named.
    Claims,
    /// The books of others: they come out of a write of nothing by somebody else exactly as they come out of our apply, or lose
    /// nothing but fields that are not there.
    Books,
}

/// What a dry run says.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Answer {
    /// An apply would change nothing.
    Same(Vec<Exempt>),
    /// It would change this.
    Change(String),
}

/// What the server would make of the object at `path` by our apply, of which it predicted `predicted`.
pub(super) async fn ask(
    server: &Server,
    path: &str,
    sent: &Value,
    live: &Value,
    predicted: &Value,
) -> Answer {
    let (mut told, mut places) = (Vec::new(), Vec::new());
    tell(&content(live), &content(predicted), &FieldPath::default(), &mut told, &mut places);
    // A map that is not there and that Git says nothing in: what appears in it is nobody's, though the map is named in the books.
    let is_unsaid = |place: &FieldPath| at(live, place).is_none() && at(sent, place).is_none_or(says_nothing);
    let is_touched = |place: &FieldPath| touches(live, place) && !is_unsaid(place);
    let is_ours_untouched = ours(live) == ours(predicted) && !places.iter().any(is_touched);
    if !is_ours_untouched {
        told.push(format!("ours: {} -> {}", ours(live), ours(predicted)));
        return Answer::Change(told.join("; "));
    }
    let mut exempt = Vec::new();
    if !told.is_empty() || others(live) != others(predicted) {
        let by_any_write = written_by_nobody(server, path).await;
        if content(&by_any_write) != content(predicted) {
            return Answer::Change(told.join("; "));
        }
        let (before, after) = (others(&by_any_write), others(predicted));
        if before == after {
            exempt.push(if told.is_empty() { Exempt::Books } else { Exempt::Admission });
        } else if let Some(lost) = lost(&before, &after, sent, live) {
            exempt.push(lost);
        } else {
            return Answer::Change(format!("others: {before} -> {after}"));
        }
    }
    if live.pointer("/metadata/generation") != predicted.pointer("/metadata/generation") {
        exempt.push(Exempt::Generation);
    }
    Answer::Same(exempt)
}

/// The object as it would be after a patch that says nothing.
async fn written_by_nobody(server: &Server, path: &str) -> Value {
    let path = format!("{path}?fieldManager=nobody&dryRun=All");
    let nothing = Value::Object(serde_json::Map::new());
    let (status, object) = server.send("PATCH", &path, "application/merge-patch+json", Some(&nothing)).await;
    if status == 200 { object } else { Value::Null }
}

fn content(object: &Value) -> Value {
    let mut object = object.clone();
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        for field in ["resourceVersion", "generation", "managedFields"] {
            metadata.remove(field);
        }
    }
    object
}

fn is_ours(entry: &Value) -> bool {
    entry["manager"] == MANAGER && entry["operation"] == "Apply" && entry.get("subresource").is_none()
}

// The server sorts books by time; without times, any order is as good.
fn books(object: &Value, wanted: impl Fn(&Value) -> bool) -> Value {
    let mut books: Vec<Value> = raw(object).iter().filter(|entry| wanted(entry)).cloned().collect();
    for entry in books.iter_mut().filter_map(Value::as_object_mut) {
        entry.remove("time");
    }
    books.sort_by_cached_key(ToString::to_string);
    Value::Array(books)
}

fn ours(object: &Value) -> Value {
    books(object, is_ours)
}

fn others(object: &Value) -> Value {
    books(object, |entry| !is_ours(entry))
}

fn touches(live: &Value, place: &FieldPath) -> bool {
    raw(live)
        .iter()
        .filter(|entry| is_ours(entry))
        .any(|entry| FieldSet::parse(&entry["fieldsV1"]).map_or(true, |set| set.touches(&place.0)))
}

/// What others lose, if that is nothing that anybody could miss: fields that are not there, and such that are ours and have
/// another value than we send all the same.
fn lost(before: &Value, after: &Value, sent: &Value, live: &Value) -> Option<Exempt> {
    let who =
        |entry: &Value| ["manager", "operation", "apiVersion", "subresource"].map(|name| entry[name].clone());
    let all = |books: &Value| books.as_array().cloned().unwrap_or_default();
    let fields = |entry: Option<&Value>| {
        entry.and_then(|entry| FieldSet::parse(&entry["fieldsV1"]).ok()).unwrap_or_default()
    };
    let (before, after) = (all(before), all(after));
    let is_known = |entry: &Value| before.iter().any(|other| who(other) == who(entry));
    let mut exempt = after.iter().all(is_known).then_some(Exempt::Books)?;
    for entry in &before {
        let had = fields(Some(entry));
        let has = fields(after.iter().find(|other| who(other) == who(entry)));
        has.difference(&had).is_empty().then_some(())?;
        for path in had.difference(&has).leaves() {
            let (wanted, found) = (at(sent, &path), at(live, &path));
            if found.is_none() && wanted.is_none_or(says_nothing) {
                continue;
            }
            let is_rewritten = touches(live, &path) && wanted.is_some() && wanted != found;
            is_rewritten.then_some(())?;
            exempt = Exempt::Claims;
        }
    }
    Some(exempt)
}

fn says_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

fn at<'v>(value: &'v Value, path: &FieldPath) -> Option<&'v Value> {
    path.0.iter().try_fold(value, |value, step| {
        let mut items = value.as_array().into_iter().flatten();
        match step {
            Segment::Field(name) => value.get(name),
            Segment::Key(keys) => items.find(|item| has_keys(item, keys)),
            Segment::Value(wanted) => items.find(|item| *item == wanted),
            Segment::Index(index) => value.get(index),
        }
    })
}

/// Says in which places two values differ. Lists differ as a whole.
fn tell(one: &Value, other: &Value, at: &FieldPath, told: &mut Vec<String>, places: &mut Vec<FieldPath>) {
    match (one, other) {
        (Value::Object(a), Value::Object(b)) => {
            for name in a.keys().chain(b.keys().filter(|name| !a.contains_key(*name))) {
                let null = Value::Null;
                let (a, b) = (a.get(name).unwrap_or(&null), b.get(name).unwrap_or(&null));
                tell(a, b, &at.child(Segment::Field(name.clone())), told, places);
            }
        }
        (a, b) if a != b => {
            told.push(format!("{at}: {a} -> {b}"));
            places.push(at.clone());
        }
        (_, _) => {}
    }
}
