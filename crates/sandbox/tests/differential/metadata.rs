//! What is wrong in the metadata of a change is told once or several times, as many as each kind looks at it.

use crate::normal::differences;
use crate::objects::samples;
use crate::operation::{JSON, MERGE_PATCH, NAMESPACE, Operation};
use crate::run::Run;
use serde_json::{Value, json};
use trueup_sandbox::kinds::Kinds;

fn ask(method: &'static str, path: &str, body: Option<Value>) -> Operation {
    let media_type = if method == "PATCH" { MERGE_PATCH } else { JSON };
    Operation { method, path: path.to_owned(), query: Vec::new(), accept: JSON, media_type, body }
}

/// Makes an object, spoils its metadata in several ways, deletes it, which a finalizer holds up, adds another finalizer, and lets it go.
fn sequence(collection: &str, object: &Value, subresource: &str) -> Vec<Operation> {
    let whole = format!("{collection}/{}", object["metadata"]["name"].as_str().unwrap());
    let at = format!("{whole}{subresource}");
    let change = |metadata: Value| ask("PATCH", &at, Some(json!({"metadata": metadata})));
    let owner = |name: &str| json!({"apiVersion": "v1", "kind": "ConfigMap", "name": name, "uid": name, "controller": true});
    vec![
        ask("POST", collection, Some(object.clone())),
        change(json!({"labels": {"a b": "c"}})),
        change(json!({"ownerReferences": [owner("a"), owner("b")]})),
        change(json!({"finalizers": ["example.com/keep", "of-nobody"]})),
        change(json!({"finalizers": ["example.com/keep", "a b/c d"]})),
        ask("DELETE", &whole, None),
        change(json!({"finalizers": ["example.com/keep", "example.com/new"]})),
        ask("PATCH", &whole, Some(json!({"metadata": {"finalizers": null}}))),
    ]
}

#[test]
fn what_is_wrong_in_metadata_is_told_as_often_by_each_kind() {
    let run = Run::start();
    let (kinds, mut wrong) = (Kinds::built_in(), Vec::new());
    // The names of definitions follow from what is in them.
    for samples in samples().into_iter().filter(|samples| samples.kind != "CustomResourceDefinition") {
        let (group, version) = samples.api_version.split_once('/').unwrap_or(("", &samples.api_version));
        let mut known = kinds.iter();
        let kind = known
            .find(|kind| kind.group == group && kind.version == version && kind.kind == samples.kind)
            .unwrap();
        let root = if group.is_empty() { "/api".to_owned() } else { format!("/apis/{group}") };
        let place = if kind.namespaced { format!("namespaces/{NAMESPACE}/") } else { String::new() };
        let collection = format!("{root}/{version}/{place}{}", kind.plural);
        let mut object = samples.objects[0].clone();
        object["metadata"]["name"] =
            if kind.namespaced { "a".into() } else { format!("{NAMESPACE}-a").into() };
        object["metadata"]["finalizers"] = json!(["example.com/keep"]);
        for subresource in ["", "/status"] {
            if subresource == "/status" && !kind.subresources.contains("status") {
                continue;
            }
            let sequence = sequence(&collection, &object, subresource);
            for (operation, [real, ours]) in sequence.iter().zip(run.answers(&sequence)) {
                let found = differences(&real, &ours);
                if !found.is_empty() {
                    wrong.push(format!("{operation}\n    {}", found.join("\n    ")));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "the sandbox answers differently:\n{}", wrong.join("\n\n"));
}
