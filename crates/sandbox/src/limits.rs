//! How large things may be.
//!
//! Absent: the size of built-in objects as etcd has them, which is smaller than that of their JSON that is taken here.
//!
//! Source: k8s.io/kubernetes `pkg/apis/core/validation` (`ValidateConfigMap`, `ValidateSecret`); k8s.io/apimachinery
//! `pkg/api/validation/objectmeta.go`; k8s.io/apiserver `pkg/server/config.go`; etcd's `--max-request-bytes`.

use crate::answer::{Cause, Refusal};
use crate::kinds::Kind;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;

/// What a body may have; a longer one is not read.
pub(crate) const BODY: usize = 3 * 1024 * 1024;
/// What the annotations of an object may have together.
const ANNOTATIONS: usize = 256 * 1024;
/// What the entries of a `ConfigMap` or a Secret may have together.
const ENTRIES: usize = 1024 * 1024;
/// What etcd takes at once.
const OBJECT: usize = 3 * 512 * 1024;

/// Whether annotations are too long together.
pub(crate) fn check_annotations(annotations: &Value, at: &str, causes: &mut Vec<Cause>) {
    let text = |value: &Value| value.as_str().map_or(0, str::len);
    let size: usize =
        annotations.as_object().into_iter().flatten().map(|(name, value)| name.len() + text(value)).sum();
    if size > ANNOTATIONS {
        causes.push(too_long(at, ANNOTATIONS));
    }
}

/// Whether the entries of a `ConfigMap` or a Secret are too long together.
pub(crate) fn check_entries(kind: &Kind, object: &Value, causes: &mut Vec<Cause>) {
    let (fields, at): (&[&str], _) = match (kind.group.as_str(), kind.kind.as_str()) {
        // The server gives no field there, and shows that as an empty list.
        ("", "ConfigMap") => (&["data", "binaryData"], "[]"),
        ("", "Secret") => (&["data"], "data"),
        _ => return,
    };
    let is_encoded = |field: &str| kind.kind == "Secret" || field == "binaryData";
    let size = |field: &str, value: &Value| {
        let text = value.as_str().unwrap_or_default();
        if is_encoded(field) {
            BASE64_STANDARD.decode(text).map_or(0, |bytes| bytes.len())
        } else {
            text.len()
        }
    };
    let entries = |field: &&str| object[*field].as_object().into_iter().flatten().map(|(_, value)| value);
    let total: usize =
        fields.iter().map(|field| entries(field).map(|value| size(field, value)).sum::<usize>()).sum();
    if total > ENTRIES {
        causes.push(too_long(at, ENTRIES));
    }
}

/// Whether an object is more than etcd takes.
pub(crate) fn check_object(object: &Value) -> Result<(), Refusal> {
    if size(object) <= OBJECT {
        return Ok(());
    }
    Err(Refusal::internal("etcdserver: request is too large".to_owned()))
}

fn too_long(field: &str, most: usize) -> Cause {
    Cause {
        reason: "FieldValueTooLong",
        message: format!("Too long: may not be more than {most} bytes"),
        field: field.to_owned(),
    }
}

/// How long a value is as JSON, but for what has to be escaped.
fn size(value: &Value) -> usize {
    match value {
        Value::Null => 4,
        Value::Bool(_) => 5,
        Value::Number(_) => 8,
        Value::String(text) => text.len() + 2,
        Value::Array(items) => 2 + items.iter().map(|item| size(item) + 1).sum::<usize>(),
        Value::Object(fields) => {
            2 + fields.iter().map(|(name, value)| name.len() + 4 + size(value)).sum::<usize>()
        }
    }
}
