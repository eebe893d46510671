//! The order of the output: as the files name the resources, or by kind as kustomize did it once.

use crate::error::{Error, Place};
use crate::id::{Gvk, GvkRef};
use crate::model::{LegacyOrder, SortOptions};
use crate::resmap::ResMap;
use crate::resource::Resource;
use std::cmp::Ordering;

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
    let mut kinds: Vec<Ranked> = Vec::new();
    let mut keys = Vec::with_capacity(resources.len());
    for resource in resources.iter() {
        let gvk = resource.gvk();
        let known = kinds.iter().rposition(|kind| kind.gvk.as_ref() == gvk);
        let kind = known.unwrap_or_else(|| {
            kinds.push(Ranked::new(gvk, legacy));
            kinds.len() - 1
        });
        keys.push((kind, sort_name(resource)));
    }
    let compare = |a: usize, b: usize| {
        let ((kind, name), (other, other_name)) = (&keys[a], &keys[b]);
        if kind == other { name.cmp(other_name) } else { kinds[*kind].compare(&kinds[*other]) }
    };
    let order = merged_order(keys.len(), &compare);
    resources.rearrange(&order);
}

/// Positions in their order, equal ones as they stand.
///
/// The order of kinds is no total one where namespaces of several groups are about, which the sort of the standard
/// library may answer with a panic.
fn merged_order(count: usize, compare: &dyn Fn(usize, usize) -> Ordering) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    let mut width = 1;
    while width < count {
        let mut merged = Vec::with_capacity(count);
        for pair in order.chunks(2 * width) {
            let (mut left, mut right) = pair.split_at(width.min(pair.len()));
            while let (Some((a, rest_a)), Some((b, rest_b))) = (left.split_first(), right.split_first()) {
                if compare(*a, *b) == Ordering::Greater {
                    merged.push(*b);
                    right = rest_b;
                } else {
                    merged.push(*a);
                    left = rest_a;
                }
            }
            merged.extend(left.iter().chain(right));
        }
        order = merged;
        width *= 2;
    }
    order
}

/// A kind with what decides its place.
struct Ranked {
    gvk: Gvk,
    place: isize,
    name: String,
}

impl Ranked {
    fn new(gvk: GvkRef<'_>, legacy: &LegacyOrder) -> Self {
        let place = position(gvk.kind, &legacy.first, &legacy.last);
        let owned =
            Gvk { group: gvk.group.to_owned(), version: gvk.version.to_owned(), kind: gvk.kind.to_owned() };
        Self { gvk: owned, place, name: kind_name(gvk) }
    }

    fn compare(&self, other: &Self) -> Ordering {
        self.place.cmp(&other.place).then_with(|| {
            let by_name = self.name.cmp(&other.name);
            let both_namespaces = self.gvk.kind == "Namespace" && other.gvk.kind == "Namespace";
            if both_namespaces && (self.gvk.group.is_empty() || other.gvk.group.is_empty()) {
                by_name.reverse()
            } else {
                by_name
            }
        })
    }
}

fn kind_name(gvk: GvkRef<'_>) -> String {
    let or = |text: &str, none: &str| if text.is_empty() { none.to_owned() } else { text.to_owned() };
    format!("{}_{}_{}", or(gvk.group, "~G"), or(gvk.version, "~V"), or(gvk.kind, "~K"))
}

fn sort_name(resource: &Resource) -> String {
    let or = |text: &str, none: &str| if text.is_empty() { none.to_owned() } else { text.to_owned() };
    format!("{}|{}", or(resource.namespace(), "~X"), or(resource.name(), "~N"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_ones_stay_as_they_stand_and_an_order_in_a_circle_ends() {
        let numbers = [3, 1, 2, 1, 3, 0, 2];
        let order = merged_order(numbers.len(), &|a, b| numbers[a].cmp(&numbers[b]));
        assert_eq!(order, [5, 1, 3, 2, 6, 0, 4]);
        let circle =
            |a: usize, b: usize| if (a + 1) % 3 == b % 3 { Ordering::Less } else { Ordering::Greater };
        let mut order = merged_order(100, &circle);
        order.sort_unstable();
        assert!(order.into_iter().eq(0..100), "each stays, whatever the order says");
    }
}
