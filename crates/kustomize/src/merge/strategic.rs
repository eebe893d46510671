//! Strategic merge as kustomize does it.
//!
//! A mapping merges field by field, a list by the keys that the schema names, everything else is replaced;
//! null takes a field away and `$patch: delete|replace|merge` says it in words. Items that the patch
//! brings come before those that were there.
//!
//! Source: kustomize 5.8, `kyaml/yaml/merge2` and `kyaml/yaml/walk`; where that differs from the API
//! server's strategic merge (such as `$patch: replace` on an item, which has no effect), this does too.

use super::lists;
use super::schema::{Schema, ShapeId};
use crate::spelled::{self, is_bare};
use crate::text;
use serde_json::Map;
use std::borrow::Cow;
use trueup_model::Value;

/// What becomes of the value that was patched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Stays,
    Goes,
}

/// What `$patch` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Directive {
    Merge,
    Replace,
    Delete,
}

/// Whether a value is the first that was missing, or stands in one that was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    /// Directives for a whole list are not looked for.
    Outer,
    Inner,
}

pub(crate) const DIRECTIVE: &str = "$patch";

/// Merges with the help of one schema.
#[derive(Clone, Copy)]
pub(crate) struct Merge<'s> {
    pub(crate) schema: &'s Schema,
    /// Fields that nothing is written for are marked, and go wherever the merge comes by.
    pub(crate) bare: bool,
    /// Values of the patch that are written otherwise than they print.
    pub(crate) written: &'s [(Value, String)],
}

impl Merge<'_> {
    /// Patches an object.
    ///
    /// # Errors
    /// The patch has another type than the object somewhere, or an unknown directive; in words, with the field.
    pub(crate) fn object(self, object: &mut Value, patch: &Value) -> Result<Outcome, String> {
        // A kind that is not known, such as one that a patch made up, leaves the word to the patch.
        let known = |value: &Value| {
            let part = |field: &str| value.get(field).and_then(Value::as_str).unwrap_or_default();
            self.schema.root(part("apiVersion"), part("kind"))
        };
        let shape = known(object).or_else(|| known(patch));
        self.merge(object, patch, shape).map_err(|mismatch| mismatch.told("the patch does not fit"))
    }

    /// Patches a value that is there.
    pub(crate) fn merge(
        self,
        value: &mut Value,
        patch: &Value,
        shape: Option<ShapeId>,
    ) -> Result<Outcome, Mismatch> {
        if self.bare && is_bare(value) {
            *value = Value::Null;
        }
        match (&mut *value, patch) {
            (_, Value::Null) => Ok(Outcome::Goes),
            (Value::Null, _) => match self.fresh(patch, shape, Level::Outer)? {
                Some(fresh) => {
                    *value = fresh;
                    Ok(Outcome::Stays)
                }
                None => Ok(Outcome::Goes),
            },
            (Value::Object(fields), Value::Object(changes)) => match directive(changes)? {
                Some(Directive::Delete) => Ok(Outcome::Goes),
                Some(Directive::Replace) => {
                    *value = Value::Object(self.fresh_fields(changes, shape)?);
                    Ok(Outcome::Stays)
                }
                Some(Directive::Merge) | None => {
                    fields.remove(DIRECTIVE);
                    self.fields(fields, changes, shape)?;
                    Ok(Outcome::Stays)
                }
            },
            (Value::Array(items), Value::Array(changes)) => {
                if let Some((keys, element)) = self.schema.merge_list(shape) {
                    lists::merge(self, items, changes, keys, element)
                } else {
                    items.clone_from(changes);
                    Ok(Outcome::Stays)
                }
            }
            (
                Value::Bool(_) | Value::Number(_) | Value::String(_),
                Value::Bool(_) | Value::Number(_) | Value::String(_),
            ) => {
                *value = if spelled::is_quoted(value) {
                    let written = self.written.iter().find(|(value, _)| value == patch);
                    let written = written.map(|(_, text)| Cow::Borrowed(text.as_str()));
                    Value::String(written.unwrap_or_else(|| text::or_empty(Some(patch))).into_owned())
                } else {
                    patch.clone()
                };
                Ok(Outcome::Stays)
            }
            (found, _) => {
                Err(Mismatch::new(format!("the object has {}, the patch {}", type_of(found), type_of(patch))))
            }
        }
    }

    fn fields(
        self,
        fields: &mut Map<String, Value>,
        changes: &Map<String, Value>,
        shape: Option<ShapeId>,
    ) -> Result<(), Mismatch> {
        for (name, change) in changes.iter().filter(|(name, _)| *name != DIRECTIVE) {
            let shape = self.schema.field(shape, name);
            match fields.get_mut(name) {
                Some(value) => {
                    if self.merge(value, change, shape).map_err(|m| m.below(name))? == Outcome::Goes {
                        fields.remove(name);
                    }
                }
                None => {
                    if let Some(fresh) = self.fresh(change, shape, Level::Outer).map_err(|m| m.below(name))? {
                        fields.insert(name.clone(), fresh);
                    }
                }
            }
        }
        if self.bare {
            fields.retain(|_, value| !is_bare(value));
        }
        if shape.is_some() || self.bare {
            for (name, value) in fields.iter_mut().filter(|(name, _)| !changes.contains_key(*name)) {
                self.settle(value, self.schema.field(shape, name)).map_err(|m| m.below(name))?;
            }
        }
        Ok(())
    }

    /// What a patch leaves when there was nothing: itself without directives and nulls.
    pub(crate) fn fresh(
        self,
        patch: &Value,
        shape: Option<ShapeId>,
        level: Level,
    ) -> Result<Option<Value>, Mismatch> {
        Ok(match patch {
            Value::Null => None,
            Value::Bool(_) | Value::Number(_) | Value::String(_) => Some(patch.clone()),
            Value::Array(items) => match self.schema.merge_list(shape) {
                None => Some(patch.clone()),
                Some((keys, element)) => lists::fresh(self, items, keys, element, level)?.map(Value::Array),
            },
            Value::Object(fields) => match directive(fields)? {
                Some(Directive::Delete) => None,
                Some(Directive::Replace | Directive::Merge) | None => {
                    Some(Value::Object(self.fresh_fields(fields, shape)?))
                }
            },
        })
    }

    fn fresh_fields(
        self,
        changes: &Map<String, Value>,
        shape: Option<ShapeId>,
    ) -> Result<Map<String, Value>, Mismatch> {
        let mut fields = Map::new();
        for (name, change) in changes.iter().filter(|(name, _)| *name != DIRECTIVE) {
            let fresh = self
                .fresh(change, self.schema.field(shape, name), Level::Inner)
                .map_err(|m| m.below(name))?;
            if let Some(fresh) = fresh {
                fields.insert(name.clone(), fresh);
            }
        }
        Ok(fields)
    }

    /// A value that the patch does not touch: its keyed lists are put in the form that merging gives them.
    pub(crate) fn settle(self, value: &mut Value, shape: Option<ShapeId>) -> Result<(), Mismatch> {
        if shape.is_none() && !self.bare {
            return Ok(());
        }
        match value {
            Value::Object(fields) => {
                if self.bare {
                    fields.retain(|_, value| !is_bare(value));
                }
                for (name, field) in fields.iter_mut() {
                    self.settle(field, self.schema.field(shape, name)).map_err(|m| m.below(name))?;
                }
                Ok(())
            }
            Value::Array(items) => match self.schema.merge_list(shape) {
                Some((keys, element)) => lists::settle(self, items, keys, element),
                None => Ok(()),
            },
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(()),
        }
    }
}

/// The `$patch` of a mapping.
pub(crate) fn directive(fields: &Map<String, Value>) -> Result<Option<Directive>, Mismatch> {
    match fields.get(DIRECTIVE) {
        None => Ok(None),
        Some(written) => match written.as_str() {
            Some("merge") => Ok(Some(Directive::Merge)),
            Some("replace") => Ok(Some(Directive::Replace)),
            Some("delete") => Ok(Some(Directive::Delete)),
            Some(_) | None => {
                Err(Mismatch::new(format!("{DIRECTIVE} must be delete, replace or merge, not {written}")))
            }
        },
    }
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) | Value::Number(_) | Value::String(_) => "a single value",
        Value::Array(_) => "a list",
        Value::Object(_) => "a mapping",
    }
}

/// Where a patch does not fit; the path is collected from the inside out.
#[derive(Clone, Debug)]
pub(crate) struct Mismatch {
    path: Vec<String>,
    message: String,
}

impl Mismatch {
    pub(crate) fn new(message: String) -> Self {
        Self { path: Vec::new(), message }
    }

    pub(crate) fn below(mut self, field: &str) -> Self {
        self.path.push(field.to_owned());
        self
    }

    /// What does not fit, and where from the root on.
    pub(crate) fn told(self, what: &str) -> String {
        let from_root: Vec<String> = self.path.into_iter().rev().collect();
        format!("{what} at {}: {}", from_root.join("."), self.message)
    }
}
