//! Why a live object that needs no apply is no proof of it by itself: for people who want to prove more.

use serde_json::Value;
use trueup::cluster::MANAGER;
use trueup_merge::canonical::canonical;
use trueup_merge::fields::{FieldSet, has_keys, segment};
use trueup_merge::managed::applied_by;
use trueup_model::Segment;

/// The first place that shows it, without the names of list items.
pub(super) fn cause(sent: &Value, live: &Value) -> String {
    let sent = &*canonical(sent);
    let Some(entry) = applied_by(live, MANAGER) else { return "nothing is ours".to_owned() };
    if entry["apiVersion"] != live["apiVersion"] {
        return "written in another version".to_owned();
    }
    let Ok(fields) = FieldSet::parse(&entry["fieldsV1"]) else {
        return "books that cannot be read".to_owned();
    };
    differs(sent, live, &fields, "")
        .unwrap_or_else(|| "nothing but its shape, which was not confirmed yet".to_owned())
}

fn differs(sent: &Value, live: &Value, owned: &FieldSet, at: &str) -> Option<String> {
    if owned.children.is_empty() {
        return (sent != live).then(|| format!("{at}: {sent} is {live}"));
    }
    if let Some(written) = sent.as_object() {
        for (name, value) in written {
            let passed_over = match at {
                "" => ["apiVersion", "kind"].contains(&name.as_str()),
                "/metadata" => ["name", "namespace"].contains(&name.as_str()),
                _ => false,
            };
            if !passed_over && !value.is_null() && !owned.children.contains_key(&format!("f:{name}")) {
                return Some(format!("{at}/{name}: {value} is not ours"));
            }
        }
    }
    owned.children.iter().find_map(|(element, below)| {
        let step = segment(element).ok()?;
        let at = match &step {
            Segment::Field(name) => format!("{at}/{name}"),
            Segment::Key(_) | Segment::Value(_) | Segment::Index(_) => format!("{at}/*"),
        };
        match (child(sent, &step), child(live, &step)) {
            (Some(sent), Some(live)) => differs(sent, live, below, &at),
            (None, _) => Some(format!("{at}: ours and not sent")),
            (Some(Value::Null), None) => None,
            (_, None) => Some(format!("{at}: ours and not there")),
        }
    })
}

fn child<'v>(value: &'v Value, step: &Segment) -> Option<&'v Value> {
    let items = || value.as_array().into_iter().flatten();
    match step {
        Segment::Field(name) => value.get(name),
        Segment::Key(keys) => {
            let exact = |item: &&Value| keys.iter().all(|(name, wanted)| item.get(name) == Some(wanted));
            items().find(exact).or_else(|| items().find(|item| has_keys(item, keys)))
        }
        Segment::Value(wanted) => items().find(|item| *item == wanted),
        Segment::Index(index) => value.get(index),
    }
}
