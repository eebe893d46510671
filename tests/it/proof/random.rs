//! Choices that follow from a seed, so that a run that found something can be made again.

use serde_json::Value;

/// A sequence of numbers (splitmix64).
#[derive(Clone)]
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// Another sequence, which follows from this one.
    pub(super) fn another(&mut self) -> Self {
        Self(self.next())
    }

    /// A number below `limit`.
    pub(super) fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit.max(1) as u64).unwrap_or_default()
    }

    /// True once in `times` times.
    pub(super) fn one_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    /// One of them.
    pub(super) fn pick<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }

    /// One of them, if there are any.
    pub(super) fn any<T: Clone>(&mut self, all: &[T]) -> Option<T> {
        if all.is_empty() { None } else { Some(self.pick(all).clone()) }
    }

    /// One of a few values that a JSON field may have.
    pub(super) fn scalar(&mut self, like: &Value) -> Value {
        match like {
            Value::Bool(value) => Value::from(!value),
            Value::Number(_) => Value::from(self.below(9)),
            Value::String(_) => (*self.pick(&["a", "b", "c", "1", "100m", "1Gi", "true", ""])).into(),
            Value::Null => Value::from("was null"),
            Value::Array(_) => Value::Array(Vec::new()),
            Value::Object(_) => Value::Object(serde_json::Map::new()),
        }
    }
}

/// A place in a JSON value: names of fields and positions of items.
pub(super) type Pointer = String;

/// All places below the root, parents first. `managedFields` is left out: it is edited on purpose or not at all.
pub(super) fn places(value: &Value) -> Vec<Pointer> {
    fn walk(value: &Value, at: &str, found: &mut Vec<Pointer>) {
        let below: Vec<(String, &Value)> = match value {
            Value::Object(fields) => fields
                .iter()
                .map(|(name, value)| (name.replace('~', "~0").replace('/', "~1"), value))
                .collect(),
            Value::Array(items) => items.iter().enumerate().map(|(i, item)| (i.to_string(), item)).collect(),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
        };
        for (name, value) in below {
            let place = format!("{at}/{name}");
            if !UNTOUCHED.contains(&place.as_str()) {
                if place != "/metadata" {
                    found.push(place.clone());
                }
                walk(value, &place, found);
            }
        }
    }
    let mut found = Vec::new();
    walk(value, "", &mut found);
    found
}

const UNTOUCHED: [&str; 10] = [
    "/apiVersion",
    "/kind",
    "/status",
    "/metadata/name",
    "/metadata/namespace",
    "/metadata/uid",
    "/metadata/resourceVersion",
    "/metadata/creationTimestamp",
    "/metadata/generation",
    "/metadata/managedFields",
];

/// Changes something at a place: its value, the order or number of its items, or that it is there at all.
pub(super) fn disturb(value: &mut Value, place: &str, random: &mut Random) {
    let Some((parent, name)) = place.rsplit_once('/') else { return };
    let name = name.replace("~1", "/").replace("~0", "~");
    let Some(parent) = value.pointer_mut(parent) else { return };
    match (parent, random.below(5)) {
        (Value::Object(fields), 0) => drop(fields.remove(&name)),
        (Value::Array(items), 0) if !items.is_empty() => {
            let at = random.below(items.len());
            items.remove(at);
        }
        (Value::Array(items), 1) if items.len() > 1 => items.rotate_left(1),
        (Value::Array(items), 2) if !items.is_empty() => {
            let mut item = random.pick(items).clone();
            let all = places(&item);
            if let Some(leaf) = all.iter().find(|_| random.one_in(2)) {
                let scalar = random.scalar(item.pointer(leaf).unwrap_or(&Value::Null));
                if let Some(at) = item.pointer_mut(leaf) {
                    *at = scalar;
                }
            } else if item.is_string() || item.is_number() {
                item = random.scalar(&item);
            }
            let at = random.below(items.len() + 1);
            items.insert(at, item);
        }
        (Value::Object(fields), 1) if fields.values().all(Value::is_string) => {
            let (name, value) = (*random.pick(&["a", "b", "more"]), *random.pick(&["x", "y"]));
            fields.insert(name.to_owned(), value.into());
        }
        (parent, _) => {
            let at = match parent {
                Value::Object(fields) => fields.get_mut(&name),
                Value::Array(items) => name.parse::<usize>().ok().and_then(|at| items.get_mut(at)),
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
            };
            if let Some(at) = at
                && !(at.is_object() || at.is_array())
            {
                *at = random.scalar(at);
            }
        }
    }
}
