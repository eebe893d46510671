//! Brings the fields that name other resources in line with what those are called now.
//!
//! Runs once, at the end of the build, over all resources. Each field finds its candidates through an
//! index of earlier names, so the work grows with the number of fields and not with that of resources.
//!
//! Source: kustomize 5.8, `api/filters/nameref`.

use crate::config::{Config, FieldSpec};
use crate::error::{Error, Place};
use crate::id::{self, DEFAULT_NAMESPACE, Gvk, GvkRef, NO_NAMESPACE};
use crate::resmap::ResMap;
use crate::resource::Resource;
use crate::text;
use crate::transform::complain;
use crate::transform::walk::{Make, visit};
use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;
use trueup_model::Value;

/// Updates all references. Errors name the resource that refers.
pub(crate) fn update(resources: &mut ResMap, config: &Config, errors: &mut Vec<Error>) {
    let index = Index::new(resources);
    let mut tables = Tables { config, kinds: Vec::new() };
    let list = resources.all_mut();
    for position in 0..list.len() {
        let fields = tables.of(&list[position]);
        if fields.is_empty() {
            continue;
        }
        let mut value = std::mem::take(&mut list[position].value);
        let was_folded = value.is_folded();
        let result = Referrer::new(position, &value, list, &index).and_then(|referrer| {
            fields.iter().try_for_each(|(target, field)| referrer.update(&mut value, target, field))
        });
        if was_folded {
            value.fold();
        }
        list[position].value = value;
        if let Err(message) = result {
            let resource = &list[position];
            let place = Place::new(resource.origin.path.clone(), resource.origin.line);
            errors.push(complain(&place, resource, message));
        }
    }
}

type Fields<'c> = Rc<[(&'c Gvk, &'c FieldSpec)]>;

/// The fields to look at, remembered for each kind.
struct Tables<'c> {
    config: &'c Config,
    kinds: Vec<(String, String, Fields<'c>)>,
}

impl<'c> Tables<'c> {
    fn of(&mut self, resource: &Resource) -> Fields<'c> {
        let gvk = resource.original_id().gvk;
        let version = resource.api_version();
        if let Some((.., fields)) =
            self.kinds.iter().rev().find(|(known, kind, _)| known == version && kind == gvk.kind)
        {
            return Rc::clone(fields);
        }
        let fields: Fields<'c> = self
            .config
            .names
            .iter()
            .flat_map(|names| names.fields.iter().map(move |field| (&names.target, field)))
            .filter(|(_, field)| field.gvk.selects(gvk))
            .collect();
        self.kinds.push((version.to_owned(), gvk.kind.to_owned(), Rc::clone(&fields)));
        fields
    }
}

/// A resource as others refer to it.
struct Known {
    api_version: String,
    kind: String,
    name: String,
    /// As written.
    written: String,
    /// The one that counts.
    namespace: String,
}

impl Known {
    fn new(resource: &Resource) -> Self {
        Self {
            api_version: resource.api_version().to_owned(),
            kind: resource.kind().to_owned(),
            name: resource.name().to_owned(),
            written: resource.namespace().to_owned(),
            namespace: resource.id().namespace.to_owned(),
        }
    }

    /// True when the resource was of a kind that `target` selects.
    fn was(&self, resource: &Resource, target: &Gvk) -> bool {
        let (group, version) = id::group_version(&self.api_version);
        resource.previous.iter().any(|was| target.selects(GvkRef { group, version, kind: &was.kind }))
    }
}

/// All resources that were ever renamed or moved, by their earlier names.
struct Index {
    known: HashMap<usize, Known>,
    by_name: HashMap<String, Vec<usize>>,
    /// For each first namespace the present ones (that counts, as written) of the resources from it.
    by_first_namespace: HashMap<String, BTreeSet<(String, String)>>,
}

impl Index {
    fn new(resources: &ResMap) -> Self {
        let mut index =
            Self { known: HashMap::new(), by_name: HashMap::new(), by_first_namespace: HashMap::new() };
        for (position, resource) in resources.iter().enumerate() {
            let first = resource.original_id().namespace;
            if !index.by_first_namespace.get(first).is_some_and(|present| {
                present.iter().any(|(counts, written)| {
                    counts == resource.id().namespace && written == resource.namespace()
                })
            }) {
                let present = (resource.id().namespace.to_owned(), resource.namespace().to_owned());
                index.by_first_namespace.entry(first.to_owned()).or_default().insert(present);
            }
            if resource.previous.is_empty() {
                continue;
            }
            index.known.insert(position, Known::new(resource));
            let mut names: Vec<&str> = resource.previous.iter().map(|was| was.name.as_str()).collect();
            names.sort_unstable();
            names.dedup();
            for name in names {
                match index.by_name.get_mut(name) {
                    Some(positions) => positions.push(position),
                    None => {
                        index.by_name.insert(name.to_owned(), vec![position]);
                    }
                }
            }
        }
        index
    }
}

/// The resource whose fields are being updated. Its value is elsewhere meanwhile.
struct Referrer<'r> {
    list: &'r [Resource],
    index: &'r Index,
    position: usize,
    /// The namespace that counts.
    namespace: String,
    /// Namespaces of the service accounts that a role binding is about.
    subjects: BTreeSet<String>,
    role: Option<Gvk>,
}

/// Which candidates are as good as one.
#[derive(Clone, Copy)]
enum Same {
    Name,
    NameAndNamespace,
}

impl<'r> Referrer<'r> {
    fn new(position: usize, value: &Value, list: &'r [Resource], index: &'r Index) -> Result<Self, String> {
        let part = |field: &str| value.get(field).and_then(Value::as_str).unwrap_or_default();
        let (group, version) = id::group_version(part("apiVersion"));
        let gvk = GvkRef { group, version, kind: part("kind") };
        let written = text::or_empty(value.get("metadata").and_then(|metadata| metadata.get("namespace")));
        let namespace = if gvk.is_cluster_scoped() { NO_NAMESPACE } else { id::or_default(&written) };
        let subjects = if gvk.kind == "RoleBinding" && namespace != NO_NAMESPACE {
            subject_namespaces(value)?
        } else {
            BTreeSet::new()
        };
        Ok(Self { list, index, position, namespace: namespace.to_owned(), subjects, role: role(value) })
    }

    fn is_cluster_scoped(&self) -> bool {
        self.namespace == NO_NAMESPACE
    }

    fn update(&self, value: &mut Value, target: &Gvk, field: &FieldSpec) -> Result<(), String> {
        let mut set = |value: &mut Value| match value {
            Value::Array(items) => items.iter_mut().try_for_each(|item| match item {
                Value::Array(_) => Err("a name in a list must be a text or a mapping".to_owned()),
                item => self.set(item, target, field),
            }),
            value => self.set(value, target, field),
        };
        visit(value, field, Make::Nothing, &mut set)
    }

    fn set(&self, value: &mut Value, target: &Gvk, field: &FieldSpec) -> Result<(), String> {
        match value {
            Value::Null | Value::Array(_) => Ok(()),
            Value::Object(reference) => {
                let name = reference.get("name").ok_or("the reference has no name")?;
                let old = text::or_empty(Some(name)).into_owned();
                let namespace = reference.get("namespace").map(|namespace| text::or_empty(Some(namespace)));
                let Some(found) =
                    self.find(&old, target, field, namespace.as_deref(), Same::NameAndNamespace)?
                else {
                    return Ok(());
                };
                reference.insert("name".to_owned(), found.name.clone().into());
                if !found.written.is_empty() {
                    reference.insert("namespace".to_owned(), found.written.clone().into());
                }
                Ok(())
            }
            Value::Bool(_) | Value::Number(_) | Value::String(_) => {
                let old = text::or_empty(Some(value)).into_owned();
                if let Some(found) = self.find(&old, target, field, None, Same::Name)?
                    && found.name != old
                {
                    // What is written keeps no type but its quotes.
                    let quoted = !text::plain(&old).is_string() && value.is_string();
                    *value =
                        if quoted { Value::String(found.name.clone()) } else { text::plain(&found.name) };
                }
                Ok(())
            }
        }
    }

    /// The one resource that is meant by an old name.
    fn find(
        &self,
        old: &str,
        target: &Gvk,
        field: &FieldSpec,
        namespace: Option<&str>,
        same: Same,
    ) -> Result<Option<&'r Known>, String> {
        let Some(positions) = self.index.by_name.get(old) else { return Ok(None) };
        let role = self.role.as_ref().filter(|_| field.path.ends_with("roleRef/name"));
        let by_first = namespace.map(|namespace| (namespace, self.has_from(namespace)));
        let mut candidates: Vec<(&Resource, &Known)> = positions
            .iter()
            .filter_map(|position| Some((&self.list[*position], self.index.known.get(position)?)))
            .filter(|(resource, known)| {
                self.may_refer_to(known)
                    && by_first.is_none_or(|by_first| is_from(resource, known, by_first))
                    && known.was(resource, target)
                    && role.is_none_or(|role| known.was(resource, role))
                    && self.is_near(known)
            })
            .collect();
        if let [(_, known)] = candidates.as_slice() {
            return Ok(Some(known));
        }
        let referrer = &self.list[self.position];
        candidates.retain(|(resource, _)| resource.may_share_affixes(referrer));
        if candidates.len() > 1 {
            candidates.retain(|(resource, _)| resource.shares_affixes(referrer));
        }
        let Some((_, first)) = candidates.first() else { return Ok(None) };
        let agree = candidates.iter().all(|(_, known)| match same {
            Same::Name => known.name == first.name,
            Same::NameAndNamespace => known.name == first.name && known.written == first.written,
        });
        if agree {
            return Ok(Some(first));
        }
        let names: Vec<String> = candidates
            .iter()
            .map(|(_, known)| format!("{} {}/{}", known.kind, known.namespace, known.name))
            .collect();
        Err(format!("{old:?} may mean each of {}; name them differently", names.join(", ")))
    }

    /// A resource refers to what is in its namespace or in none; a role binding also to its subjects.
    fn may_refer_to(&self, known: &Known) -> bool {
        self.is_cluster_scoped() || self.reaches(&known.namespace, &known.written)
    }

    fn reaches(&self, namespace: &str, written: &str) -> bool {
        namespace == NO_NAMESPACE || namespace == self.namespace || self.subjects.contains(written)
    }

    fn is_near(&self, known: &Known) -> bool {
        self.is_cluster_scoped()
            || known.namespace == NO_NAMESPACE
            || known.kind == "ServiceAccount"
            || known.namespace == self.namespace
    }

    /// True when something that may be referred to was in the namespace at first.
    fn has_from(&self, namespace: &str) -> bool {
        namespace != NO_NAMESPACE
            && self.index.by_first_namespace.get(namespace).is_some_and(|present| {
                self.is_cluster_scoped()
                    || present.iter().any(|(counts, written)| self.reaches(counts, written))
            })
    }
}

/// True when the resource was at first, or where none was, is now in the namespace.
fn is_from(resource: &Resource, known: &Known, (namespace, by_first): (&str, bool)) -> bool {
    let present = known.namespace.as_str();
    let from =
        if by_first { resource.previous.first().map_or(present, |was| &was.namespace) } else { present };
    from == namespace && from != NO_NAMESPACE
}

fn role(value: &Value) -> Option<Gvk> {
    let role = value.get("roleRef")?;
    let part = |field: &str| role.get(field).and_then(text::of).map(std::borrow::Cow::into_owned);
    Some(Gvk { group: part("apiGroup")?, version: String::new(), kind: part("kind")? })
}

fn subject_namespaces(value: &Value) -> Result<BTreeSet<String>, String> {
    let mut namespaces = BTreeSet::new();
    for subject in value.get("subjects").and_then(Value::as_array).into_iter().flatten() {
        let is_account = subject.get("kind").and_then(Value::as_str) == Some("ServiceAccount");
        match subject.get("namespace").filter(|_| is_account) {
            None => {}
            Some(Value::String(namespace)) => {
                namespaces.insert(namespace.clone());
            }
            Some(_) => {
                return Err(format!(
                    "the namespace of a subject is blank; write it or leave the field out, {DEFAULT_NAMESPACE} is meant then"
                ));
            }
        }
    }
    Ok(namespaces)
}
