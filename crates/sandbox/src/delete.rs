//! Delete: preconditions, finalizers, and what goes with an owner.

use crate::Sandbox;
use crate::answer::{Answer, Refusal};
use crate::read::{key, versioned};
use crate::request::{Request, Target};
use crate::select::Selector;
use crate::store::{Key, Resource};
use crate::write::{has_finalizers, metadata};
use serde_json::{Value, json};
use std::sync::Arc;

pub(crate) const FOREGROUND: &str = "foregroundDeletion";
pub(crate) const ORPHAN: &str = "orphan";

impl Sandbox {
    pub(crate) fn delete_one(&mut self, request: &Request<'_>, target: &Target) -> Result<Answer, Refusal> {
        let live = self.found(target)?.clone();
        let options: Value = if request.body.is_empty() {
            Value::Null
        } else {
            serde_json::from_slice(request.body).map_err(|error| Refusal::bad_request(error.to_string()))?
        };
        let name = target.name.clone().unwrap_or_default();
        for (field, words) in [("uid", "UID"), ("resourceVersion", "ResourceVersion")] {
            let wanted = options["preconditions"][field].as_str();
            let found = live["metadata"][field].as_str().unwrap_or_default();
            if let Some(wanted) = wanted.filter(|wanted| *wanted != found) {
                if matches!(target.kind.kind.as_str(), "CustomResourceDefinition" | "Namespace") {
                    let why = format!(
                        "Precondition failed: {words} in precondition: {wanted}, {words} in object meta: {found}"
                    );
                    return Err(Refusal::conflict(target.about(&name), &why));
                }
                let became = if field == "uid" { "deleted and then recreated" } else { "modified" };
                let why = format!(
                    "the {words} in the precondition ({wanted}) does not match the {words} in record ({found}). The object might have been {became}"
                );
                return Err(Refusal::conflict(target.about_kind(&name), &why));
            }
        }
        let policy = options["propagationPolicy"].as_str().map(str::to_owned);
        // Options in the body are all that counts: a dry run that only the query asks for is none then.
        let policy = if options.is_null() { request.option("propagationPolicy") } else { policy };
        let is_dry_run = if options.is_null() { request.is_dry_run() } else { options["dryRun"][0] == "All" };
        let resource = target.kind.resource();
        let gone = if is_dry_run {
            match self.ending(&resource, &live, policy.as_deref()) {
                Ended::Waits(mut object) if object != *live => {
                    let next = self.store.next().to_string();
                    metadata(&mut object).insert("resourceVersion".to_owned(), next.into());
                    Ended::Waits(object)
                }
                same => same,
            }
        } else {
            self.end(&resource, &key(target), policy.as_deref())
        };
        match gone {
            Ended::Waits(object) => Ok(Answer::ok(versioned(&object, &target.kind))),
            Ended::Gone if is_returned(&target.kind) => Ok(Answer::ok(self.last(&target.kind, &live))),
            Ended::Gone => {
                let mut details =
                    json!({"name": name, "kind": target.kind.plural, "uid": live["metadata"]["uid"]});
                if !target.kind.group.is_empty() {
                    details["group"] = target.kind.group.as_str().into();
                }
                Ok(Answer::ok(
                    json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}),
                ))
            }
        }
    }

    pub(crate) fn delete_collection(
        &mut self,
        request: &Request<'_>,
        target: &Target,
    ) -> Result<Answer, Refusal> {
        let selector = Selector::of(request, &target.kind)?;
        let resource = target.kind.resource();
        let meant: Vec<Key> = self
            .store
            .all(&resource)
            .filter(|(key, object)| {
                target.namespace.as_ref().is_none_or(|namespace| key.0 == *namespace)
                    && selector.matches(object)
            })
            .map(|(key, _)| key.clone())
            .collect();
        let answer = self.list(request, target)?;
        if !request.is_dry_run() {
            for key in meant {
                self.end(&resource, &key, None);
            }
        }
        Ok(answer)
    }

    /// Deletes an object, or marks it as one that waits for its finalizers.
    pub(crate) fn end(&mut self, resource: &Resource, key: &Key, policy: Option<&str>) -> Ended {
        let Some(live) = self.store.get(resource, key).cloned() else { return Ended::Gone };
        let Ended::Waits(mut object) = self.ending(resource, &live, policy) else {
            if resource.0.is_empty() && resource.1 == "pods" {
                self.mark_as_over(resource, key, &live);
            }
            self.forget(resource, key);
            return Ended::Gone;
        };
        if object != *live {
            metadata(&mut object).insert("resourceVersion".to_owned(), self.store.next().to_string().into());
            self.store.put(resource, key, Some(Arc::new(object.clone())));
        }
        Ended::Waits(object)
    }

    /// Notes that a pod has no time left; each watch sees that before it sees the pod go.
    fn mark_as_over(&mut self, resource: &Resource, key: &Key, live: &Value) {
        if live["metadata"]["deletionTimestamp"].is_string() {
            return;
        }
        let mut object = live.clone();
        let time = self.time();
        let fields = metadata(&mut object);
        let generation = fields.get("generation").and_then(Value::as_i64).unwrap_or(0);
        fields.insert("generation".to_owned(), (generation + 1).into());
        fields.insert("deletionTimestamp".to_owned(), time.into());
        fields.insert("deletionGracePeriodSeconds".to_owned(), 0.into());
        self.renumber(resource, key, object);
    }

    /// An object that is gone, as some kinds' deletions are answered.
    fn last(&self, kind: &crate::kinds::Kind, live: &Value) -> Value {
        let mut object = versioned(live, kind);
        let fields = metadata(&mut object);
        fields.insert("resourceVersion".to_owned(), self.store.revision().to_string().into());
        if kind.kind == "Pod" && !fields.contains_key("deletionTimestamp") {
            let generation = fields.get("generation").and_then(Value::as_i64).unwrap_or(0);
            fields.insert("generation".to_owned(), (generation + 1).into());
            fields.insert("deletionTimestamp".to_owned(), self.time().into());
            fields.insert("deletionGracePeriodSeconds".to_owned(), 0.into());
        }
        object
    }

    /// What a deletion makes of an object.
    fn ending(&self, resource: &Resource, live: &Value, policy: Option<&str>) -> Ended {
        let mut object = live.clone();
        let is_namespace = resource.0.is_empty() && resource.1 == "namespaces";
        if is_namespace && live["metadata"]["deletionTimestamp"].is_string() {
            return Ended::Waits(object);
        }
        let policy = policy.filter(|_| resource.1 != "events");
        // These two leave their pods behind unless they are told otherwise, as they always did.
        let leaves = matches!(
            (resource.0.as_str(), resource.1.as_str()),
            ("", "replicationcontrollers") | ("batch", "jobs")
        );
        let had = |finalizer: &str| {
            live["metadata"]["finalizers"]
                .as_array()
                .is_some_and(|all| all.iter().any(|one| one == finalizer))
        };
        let finalizer = match policy {
            Some("Foreground") => Some(FOREGROUND),
            Some("Orphan") => Some(ORPHAN),
            Some(_) => None,
            None if had(ORPHAN) => Some(ORPHAN),
            None if had(FOREGROUND) => Some(FOREGROUND),
            None => leaves.then_some(ORPHAN),
        };
        let fields = metadata(&mut object);
        if finalizer.is_some() || had(ORPHAN) || had(FOREGROUND) {
            let finalizers = fields.entry("finalizers").or_insert_with(|| json!([]));
            if let Some(all) = finalizers.as_array_mut() {
                all.retain(|one| one != ORPHAN && one != FOREGROUND);
                all.extend(finalizer.map(Value::from));
            }
        }
        let is_definition = resource.0 == "apiextensions.k8s.io" && resource.1 == "customresourcedefinitions";
        if is_definition && !live["metadata"]["deletionTimestamp"].is_string() {
            crate::ending::mark(&mut object, &self.time());
        }
        if !has_finalizers(&object) && !is_namespace {
            return Ended::Gone;
        }
        if !live["metadata"]["deletionTimestamp"].is_string() {
            let time = self.time();
            let fields = metadata(&mut object);
            fields.insert("deletionTimestamp".to_owned(), time.into());
            // A namespace takes as long as it takes.
            if !is_namespace && !is_definition {
                fields.insert("deletionGracePeriodSeconds".to_owned(), 0.into());
            }
            if let Some(generation) = fields.get("generation").and_then(Value::as_i64) {
                fields.insert("generation".to_owned(), (generation + 1).into());
            }
            if is_namespace {
                object["status"]["phase"] = "Terminating".into();
            }
        }
        Ended::Waits(object)
    }

    /// Takes an object out of the store.
    pub(crate) fn forget(&mut self, resource: &Resource, key: &Key) {
        self.store.put(resource, key, None);
        self.undefined(resource, key);
    }
}

/// What became of an object that was to be deleted.
pub(crate) enum Ended {
    /// It is gone.
    Gone,
    /// It waits for its finalizers.
    Waits(Value),
}

/// Whether an object that is gone is shown once more. Volumes and their claims are as well, but the table, which asks for deletions of new
/// objects, finds their finalizers in the way.
fn is_returned(kind: &crate::kinds::Kind) -> bool {
    let is_volume =
        kind.group.is_empty() && matches!(kind.kind.as_str(), "PersistentVolume" | "PersistentVolumeClaim");
    is_volume || crate::fields::start(kind)["returned"] == true
}
