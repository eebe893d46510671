//! `crds`: OpenAPI definitions whose extensions say which fields of custom resources are names, labels and
//! annotations.
//!
//! Source: kustomize 5.8, `api/internal/accumulator/loadconfigfromcrds.go`.

use crate::config::{Config, Conflict, FieldSpec, NameReference, add_field};
use crate::error::{Error, Place};
use crate::id::Gvk;
use trueup_model::Value;
use trueup_model::yaml;

/// Reads the definitions of a file.
pub(crate) fn read(file: &str, text: &str) -> Result<Config, Error> {
    let documents = yaml::documents(text)
        .map_err(|error| Error::new(&Place::new(file, error.at.line), "", error.message))?;
    let definitions = documents.into_iter().next().map_or(Value::Null, |document| document.value);
    let mut config = Config::default();
    for (name, definition) in definitions.as_object().into_iter().flatten() {
        if !is_kubernetes_type(definition) {
            continue;
        }
        let kind = name.rsplit('.').next().unwrap_or(name);
        let gvk = Gvk { kind: kind.to_owned(), ..Gvk::default() };
        let mut walk = Walk { definitions: &definitions, gvk: &gvk, config: &mut config, seen: Vec::new() };
        walk.definition(name, &mut Vec::new())
            .map_err(|Conflict(message)| Error::new(&Place::new(file, 0), "crds", message))?;
    }
    config.sort();
    Ok(config)
}

fn properties(definition: &Value) -> Option<&serde_json::Map<String, Value>> {
    let schema = definition.get("Schema").or_else(|| definition.get("schema"))?;
    schema.get("properties")?.as_object()
}

fn is_kubernetes_type(definition: &Value) -> bool {
    properties(definition).is_some_and(|properties| {
        ["kind", "apiVersion", "metadata"].iter().all(|field| properties.contains_key(*field))
    })
}

struct Walk<'w> {
    definitions: &'w Value,
    gvk: &'w Gvk,
    config: &'w mut Config,
    /// The definitions that this one is in, so that one that names itself ends.
    seen: Vec<&'w str>,
}

impl<'w> Walk<'w> {
    fn definition(&mut self, name: &'w str, path: &mut Vec<String>) -> Result<(), Conflict> {
        let Some(definition) = self.definitions.get(name) else { return Ok(()) };
        if self.seen.contains(&name) {
            return Ok(());
        }
        self.seen.push(name);
        for (field, property) in properties(definition).into_iter().flatten() {
            path.push(field.clone());
            self.property(property, path)?;
            path.pop();
        }
        self.seen.pop();
        Ok(())
    }

    fn property(&mut self, property: &'w Value, path: &mut Vec<String>) -> Result<(), Conflict> {
        let says = |key: &str| property.get(key).and_then(Value::as_str);
        let field = FieldSpec::new(self.gvk.clone(), &path.join("/"), false);
        if says("x-kubernetes-annotation").is_some() {
            add_field(&mut self.config.common_annotations, &field)?;
        }
        if says("x-kubernetes-label-selector").is_some() {
            add_field(&mut self.config.common_labels, &field)?;
        }
        if says("x-kubernetes-identity").is_some() {
            add_field(&mut self.config.name_prefix, &field)?;
        }
        if let (Some(version), Some(kind)) =
            (says("x-kubernetes-object-ref-api-version"), says("x-kubernetes-object-ref-kind"))
        {
            let key = says("x-kubernetes-object-ref-name-key").unwrap_or("name");
            let target = Gvk { version: version.to_owned(), kind: kind.to_owned(), ..Gvk::default() };
            let named = FieldSpec::new(self.gvk.clone(), &format!("{}/{key}", path.join("/")), false);
            self.config.add_reference(&NameReference { target, fields: vec![named] })?;
        }
        match property.get("$ref").and_then(Value::as_str) {
            Some(reference) => self.definition(reference, path),
            None => Ok(()),
        }
    }
}
