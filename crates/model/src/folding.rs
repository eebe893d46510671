//! A value that takes little memory while nobody looks at it.
//!
//! Ten thousand objects of a rendering exist at once, and each is looked at for a moment only. Folded, an object takes about as
//! much as its text, a tenth of what it takes open. Reading opens it beside its bytes, writing opens it for good, and
//! [`Folding::fold`] closes it again. What it is called can be told without opening it.

use crate::Value;
use crate::packed::{Found, find, pack_value, unpack_value};
use std::ops::{Deref, DerefMut};
use std::sync::OnceLock;

/// From so many values on, it is worth while to fold those up that nobody works at.
pub const MANY: usize = 1000;

/// A value, open or folded.
#[derive(Clone, Debug, Default)]
pub struct Folding {
    /// The value where it is not folded.
    open: Value,
    folded: Option<Folded>,
}

#[derive(Clone, Debug)]
struct Folded {
    bytes: Box<[u8]>,
    /// The value, from the first reading on.
    read: OnceLock<Box<Value>>,
}

impl Folded {
    fn value(&self) -> Value {
        // The bytes are our own.
        unpack_value(&self.bytes).unwrap_or_default()
    }
}

impl Folding {
    /// Folds the value up.
    pub fn fold(&mut self) {
        if let Some(folded) = &mut self.folded {
            folded.read.take();
        } else {
            let bytes = pack_value(&std::mem::take(&mut self.open));
            self.folded = Some(Folded { bytes, read: OnceLock::new() });
        }
    }

    /// Whether it was folded up and not written to since.
    pub fn is_folded(&self) -> bool {
        self.folded.is_some()
    }

    /// The value itself.
    pub fn into_value(self) -> Value {
        match self.folded {
            None => self.open,
            Some(Folded { bytes, mut read }) => match read.take() {
                Some(value) => *value,
                None => unpack_value(&bytes).unwrap_or_default(),
            },
        }
    }

    /// The text that these fields lead to, one inside of the other; `None` where there is none. Does not open the value.
    pub fn text(&self, path: &[&str]) -> Option<&str> {
        match self.closed() {
            Some(bytes) => match find(bytes, path) {
                Found::Text(text) => Some(text),
                Found::Nothing | Found::Other => None,
            },
            None => at(self, path)?.as_str(),
        }
    }

    /// Whether these fields, one inside of the other, lead to anything. Does not open the value.
    pub fn has(&self, path: &[&str]) -> bool {
        match self.closed() {
            Some(bytes) => find(bytes, path) != Found::Nothing,
            None => at(self, path).is_some(),
        }
    }

    fn closed(&self) -> Option<&[u8]> {
        self.folded.as_ref().filter(|folded| folded.read.get().is_none()).map(|folded| &*folded.bytes)
    }
}

fn at<'v>(value: &'v Value, path: &[&str]) -> Option<&'v Value> {
    path.iter().try_fold(value, |value, field| value.as_object()?.get(*field))
}

impl Deref for Folding {
    type Target = Value;

    fn deref(&self) -> &Value {
        match &self.folded {
            None => &self.open,
            Some(folded) => folded.read.get_or_init(|| Box::new(folded.value())),
        }
    }
}

impl DerefMut for Folding {
    fn deref_mut(&mut self) -> &mut Value {
        if let Some(mut folded) = self.folded.take() {
            self.open = folded.read.take().map_or_else(|| folded.value(), |value| *value);
        }
        &mut self.open
    }
}

impl From<Value> for Folding {
    fn from(value: Value) -> Self {
        Self { open: value, folded: None }
    }
}

impl PartialEq for Folding {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl PartialEq<Value> for Folding {
    fn eq(&self, other: &Value) -> bool {
        **self == *other
    }
}

impl PartialEq<Folding> for Value {
    fn eq(&self, other: &Folding) -> bool {
        *self == **other
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_value_reads_and_writes_the_same_open_and_folded() {
        let value = json!({"kind": "ConfigMap", "metadata": {"name": "a", "labels": {}}, "n": 1});
        let mut folding = Folding::from(value.clone());
        for _ in 0..3 {
            assert_eq!(folding.text(&["metadata", "name"]), Some("a"));
            assert_eq!(folding.text(&["n"]), None);
            assert!(
                folding.has(&["n"]) && folding.has(&["metadata", "labels"]) && !folding.has(&["kind", "x"])
            );
            assert_eq!(folding, value);
            assert_eq!(folding.clone().into_value(), value);
            folding.fold();
        }
        folding["metadata"]["name"] = "b".into();
        assert_eq!(folding.text(&["metadata", "name"]), Some("b"));
        folding.fold();
        assert_eq!(folding["metadata"]["name"], "b", "what was written is folded with it");
        folding.fold();
        assert_eq!(folding.into_value()["metadata"], json!({"name": "b", "labels": {}}));
    }
}
