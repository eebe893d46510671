//! Which item of a list is which after a step: by what it is, by what names it, or by where it stands.

use crate::Value;
use std::collections::{BTreeMap, VecDeque};

/// Fields that tell items of one list apart, the most telling first.
///
/// Source: the merge keys of the Kubernetes API types, and what lists without one go by.
const NAMES: [&str; 13] = [
    "mountPath",
    "devicePath",
    "containerPort",
    "name",
    "port",
    "key",
    "ip",
    "topologyKey",
    "uid",
    "host",
    "path",
    "type",
    "kind",
];

/// For each item of `new` the position that it had in `old`.
pub(super) fn earlier(old: &[Value], new: &[Value]) -> Vec<Option<usize>> {
    let mut found: Vec<Option<usize>> = vec![None; new.len()];
    let mut free: Vec<bool> = vec![true; old.len()];
    for (index, item) in new.iter().enumerate() {
        if old.get(index) == Some(item) {
            found[index] = Some(index);
            free[index] = false;
        }
    }
    pair(old, new, &mut found, &mut free, |item| Some(item.to_string()));
    pair(old, new, &mut found, &mut free, name);
    // What is renamed in place is neither: it is known by standing where it stood, in a list that kept its length.
    if old.len() == new.len() {
        for (index, found) in
            found.iter_mut().enumerate().filter(|(index, found)| found.is_none() && free[*index])
        {
            *found = Some(index);
        }
    }
    found
}

/// Pairs the items that are still open and agree in what `key` makes of them, in their order.
fn pair(
    old: &[Value],
    new: &[Value],
    found: &mut [Option<usize>],
    free: &mut [bool],
    key: impl Fn(&Value) -> Option<String>,
) {
    if found.iter().all(Option::is_some) {
        return;
    }
    let mut known: BTreeMap<String, VecDeque<usize>> = BTreeMap::new();
    for (index, item) in old.iter().enumerate().filter(|(index, _)| free[*index]) {
        if let Some(key) = key(item) {
            known.entry(key).or_default().push_back(index);
        }
    }
    for (item, found) in new.iter().zip(found).filter(|(_, found)| found.is_none()) {
        if let Some(index) = key(item).and_then(|key| known.get_mut(&key)).and_then(VecDeque::pop_front) {
            free[index] = false;
            *found = Some(index);
        }
    }
}

fn name(item: &Value) -> Option<String> {
    NAMES.iter().find_map(|field| {
        let value = item.get(field).filter(|value| !value.is_object() && !value.is_array())?;
        Some(format!("{field}={value}"))
    })
}
