//! The four kinds of patches.
//!
//! Source: RFC 7386; JSON patches and strategic merges have modules of their own.

use crate::Sandbox;
use crate::answer::{About, Answer, Cause, Refusal};
use crate::kinds::Kind;
use crate::read::{filled, versioned};
use crate::request::{Request, Target};
use crate::scale::scale;
use crate::strategic::StrategicMerge;
use crate::write::Change;
use serde_json::{Map, Value};

const ACCEPTED: &str = "application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml, application/strategic-merge-patch+json";

const CUSTOM: &str =
    "application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml";

/// The one field that a strategic merge patch replaces as a whole: whose pods a budget is about.
fn replace_selector(kind: &Kind, object: &mut Value, patch: &Map<String, Value>) {
    let is_budget = kind.group == "policy" && kind.kind == "PodDisruptionBudget";
    let selector = patch.get("spec").and_then(|spec| spec.get("selector"));
    if let Some(selector) = selector.filter(|selector| is_budget && selector.is_object()) {
        object["spec"]["selector"] = selector.clone();
    }
}

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
                let operations: Vec<Map<String, Value>> = serde_json::from_value(body)
                    .map_err(|error| Refusal::bad_request(format!("error decoding patch: {error}")))?;
                crate::patch_operations::apply(&mut object, &operations)
                    .map_err(|_| Refusal::refused_patch())?;
            }
            "application/merge-patch+json" => json_patch::merge(&mut object, &body),
            "application/strategic-merge-patch+json" if target.kind.custom.is_none() => {
                let Value::Object(patch) = body else {
                    return Err(Refusal::bad_request("invalid JSON document"));
                };
                let merge = StrategicMerge { schema: &target.kind.schema };
                let live = object.as_object_mut().map(std::mem::take).unwrap_or_default();
                object = Value::Object(merge.object(live, &patch, &target.kind.type_ref)?);
                replace_selector(&target.kind, &mut object, &patch);
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
