//! Hands the fields that Helm gave an object over to a server-side applier, so that a field that leaves Git really goes instead
//! of staying under Helm.
//!
//! Enters: the live object, and the manifest that Helm made it by. Leaves: the fields that go over, and a patch of the books for
//! them. Only what the manifest says goes over. Of an object that Helm's versions before 4 created, it is in the books for defaults and for what
//! admission added as well; a field that nobody sends and that its new owner no longer applies either would go, and pods with it.
//!
//! What says which release the object is of stays Helm's, so that Helm can take it back.
//!
//! Source: `setMetadataVisitor` and `checkOwnership` in Helm's pkg/action/validate.go, the field manager in pkg/kube/client.go.

use crate::fields::{FieldSet, value_at};
use crate::managed::{applied_by, raw};
use crate::migrate::{fields_of, is_apply_of, text};
use serde_json::json;
use trueup_model::{FieldPath, Value};

/// The name that Helm's own program writes under. Other programs with Helm in them have others.
const HELM: &str = "helm";
const RELEASE_NAME: &str = "meta.helm.sh/release-name";
const RELEASE_NAMESPACE: &str = "meta.helm.sh/release-namespace";

/// What says which release an object is of, as fieldsV1 writes it.
const MARKS: [[&str; 3]; 3] = [
    ["f:metadata", "f:annotations", "f:meta.helm.sh/release-name"],
    ["f:metadata", "f:annotations", "f:meta.helm.sh/release-namespace"],
    ["f:metadata", "f:labels", "f:app.kubernetes.io/managed-by"],
];

/// The release that an object says it is of: namespace and name.
pub fn release_of(object: &Value) -> Option<(&str, &str)> {
    let annotations = object.get("metadata")?.get("annotations")?;
    Some((annotations.get(RELEASE_NAMESPACE)?.as_str()?, annotations.get(RELEASE_NAME)?.as_str()?))
}

/// Whether an entry of the books holds nothing but what says which release the object is of.
pub(crate) fn only_marks(entry: &Value) -> bool {
    let fields = fields_of(entry);
    !fields.is_empty() && without_marks(fields).is_empty()
}

/// The fields of Helm's, of those in `manifest`, that [`patch`] hands over: none where that is done.
pub fn handed(object: &Value, manifest: &Value, manager: &str) -> Vec<FieldPath> {
    let hand_over = HandOver::of(object, manifest, manager);
    hand_over.map(|hand_over| hand_over.given.leaves()).unwrap_or_default()
}

/// Those of the handed fields that the object loses with the next apply, given what our apply would own then: `predicted` is the answer of a
/// dry run of it. Others that own a field keep it.
pub fn lost(object: &Value, manifest: &Value, predicted: &Value, manager: &str) -> Vec<FieldPath> {
    let (Some(hand_over), Some(next)) =
        (HandOver::of(object, manifest, manager), applied_by(predicted, manager))
    else {
        return Vec::new();
    };
    if next.get("apiVersion") != hand_over.entry.get("apiVersion") {
        // Fields of two versions cannot be compared here; the server can.
        return Vec::new();
    }
    let stays = hand_over.kept.iter().fold(fields_of(next), |all, entry| all.union(&fields_of(entry)));
    let gone = hand_over.given.leaves().into_iter();
    gone.filter(|path| !stays.touches(&path.0) && value_at(object, &path.0).is_some()).collect()
}

/// A JSON patch that moves Helm's fields, of those in `manifest`, to `manager`; `None` where there is nothing to move. It changes nothing but
/// the books, and is bound to the object's resource version as [`crate::migrate::patch`] is.
pub fn patch(object: &Value, manifest: &Value, manager: &str) -> Option<Value> {
    let version = object.pointer("/metadata/resourceVersion")?;
    let HandOver { mut entry, given, own, mut kept } = HandOver::of(object, manifest, manager)?;
    entry["manager"] = manager.into();
    entry["operation"] = "Apply".into();
    entry["fieldsV1"] = own.union(&given).to_json();
    kept.push(entry);
    Some(json!([
        {"op": "replace", "path": "/metadata/resourceVersion", "value": version},
        {"op": "replace", "path": "/metadata/managedFields", "value": kept},
    ]))
}

/// The books, taken apart.
struct HandOver {
    /// Our entry, or the one of Helm's that becomes ours.
    entry: Value,
    /// What is handed over.
    given: FieldSet,
    /// What is ours already.
    own: FieldSet,
    /// The entries of all others, with what Helm keeps.
    kept: Vec<Value>,
}

impl HandOver {
    fn of(object: &Value, manifest: &Value, manager: &str) -> Option<Self> {
        let entries = raw(object);
        let is_own = |entry: &&Value| is_apply_of(entry, manager);
        // The newest is the last: it says which version of the API the fields are in, if we own none.
        let newest = entries.iter().rfind(|entry| is_helms(entry, manager))?;
        let entry = entries.iter().find(is_own).unwrap_or(newest).clone();
        let manifest = sent(manifest);
        let (mut given, mut kept) = (FieldSet::default(), Vec::new());
        for other in entries.iter().filter(|entry| !is_own(entry)) {
            if !is_helms(other, manager) {
                kept.push(other.clone());
                continue;
            }
            let fields = fields_of(other);
            let marks = fields.intersection(&marks());
            let rest = if other.get("apiVersion") == entry.get("apiVersion") {
                let theirs = without_marks(said(&fields, &manifest));
                given = given.union(&theirs);
                fields.difference(&theirs).union(&marks)
            } else {
                // Fields of another version mean nothing in this one: their owner goes, as in `migrate`.
                marks
            };
            if !rest.is_empty() {
                let mut other = other.clone();
                other["fieldsV1"] = rest.to_json();
                kept.push(other);
            }
        }
        let own = entries.iter().find(is_own).map(fields_of).unwrap_or_default();
        (!given.leaves().is_empty()).then_some(Self { entry, given, own, kept })
    }
}

/// Whether an entry is of Helm, or of a program with Helm in it: that one said which release the object is of.
fn is_helms(entry: &Value, manager: &str) -> bool {
    let is_mark = |path: &[&str; 3]| {
        path.iter().try_fold(entry.get("fieldsV1")?, |fields, element| fields.get(element)).map(drop)
    };
    text(entry, "subresource").is_empty()
        && text(entry, "manager") != manager
        && (text(entry, "manager") == HELM || MARKS[..2].iter().any(|path| is_mark(path).is_some()))
}

fn marks() -> FieldSet {
    let mut marks = FieldSet::default();
    for mark in MARKS {
        marks.insert(&mark.map(str::to_owned));
    }
    marks
}

/// The set without what says which release the object is of, and without maps of which nothing else is in the set.
fn without_marks(mut fields: FieldSet) -> FieldSet {
    for mark in MARKS {
        fields.remove(&mark);
        let is_empty = |metadata: &FieldSet| Some(metadata.children.get(mark[1])?.children.is_empty());
        if fields.children.get(mark[0]).and_then(is_empty) == Some(true) {
            fields.remove(&mark[..2]);
        }
    }
    fields
}

/// The fields of a set that a manifest has a value for.
fn said(fields: &FieldSet, manifest: &Value) -> FieldSet {
    let in_it = |(element, below): (&String, &FieldSet)| {
        let segment = crate::fields::segment(element).ok()?;
        let below = said(below, value_at(manifest, &[segment])?);
        (!below.is_empty()).then(|| (element.clone(), below))
    };
    FieldSet { member: fields.member, children: fields.children.iter().filter_map(in_it).collect() }
}

/// A manifest with what the server makes of it before it notes who owns what: the texts of a Secret are data to it.
fn sent(manifest: &Value) -> Value {
    let mut manifest = manifest.clone();
    if manifest["kind"] == "Secret"
        && manifest["apiVersion"] == "v1"
        && let Some(texts) = manifest["stringData"].as_object().cloned()
        && let Some(fields) = manifest.as_object_mut()
    {
        let data = fields.entry("data").or_insert_with(|| json!({}));
        // Only which keys there are counts.
        texts.into_iter().for_each(|(key, text)| data[key] = text);
    }
    manifest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(manager: &str, operation: &str, fields: &Value) -> Value {
        json!({"manager": manager, "operation": operation, "apiVersion": "v1", "fieldsType": "FieldsV1", "fieldsV1": fields})
    }

    fn object(entries: &[Value]) -> Value {
        json!({"metadata": {"resourceVersion": "5", "annotations": {RELEASE_NAME: "web", RELEASE_NAMESPACE: "shop"},
            "managedFields": entries}, "data": {"a": "1", "b": "2"}})
    }

    fn manifest() -> Value {
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "web", "labels": {"app.kubernetes.io/managed-by": "Helm"}},
            "data": {"a": "1", "b": "2"}})
    }

    fn marked() -> Value {
        json!({"f:annotations": {".": {}, "f:meta.helm.sh/release-name": {}, "f:meta.helm.sh/release-namespace": {}},
            "f:labels": {".": {}, "f:app.kubernetes.io/managed-by": {}}})
    }

    #[track_caller]
    fn check(before: &[Value], after: &[Value]) {
        let moved = patch(&object(before), &manifest(), "trueup").unwrap();
        assert_eq!(moved[1]["value"], Value::from(after));
        assert_eq!(moved[0], json!({"op": "replace", "path": "/metadata/resourceVersion", "value": "5"}));
        assert_eq!(
            patch(&object(after), &manifest(), "trueup"),
            None,
            "what was handed over needs no handing over"
        );
    }

    #[test]
    fn what_helm_applied_becomes_ours_but_not_what_says_whose_the_release_is() {
        let other = entry("other", "Update", &json!({"f:data": {"f:b": {}}}));
        check(
            &[
                entry("helm", "Apply", &json!({"f:metadata": marked(), "f:data": {"f:a": {}, "f:b": {}}})),
                other.clone(),
            ],
            &[
                entry("helm", "Apply", &json!({"f:metadata": marked()})),
                other,
                entry("trueup", "Apply", &json!({"f:data": {"f:a": {}, "f:b": {}}})),
            ],
        );
    }

    #[test]
    fn of_what_helm_created_only_what_its_manifest_says_becomes_ours() {
        let created =
            json!({"f:metadata": marked(), "f:data": {".": {}, "f:a": {}, "f:added-by-admission": {}}});
        check(
            &[entry("helm", "Update", &created)],
            &[
                entry(
                    "helm",
                    "Update",
                    &json!({"f:metadata": marked(), "f:data": {"f:added-by-admission": {}}}),
                ),
                entry("trueup", "Apply", &json!({"f:data": {".": {}, "f:a": {}}})),
            ],
        );
    }

    #[test]
    fn what_we_applied_already_stays_ours_beside_it() {
        check(
            &[
                entry("trueup", "Apply", &json!({"f:data": {"f:a": {}}})),
                entry("helm", "Update", &json!({"f:data": {"f:b": {}}})),
            ],
            &[entry("trueup", "Apply", &json!({"f:data": {"f:a": {}, "f:b": {}}}))],
        );
    }

    #[test]
    fn another_program_with_helm_in_it_is_known_by_the_release_that_it_named() {
        check(
            &[entry("helm-controller", "Apply", &json!({"f:metadata": marked(), "f:data": {"f:a": {}}}))],
            &[
                entry("helm-controller", "Apply", &json!({"f:metadata": marked()})),
                entry("trueup", "Apply", &json!({"f:data": {"f:a": {}}})),
            ],
        );
    }

    #[test]
    fn other_writers_and_subresources_keep_what_they_own() {
        let mut scale = entry("helm", "Update", &json!({"f:data": {"f:a": {}}}));
        scale["subresource"] = "scale".into();
        let edit = entry("kubectl-edit", "Update", &json!({"f:data": {"f:b": {}}}));
        assert_eq!(patch(&object(&[scale, edit]), &manifest(), "trueup"), None);
        assert_eq!(patch(&json!({"metadata": {"resourceVersion": "5"}}), &manifest(), "trueup"), None);
    }

    #[test]
    fn a_field_is_lost_that_nobody_sends_any_more_and_nobody_else_owns() {
        let helm = entry("helm", "Apply", &json!({"f:metadata": marked(), "f:data": {"f:a": {}, "f:b": {}}}));
        let lost = |entries: &[Value], next: &Value| {
            let predicted = object(&[entry("trueup", "Apply", next)]);
            let lost = lost(&object(entries), &manifest(), &predicted, "trueup");
            lost.iter().map(FieldPath::to_string).collect::<Vec<_>>()
        };
        let next = json!({"f:data": {"f:a": {}}});
        assert_eq!(lost(std::slice::from_ref(&helm), &next), ["data.b"]);
        let other = entry("other", "Update", &json!({"f:data": {"f:b": {}}}));
        assert_eq!(lost(&[helm.clone(), other], &next), Vec::<String>::new());
        assert_eq!(lost(&[helm], &json!({"f:data": {"f:a": {}, "f:b": {}}})), Vec::<String>::new());
    }

    #[test]
    fn the_texts_of_a_secret_are_its_data() {
        let manifest = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "web"}, "stringData": {"a": "1"}});
        let live = object(&[entry("helm", "Update", &json!({"f:data": {"f:a": {}, "f:b": {}}}))]);
        let names: Vec<String> =
            handed(&live, &manifest, "trueup").iter().map(FieldPath::to_string).collect();
        assert_eq!(names, ["data.a"]);
    }

    #[test]
    fn an_object_says_which_release_it_is_of() {
        assert_eq!(release_of(&object(&[])), Some(("shop", "web")));
        assert_eq!(release_of(&manifest()), None);
        assert!(only_marks(&entry("helm", "Apply", &json!({"f:metadata": marked()}))));
        assert!(!only_marks(&entry(
            "helm",
            "Apply",
            &json!({"f:metadata": marked(), "f:data": {"f:a": {}}})
        )));
        assert!(!only_marks(&entry("other", "Apply", &json!({}))));
    }
}
