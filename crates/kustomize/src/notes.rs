//! What becomes of a resource's notes when a patch replaces its annotations.
//!
//! kustomize keeps earlier names, prefixes, the need of a hash, origins and transformations as annotations of the resource
//! itself. A patch that takes all annotations away takes them too, and one that adds an annotation finds something to add to. Here
//! they stand beside the value, and one annotation stands for all of them while a patch is at work.

use crate::resource::{Behavior, Resource};
use crate::text;
use serde_json::Map;
use trueup_model::Value;

/// Which notes outlive the annotations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kept {
    /// None of them.
    None,
    /// All but origin and transformations: who applies JSON patches puts them back.
    Identity,
}

/// Writes labels or annotations anew as kustomize does: all entries are texts, as `written` has them, and none is written when
/// there are none.
pub(crate) fn write_as_text(object: &mut Value, field: &str, written: &[(Value, String)]) {
    let Some(Value::Object(metadata)) = object.get_mut("metadata") else { return };
    let Some(entries) = metadata.get_mut(field) else { return };
    let Some(entries) = entries.as_object_mut().filter(|entries| !entries.is_empty()) else {
        metadata.remove(field);
        return;
    };
    for entry in entries.values_mut() {
        if let Some((_, text)) = written.iter().find(|(value, _)| value == entry) {
            *entry = Value::from(text.as_str());
        } else if !entry.is_string() {
            *entry = Value::String(text::of(entry).unwrap_or_default().into_owned());
        }
    }
}

const STAND_IN: &str = "internal.config.kubernetes.io/notes";

impl Resource {
    fn has_notes(&self) -> bool {
        !self.previous.is_empty()
            || !self.prefixes.is_empty()
            || !self.suffixes.is_empty()
            || self.needs_hash
            || self.behavior != Behavior::Unspecified
            || self.source.is_some()
    }

    /// Changes the value while its notes are to be found in the annotations.
    ///
    /// # Errors
    /// Those of the change.
    pub(crate) fn with_notes<T>(
        &mut self,
        change: impl FnOnce(&mut Value) -> Result<T, String>,
        kept: Kept,
    ) -> Result<T, String> {
        if !self.has_notes() {
            return change(&mut self.value);
        }
        if let Some(metadata) = self.metadata_mut() {
            let annotations = metadata.entry("annotations").or_insert(Value::Null);
            if !annotations.is_object() {
                *annotations = Value::Object(Map::new());
            }
            if let Value::Object(annotations) = annotations {
                annotations.insert(STAND_IN.to_owned(), Value::Bool(true));
            }
        }
        let result = change(&mut self.value)?;
        if !self.take_stand_in() {
            self.source = None;
            self.transformations.clear();
            if kept == Kept::None {
                self.previous.clear();
                self.prefixes.clear();
                self.suffixes.clear();
                self.needs_hash = false;
                self.behavior = Behavior::Unspecified;
            }
        }
        Ok(result)
    }

    /// Takes the stand-in away; whether it was there.
    fn take_stand_in(&mut self) -> bool {
        let Some(Value::Object(metadata)) = self.value.get_mut("metadata") else { return false };
        let Some(Value::Object(annotations)) = metadata.get_mut("annotations") else { return false };
        let found = annotations.remove(STAND_IN).is_some();
        if annotations.is_empty() {
            metadata.remove("annotations");
        }
        found
    }
}
