//! Durations as people write them: `30s`, `1h 30m`. For `#[serde(with = ...)]` on `std::time::Duration`.

use schemars::{Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serializer};
use std::time::Duration;

/// The schema format by which the check of a file recognises a duration.
pub(super) const FORMAT: &str = "humantime";

pub(super) fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&humantime::format_duration(*duration))
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse(&text).map_err(serde::de::Error::custom)
}

/// The schema of a duration, for `#[schemars(schema_with = ...)]`.
pub(super) fn schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "format": FORMAT, "pattern": "^[0-9]+ ?[a-z]+( ?[0-9]+ ?[a-z]+)*$" })
}

/// Reads a duration longer than nothing.
pub(super) fn parse(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(duration) if duration.is_zero() => Err("a duration has to be longer than nothing".to_owned()),
        Ok(duration) => Ok(duration),
        Err(_) => Err(format!("{text:?} is not a duration such as 30s, 5m or 1h 30m")),
    }
}

/// The same for a duration that may be left out.
pub(super) mod optional {
    use super::{Deserialize, Deserializer, Duration, Schema, SchemaGenerator, Serializer, parse};

    #[expect(clippy::ref_option, reason = "serde hands over a reference to the field")]
    pub(in crate::config) fn serialize<S: Serializer>(
        duration: &Option<Duration>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match duration {
            Some(duration) => super::serialize(duration, serializer),
            None => serializer.serialize_none(),
        }
    }

    pub(in crate::config) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Duration>, D::Error> {
        let text: Option<String> = Option::deserialize(deserializer)?;
        text.map(|text| parse(&text).map_err(serde::de::Error::custom)).transpose()
    }

    pub(in crate::config) fn schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = super::schema(generator);
        schema.insert("type".to_owned(), serde_json::json!(["string", "null"]));
        schema
    }
}
