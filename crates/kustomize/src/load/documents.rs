//! The resources in a text: its documents, with the items of `List` kinds taken out.

use crate::error::{Error, Place};
use crate::resource::{Resource, Text};
use crate::text;
use std::collections::VecDeque;
use trueup_model::yaml::{self, Dates, Document, Doubled, Floats, Keys, Reading, Words};
use trueup_model::{Origin, Value};

/// How kustomize reads its own files.
pub(crate) const OWN_FILES: Reading = Reading {
    doubled: Doubled::LastCounts,
    words: Words::Yaml11,
    dates: Dates::AsWritten,
    keys: Keys::Words,
    floats: Floats::AsPrinted,
};
/// How kustomize reads resources and patches.
pub(crate) const RESOURCES: Reading = Reading {
    doubled: Doubled::Refused,
    words: Words::TrueAndFalse,
    dates: Dates::Instants,
    keys: Keys::Texts,
    floats: Floats::AsPrinted,
};

/// Reads the resources of a file's text; `at` is the file and, for a text inside of it, its first line.
pub(crate) fn resources(text: &str, at: &Place) -> Result<Vec<Resource>, Vec<Error>> {
    resources_of(parse(text, at)?, at)
}

/// The documents of a text, as resources are read.
pub(crate) fn parse(text: &str, at: &Place) -> Result<Vec<Document>, Vec<Error>> {
    yaml::documents_as(text, RESOURCES).map_err(|error| {
        let line = error.at.line + at.line.saturating_sub(1);
        vec![Error::new(&at.at(line), "", error.message)]
    })
}

/// The same for documents that are parsed already.
pub(crate) fn resources_of(documents: Vec<Document>, at: &Place) -> Result<Vec<Resource>, Vec<Error>> {
    let mut errors = Vec::new();
    let mut queue = VecDeque::with_capacity(documents.len());
    for Document { value, line } in documents {
        let at = at.at(line + at.line.saturating_sub(1));
        if is_empty(&value) {
            continue;
        }
        match check(&value) {
            Ok(()) => queue.push_back((value, at, Text::File)),
            Err(message) => errors.push(Error::new(&at, "", message)),
        }
    }
    let mut resources = Vec::with_capacity(queue.len());
    while let Some((mut value, at, read)) = queue.pop_front() {
        let kind = text::or_empty(value.get("kind"));
        let is_list = kind.ends_with("List");
        // Items go through JSON, but for those of a plain List.
        let items_read = if kind == "List" { read } else { Text::Items };
        match value.get_mut("items").filter(|_| is_list).map(Value::take) {
            None => {
                let mut resource = Resource::new(value, Origin { path: at.file, line: at.line });
                resource.text = read;
                resources.push(resource);
            }
            Some(Value::Null) => {}
            Some(Value::Array(items)) => {
                for item in items.into_iter().filter(|item| !is_empty(item)) {
                    match check(&item) {
                        Ok(()) => queue.push_back((item, at.clone(), items_read)),
                        Err(message) => errors.push(Error::new(&at, "items", message)),
                    }
                }
            }
            Some(_) => errors.push(Error::new(&at, "items", "must be a list of objects")),
        }
    }
    if errors.is_empty() { Ok(resources) } else { Err(errors) }
}

/// Whether a document or an item of a list says nothing.
pub(crate) fn is_empty(value: &Value) -> bool {
    value.is_null() || value.as_object().is_some_and(serde_json::Map::is_empty)
}

/// Every object has a kind and, lists aside, a name.
pub(crate) fn check(value: &Value) -> Result<(), String> {
    if !value.is_object() {
        return Err(
            "is not a Kubernetes object: a mapping with apiVersion, kind and metadata is wanted".to_owned()
        );
    }
    let kind = text::or_empty(value.get("kind"));
    if kind.is_empty() {
        return Err("has no kind; every object needs one".to_owned());
    }
    let name = text::or_empty(value.get("metadata").and_then(|metadata| metadata.get("name")));
    if name.is_empty() && !kind.ends_with("List") {
        return Err(format!("{kind} has no metadata.name; every object needs one"));
    }
    Ok(())
}
