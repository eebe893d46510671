//! The order of the output: as the files name the resources, or by kind as kustomize did it once.

use crate::error::{Error, Place};
use crate::id::GvkRef;
use crate::model::{LegacyOrder, SortOptions};
use crate::resmap::ResMap;
use crate::resource::Resource;
use std::cmp::Ordering;
use std::collections::HashMap;

const FIRST: &[&str] = &[
    "Namespace",
    "ResourceQuota",
    "StorageClass",
    "CustomResourceDefinition",
    "ServiceAccount",
    "PodSecurityPolicy",
    "Role",
    "ClusterRole",
    "RoleBinding",
    "ClusterRoleBinding",
    "ConfigMap",
    "Secret",
    "Endpoints",
    "Service",
    "LimitRange",
    "PriorityClass",
    "PersistentVolume",
    "PersistentVolumeClaim",
    "Deployment",
    "StatefulSet",
    "CronJob",
    "PodDisruptionBudget",
];

const LAST: &[&str] = &["MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"];

/// Where a kind stands in the default order: below zero for the first, above for the last.
pub(crate) fn kind_order(kind: &str) -> isize {
    position(kind, FIRST, LAST)
}

fn position<S: AsRef<str>>(kind: &str, first: &[S], last: &[S]) -> isize {
    // A kind in both lists stands where the second one says, and the last mention counts.
    let find = |list: &[S]| list.iter().rposition(|name| name.as_ref() == kind);
    let signed = |index: usize| isize::try_from(index).unwrap_or(isize::MAX);
    match (find(last), find(first)) {
        (Some(index), _) => signed(index) + 1,
        (None, Some(index)) => signed(index) - signed(first.len()),
        (None, None) => 0,
    }
}

/// What is there twice in the end, by the identity that counts.
pub(crate) fn doubled(resources: &ResMap) -> Option<String> {
    let mut seen = HashMap::with_capacity(resources.len());
    for (position, resource) in resources.iter().enumerate() {
        let id = resource.id();
        let first = *seen.entry(id.key()).or_insert(position);
        if first != position && resources.get(first).id() == id {
            return Some(id.to_string());
        }
    }
    None
}

/// Puts the resources in the order that `options` ask for.
pub(crate) fn sort(resources: &mut ResMap, options: &SortOptions, place: &Place) -> Result<(), Error> {
    let at = place.at(options.line);
    match (options.order.as_str(), &options.legacy) {
        ("fifo", None) => Ok(()),
        ("fifo", Some(_)) => Err(Error::new(
            &at,
            "sortOptions.legacySortOptions",
            "has a meaning only with order: legacy; remove it or change the order",
        )),
        ("legacy", Some(legacy)) => {
            sort_legacy(resources, legacy);
            Ok(())
        }
        ("legacy", None) => {
            sort_default(resources);
            Ok(())
        }
        (other, _) => Err(Error::new(&at, "sortOptions.order", format!("{other:?} must be fifo or legacy"))),
    }
}

/// The order of `kustomize build --reorder legacy`.
pub(crate) fn sort_default(resources: &mut ResMap) {
    let own = |list: &[&str]| list.iter().map(|kind| (*kind).to_owned()).collect();
    sort_legacy(resources, &LegacyOrder { first: own(FIRST), last: own(LAST) });
}

fn sort_legacy(resources: &mut ResMap, legacy: &LegacyOrder) {
    resources.sort_by(|a, b| compare(a, b, legacy));
}

fn compare(a: &Resource, b: &Resource, legacy: &LegacyOrder) -> Ordering {
    let (one, two) = (a.gvk(), b.gvk());
    if one == two {
        return sort_name(a).cmp(&sort_name(b));
    }
    let place = |gvk: GvkRef<'_>| position(gvk.kind, &legacy.first, &legacy.last);
    place(one).cmp(&place(two)).then_with(|| {
        let by_name = kind_name(one).cmp(&kind_name(two));
        let both_namespaces = one.kind == "Namespace" && two.kind == "Namespace";
        if both_namespaces && (one.group.is_empty() || two.group.is_empty()) {
            by_name.reverse()
        } else {
            by_name
        }
    })
}

fn kind_name(gvk: GvkRef<'_>) -> String {
    let or = |text: &str, none: &str| if text.is_empty() { none.to_owned() } else { text.to_owned() };
    format!("{}_{}_{}", or(gvk.group, "~G"), or(gvk.version, "~V"), or(gvk.kind, "~K"))
}

fn sort_name(resource: &Resource) -> String {
    let or = |text: &str, none: &str| if text.is_empty() { none.to_owned() } else { text.to_owned() };
    format!("{}|{}", or(resource.namespace(), "~X"), or(resource.name(), "~N"))
}
