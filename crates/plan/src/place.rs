//! From rendered manifests to [`Desired`]: each object gets its namespace, its membership label and its hash.
//!
//! What cannot be placed (an unknown kind, no namespace, an object that is there twice) is refused with its reason and never
//! stops the others.

use crate::apply_set;
use crate::desired::{Desired, RECREATE_ANNOTATION, Refused, WAVE_ANNOTATION, Want};
use crate::hooks::{self, Role};
use crate::ignore::{IgnoreRule, loosen, scales};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use std::collections::BTreeMap;
use std::sync::Arc;
use trueup_merge::canonical::canonical;
use trueup_merge::extract::wanted;
use trueup_merge::secrets::is_secret;
use trueup_merge::token::digest;
use trueup_model::{GroupKind, Manifest, ObjectId, Value};

/// Whether a kind's objects live in namespaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// They do.
    Namespaced,
    /// They belong to the cluster.
    Cluster,
}

/// What is known of a kind in a version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Served {
    /// The cluster serves it.
    Yes(Scope),
    /// The cluster serves the kind in other versions only.
    Otherwise(Vec<String>),
    /// The cluster does not know the kind.
    No,
    /// The cluster could not say: why.
    Unknown(String),
}

/// Where the objects of a target go.
pub struct Placement<'a> {
    /// `web@production`.
    pub target: &'a str,
    /// The commit that was rendered.
    pub revision: &'a str,
    /// The namespace of objects that name none; empty where the environment has none.
    pub namespace: &'a str,
    /// The id of the target's `ApplySet`.
    pub set: &'a str,
    /// The field manager that applies.
    pub manager: &'a str,
    /// Which fields are left to others.
    pub ignore: &'a [IgnoreRule],
    /// Says whether a group, version and kind is served.
    pub served: &'a dyn Fn(&str, &str, &str) -> Served,
    /// What was wanted before: what is wanted as it was is kept once.
    pub earlier: Option<&'a Desired>,
}

/// Places the manifests of a target.
pub fn place(manifests: Vec<Manifest>, placement: &Placement<'_>) -> Desired {
    let definitions = definitions(&manifests);
    let mut desired = Desired {
        target: placement.target.to_owned(),
        revision: placement.revision.to_owned(),
        defines: definitions.keys().cloned().collect(),
        ..Desired::default()
    };
    let mut scaled = BTreeMap::new();
    for mut manifest in manifests {
        let role = hooks::role(&manifest);
        if role == Ok(Role::LeftOut) {
            continue;
        }
        let placed =
            role.clone().map_err(Unplaced::Wrong).and_then(|_| wave(&manifest).map_err(Unplaced::Wrong));
        let placed = placed.and_then(|wave| Ok((wave, locate(&mut manifest, placement, &definitions)?)));
        match placed {
            Ok((wave, id)) => {
                scaled.extend(scales(&id, &manifest.value).map(|object| (object, id.clone())));
                if let Ok(Role::Hook(hook)) = role {
                    desired.hooks.insert(id.clone(), hook);
                }
                add(&mut desired, id, wave, manifest, placement);
            }
            Err(unplaced) => {
                if let Unplaced::Unserved(_) = unplaced {
                    desired.unserved.insert(manifest.id());
                }
                let wave = wave(&manifest).unwrap_or_default();
                let refused = Refused { wave, why: unplaced.why(), origin: manifest.origin.clone() };
                desired.refused.insert(manifest.id(), refused);
            }
        }
    }
    hooks::arrange(&mut desired, |desired, id, run| note_run(desired, id, run, placement.manager));
    loosen(&mut desired, placement.ignore, &scaled);
    connect(&mut desired, &definitions);
    if let Some(earlier) = placement.earlier {
        keep(&mut desired, earlier);
    }
    // Collected anew, the map has no empty places.
    desired.objects = std::mem::take(&mut desired.objects).into_iter().collect();
    desired
}

/// Why a manifest has no place.
enum Unplaced {
    /// It is wrong as it is written, or cannot be judged.
    Wrong(String),
    /// The cluster does not know its kind.
    Unserved(String),
}

impl Unplaced {
    fn why(self) -> String {
        match self {
            Self::Wrong(why) | Self::Unserved(why) => why,
        }
    }
}

// A wave that is not understood would be a wrong order, which nobody notices before it hurts.
pub(crate) fn wave(manifest: &Manifest) -> Result<i32, String> {
    let written = [WAVE_ANNOTATION, "argocd.argoproj.io/sync-wave"]
        .into_iter()
        .find_map(|name| Some((name, manifest.annotation(name)?)));
    let Some((name, text)) = written else { return Ok(0) };
    text.trim().parse().map_err(|_| format!("the annotation {name} is not a whole number: {text:?}"))
}

/// A CRD of the same target: its own identity, the scope of its objects, and its versions.
struct Definition {
    id: ObjectId,
    scope: Scope,
    versions: Vec<String>,
}

fn definitions(manifests: &[Manifest]) -> BTreeMap<GroupKind, Definition> {
    manifests
        .iter()
        .filter(|manifest| manifest.kind() == "CustomResourceDefinition")
        .filter_map(|manifest| {
            let spec = manifest.value.get("spec")?;
            let group = spec.get("group")?.as_str()?;
            let kind = spec.pointer("/names/kind")?.as_str()?;
            let scope = match spec.get("scope")?.as_str()? {
                "Cluster" => Scope::Cluster,
                _ => Scope::Namespaced,
            };
            let versions = spec.get("versions")?.as_array()?;
            let versions =
                versions.iter().filter_map(|v| v.get("name")?.as_str().map(str::to_owned)).collect();
            let id = manifest.id().in_namespace("");
            Some((GroupKind::new(group, kind), Definition { id, scope, versions }))
        })
        .collect()
}

fn locate(
    manifest: &mut Manifest,
    placement: &Placement<'_>,
    definitions: &BTreeMap<GroupKind, Definition>,
) -> Result<ObjectId, Unplaced> {
    let api_version = manifest.api_version();
    let version = api_version.rsplit_once('/').map_or(api_version, |(_, version)| version).to_owned();
    let kind = GroupKind::new(manifest.group(), manifest.kind());
    let scope = match (placement.served)(&kind.group, &version, &kind.kind) {
        Served::Yes(scope) => scope,
        other => match (definitions.get(&kind), other) {
            (Some(definition), _) if definition.versions.contains(&version) => definition.scope,
            (Some(definition), _) => {
                return Err(Unplaced::Wrong(format!(
                    "{kind} has no version {version}; its CRD has {}",
                    definition.versions.join(", ")
                )));
            }
            (None, Served::Otherwise(versions)) => {
                return Err(Unplaced::Wrong(format!(
                    "the cluster does not serve {kind} in version {version}; it has {}",
                    versions.join(", ")
                )));
            }
            (None, Served::Unknown(why)) => return Err(Unplaced::Wrong(why)),
            (None, Served::No | Served::Yes(_)) => {
                return Err(Unplaced::Unserved(format!(
                    "the cluster does not know the kind {kind} ({api_version}); is its CRD installed?"
                )));
            }
        },
    };
    let id = manifest.id();
    match scope {
        Scope::Cluster => {
            if let Some(metadata) = manifest.value.get_mut("metadata").and_then(Value::as_object_mut) {
                metadata.remove("namespace");
            }
            Ok(if id.namespace.is_empty() { id } else { id.in_namespace("") })
        }
        Scope::Namespaced if id.namespace.is_empty() && placement.namespace.is_empty() => {
            Err(Unplaced::Wrong("it names no namespace, and its environment has none".to_owned()))
        }
        Scope::Namespaced if id.namespace.is_empty() => {
            manifest.value["metadata"]["namespace"] = placement.namespace.into();
            Ok(id.in_namespace(placement.namespace))
        }
        Scope::Namespaced => Ok(id),
    }
}

fn add(desired: &mut Desired, id: ObjectId, wave: i32, mut manifest: Manifest, placement: &Placement<'_>) {
    if let Some(first) = desired.objects.get(&id) {
        let why = format!("the object is there twice: in {} and in {}", first.origin, manifest.origin);
        desired.refused.insert(id, Refused { origin: manifest.origin, wave, why });
        return;
    }
    let recreate = manifest.annotation(RECREATE_ANNOTATION) == Some("true")
        || manifest
            .annotation("argocd.argoproj.io/sync-options")
            .is_some_and(|options| options.contains("Replace=true"));
    let needs = manifest.annotation("config.kubernetes.io/depends-on").map(depends_on).unwrap_or_default();
    if !manifest.value["metadata"]["labels"].is_object() {
        manifest.value["metadata"]["labels"] = Value::Object(serde_json::Map::new());
    }
    manifest.value["metadata"]["labels"][apply_set::PART_OF] = placement.set.into();
    in_data(&mut manifest.value);
    let mut body = manifest.value.to_string();
    if may_have_null_keys(&body) {
        without_null_keys(&mut manifest.value);
        body = manifest.value.to_string();
    }
    let body = body.into_bytes();
    let earlier = placement.earlier.and_then(|earlier| earlier.objects.get_key_value(&id));
    let known = earlier.filter(|(_, want)| *want.body == *body);
    let id = earlier.map_or(id, |(id, _)| id.clone());
    let want = Want {
        api_version: manifest.api_version().to_owned(),
        digest: digest(&body, placement.manager, "", 0),
        extract: known.map_or_else(|| wanted(&canonical(&manifest.value)), |(_, want)| want.extract),
        body: known.map_or_else(|| body.into(), |(_, want)| want.body.clone()),
        origin: manifest.origin,
        wave,
        recreate,
        needs,
        leave: Vec::new(),
        id: id.clone(),
    };
    desired.objects.insert(id, Arc::new(want));
}

/// Notes on a hook what it is run for. So the one of another run is known by what it says of itself.
fn note_run(desired: &mut Desired, id: &ObjectId, run: &str, manager: &str) {
    let Some(want) = desired.objects.get_mut(id) else { return };
    let Ok(mut value) = serde_json::from_slice::<Value>(&want.body) else { return };
    value["metadata"]["annotations"][hooks::RUN_ANNOTATION] = run.into();
    let body = value.to_string().into_bytes();
    let want = Arc::make_mut(want);
    want.digest = digest(&body, manager, "", 0);
    want.extract = wanted(&canonical(&value));
    want.body = body.into();
}

// Two renderings of one target exist at once for a while, and differ little.
fn keep(desired: &mut Desired, earlier: &Desired) {
    for (id, want) in &mut desired.objects {
        if let Some(known) = earlier.objects.get(id).filter(|known| *known == want) {
            *want = known.clone();
        }
    }
}

// The server keeps a Secret's `stringData` in its `data` and owns it under a name that nothing is found at, so what others write
// there could not be noticed. What is no text is left for the server to refuse.
fn in_data(object: &mut Value) {
    if !is_secret(object) {
        return;
    }
    let Some(texts) = object.get("stringData").and_then(Value::as_object) else { return };
    let encoded = |value: &Value| Some(Value::from(BASE64_STANDARD.encode(value.as_str()?)));
    let Some(encoded) =
        texts.iter().map(|(key, value)| Some((key.clone(), encoded(value)?))).collect::<Option<Vec<_>>>()
    else {
        return;
    };
    let Some(fields) = object.as_object_mut() else { return };
    let data = fields.entry("data").or_insert(Value::Null);
    if data.is_null() {
        *data = Value::Object(serde_json::Map::new());
    }
    if let Some(data) = data.as_object_mut() {
        data.extend(encoded);
        fields.remove("stringData");
    }
}

/// The lists of Kubernetes' own kinds whose elements are told apart by a field that has a default, and that field.
///
/// Source: `x-kubernetes-list-map-keys` and `default` in kube-apiserver's OpenAPI v3 (1.36).
const KEYS_WITH_A_DEFAULT: [(&str, &str); 2] = [("ports", "protocol"), ("imagePullSecrets", "name")];

fn may_have_null_keys(body: &str) -> bool {
    // As compact JSON has it.
    KEYS_WITH_A_DEFAULT.iter().any(|(_, key)| body.contains(&format!("\"{key}\":null")))
}

// The server takes a null in such a key for a value of its own, which no element ever has: each apply adds one more. It means that
// there is none, and the server then fills in its default.
fn without_null_keys(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(without_null_keys),
        Value::Object(fields) => {
            for (name, value) in fields {
                for (_, key) in KEYS_WITH_A_DEFAULT.iter().filter(|(list, _)| list == name) {
                    let elements =
                        value.as_array_mut().into_iter().flatten().filter_map(Value::as_object_mut);
                    elements.filter(|element| element.get(*key).is_some_and(Value::is_null)).for_each(
                        |element| {
                            element.remove(*key);
                        },
                    );
                }
                without_null_keys(value);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Reads `group/namespaces/namespace/Kind/name, group/Kind/name`.
///
/// Source: `config.kubernetes.io/depends-on` of sigs.k8s.io/cli-utils.
fn depends_on(text: &str) -> Vec<ObjectId> {
    text.split(',')
        .filter_map(|reference| {
            let (group, namespace, kind, name) = match reference.trim().split('/').collect::<Vec<_>>()[..] {
                [group, "namespaces", namespace, kind, name] => (group, namespace, kind, name),
                [group, kind, name] => (group, "", kind, name),
                _ => return None,
            };
            Some(ObjectId::new(group, kind, namespace, name))
        })
        .collect()
}

// An object needs the namespace and the CRD that come with it: without them it can only fail.
fn connect(desired: &mut Desired, definitions: &BTreeMap<GroupKind, Definition>) {
    let namespaces: Vec<ObjectId> = desired
        .objects
        .keys()
        .chain(desired.refused.keys())
        .filter(|id| id.kind == "Namespace" && id.group.is_empty())
        .cloned()
        .collect();
    for want in desired.objects.values_mut() {
        let namespace = namespaces.iter().find(|namespace| namespace.name == want.id.namespace).cloned();
        let definition = definitions.get(&want.id.group_kind()).map(|definition| definition.id.clone());
        if namespace.is_some() || definition.is_some() {
            Arc::make_mut(want).needs.extend(namespace.into_iter().chain(definition));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use trueup_model::Origin;

    fn placed(objects: &[Value], namespace: &str) -> Desired {
        let manifests = objects
            .iter()
            .enumerate()
            .map(|(i, value)| Manifest {
                value: value.clone().into(),
                origin: Origin { path: format!("{i}.yaml"), line: 1 },
            })
            .collect();
        let served = |group: &str, version: &str, kind: &str| match (group, kind) {
            ("", "ConfigMap") if version == "v1" => Served::Yes(Scope::Namespaced),
            ("", "ConfigMap") => Served::Otherwise(vec!["v1".into()]),
            ("", "Namespace") | ("apiextensions.k8s.io", _) => Served::Yes(Scope::Cluster),
            (_, _) => Served::No,
        };
        let placement = Placement {
            target: "web@staging",
            revision: "abc",
            namespace,
            set: "applyset-x-v1",
            manager: "trueup",
            ignore: &[],
            served: &served,
            earlier: None,
        };
        place(manifests, &placement)
    }

    fn config_map(name: &str) -> Value {
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}})
    }

    fn refusals(desired: &Desired) -> Vec<String> {
        desired.refused.iter().map(|(id, refused)| format!("{id}: {}", refused.why)).collect()
    }

    #[test]
    fn an_object_gets_the_namespace_and_the_label_of_its_target() {
        let desired = placed(&[config_map("a")], "shop");
        let (id, want) = desired.objects.first_key_value().unwrap();
        assert_eq!(id.to_string(), "ConfigMap shop/a");
        let body: Value = serde_json::from_slice(&want.body).unwrap();
        assert_eq!(body["metadata"]["namespace"], "shop");
        assert_eq!(body["metadata"]["labels"][apply_set::PART_OF], "applyset-x-v1");
    }

    #[test]
    fn what_cannot_be_placed_is_refused_and_the_rest_is_placed() {
        let widget = json!({"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w"}});
        let old = json!({"apiVersion": "v2", "kind": "ConfigMap", "metadata": {"name": "old"}});
        let desired = placed(&[config_map("a"), config_map("a"), widget, old], "shop");
        assert_eq!(desired.objects.len(), 1);
        let refused = refusals(&desired).join("\n");
        assert!(
            refused.contains("ConfigMap shop/a: the object is there twice: in 0.yaml:1 and in 1.yaml:1"),
            "{refused}"
        );
        assert!(refused.contains("does not know the kind Widget.example.com"), "{refused}");
        assert!(refused.contains("does not serve ConfigMap in version v2; it has v1"), "{refused}");
        assert!(refusals(&placed(&[config_map("a")], "")).join("").contains("names no namespace"));
    }

    #[test]
    fn the_texts_of_a_secret_are_wanted_where_the_server_keeps_them() {
        let secret = |more: &Value| {
            let mut secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}});
            secret.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            in_data(&mut secret);
            (secret["data"].clone(), secret.get("stringData").cloned())
        };
        let both = json!({"data": {"a": "eA==", "b": "eQ=="}, "stringData": {"a": "hi"}});
        assert_eq!(secret(&both), (json!({"a": "aGk=", "b": "eQ=="}), None));
        assert_eq!(secret(&json!({"stringData": {"a": "hi"}})), (json!({"a": "aGk="}), None));
        let wrong = json!({"stringData": {"a": 1}});
        assert_eq!(secret(&wrong), (Value::Null, Some(json!({"a": 1}))), "the server refuses it");
    }

    #[test]
    fn a_null_in_the_key_of_a_list_is_left_to_the_servers_default() {
        let config = |list: &str, elements: &Value| {
            let metadata = json!({"name": "a", "namespace": "shop"});
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "protocol": null, "spec": [{list: elements}]})
        };
        let cases = [
            (
                "ports",
                json!([{"name": null, "containerPort": 80, "protocol": null}, {"containerPort": 81, "protocol": "UDP"}]),
                json!([{"name": null, "containerPort": 80}, {"containerPort": 81, "protocol": "UDP"}]),
            ),
            ("imagePullSecrets", json!([{"name": null}, {"name": "a"}]), json!([{}, {"name": "a"}])),
            (
                "containers",
                json!([{"name": null, "protocol": null}]),
                json!([{"name": null, "protocol": null}]),
            ),
        ];
        for (list, given, wanted) in cases {
            let desired = placed(&[config(list, &given)], "");
            let body: Value = serde_json::from_slice(&desired.objects.values().next().unwrap().body).unwrap();
            assert_eq!(body["spec"][0][list], wanted);
            assert_eq!(body.get("protocol"), Some(&Value::Null), "elsewhere a null is what Git says");
        }
    }

    #[test]
    fn a_wave_is_ours_or_argos_and_one_that_is_no_number_is_refused() {
        let with = |name: &str, annotations: Value| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "annotations": annotations}});
        let desired = placed(
            &[
                with("a", json!({"argocd.argoproj.io/sync-wave": "-5"})),
                with("b", json!({"argocd.argoproj.io/sync-wave": "1", "trueup.dev/wave": "2"})),
                with("c", json!({"trueup.dev/wave": "late"})),
            ],
            "shop",
        );
        assert_eq!(desired.objects.values().map(|want| want.wave).collect::<Vec<_>>(), [-5, 2]);
        assert_eq!(
            refusals(&desired),
            [r#"ConfigMap c: the annotation trueup.dev/wave is not a whole number: "late""#]
        );
    }

    #[test]
    fn an_object_needs_its_namespace_and_its_crd() {
        let crd = json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "widgets.example.com"},
            "spec": {"group": "example.com", "scope": "Namespaced", "names": {"kind": "Widget"}, "versions": [{"name": "v1"}]}});
        let widget = json!({"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w"}});
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}});
        let desired = placed(&[widget, crd, namespace], "shop");
        let want = desired.objects.values().find(|want| want.id.kind == "Widget").unwrap();
        let needs: Vec<String> = want.needs.iter().map(ToString::to_string).collect();
        assert_eq!(
            needs,
            ["Namespace shop", "CustomResourceDefinition.apiextensions.k8s.io widgets.example.com"]
        );
    }
}
