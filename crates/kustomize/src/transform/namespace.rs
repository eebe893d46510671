//! The namespace of namespaced resources, and the fields of others that name it.

use super::complain;
use super::walk::{Make, Selected, visit};
use crate::config::FieldSpec;
use crate::error::{Error, Place};
use crate::resmap::ResMap;
use crate::resource::{Name, Resource};
use crate::text;
use std::collections::HashMap;
use trueup_model::Value;

/// Which subjects of role bindings get the namespace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Subjects {
    /// Those with the name `default`.
    #[default]
    NamedDefault,
    /// All service accounts.
    AllServiceAccounts,
    /// None.
    Nobody,
}

/// What a namespace transformer does.
#[derive(Clone, Debug)]
pub(crate) struct NamespaceChange {
    pub(crate) namespace: String,
    pub(crate) fields: Vec<FieldSpec>,
    /// Leave a namespace that is there.
    pub(crate) unset_only: bool,
    pub(crate) subjects: Subjects,
}

/// Moves the resources into the namespace.
pub(crate) fn set(resources: &mut ResMap, change: &NamespaceChange, place: &Place, errors: &mut Vec<Error>) {
    if change.namespace.is_empty() {
        return;
    }
    let mut selected = Selected::new(&change.fields);
    for mut resource in resources.each_mut() {
        let generated_by_helm = resource
            .metadata_entry("annotations", "internal.config.kubernetes.io/helm-generated")
            .is_some_and(|value| value == "true");
        if generated_by_helm {
            continue;
        }
        resource.remember();
        if let Err(message) =
            resource.check_names().and_then(|()| set_one(&mut resource, change, &mut selected))
        {
            errors.push(complain(place, &resource, message));
        }
    }
    refuse_conflicts(resources, change, place, errors);
}

/// The same for one resource, without a look at the others.
pub(crate) fn set_alone(resource: &mut Resource, change: &NamespaceChange) -> Result<(), String> {
    set_one(resource, change, &mut Selected::new(&change.fields))
}

fn set_one(
    resource: &mut Resource,
    change: &NamespaceChange,
    selected: &mut Selected<'_>,
) -> Result<(), String> {
    let mut set = |value: &mut Value| write(value, change);
    if !resource.gvk().is_cluster_scoped() {
        let own = FieldSpec::of_all("metadata/namespace", true);
        visit(&mut resource.value, &own, Make::Scalar, &mut set)?;
        resource.untyped.namespace &= change.unset_only;
    }
    let binding = matches!(resource.kind(), "RoleBinding" | "ClusterRoleBinding");
    if binding {
        set_subjects(&mut resource.value, change)?;
    }
    let core = resource.api_version() == "v1";
    for spec in selected.of(resource).iter() {
        let skipped = spec.path == "metadata/namespace"
            || (spec.path == "metadata/name" && !core)
            || (binding
                && spec.path == "subjects/namespace"
                && matches!(spec.gvk.kind.as_str(), "RoleBinding" | "ClusterRoleBinding"));
        if !skipped {
            visit(&mut resource.value, spec, Make::Scalar, &mut set)?;
            if spec.path == "metadata/name" {
                resource.untyped.name = Name::Text;
            }
        }
    }
    Ok(())
}

fn write(value: &mut Value, change: &NamespaceChange) -> Result<(), String> {
    let written =
        text::of(value).ok_or_else(|| "a namespace must be a text, not a list or a mapping".to_owned())?;
    if change.unset_only && !value.is_null() && !written.is_empty() {
        return Ok(());
    }
    *value = Value::String(change.namespace.clone());
    Ok(())
}

fn set_subjects(object: &mut Value, change: &NamespaceChange) -> Result<(), String> {
    let (field, wanted) = match change.subjects {
        Subjects::Nobody => return Ok(()),
        Subjects::NamedDefault => ("name", "default"),
        Subjects::AllServiceAccounts => ("kind", "ServiceAccount"),
    };
    let subjects = match object.get_mut("subjects") {
        None | Some(Value::Null) => return Ok(()),
        Some(Value::Array(subjects)) => subjects,
        Some(_) => return Err("subjects must be a list".to_owned()),
    };
    for subject in subjects {
        let Value::Object(subject) = subject else { continue };
        if text::or_empty(subject.get(field)) == wanted {
            write(subject.entry("namespace").or_insert(Value::Null), change)?;
        }
    }
    Ok(())
}

/// Two resources of one name that were in different namespaces cannot be in the same one.
fn refuse_conflicts(resources: &ResMap, change: &NamespaceChange, place: &Place, errors: &mut Vec<Error>) {
    let mut seen: HashMap<u64, Vec<usize>> = HashMap::with_capacity(resources.len());
    for (position, resource) in resources.iter().enumerate() {
        let id = resource.id();
        let others = seen.entry(id.key()).or_default();
        if let Some(other) = others.iter().map(|at| resources.get(*at)).find(|other| other.id() == id) {
            let message = format!(
                "{} has the same name, so both cannot be in the namespace {}; rename one",
                other.origin, change.namespace
            );
            errors.push(complain(place, resource, message));
        }
        others.push(position);
    }
}
