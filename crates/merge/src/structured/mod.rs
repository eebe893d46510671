//! Structured merge: what the API server does with an applied configuration and with the books of who owns which field.
//!
//! Enters: values with their [`schema`], and the managers' field sets. Leaves: the merged value ([`Typed::merge`]), the
//! difference of two values ([`Typed::compare`]), the set of fields that a value has ([`Typed::field_set`]), and the whole
//! of an apply or an update ([`update`]) with its conflicts. Absent: unions, conversion between versions (the caller's), and
//! Kubernetes' own rules around it (times, subresources, the last-applied annotation).
//!
//! Source: sigs.k8s.io/structured-merge-diff v6, to which it is held by a differential test.

mod compare;
pub mod element;
mod merge;
pub mod openapi;
pub mod schema;
mod sets;
pub mod update;
mod validate;

pub use compare::Comparison;
pub(crate) use validate::readable_path;
pub use validate::{Duplicates, ValidationError, ValidationErrors};

use schema::{Schema, TypeRef};
use trueup_model::Value;

/// A value that conforms to a type.
#[derive(Clone, Debug)]
pub struct Typed<'s> {
    value: Value,
    schema: &'s Schema,
    type_ref: &'s TypeRef,
}

impl<'s> Typed<'s> {
    /// Checks a value against its type; all that does not conform is told at once.
    pub fn new(
        value: Value,
        schema: &'s Schema,
        type_ref: &'s TypeRef,
        duplicates: Duplicates,
    ) -> Result<Self, ValidationErrors> {
        validate::validate(&value, schema, type_ref, duplicates)?;
        Ok(Self { value, schema, type_ref })
    }

    /// The value.
    pub fn value(&self) -> &Value {
        &self.value
    }

    /// The value, without its type.
    pub fn into_value(self) -> Value {
        self.value
    }

    fn with(&self, value: Value) -> Self {
        Self { value, ..*self }
    }
}
