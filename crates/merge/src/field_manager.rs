//! The API server's field manager: what an apply or a write makes of an object and of its `metadata.managedFields`.
//!
//! Enters: the live object, what is applied or written, the manager's name and the time. Leaves: the object as it is to be
//! stored, or the conflicts as the API server words them. Absent: defaulting, validation and storage, which come after.
//!
//! Source: k8s.io/apimachinery `pkg/util/managedfields`.

use crate::fields::{FieldSet, FieldsError};
use crate::structured::schema::{Schema, TypeRef};
use crate::structured::update::{Force, Managers, Owned, UpdateError, Updater, Versions};
use crate::structured::{Duplicates, Typed, ValidationErrors, readable_path};
use std::collections::BTreeMap;
use trueup_model::Value;

/// More entries of updates than these are merged into one, the oldest first.
const UPDATERS: usize = 10;
const ANCIENT: &str = "ancient-changes";
const BEFORE_FIRST_APPLY: &str = "before-first-apply";
/// The annotation in which client-side apply keeps what it applied last.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Keeps the books of objects of one kind in one API version.
pub struct FieldManager<'m, 's> {
    /// The schema that the objects have.
    pub schema: &'s Schema,
    /// Their type in it.
    pub type_ref: &'s TypeRef,
    /// The API version that is written in: `apps/v1`.
    pub api_version: &'m str,
    /// `status` or `scale`; empty for the object itself.
    pub subresource: &'m str,
    /// The conversion to the versions that other managers wrote in.
    pub versions: &'m dyn Versions<'s>,
    /// Fields that this endpoint does not write, by API version.
    pub ignored: &'m BTreeMap<String, FieldSet>,
    /// Gives an object in which nothing was written: what its type shows of itself belongs to nobody.
    pub nothing: &'m dyn Fn() -> Value,
}

/// Who does it and when.
#[derive(Clone, Copy, Debug)]
pub struct Act<'a> {
    /// The name of the manager.
    pub manager: &'a str,
    /// The time, as RFC 3339 in whole seconds.
    pub now: &'a str,
}

/// Why an apply came to nothing.
#[derive(Debug, thiserror::Error, PartialEq)]
pub enum ApplyError {
    /// Others own fields that it would change.
    #[error("{}", conflict_message(.0))]
    Conflicts(Vec<Conflict>),
    /// What is applied does not conform to the schema.
    #[error("failed to create typed patch object ({object}): {errors}")]
    Patch {
        /// Namespace, name and kind.
        object: String,
        /// What does not conform.
        errors: ValidationErrors,
    },
    /// What is there does not.
    #[error("failed to create typed live object ({object}): {errors}")]
    Live {
        /// Namespace, name and kind.
        object: String,
        /// What does not conform.
        errors: ValidationErrors,
    },
    /// The books cannot be read.
    #[error("failed to decode managed fields: {0}")]
    Books(String),
    /// What is applied brings books of its own.
    #[error("metadata.managedFields must be nil")]
    BringsBooks,
    /// The merge itself.
    #[error(transparent)]
    Merge(UpdateError),
}

/// One field that another manager owns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// The manager, as messages name it: `"kubectl" using v1 at 2026-01-01T00:00:00Z`.
    pub manager: String,
    /// The field: `.spec.replicas`.
    pub field: String,
}

fn conflict_message(conflicts: &[Conflict]) -> String {
    if let [one] = conflicts {
        return format!("Apply failed with 1 conflict: conflict with {}: {}", one.manager, one.field);
    }
    let mut by_manager: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for conflict in conflicts {
        by_manager.entry(&conflict.manager).or_default().push(&conflict.field);
    }
    let told: Vec<String> = by_manager
        .iter()
        .map(|(manager, fields)| {
            let fields: String = fields.iter().flat_map(|field| ["\n- ", field]).collect();
            format!("conflicts with {manager}:{fields}")
        })
        .collect();
    format!("Apply failed with {} conflicts: {}", conflicts.len(), told.join("\n"))
}

impl<'s> FieldManager<'_, 's> {
    /// The object after `config` was applied to `live`, which for a new object is one with only kind and name.
    pub fn apply(
        &self,
        live: &Value,
        config: &Value,
        act: Act<'_>,
        force: Force,
    ) -> Result<Value, ApplyError> {
        if config.pointer("/metadata/managedFields").is_some_and(|books| !books.is_null()) {
            return Err(ApplyError::BringsBooks);
        }
        let books = Books::read(live).map_err(ApplyError::Books)?;
        let applied = self.applied(live, config, &books, act, force);
        match applied {
            // kubectl's first server-side apply takes over what its client-side apply left, without being told to.
            Err(ApplyError::Merge(UpdateError::Conflicts(sets))) => {
                let allowed = (act.manager == "kubectl").then(|| self.last_applied_set(live)).flatten();
                let allowed = allowed.unwrap_or_default();
                let sets: BTreeMap<String, FieldSet> = sets
                    .into_iter()
                    .map(|(manager, set)| (manager, set.difference(&allowed)))
                    .filter(|(_, set)| !set.is_empty())
                    .collect();
                if sets.is_empty() {
                    self.applied(live, config, &books, act, Force::Yes)
                } else {
                    Err(ApplyError::Conflicts(conflicts(&sets)))
                }
            }
            other => other,
        }
    }

    fn applied(
        &self,
        live: &Value,
        config: &Value,
        books: &Books,
        act: Act<'_>,
        force: Force,
    ) -> Result<Value, ApplyError> {
        let object = || described(config);
        let patch = self
            .typed(config.clone(), Duplicates::Refused)
            .map_err(|errors| ApplyError::Patch { object: object(), errors })?;
        let typed_live = self
            .typed(without_books(live), Duplicates::Allowed)
            .map_err(|errors| ApplyError::Live { object: described(live), errors })?;
        let first;
        let books = if books.managers.is_empty() {
            let act = Act { manager: BEFORE_FIRST_APPLY, ..act };
            let nothing = self
                .typed((self.nothing)(), Duplicates::Allowed)
                .map_err(|errors| ApplyError::Merge(errors.into()))?;
            first = self.updated(&nothing, &typed_live, books.clone(), act).map_err(ApplyError::Merge)?;
            &first
        } else {
            books
        };
        let manager = identifier(act.manager, Operation::Apply, "", self.subresource);
        let updater = Updater { versions: self.versions, ignored: self.ignored };
        let (after, mut managers) = updater
            .apply(&typed_live, &patch, self.api_version, &books.managers, &manager, force)
            .map_err(ApplyError::Merge)?;
        strip(&mut managers, &manager);
        let mut books = Books { managers, times: books.times.clone() };
        let mut object = match after {
            Some(after) => {
                books.times.insert(manager, act.now.to_owned());
                after.into_value()
            }
            None => typed_live.into_value(),
        };
        if act.manager == "kubectl" {
            renew_last_applied(&mut object, config);
        }
        books.write(&mut object);
        Ok(object)
    }

    /// The object with its books after `new` was written over `live`; `live` has no uid for an object that is created.
    pub fn update(&self, live: &Value, new: &Value, act: Act<'_>) -> Value {
        let books = if self.subresource.is_empty() { Books::of_update(live, new) } else { Books::read(live) };
        let books = books.unwrap_or_default();
        let is_new = live.pointer("/metadata/uid").and_then(Value::as_str).is_none_or(str::is_empty);
        // An object whose books were wiped goes on without.
        if books.managers.is_empty() && !is_new {
            return without_books(new);
        }
        let typed_live = self.typed(without_books(live), Duplicates::Allowed);
        let (Ok(live), Ok(object)) = (typed_live, self.typed(without_books(new), Duplicates::Allowed)) else {
            return without_books(new);
        };
        let books = self.updated(&live, &object, books, act);
        let mut object = object.into_value();
        if let Ok(mut books) = books {
            books.cap();
            books.write(&mut object);
        }
        object
    }

    fn updated(
        &self,
        live: &Typed<'s>,
        new: &Typed<'s>,
        books: Books,
        act: Act<'_>,
    ) -> Result<Books, UpdateError> {
        const SELF: &str = "current-operation";
        let updater = Updater { versions: self.versions, ignored: self.ignored };
        let mut managers = updater.update(live, new, self.api_version, &books.managers, SELF)?;
        strip(&mut managers, SELF);
        let mut times = books.times;
        if let Some(mut owned) = managers.remove(SELF) {
            let manager = identifier(act.manager, Operation::Update, self.api_version, self.subresource);
            if let Some(before) = managers.get(&manager) {
                owned.set.add(&before.set);
            }
            times.insert(manager.clone(), act.now.to_owned());
            managers.insert(manager, owned);
        }
        Ok(Books { managers, times })
    }

    fn typed(&self, object: Value, duplicates: Duplicates) -> Result<Typed<'s>, ValidationErrors> {
        Typed::new(object, self.schema, self.type_ref, duplicates)
    }

    /// What client-side apply owns as far as nobody has changed it since.
    fn last_applied_set(&self, live: &Value) -> Option<FieldSet> {
        let annotation = live.get("metadata")?.get("annotations")?.get(LAST_APPLIED)?.as_str()?;
        let last: Value = serde_json::from_str(annotation).ok()?;
        if last.get("apiVersion").and_then(Value::as_str) != Some(self.api_version) {
            return None;
        }
        let last = self.typed(last, Duplicates::Refused).ok()?;
        let live = self.typed(without_books(live), Duplicates::Refused).ok()?;
        let change = last.compare(&live).ok()?;
        let set = last.field_set().ok()?;
        Some(set.difference(&change.modified).difference(&change.added).difference(&change.removed))
    }
}

/// The managers' entries, and when each last changed something.
#[derive(Clone, Debug, Default)]
struct Books {
    managers: Managers,
    times: BTreeMap<String, String>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Operation {
    Apply,
    Update,
}

/// What the entries of books are sorted by.
fn place<'e>((time, id, owned): &'e (&str, Value, &Owned)) -> (bool, &'e str, &'e str, &'e str, &'e str) {
    (!owned.applied, time, part(id, "manager"), &owned.version, part(id, "subresource"))
}

/// What tells one entry from another.
fn identifier(manager: &str, operation: Operation, api_version: &str, subresource: &str) -> String {
    let manager = if manager.is_empty() { "unknown" } else { manager };
    let mut text = format!("{{\"manager\":{}", Value::from(manager));
    text += match operation {
        Operation::Apply => ",\"operation\":\"Apply\"",
        Operation::Update => ",\"operation\":\"Update\"",
    };
    for (name, value) in [("apiVersion", api_version), ("subresource", subresource)] {
        if !value.is_empty() {
            text.extend([",\"", name, "\":", &Value::from(value).to_string()]);
        }
    }
    text + "}"
}

fn part<'v>(value: &'v Value, name: &str) -> &'v str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

impl Books {
    fn read(object: &Value) -> Result<Self, String> {
        let mut books = Self::default();
        let entries = object.pointer("/metadata/managedFields").and_then(Value::as_array);
        for entry in entries.into_iter().flatten() {
            let operation = match part(entry, "operation") {
                "Apply" => Operation::Apply,
                "Update" => Operation::Update,
                _ => return Err("operation must be `Apply` or `Update`".to_owned()),
            };
            let version = part(entry, "apiVersion");
            if version.is_empty() {
                return Err("apiVersion must not be empty".to_owned());
            }
            let set = match entry.get("fieldsV1") {
                Some(fields) => FieldSet::parse(fields).map_err(|error: FieldsError| error.to_string())?,
                None => FieldSet::default(),
            };
            let in_name = if operation == Operation::Apply { "" } else { version };
            let id = identifier(part(entry, "manager"), operation, in_name, part(entry, "subresource"));
            if let Some(time) = entry.get("time").and_then(Value::as_str) {
                books.times.insert(id.clone(), time.to_owned());
            }
            let applied = operation == Operation::Apply;
            books.managers.insert(id, Owned { set, version: version.to_owned(), applied });
        }
        Ok(books)
    }

    /// The books that an update starts from: its own, when it brings some that can be read; none, when it resets them.
    fn of_update(live: &Value, new: &Value) -> Result<Self, String> {
        let brought = new.pointer("/metadata/managedFields").and_then(Value::as_array);
        let is_empty = |entry: &Value| entry.as_object().is_some_and(serde_json::Map::is_empty);
        if brought
            .is_some_and(|entries| entries.is_empty() || entries.len() == 1 && entries.iter().all(is_empty))
        {
            return Ok(Self::default());
        }
        match Self::read(new) {
            Ok(books) if !books.managers.is_empty() => Ok(books),
            Ok(_) | Err(_) => Self::read(live),
        }
    }

    fn write(&self, object: &mut Value) {
        let mut entries: Vec<(&str, Value, &Owned)> = self
            .managers
            .iter()
            .map(|(id, owned)| {
                let time = self.times.get(id).map_or("", String::as_str);
                (time, serde_json::from_str(id).unwrap_or_default(), owned)
            })
            .collect();
        entries.sort_by(|one, other| place(one).cmp(&place(other)));
        let entries: Vec<Value> = entries
            .into_iter()
            .map(|(time, mut entry, owned)| {
                entry["apiVersion"] = owned.version.clone().into();
                entry["fieldsType"] = "FieldsV1".into();
                entry["fieldsV1"] = owned.set.to_json();
                if !time.is_empty() {
                    entry["time"] = time.into();
                }
                entry
            })
            .collect();
        if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut)
            && !entries.is_empty()
        {
            metadata.insert("managedFields".to_owned(), entries.into());
        }
    }

    /// Merges the oldest entries of updates when there are too many.
    fn cap(&mut self) {
        let mut updaters: Vec<String> =
            self.managers.iter().filter(|(_, owned)| !owned.applied).map(|(id, _)| id.clone()).collect();
        let mut left = updaters.len();
        updaters.sort_by_key(|id| (self.times.get(id).cloned(), id.clone()));
        let mut first_of: BTreeMap<String, String> = BTreeMap::new();
        for id in updaters {
            if left <= UPDATERS {
                return;
            }
            let Some(version) = self.managers.get(&id).map(|owned| owned.version.clone()) else { continue };
            let Some(first) = first_of.get(&version) else {
                first_of.insert(version, id);
                continue;
            };
            let bucket = identifier(ANCIENT, Operation::Update, &version, "");
            if !self.managers.contains_key(&bucket)
                && let Some(owned) = self.managers.remove(first)
            {
                self.managers.insert(bucket.clone(), owned);
            }
            if let Some(owned) = self.managers.remove(&id)
                && let Some(into) = self.managers.get_mut(&bucket)
            {
                into.set.add(&owned.set);
                left -= 1;
            }
            if let Some(time) = self.times.get(&id).cloned() {
                self.times.insert(bucket, time);
            }
        }
    }
}

/// Nobody owns what tells one object from another, or what the server keeps there.
fn strip(managers: &mut Managers, manager: &str) {
    let Some(owned) = managers.get_mut(manager) else { return };
    for field in ["apiVersion", "kind", "metadata"] {
        clear(&mut owned.set, &[field]);
    }
    for field in [
        "name",
        "namespace",
        "creationTimestamp",
        "selfLink",
        "uid",
        "clusterName",
        "generation",
        "managedFields",
        "resourceVersion",
    ] {
        clear(&mut owned.set, &["metadata", field]);
    }
    if owned.set.is_empty() {
        managers.remove(manager);
    }
}

/// Takes one path out of a set, and leaves what is below it.
fn clear(set: &mut FieldSet, path: &[&str]) {
    let Some((first, rest)) = path.split_first() else {
        set.member = false;
        return;
    };
    let element = format!("f:{first}");
    if let Some(below) = set.children.get_mut(&element) {
        clear(below, rest);
        if below.is_empty() {
            set.children.remove(&element);
        }
    }
}

fn conflicts(sets: &BTreeMap<String, FieldSet>) -> Vec<Conflict> {
    let mut found = Vec::new();
    for (id, set) in sets {
        let entry: Value = serde_json::from_str(id).unwrap_or_default();
        let mut manager = Value::from(part(&entry, "manager")).to_string();
        if entry.get("subresource").is_some() {
            manager.extend([" with subresource ", &Value::from(part(&entry, "subresource")).to_string()]);
        }
        if part(&entry, "operation") == "Update" {
            manager.extend([" using ", part(&entry, "apiVersion")]);
        }
        let fields = members(set);
        found.extend(fields.into_iter().map(|field| Conflict { manager: manager.clone(), field }));
    }
    found
}

fn members(set: &FieldSet) -> Vec<String> {
    fn walk(set: &FieldSet, path: &mut Vec<String>, found: &mut Vec<String>) {
        // The server tells the members of each level before what lies below them.
        for (element, _) in set.children.iter().filter(|(_, below)| below.member) {
            path.push(element.clone());
            found.push(readable_path(path));
            path.pop();
        }
        for (element, below) in &set.children {
            path.push(element.clone());
            walk(below, path, found);
            path.pop();
        }
    }
    let mut found = Vec::new();
    walk(set, &mut Vec::new(), &mut found);
    found
}

fn without_books(object: &Value) -> Value {
    let Value::Object(fields) = object else { return object.clone() };
    // The books are not even copied: they are often the larger part of an object.
    let without = |(name, value): (&String, &Value)| {
        let value = match value {
            Value::Object(metadata) if name == "metadata" => {
                let kept = metadata.iter().filter(|(name, _)| *name != "managedFields");
                Value::Object(kept.map(|(name, value)| (name.clone(), value.clone())).collect())
            }
            other => other.clone(),
        };
        (name.clone(), value)
    };
    Value::Object(fields.iter().map(without).collect())
}

fn described(object: &Value) -> String {
    let metadata = object.get("metadata").unwrap_or(&Value::Null);
    let (namespace, name) = (part(metadata, "namespace"), part(metadata, "name"));
    let api_version = part(object, "apiVersion");
    // The core's group has no name, and its place is left empty.
    let group = if api_version.contains('/') { "" } else { "/" };
    format!("{namespace}/{name}; {group}{api_version}, Kind={}", part(object, "kind"))
}

/// Writes what was applied into client-side apply's annotation, where there is one.
fn renew_last_applied(object: &mut Value, config: &Value) {
    let annotation = object
        .get_mut("metadata")
        .and_then(|metadata| metadata.get_mut("annotations"))
        .and_then(|annotations| annotations.get_mut(LAST_APPLIED))
        .filter(|text| text.as_str().is_some_and(|text| !text.is_empty()));
    if let Some(annotation) = annotation {
        let mut config = config.clone();
        if let Some(annotations) = config.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut)
        {
            annotations.remove(LAST_APPLIED);
        }
        *annotation = format!("{config}\n").into();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::structured::update::OneVersion;
    use serde_json::json;

    fn manage<T>(act: impl FnOnce(&FieldManager<'_, '_>) -> T) -> T {
        let schema = Schema::new(BTreeMap::new());
        let type_ref = TypeRef::named(crate::structured::schema::DEDUCED);
        act(&FieldManager {
            schema: &schema,
            type_ref: &type_ref,
            api_version: "v1",
            subresource: "",
            versions: &OneVersion,
            ignored: &BTreeMap::new(),
            nothing: &|| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {}}),
        })
    }

    /// An object of the kind with nothing in it.
    fn bare(of: &Value) -> Value {
        json!({"apiVersion": part(of, "apiVersion"), "kind": part(of, "kind"), "metadata": {}})
    }

    fn config_map(data: &Value) -> Value {
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": data})
    }

    #[test]
    fn a_field_that_is_no_longer_applied_goes_and_one_of_another_manager_is_a_conflict() {
        let act = |manager: &'static str| Act { manager, now: "2026-01-01T00:00:00Z" };
        let first = config_map(&json!({"a": "1", "b": "1"}));
        let stored = manage(|m| m.apply(&bare(&first), &first, act("one"), Force::No)).unwrap();
        let stored =
            manage(|m| m.apply(&stored, &config_map(&json!({"a": "1"})), act("one"), Force::No)).unwrap();
        assert_eq!(stored["data"], json!({"a": "1"}));
        let error =
            manage(|m| m.apply(&stored, &config_map(&json!({"a": "2"})), act("two"), Force::No)).unwrap_err();
        assert_eq!(error.to_string(), "Apply failed with 1 conflict: conflict with \"one\": .data.a");
        let stored =
            manage(|m| m.apply(&stored, &config_map(&json!({"a": "2"})), act("two"), Force::Yes)).unwrap();
        // In a schema that knows nothing, the object around a field is owned too.
        let entry = |manager: &str, fields: &Value| {
            json!({"manager": manager, "operation": "Apply", "apiVersion": "v1", "time": "2026-01-01T00:00:00Z",
                "fieldsType": "FieldsV1", "fieldsV1": {"f:data": fields}})
        };
        assert_eq!(
            stored["metadata"]["managedFields"],
            json!([entry("one", &json!({})), entry("two", &json!({".": {}, "f:a": {}}))])
        );
    }

    #[test]
    fn what_was_there_before_the_first_apply_belongs_to_whoever_wrote_it() {
        let act = |manager: &'static str| Act { manager, now: "2026-01-01T00:00:00Z" };
        let live = config_map(&json!({"a": "1"}));
        let applied = config_map(&json!({"b": "1"}));
        let stored = manage(|m| m.apply(&live, &applied, act("one"), Force::No)).unwrap();
        let managers: Vec<&str> = stored["metadata"]["managedFields"]
            .as_array()
            .unwrap()
            .iter()
            .map(|entry| part(entry, "manager"))
            .collect();
        assert_eq!(managers, ["one", BEFORE_FIRST_APPLY]);
    }
}
