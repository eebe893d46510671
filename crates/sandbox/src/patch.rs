//! The four kinds of patches.
//!
//! Source: RFC 6902, RFC 7386, and k8s.io/apimachinery `pkg/util/strategicpatch`.

use crate::Sandbox;
use crate::answer::{About, Answer, Cause, Refusal};
use crate::read::{filled, versioned};
use crate::request::{Request, Target};
use crate::scale::scale;
use crate::write::Change;
use serde_json::{Map, Value};
use trueup_merge::structured::schema::{Atom, Relationship, Schema, TypeRef};

const ACCEPTED: &str = "application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml, application/strategic-merge-patch+json";

const CUSTOM: &str =
    "application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml";

impl Sandbox {
    pub(crate) fn patch(&mut self, request: &Request<'_>, target: &Target) -> Result<Answer, Refusal> {
        let media_type = request.content_type.split(';').next().unwrap_or_default().trim();
        if media_type == "application/apply-patch+yaml" {
            return self.apply(request, target);
        }
        if target.kind.custom.is_some() && media_type == "application/strategic-merge-patch+json" {
            return Err(Refusal::unsupported_media_type(CUSTOM));
        }
        let live = self.found(target)?.clone();
        let is_json_patch = media_type == "application/json-patch+json";
        let mut object =
            if is_json_patch { versioned(&live, &target.kind) } else { filled(&live, &target.kind) };
        if target.subresource == "scale" {
            object = scale(&target.kind, &object);
        }
        let body: Value =
            serde_json::from_slice(request.body).map_err(|error| Refusal::bad_request(error.to_string()))?;
        match media_type {
            "application/json-patch+json" => {
                let patch: json_patch::Patch = serde_json::from_value(body)
                    .map_err(|error| Refusal::bad_request(format!("error decoding patch: {error}")))?;
                json_patch::patch(&mut object, &patch).map_err(|_| Refusal::refused_patch())?;
            }
            "application/merge-patch+json" => json_patch::merge(&mut object, &body),
            "application/strategic-merge-patch+json" if target.kind.custom.is_none() => {
                let merge = StrategicMerge { schema: &target.kind.schema };
                object = merge.value(object, &body, &target.kind.type_ref);
            }
            _ if target.kind.custom.is_some() => return Err(Refusal::unsupported_media_type(CUSTOM)),
            _ => return Err(Refusal::unsupported_media_type(ACCEPTED)),
        }
        self.check_known(request, target, &object)?;
        if let Some(why) = crate::decode::why(&target.kind, &object).filter(|_| target.subresource != "scale")
        {
            let message = format!("Invalid value: {:?}: {why}", object.to_string());
            let cause = Cause { reason: "FieldValueInvalid", message, field: "patch".to_owned() };
            return Err(Refusal::invalid(About::default(), vec![cause]));
        }
        let change = Change::of(request, target);
        self.replace_object(&change, &live, object).map(Answer::ok)
    }
}

/// Merges as the built-in kinds' patch keys say, which are those of their list types too.
struct StrategicMerge<'s> {
    schema: &'s Schema,
}

impl StrategicMerge<'_> {
    fn value(&self, live: Value, patch: &Value, reference: &TypeRef) -> Value {
        let atom = self.schema.resolve(reference).unwrap_or_default();
        match (live, patch) {
            (live, Value::Object(patch)) => {
                let live = if let Value::Object(live) = live { live } else { Map::new() };
                self.object(live, patch, &atom)
            }
            (Value::Array(live), Value::Array(patch)) => self.list(live, patch, &atom),
            (_, patch) => patch.clone(),
        }
    }

    fn object(&self, mut live: Map<String, Value>, patch: &Map<String, Value>, atom: &Atom) -> Value {
        let nothing = TypeRef::default();
        match patch.get("$patch").and_then(Value::as_str) {
            Some("replace") => live.clear(),
            Some("delete") => return Value::Null,
            Some(_) | None => {}
        }
        if let Some(kept) = patch.get("$retainKeys").and_then(Value::as_array) {
            live.retain(|key, _| kept.iter().any(|one| one == key));
        }
        for (key, value) in patch {
            if let Some(list) = key.strip_prefix("$deleteFromPrimitiveList/") {
                let gone = value.as_array().map(Vec::as_slice).unwrap_or_default();
                if let Some(items) = live.get_mut(list).and_then(Value::as_array_mut) {
                    items.retain(|item| !gone.contains(item));
                }
                continue;
            }
            if key.starts_with('$') {
                continue;
            }
            if value.is_null() {
                live.remove(key);
                continue;
            }
            let reference = atom.map.as_ref().map_or(&nothing, |map| map.field_type(key));
            let merged = self.value(live.remove(key).unwrap_or_default(), value, reference);
            if !merged.is_null() {
                live.insert(key.clone(), merged);
            }
        }
        Value::Object(live)
    }

    fn list(&self, mut live: Vec<Value>, patch: &[Value], atom: &Atom) -> Value {
        let Some(list) = atom.list.as_ref().filter(|list| list.relationship == Relationship::Associative)
        else {
            return Value::Array(patch.to_vec());
        };
        if patch.iter().any(|item| item["$patch"] == "replace") {
            return patch.iter().filter(|item| item.get("$patch").is_none()).cloned().collect();
        }
        for item in patch {
            let is_meant = |live: &Value| match list.keys.as_slice() {
                [] => live == item,
                // A patch has to name only the first key; the others, such as a port's protocol, have defaults.
                keys => keys.iter().all(|key| item.get(key).is_none() || live.get(key) == item.get(key)),
            };
            let place = live.iter().position(is_meant);
            match (place, item["$patch"] == "delete") {
                (Some(place), true) => drop(live.remove(place)),
                (None, true) => {}
                (Some(place), false) => live[place] = self.value(live[place].take(), item, &list.element),
                (None, false) => live.push(self.value(Value::Null, item, &list.element)),
            }
        }
        Value::Array(live)
    }
}
