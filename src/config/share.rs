//! Numbers of objects or clusters as people write them, `5` or `10%`: what the check of a file knows of them. Absent: what they mean, which
//! is [`Budget`]'s.

use schemars::{Schema, SchemaGenerator, json_schema};
use trueup_plan::budget::Budget;

/// The schema format by which the check of a file recognises one.
pub(super) const FORMAT: &str = "number-or-share";

/// The schema of one that may be left out, for `#[schemars(schema_with = ...)]`.
pub(super) fn schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": ["integer", "string", "null"], "format": FORMAT, "minimum": 0, "pattern": "^ *[0-9]+ *%? *$" })
}

pub(super) fn parse(text: &str) -> Result<Budget, String> {
    text.parse()
}
