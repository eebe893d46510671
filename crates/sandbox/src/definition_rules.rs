//! What the server makes of definitions of custom resources, and what it asks of them beyond single fields.
//!
//! Enters: a definition, and what it was before. Absent: most of what is asked of schemas, and rules in CEL that do not compile.
//!
//! Source: k8s.io/apiextensions-apiserver `pkg/apis/apiextensions/v1/defaults.go`, its `conversion.go`, which has what all versions say
//! alike stand once, and `pkg/apis/apiextensions/validation`.

use crate::answer::Cause;
use crate::metadata::{wrong_label, wrong_subdomain};
use crate::rules::{invalid, required};
use serde_json::{Map, Value};

const COLUMN_TYPES: [&str; 5] = ["boolean", "date", "integer", "number", "string"];

fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value[name].as_str().unwrap_or_default()
}

/// Names that follow from the kind's.
pub(crate) fn name(names: &mut Map<String, Value>) {
    let kind = names.get("kind").and_then(Value::as_str).unwrap_or_default().to_owned();
    let is_open = |names: &Map<String, Value>, name: &str| {
        names.get(name).and_then(Value::as_str).unwrap_or_default().is_empty()
    };
    if is_open(names, "singular") {
        names.insert("singular".to_owned(), kind.to_lowercase().into());
    }
    if is_open(names, "listKind") && !kind.is_empty() {
        names.insert("listKind".to_owned(), format!("{kind}List").into());
    }
}

/// That there is a status is all that a definition says of it.
pub(crate) fn empty(definition: &mut Value) {
    for version in definition["spec"]["versions"].as_array_mut().into_iter().flatten() {
        if let Some(Value::Object(status)) = version.pointer_mut("/subresources/status") {
            status.clear();
        }
    }
}

/// What is wrong with a definition.
pub(crate) fn check(before: Option<&Value>, object: &Value, causes: &mut Vec<Cause>) {
    let spec = &object["spec"];
    let versions = spec["versions"].as_array().map(Vec::as_slice).unwrap_or_default();
    let names = &spec["names"];
    let group = text(spec, "group");
    if before.is_none() {
        let name = text(&object["metadata"], "name");
        let mut wrong = wrong_subdomain(name);
        if name != format!("{}.{group}", text(names, "plural")) {
            wrong.push("must be spec.names.plural+\".\"+spec.group".to_owned());
        }
        causes.extend(wrong.iter().map(|why| invalid("metadata.name", &name.into(), why)));
    }
    if !group.is_empty() && wrong_subdomain(group).is_empty() && !group.contains('.') {
        causes.push(invalid("spec.group", &group.into(), "should be a domain with at least one dot"));
    }
    if !text(names, "kind").is_empty() && names["kind"] == names["listKind"] {
        let why = "kind and listKind may not be the same";
        causes.push(invalid("spec.names.listKind", &names["listKind"], why));
    }
    if text(names, "singular").is_empty() {
        causes.push(required("spec.names.singular", ""));
    }
    if text(names, "listKind").is_empty() {
        causes.push(required("spec.names.listKind", ""));
    }
    // The first version's name stands in a place of its own as well.
    if let Some(first) = versions.first().map(|version| text(version, "name")).filter(|name| !name.is_empty())
    {
        let wrong = wrong_label(first);
        if !wrong.is_empty() {
            causes.push(invalid("spec.version", &first.into(), &wrong.join(",")));
        }
    }
    check_versions(versions, causes);
    check_columns(versions, causes);
    check_stored(before, versions, causes);
    if let Some(before) = before {
        changed(before, spec, causes);
    }
}

/// Whether all versions say the same of something, which then stands once for all of them.
fn is_shared(versions: &[Value], field: &str) -> bool {
    versions
        .first()
        .is_some_and(|first| versions.iter().all(|version| version.get(field) == first.get(field)))
}

fn check_versions(versions: &[Value], causes: &mut Vec<Cause>) {
    let is_twice = |(index, version): (usize, &Value)| {
        versions[..index].iter().any(|one| one["name"] == version["name"])
    };
    let stored = versions.iter().filter(|version| version["storage"] == true).count();
    let mut told = |why: &str| {
        let message = format!("Invalid value: {}: {why}", shown(versions));
        causes.push(Cause { reason: "FieldValueInvalid", message, field: "spec.versions".to_owned() });
    };
    if versions.iter().enumerate().any(is_twice) {
        told("must contain unique version names");
    }
    // That there are none at all is known of the field.
    if stored != 1 && !versions.is_empty() {
        told("must have exactly one version marked as storage version");
    }
}

/// Versions as the server's own types have them.
fn shown(versions: &[Value]) -> String {
    let own = |version: &Value, field: &str| {
        let value = if is_shared(versions, field) { None } else { version.get(field) };
        value.cloned().unwrap_or_default()
    };
    let all = versions.iter().map(|version| {
        format!(
            "{{\"Name\":{},\"Served\":{},\"Storage\":{},\"Deprecated\":{},\"DeprecationWarning\":{},\"Schema\":{},\"Subresources\":{},\"AdditionalPrinterColumns\":{},\"SelectableFields\":{}}}",
            Value::from(text(version, "name")),
            version["served"] == true,
            version["storage"] == true,
            version["deprecated"] == true,
            version["deprecationWarning"],
            own(version, "schema"),
            own(version, "subresources"),
            own(version, "additionalPrinterColumns"),
            own(version, "selectableFields"),
        )
    });
    format!("[{}]", all.collect::<Vec<_>>().join(","))
}

fn check_columns(versions: &[Value], causes: &mut Vec<Cause>) {
    let field = "additionalPrinterColumns";
    let is_shared = is_shared(versions, field);
    for (index, version) in versions.iter().enumerate().take(if is_shared { 1 } else { versions.len() }) {
        let above = if is_shared { "spec".to_owned() } else { format!("spec.versions[{index}]") };
        for (index, column) in version[field].as_array().into_iter().flatten().enumerate() {
            let at = format!("{above}.{field}[{index}]");
            if text(column, "name").is_empty() {
                causes.push(required(&format!("{at}.name"), ""));
            }
            let types = format!("must be one of {}", COLUMN_TYPES.join(","));
            match text(column, "type") {
                "" => causes.push(required(&format!("{at}.type"), &types)),
                known if COLUMN_TYPES.contains(&known) => {}
                _ => causes.push(invalid(&format!("{at}.type"), &column["type"], &types)),
            }
            match text(column, "jsonPath") {
                "" => causes.push(required(&format!("{at}.JSONPath"), "")),
                path if path.starts_with('.') => {}
                _ => {
                    let why = "must be a simple json path starting with .";
                    causes.push(invalid(&format!("{at}.JSONPath"), &column["jsonPath"], why));
                }
            }
        }
    }
}

/// Objects may still be stored in what was a version once.
fn check_stored(before: Option<&Value>, versions: &[Value], causes: &mut Vec<Cause>) {
    let field = "status.storedVersions";
    let current = versions.iter().find(|version| version["storage"] == true).map(|version| &version["name"]);
    let known = before.and_then(|before| before["status"]["storedVersions"].as_array());
    let mut stored = known.cloned().unwrap_or_default();
    if let Some(current) = current.filter(|current| !stored.contains(current)) {
        stored.push(current.clone());
    }
    if stored.is_empty() {
        causes.push(invalid(field, &Value::Null, "must have at least one stored version"));
    }
    for (index, name) in stored.iter().enumerate() {
        if !versions.iter().any(|version| version["name"] == *name) {
            let name = name.as_str().unwrap_or_default();
            let why = format!(
                "missing from spec.versions; {name} was previously a storage version, and must remain in spec.versions until a storage migration ensures no data remains persisted in {name} and removes {name} from status.storedVersions"
            );
            causes.push(invalid(&format!("{field}[{index}]"), &name.into(), &why));
        }
    }
}

/// What has changed that never may. The scope and the kind may until objects of it are served.
fn changed(before: &Value, spec: &Value, causes: &mut Vec<Cause>) {
    let mut conditions = before["status"]["conditions"].as_array().into_iter().flatten();
    let is_served = conditions.any(|one| one["type"] == "Established" && one["status"] == "True");
    let fixed: &[&str] = if is_served {
        &["/scope", "/names/kind", "/group", "/names/plural"]
    } else {
        &["/group", "/names/plural"]
    };
    for pointer in fixed {
        let (was, is) = (before["spec"].pointer(pointer), spec.pointer(pointer));
        if was != is {
            let field = format!("spec{}", pointer.replace('/', "."));
            causes.push(invalid(&field, &is.cloned().unwrap_or_else(|| "".into()), "field is immutable"));
        }
    }
}
