//! Create, replace and apply: from what a client sends to what is stored.

use crate::Sandbox;
use crate::answer::{Answer, Cause, Refusal};
use crate::autoscaler_versions;
use crate::crds::{Nulls, complete, validate};
use crate::depends::Labels;
use crate::fields::nothing;
use crate::kinds::Kind;
use crate::namespaces::begin_life;
use crate::read::{filled, key, versioned};
use crate::request::{Request, Target};
use crate::scale::{scale, set_replicas};
use crate::store::Key;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use trueup_merge::field_manager::{Act, ApplyError, FieldManager};
use trueup_merge::fields::FieldSet;
use trueup_merge::structured::update::{Force, Versions};
use trueup_merge::structured::{Duplicates, Typed};
use trueup_model::yaml;

/// The metadata that only the server writes.
const KEPT: [&str; 4] = ["uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds"];

/// What is done to an object by one request.
pub(crate) struct Change<'r> {
    pub(crate) target: &'r Target,
    pub(crate) manager: String,
    pub(crate) is_dry_run: bool,
}

impl<'r> Change<'r> {
    pub(crate) fn of(request: &Request<'_>, target: &'r Target) -> Self {
        Self { target, manager: request.manager(), is_dry_run: request.is_dry_run() }
    }
}

impl Sandbox {
    pub(crate) fn create(&mut self, request: &Request<'_>, target: &Target) -> Result<Answer, Refusal> {
        if target.name.is_some() {
            // Bindings, evictions and tokens are for those who run pods.
            return Err(Refusal::method_not_allowed());
        }
        let object = body(request, target)?;
        self.check_known(request, target, &object)?;
        let change = Change::of(request, target);
        self.create_object(&change, object).map(|object| Answer::json(201, object))
    }

    pub(crate) fn create_object(&mut self, change: &Change<'_>, mut object: Value) -> Result<Value, Refusal> {
        let kind = &change.target.kind;
        let generated = object["metadata"]["generateName"].as_str().unwrap_or_default().to_owned();
        let mut name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        if name.is_empty() && !generated.is_empty() {
            let suffix: String = self.store.uid().chars().take(5).collect();
            name = format!("{generated}{suffix}");
        }
        if name.is_empty() {
            let message = "Required value: name or generateName is required".to_owned();
            let cause = Cause { reason: "FieldValueRequired", message, field: "metadata.name".to_owned() };
            return Err(Refusal::invalid(change.target.about_kind(""), vec![cause]));
        }
        self.check_namespace(change.target, &name)?;
        let key = (change.target.namespace.clone().unwrap_or_default(), name);
        without_status(kind, &mut object);
        let labels = Labels::of(&object);
        complete(kind, &mut object, Nulls::Dropped)?;
        let nothing = nothing(kind);
        let mut object = self.manage(change, |manager, act| Ok(manager.update(&nothing, &object, act)))?;
        metadata(&mut object).insert("name".to_owned(), key.1.as_str().into());
        self.store_new(change, &key, object, labels)
    }

    /// Stores an object that is new, with what the server gives it.
    fn store_new(
        &mut self,
        change: &Change<'_>,
        key: &Key,
        mut object: Value,
        labels: Labels,
    ) -> Result<Value, Refusal> {
        let kind = &change.target.kind;
        let (uid, time) = (self.store.uid(), self.time());
        let metadata = metadata(&mut object);
        metadata.insert("uid".to_owned(), uid.into());
        metadata.insert("creationTimestamp".to_owned(), time.into());
        if is_counted(kind) {
            metadata.insert("generation".to_owned(), 1.into());
        }
        self.fill_limits(change, &mut object);
        // A status that makes its object gives it nothing of its own.
        if change.target.subresource.is_empty() || kind.kind != "Service" {
            crate::depends::begin(kind, &mut object, self.store.next(), labels);
        }
        begin_life(kind, &mut object);
        validate(change.target, None, &object)?;
        self.check_limits(change, None, &object)?;
        self.check_quotas(change, None, &object)?;
        crate::fields::store(kind, &mut object);
        if let Some(found) = self.store.get(&kind.resource(), key) {
            if found["metadata"]["deletionTimestamp"].is_string() {
                return Err(Refusal::ending(change.target.about(&key.1)));
            }
            return Err(Refusal::already_exists(change.target.about(&key.1)));
        }
        self.keep(change, key, object)
    }

    pub(crate) fn replace(&mut self, request: &Request<'_>, target: &Target) -> Result<Answer, Refusal> {
        let object = body(request, target)?;
        self.check_known(request, target, &object)?;
        let change = Change::of(request, target);
        let start = crate::fields::start(&target.kind);
        let live = match self.found(target).cloned() {
            Ok(live) => live,
            Err(_) if start["creates"] == true && matches!(target.subresource.as_str(), "" | "status") => {
                let nobody = json!({"metadata": {"name": target.name}});
                check_uid(&change, &nobody, &object)?;
                return self.create_object(&change, object).map(|object| Answer::json(201, object));
            }
            Err(refusal) => return Err(refusal),
        };
        check_uid(&change, &live, &object)?;
        let is_unnumbered = object["metadata"]["resourceVersion"].as_str().unwrap_or_default().is_empty();
        let is_asked = target.kind.custom.is_some() || start["unconditional"] == false;
        if is_unnumbered && is_asked && target.subresource != "scale" {
            let message = "Invalid value: 0: must be specified for an update".to_owned();
            let field = "metadata.resourceVersion".to_owned();
            let cause = Cause { reason: "FieldValueInvalid", message, field };
            let name = target.name.as_deref().unwrap_or_default();
            return Err(Refusal::invalid(target.about(name), vec![cause]));
        }
        self.replace_object(&change, &live, object).map(Answer::ok)
    }

    /// Writes `object` over `live`, as far as the endpoint writes it.
    pub(crate) fn replace_object(
        &mut self,
        change: &Change<'_>,
        live: &Arc<Value>,
        mut object: Value,
    ) -> Result<Value, Refusal> {
        let target = change.target;
        let kind = &target.kind;
        let live = versioned(live, kind);
        check_preconditions(change, &live, &object)?;
        if target.subresource == "scale" {
            let mut scaled = live.clone();
            let replicas = object.pointer("/spec/replicas").cloned().unwrap_or_else(|| 0.into());
            set_replicas(kind, &mut scaled, &replicas);
            if let Some(custom) = &kind.custom {
                // What the replicas are put into is filled in as anything that is read.
                crate::crds::default(&mut scaled, &custom.schema, Nulls::Dropped);
            }
            hand_over(&mut scaled, &live, change);
            let scaled = self.store_changed(change, &live, scaled)?;
            return Ok(scale(kind, &scaled));
        }
        if target.subresource == "status" && kind.group == "batch" && kind.kind == "Job" {
            // A Job's labels follow from what was sent, also where that counts for nothing.
            crate::depends::before(kind, &mut object);
        }
        let mut object = seen_through(target, &live, object);
        complete(kind, &mut object, Nulls::Dropped)?;
        self.rewrite(change, &live, object)
    }

    fn rewrite(&mut self, change: &Change<'_>, live: &Value, mut object: Value) -> Result<Value, Refusal> {
        keep_metadata(live, &mut object);
        let object = self.manage(change, |manager, act| Ok(manager.update(live, &object, act)))?;
        self.store_changed(change, live, object)
    }

    /// Stores an object that was there before, unless nothing has changed.
    pub(crate) fn store_changed(
        &mut self,
        change: &Change<'_>,
        live: &Value,
        mut object: Value,
    ) -> Result<Value, Refusal> {
        let kind = &change.target.kind;
        keep_metadata(live, &mut object);
        crate::depends::go_on(kind, live, &mut object, self.store.next());
        // What is written through its own endpoint asks for nothing.
        if change.target.subresource != "status"
            && let Some(generation) = crate::depends::generation(kind, live, &object)
        {
            metadata(&mut object).insert("generation".to_owned(), generation.into());
        }
        validate(change.target, Some(live), &object)?;
        self.check_limits(change, Some(live), &object)?;
        self.check_quotas(change, Some(live), &object)?;
        crate::fields::store(kind, &mut object);
        let key = key(change.target);
        if is_same(live, &object) {
            return Ok(live.clone());
        }
        let is_over = object["metadata"]["deletionTimestamp"].is_string()
            && !has_finalizers(&object)
            && !crate::namespaces::is_held(kind, &object);
        // What goes with its last finalizer is told as it was stored last.
        if is_over && !change.is_dry_run {
            self.forget(&kind.resource(), &key);
            return Ok(object);
        }
        self.keep(change, &key, object)
    }

    fn keep(&mut self, change: &Change<'_>, key: &Key, mut object: Value) -> Result<Value, Refusal> {
        let kind = &change.target.kind;
        self.prune_as_stored(kind, &mut object);
        if change.is_dry_run {
            return Ok(object);
        }
        crate::limits::check_object(&object)?;
        metadata(&mut object).insert("resourceVersion".to_owned(), self.store.next().to_string().into());
        let mut stored = object.clone();
        if let Some(other) = autoscaler_versions::stored(kind) {
            autoscaler_versions::convert(&mut stored, other);
            crate::fields::store(other, &mut stored);
            object = versioned(&stored, kind);
        }
        self.store.put(&kind.resource(), key, Some(Arc::new(stored)));
        self.defined(kind, key);
        Ok(object)
    }

    /// Merges what is applied into what is there.
    pub(crate) fn apply(&mut self, request: &Request<'_>, target: &Target) -> Result<Answer, Refusal> {
        let config = parse(request)?;
        let is_placed = !config["metadata"]["namespace"].is_null();
        let mut config = fitting(request, target, config)?;
        // What is applied is merged as it was written.
        if !is_placed {
            metadata(&mut config).remove("namespace");
        }
        if request.option("fieldManager").is_none_or(|manager| manager.is_empty()) {
            return Err(Refusal::bad_request(
                "PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Required value: is required for apply patch",
            ));
        }
        let force = if request.flag("force") { Force::Yes } else { Force::No };
        let change = Change::of(request, target);
        let key = key(target);
        let live = self.store.get(&target.kind.resource(), &key).map(|live| versioned(live, &target.kind));
        if live.is_none() {
            let creates = crate::fields::start(&target.kind)["creates"] == true;
            let is_place = target.subresource.is_empty() || creates && target.subresource == "status";
            if !is_place {
                return Err(Refusal::not_found(target.about(&key.1)));
            }
            self.check_namespace(target, &key.1)?;
        }
        let nothing =
            json!({"apiVersion": target.kind.api_version(), "kind": target.kind.kind, "metadata": {}});
        let before = live.as_ref().map_or(nothing, |live| filled(live, &target.kind));
        let before = &before;
        let mut object = self.manage(&change, |manager, act| manager.apply(before, &config, act, force))?;
        if let Some(why) = crate::decode::why_applied(&target.kind, &object) {
            let of = described(&object);
            // It is told of what was applied, which need not say in which namespace it is.
            return Err(Refusal::internal(format!(
                "failed to convert new object ({}/{}; {of}) to proper version: unable to convert unstructured object to {of}: {why}",
                config["metadata"]["namespace"].as_str().unwrap_or_default(),
                key.1
            )));
        }
        // What an apply took the last entry out of.
        metadata(&mut object).retain(|_, value| !value.is_null());
        if let Some(namespace) = &target.namespace {
            metadata(&mut object).insert("namespace".to_owned(), namespace.as_str().into());
        }
        if let Some(live) = live {
            // What cannot be merged is told first.
            check_preconditions(&change, &live, &config)?;
            object = seen_through(target, &live, object);
            complete(&target.kind, &mut object, Nulls::Kept)?;
            if Self::is_stored(&target.kind, &live, &object) {
                return Ok(Answer::ok(live));
            }
            return self.store_changed(&change, &live, object).map(Answer::ok);
        }
        if let Some(uid) = config["metadata"]["uid"].as_str().filter(|uid| !uid.is_empty()) {
            let why = format!(
                "uid mismatch: the provided object specified uid {uid}, and no existing object was found"
            );
            return Err(Refusal::conflict(target.about(&key.1), &why));
        }
        without_status(&target.kind, &mut object);
        let labels = Labels::of(&object);
        complete(&target.kind, &mut object, Nulls::Kept)?;
        self.store_new(&change, &key, object, labels).map(|object| Answer::json(201, object))
    }

    /// Whether what was applied is there already, but for defaults of what the stored version does not have.
    fn is_stored(kind: &Kind, live: &Value, object: &Value) -> bool {
        if kind.custom.as_ref().is_none_or(|custom| custom.storage == kind.version) {
            return false;
        }
        let mut object = object.clone();
        keep_metadata(live, &mut object);
        is_same(&filled(live, kind), &object)
    }

    fn check_namespace(&self, target: &Target, name: &str) -> Result<(), Refusal> {
        if !target.kind.namespaced {
            return Ok(());
        }
        let namespace = target
            .namespace
            .clone()
            .ok_or_else(|| Refusal::bad_request("an empty namespace may not be set during creation"))?;
        let resource = (String::new(), "namespaces".to_owned());
        let Some(found) = self.store.get(&resource, &(String::new(), namespace.clone())) else {
            let about =
                crate::answer::About { name: namespace, kind: "namespaces".to_owned(), ..Default::default() };
            return Err(Refusal::not_found(about));
        };
        if found["metadata"]["deletionTimestamp"].is_string() {
            let why = format!(
                "unable to create new content in namespace {namespace} because it is being terminated"
            );
            return Err(Refusal::forbidden(target.about(name), &why));
        }
        Ok(())
    }

    /// Hands the kind's field manager to `act`.
    pub(crate) fn manage(
        &self,
        change: &Change<'_>,
        act: impl FnOnce(&FieldManager<'_, '_>, Act<'_>) -> Result<Value, ApplyError>,
    ) -> Result<Value, Refusal> {
        let kind = &change.target.kind;
        let versions: Vec<Arc<Kind>> =
            self.kinds.iter().filter(|other| other.is_a_version_of(kind)).cloned().collect();
        let versions = Served { kinds: &versions };
        let (api_version, now) = (kind.api_version(), self.time());
        let ignored = ignored(kind, &change.target.subresource);
        let manager = FieldManager {
            schema: &kind.schema,
            type_ref: &kind.type_ref,
            api_version: &api_version,
            subresource: &change.target.subresource,
            versions: &versions,
            ignored: &ignored,
            nothing: &|| nothing(kind),
        };
        act(&manager, Act { manager: &change.manager, now: &now }).map_err(|error| match &error {
            ApplyError::Conflicts(conflicts) => Refusal::apply_conflict(error.to_string(), conflicts),
            ApplyError::BringsBooks => Refusal::bad_request(error.to_string()),
            ApplyError::Patch { .. }
            | ApplyError::Live { .. }
            | ApplyError::Books(_)
            | ApplyError::Merge(_) => Refusal::internal(error.to_string()),
        })
    }
}

/// The versions of one kind.
struct Served<'s> {
    kinds: &'s [Arc<Kind>],
}

impl<'s> Versions<'s> for Served<'s> {
    fn convert(&self, object: &Typed<'s>, version: &str) -> Result<Option<Typed<'s>>, String> {
        let Some(kind) = self.kinds.iter().find(|kind| kind.api_version() == version) else {
            return Ok(None);
        };
        let value = versioned(object.value(), kind);
        Typed::new(value, &kind.schema, &kind.type_ref, Duplicates::Allowed)
            .map(Some)
            .map_err(|errors| errors.to_string())
    }
}

/// The fields that an endpoint does not write.
fn ignored(kind: &Kind, subresource: &str) -> BTreeMap<String, FieldSet> {
    let fields = match subresource {
        "status" if kind.custom.is_some() => json!({"f:spec": {}, "f:metadata": {}}),
        "status" => {
            let mut fields = json!({"f:spec": {}});
            let kept = kept_by_status(kind);
            if kept == KEPT_METADATA {
                fields["f:metadata"] = json!({});
            } else {
                for field in kept {
                    fields["f:metadata"][format!("f:{field}")] = json!({});
                }
            }
            fields
        }
        _ if has_status(kind) => json!({"f:status": {}}),
        _ => return BTreeMap::new(),
    };
    let Ok(set) = FieldSet::parse(&fields) else { return BTreeMap::new() };
    autoscaler_versions::all(kind).into_iter().map(|version| (version, set.clone())).collect()
}

/// What of the metadata people write.
const KEPT_METADATA: [&str; 4] = ["labels", "annotations", "finalizers", "ownerReferences"];

/// What of it a write through a built-in kind's status leaves as it is.
///
/// Source: the status strategies' `GetResetFields` and `PrepareForUpdate`.
fn kept_by_status(kind: &Kind) -> &'static [&'static str] {
    match kind.kind.as_str() {
        "APIService" | "ResourceClaim" | "ServiceCIDR" | "ValidatingAdmissionPolicy" | "VolumeAttachment" => {
            &KEPT_METADATA
        }
        "Deployment" => &["labels"],
        "Pod" => &["deletionTimestamp", "ownerReferences"],
        _ => &[],
    }
}

fn parse(request: &Request<'_>) -> Result<Value, Refusal> {
    let is_yaml = request.content_type.contains("yaml");
    let value: Option<Value> = if is_yaml {
        let text =
            std::str::from_utf8(request.body).map_err(|error| Refusal::bad_request(error.to_string()))?;
        {
            let nodes = yaml::parse(text).map_err(|error| Refusal::bad_request(error.to_string()))?;
            nodes.into_iter().next().map(yaml::Node::into_value)
        }
    } else {
        Some(serde_json::from_slice(request.body).map_err(|error| Refusal::bad_request(error.to_string()))?)
    };
    value
        .filter(Value::is_object)
        .ok_or_else(|| Refusal::bad_request("the body of the request holds no object"))
}

/// `apps/v1, Kind=Deployment`.
fn described(object: &Value) -> String {
    let api_version = object["apiVersion"].as_str().unwrap_or_default();
    let group = if api_version.contains('/') { "" } else { "/" };
    format!("{group}{api_version}, Kind={}", object["kind"].as_str().unwrap_or_default())
}

/// What a client sent, checked against where it sent it.
pub(crate) fn body(request: &Request<'_>, target: &Target) -> Result<Value, Refusal> {
    fitting(request, target, parse(request)?)
}

fn fitting(request: &Request<'_>, target: &Target, mut object: Value) -> Result<Value, Refusal> {
    let kind = &target.kind;
    let is_scale = target.subresource == "scale";
    // An object of a built-in kind need not say what it is where that follows from the path; one that is applied does.
    if kind.custom.is_none() && !is_scale && request.method != "PATCH" {
        for (field, told) in [("apiVersion", kind.api_version()), ("kind", kind.kind.clone())] {
            if object[field].is_null() {
                object[field] = told.into();
            }
        }
    }
    let found =
        (object["apiVersion"].as_str().unwrap_or_default(), object["kind"].as_str().unwrap_or_default());
    if !is_scale && found != (&kind.api_version(), &kind.kind) {
        let (version, known) = (found.0, kind.api_version());
        let why = format!(
            "the API version in the data ({version}) does not match the expected API version ({known})"
        );
        if found.1 == kind.kind {
            return Err(Refusal::bad_request(why));
        }
        return Err(Refusal::bad_request(format!("{why}, or the kind ({}) is not {}", found.1, kind.kind)));
    }
    let target_name = target.name.as_deref();
    let metadata = metadata(&mut object);
    match (metadata.get("name").and_then(Value::as_str), target_name) {
        (Some(name), Some(wanted)) if name != wanted => {
            return Err(Refusal::bad_request(format!(
                "the name of the object ({name}) does not match the name on the URL ({wanted})"
            )));
        }
        (None, Some(wanted)) => drop(metadata.insert("name".to_owned(), wanted.into())),
        (_, _) => {}
    }
    match (metadata.get("namespace").and_then(Value::as_str), target.namespace.as_deref()) {
        (Some(namespace), Some(wanted)) if namespace != wanted => {
            return Err(Refusal::bad_request(format!(
                "the namespace of the provided object does not match the namespace sent on the request: {namespace} is not {wanted}"
            )));
        }
        (None, Some(wanted)) => drop(metadata.insert("namespace".to_owned(), wanted.into())),
        (Some(_), None) => drop(metadata.remove("namespace")),
        (_, _) => {}
    }
    // What is applied is merged before it is read.
    if !is_scale
        && request.method != "PATCH"
        && let Some(why) = crate::decode::unreadable(kind, &object)
    {
        return Err(Refusal::bad_request(why));
    }
    Ok(object)
}

/// Drops the status of what is new.
fn without_status(kind: &Kind, object: &mut Value) {
    if !has_status(kind) {
        return;
    }
    if let Some(stored) = autoscaler_versions::stored(kind) {
        autoscaler_versions::convert(object, stored);
    }
    remove(object, "status");
    autoscaler_versions::convert(object, kind);
}

/// What of an object a write through this endpoint changes.
fn seen_through(target: &Target, live: &Value, mut object: Value) -> Value {
    if let Some(stored) = autoscaler_versions::stored(&target.kind) {
        let stored = Target { kind: stored.clone(), ..target.clone() };
        let (live, object) = (versioned(live, &stored.kind), versioned(&object, &stored.kind));
        return versioned(&seen_through(&stored, &live, object), &target.kind);
    }
    if target.subresource == "status" && target.kind.custom.is_none() {
        // The status endpoints of built-in kinds take metadata too, and keep what is wanted.
        let fields: Vec<String> =
            object.as_object().into_iter().chain(live.as_object()).flat_map(Map::keys).cloned().collect();
        for field in fields.iter().filter(|field| !matches!(field.as_str(), "metadata" | "status")) {
            set(&mut object, field, live.get(field).cloned());
        }
        for field in kept_by_status(&target.kind) {
            let kept = live["metadata"].get(*field).cloned();
            set(&mut object["metadata"], field, kept);
        }
        return object;
    }
    if target.subresource == "status" {
        let mut seen = live.clone();
        set(&mut seen, "status", object.get("status").cloned());
        if let Some(books) = object.pointer("/metadata/managedFields") {
            seen["metadata"]["managedFields"] = books.clone();
        }
        return seen;
    }
    if has_status(&target.kind) {
        set(&mut object, "status", live.get("status").cloned());
    }
    object
}

/// Notes who scales an object, which the server does only where somebody owned the replicas before, and without a time.
fn hand_over(scaled: &mut Value, live: &Value, change: &Change<'_>) {
    note_scaler(scaled, live, change);
    let metadata = metadata(scaled);
    if metadata.get("managedFields") == Some(&json!([])) {
        metadata.remove("managedFields");
    }
}

fn note_scaler(scaled: &mut Value, live: &Value, change: &Change<'_>) {
    let has_changed = wanted(scaled) != wanted(live);
    let scaled_to_none = crate::scale::replicas(&change.target.kind, scaled) == 0;
    let Some(books) = scaled.pointer_mut("/metadata/managedFields").and_then(Value::as_array_mut) else {
        return;
    };
    // Of several entries of one manager, the last one is read.
    let identity = |entry: &Value| {
        ["manager", "operation", "apiVersion", "subresource"].map(|field| entry[field].clone())
    };
    let known: Vec<_> = books.iter().map(identity).collect();
    let mut index = 0;
    books.retain(|_| {
        index += 1;
        !known[index..].contains(&known[index - 1])
    });
    let replicas = "/fieldsV1/f:spec/f:replicas";
    let only = json!({"f:spec": {"f:replicas": {}}});
    if !books.iter().any(|entry| entry.pointer(replicas).is_some()) {
        return;
    }
    // Who applied replicas that stay as they are goes on owning them as before.
    let is_taken =
        |entry: &Value| entry.pointer(replicas).is_some() && (has_changed || entry["operation"] != "Apply");
    let owners: Vec<Value> = books.iter().filter(|entry| is_taken(entry)).cloned().collect();
    books.retain(|entry| !is_taken(entry) || entry["fieldsV1"] != only);
    for entry in books.iter_mut().filter(|entry| is_taken(entry)) {
        if let Some(spec) = entry.pointer_mut("/fieldsV1/f:spec").and_then(Value::as_object_mut) {
            spec.remove("f:replicas");
        }
        if entry["fieldsV1"]["f:spec"] == json!({}) {
            entry["fieldsV1"].as_object_mut().and_then(|fields| fields.remove("f:spec"));
        }
        // A set that is owned itself, with nothing of it.
        if entry["fieldsV1"]["f:spec"] == json!({".": {}}) {
            entry["fieldsV1"]["f:spec"] = json!({});
        }
    }
    if !has_changed {
        // What they owned together with other fields, updates own by itself from then on.
        let first = books.iter().position(|entry| entry["operation"] != "Apply").unwrap_or(books.len());
        for mut owner in owners {
            owner["fieldsV1"] = only.clone();
            owner.as_object_mut().and_then(|owner| owner.remove("time"));
            books.insert(first, owner);
        }
        return;
    }
    // A scale has no field for none, so nobody owns that.
    if scaled_to_none {
        return;
    }
    let first = books.iter().position(|entry| entry["operation"] != "Apply").unwrap_or(books.len());
    books.insert(first, json!({"manager": change.manager, "operation": "Update", "apiVersion": change.target.kind.api_version(),
        "fieldsType": "FieldsV1", "fieldsV1": only, "subresource": "scale"}));
}

fn check_uid(change: &Change<'_>, live: &Value, object: &Value) -> Result<(), Refusal> {
    let target = change.target;
    let (wanted, found) = (&object["metadata"]["uid"], &live["metadata"]["uid"]);
    let wanted = wanted.as_str().unwrap_or_default();
    if wanted.is_empty() || found == wanted {
        return Ok(());
    }
    let name = live["metadata"]["name"].as_str().unwrap_or_default();
    let why = format!(
        "StorageError: invalid object, Code: 4, Key: {}, ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: UID in precondition: {wanted}, UID in object meta: {}",
        place(change, name),
        found.as_str().unwrap_or_default()
    );
    Err(Refusal::conflict(target.about(name), &why))
}

/// Where the server keeps an object, as its messages name the place.
fn place(change: &Change<'_>, name: &str) -> String {
    let target = change.target;
    let kind = &target.kind;
    // What is only tried does not come to where the root is put before the key.
    let root = if change.is_dry_run { "" } else { "/registry" };
    let resource = match (kind.group.as_str(), kind.plural.as_str()) {
        ("", "services") => "services/specs".to_owned(),
        ("", "endpoints") => "services/endpoints".to_owned(),
        ("", "nodes") => "minions".to_owned(),
        ("", "replicationcontrollers") => "controllers".to_owned(),
        ("networking.k8s.io", "ingresses") => "ingress".to_owned(),
        ("apiextensions.k8s.io" | "apiregistration.k8s.io", plural) => format!("{}/{plural}", kind.group),
        (group, plural) if kind.custom.is_some() => format!("{group}/{plural}"),
        (_, plural) => plural.to_owned(),
    };
    match &target.namespace {
        Some(namespace) => format!("{root}/{resource}/{namespace}/{name}"),
        None => format!("{root}/{resource}/{name}"),
    }
}

fn check_preconditions(change: &Change<'_>, live: &Value, object: &Value) -> Result<(), Refusal> {
    let target = change.target;
    let name = live["metadata"]["name"].as_str().unwrap_or_default();
    let differs = |field: &str| {
        let wanted = object["metadata"][field].as_str().unwrap_or_default();
        !wanted.is_empty() && live["metadata"][field] != wanted
    };
    check_uid(change, live, object)?;
    if differs("resourceVersion") {
        let why =
            "the object has been modified; please apply your changes to the latest version and try again";
        return Err(Refusal::conflict(target.about(name), why));
    }
    Ok(())
}

pub(crate) fn has_status(kind: &Kind) -> bool {
    kind.subresources.contains("status")
}

pub(crate) fn is_counted(kind: &Kind) -> bool {
    kind.custom.is_some() || crate::fields::start(kind)["counted"] == true
}

/// Whether something still has to be done before the object may go.
pub(crate) fn has_finalizers(object: &Value) -> bool {
    object["metadata"]["finalizers"].as_array().is_some_and(|all| !all.is_empty())
}

/// The metadata of an object, which every object has.
pub(crate) fn metadata(object: &mut Value) -> &mut Map<String, Value> {
    if !object["metadata"].is_object() {
        object["metadata"] = json!({});
    }
    match &mut object["metadata"] {
        Value::Object(metadata) => metadata,
        _ => unreachable!("it was made an object above"),
    }
}

fn remove(object: &mut Value, field: &str) {
    set(object, field, None);
}

fn set(object: &mut Value, field: &str, value: Option<Value>) {
    if let Some(fields) = object.as_object_mut() {
        match value {
            Some(value) => drop(fields.insert(field.to_owned(), value)),
            None => drop(fields.remove(field)),
        }
    }
}

fn keep_metadata(live: &Value, object: &mut Value) {
    let metadata = metadata(object);
    for field in KEPT.into_iter().chain(["resourceVersion", "generation"]) {
        match live["metadata"].get(field) {
            Some(value) => drop(metadata.insert(field.to_owned(), value.clone())),
            None => drop(metadata.remove(field)),
        }
    }
}

/// What an object asks for: all of it that is neither metadata nor status.
pub(crate) fn wanted(object: &Value) -> Vec<(&String, &Value)> {
    let fields = object.as_object().into_iter().flatten();
    fields.filter(|(name, _)| !matches!(name.as_str(), "metadata" | "status" | "apiVersion")).collect()
}

/// Whether two versions of an object differ in nothing but the times in the books.
fn is_same(a: &Value, b: &Value) -> bool {
    is_same_but(a, b, "metadata", |a, b| is_same_but(a, b, "managedFields", are_same_books))
}

/// Whether two values are the same where one field is looked at in a way of its own.
fn is_same_but(a: &Value, b: &Value, field: &str, is_field_same: impl Fn(&Value, &Value) -> bool) -> bool {
    let (Value::Object(one), Value::Object(other)) = (a, b) else { return a == b };
    one.len() == other.len()
        && one.iter().all(|(name, value)| {
            other
                .get(name)
                .is_some_and(|found| if name == field { is_field_same(value, found) } else { value == found })
        })
}

fn are_same_books(a: &Value, b: &Value) -> bool {
    let (Value::Array(one), Value::Array(other)) = (a, b) else { return a == b };
    let are_same_entries = |a: &Value, b: &Value| {
        let (Value::Object(one), Value::Object(other)) = (a, b) else { return a == b };
        let size = |entry: &Map<String, Value>| entry.len() - usize::from(entry.contains_key("time"));
        size(one) == size(other)
            && one.iter().all(|(name, value)| name == "time" || other.get(name) == Some(value))
    };
    one.len() == other.len() && one.iter().zip(other).all(|(a, b)| are_same_entries(a, b))
}
