//! `ConfigMaps` and Secrets from literals, files and environment files.

pub(crate) mod hash;
pub(crate) mod sources;

use crate::error::{Error, Place};
use crate::load::Folder;
use crate::model::{MapGenerator, MapKind};
use crate::resource::{Behavior, Resource, Text};
use crate::spelled::Spellings;
use crate::text;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, json};
use std::collections::BTreeMap;
use trueup_model::{Origin, Value};

/// How long the lines of encoded data are when they do not fit in one.
const LINE: usize = 70;

/// Makes the object that the generator describes.
pub(crate) fn generate(
    generator: &MapGenerator,
    folder: &Folder<'_>,
    file: &str,
) -> Result<Resource, Vec<Error>> {
    let place = Place::new(file, generator.line);
    let what = match generator.kind {
        MapKind::ConfigMap => "configMapGenerator",
        MapKind::Secret(_) => "secretGenerator",
    };
    if generator.name.is_empty() {
        return Err(vec![Error::new(&place, what, "has no name; add one")]);
    }
    let pairs = sources::read(&generator.sources, folder, &place, &format!("{what} {}", generator.name))?;
    let value = match &generator.kind {
        MapKind::ConfigMap => config_map(generator, pairs),
        MapKind::Secret(kind) => secret(generator, kind, pairs),
    };
    let mut resource = Resource::new(value, Origin { path: file.to_owned(), line: generator.line });
    resource.needs_hash = !generator.options.disable_name_suffix_hash;
    resource.behavior = generator.behavior;
    resource.text = Text::None;
    Ok(resource)
}

fn base(generator: &MapGenerator, kind: &str) -> Map<String, Value> {
    let mut metadata = Map::new();
    metadata.insert("name".to_owned(), generator.name.clone().into());
    if !generator.namespace.is_empty() {
        metadata.insert("namespace".to_owned(), generator.namespace.clone().into());
    }
    let options = &generator.options;
    for (field, entries) in [("labels", &options.labels), ("annotations", &options.annotations)] {
        if !entries.is_empty() {
            metadata.insert(field.to_owned(), json!(entries));
        }
    }
    let mut object = Map::new();
    object.insert("apiVersion".to_owned(), "v1".into());
    object.insert("kind".to_owned(), kind.into());
    object.insert("metadata".to_owned(), Value::Object(metadata));
    if options.immutable {
        object.insert("immutable".to_owned(), true.into());
    }
    object
}

fn config_map(generator: &MapGenerator, pairs: BTreeMap<String, Vec<u8>>) -> Value {
    let mut object = base(generator, "ConfigMap");
    for (key, content) in pairs {
        let (field, text) = match String::from_utf8(content) {
            Ok(text) => ("data", text),
            Err(error) => ("binaryData", encode(error.as_bytes())),
        };
        let data = object.entry(field).or_insert_with(|| Value::Object(Map::new()));
        if let Some(data) = data.as_object_mut() {
            data.insert(key, text.into());
        }
    }
    Value::Object(object)
}

fn secret(generator: &MapGenerator, kind: &str, pairs: BTreeMap<String, Vec<u8>>) -> Value {
    let mut object = base(generator, "Secret");
    object.insert("type".to_owned(), if kind.is_empty() { "Opaque" } else { kind }.into());
    let data = pairs.into_iter().map(|(key, content)| (key, encode(&content).into())).collect();
    object.insert("data".to_owned(), Value::Object(data));
    Value::Object(object)
}

/// Base64; a text that is longer than a line is broken, each line with an end.
fn encode(content: &[u8]) -> String {
    let encoded = STANDARD.encode(content);
    if encoded.len() < LINE {
        return encoded;
    }
    let mut lines = String::with_capacity(encoded.len() + encoded.len() / LINE + 1);
    let mut rest = encoded.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(LINE));
        lines.push_str(line);
        lines.push('\n');
        rest = after;
    }
    lines
}

/// Adds what is in the generated resource to the one that it merges with, or replaces it.
///
/// # Errors
/// Data that cannot be merged; in words.
pub(crate) fn absorb(
    old: &Resource,
    mut new: Resource,
    spellings: &Spellings<'_>,
) -> Result<Resource, String> {
    let merges = new.behavior == Behavior::Merge;
    let old_data = if merges { Some(data_to_merge(old, spellings)?) } else { None };
    merge_metadata(old, &mut new, spellings);
    if let Some((data, binary)) = old_data {
        merge_under(&mut new.value, "data", data);
        merge_under(&mut new.value, "binaryData", binary);
        if let Some(source) = &old.source {
            new.source = Some(std::rc::Rc::clone(source));
        }
    }
    Ok(new)
}

/// Labels and annotations of both, the new ones on top; name, namespace and what it was called from the old.
fn merge_metadata(old: &Resource, new: &mut Resource, spellings: &Spellings<'_>) {
    for field in ["labels", "annotations"] {
        let entries = old.value.get("metadata").and_then(|m| m.get(field));
        let mut entries = texts(entries, |entry| spellings.text_of(old, entry));
        let Some(metadata) = new.metadata_mut() else { continue };
        if let Some(Value::Object(own)) = metadata.remove(field) {
            entries.extend(own);
        }
        if !entries.is_empty() {
            metadata.insert(field.to_owned(), Value::Object(entries));
        }
    }
    new.set_name(old.name());
    new.set_namespace(old.namespace());
    new.previous.clone_from(&old.previous);
    new.prefixes.clone_from(&old.prefixes);
    new.suffixes.clone_from(&old.suffixes);
    new.behavior = old.behavior;
    new.variables.clone_from(&old.variables);
    new.transformations.clone_from(&old.transformations);
    new.needs_hash &= old.needs_hash;
}

type Data = Map<String, Value>;

/// The entries of a mapping as texts.
fn texts(entries: Option<&Value>, text: impl Fn(&Value) -> String) -> Data {
    let entries = entries.and_then(Value::as_object).into_iter().flatten();
    entries.map(|(key, value)| (key.clone(), Value::String(text(value)))).collect()
}

/// The data of an object, and its binary data; a Secret's plain text encoded.
fn data_to_merge(old: &Resource, spellings: &Spellings<'_>) -> Result<(Data, Data), String> {
    let written =
        |value: &Value| spellings.of(old, value).unwrap_or_else(|| text::or_empty(Some(value)).into_owned());
    let mut data = texts(old.value.get("data"), written);
    if old.api_version() == "v1" && old.kind() == "Secret" {
        for (key, value) in old.value.get("stringData").and_then(Value::as_object).into_iter().flatten() {
            if value.is_object() || value.is_array() {
                return Err(format!("stringData.{key} must be a text"));
            }
            data.insert(key.clone(), encode(written(value).as_bytes()).into());
        }
    }
    Ok((data, texts(old.value.get("binaryData"), written)))
}

fn merge_under(value: &mut Value, field: &str, old: Data) {
    let Value::Object(object) = value else { return };
    let mut merged = old;
    if let Some(Value::Object(own)) = object.remove(field) {
        merged.extend(own);
    }
    if !merged.is_empty() {
        object.insert(field.to_owned(), Value::Object(merged));
    }
}
