//! What the types cannot say: CEL rules, bounds and kinds of lists, by the place that they are for.
//!
//! The rules are those of the checks of files, as far as an API server can see them (it sees one object at a time), and what
//! holds for resources only. A field whose name is a word of CEL has underscores around it there: `__namespace__`.

use crate::config::resource::Kind;
use serde_json::{Value, json};

/// Something that holds at a place of the schema of a resource: `spec.ignore[]` is an item of that list, empty the whole.
struct Rule {
    place: &'static str,
    holds: &'static str,
    message: &'static str,
}

const fn rule(place: &'static str, holds: &'static str, message: &'static str) -> Rule {
    Rule { place, holds, message }
}

const OWN_NAMESPACE: &str = "a resource uses Secrets of its own namespace only: leave `namespace` out";
const NO_CREDENTIALS: &str = "a resource has its credentials in a Secret of its namespace: use `secretRef`";
const LABEL: &str = "has to be lower-case letters, digits and `-`, a letter or digit at both ends";

const REPOSITORY: &[Rule] = &[
    rule("", "size(self.metadata.name) <= 63", "a name has at most 63 characters"),
    rule(
        "spec.url",
        "self.matches('^(https|http|ssh)://[^/]') || self.matches('^[^/:.~][^/:]*:[^/]')",
        "has to be https://, http://, ssh:// or user@host:path: a resource names no files of the machine that trueup runs on",
    ),
    rule(
        "spec.url",
        "!self.matches('://[^/]*:[^/]*@')",
        "a password does not belong in the URL: use `secretRef`",
    ),
    rule(
        "spec.ref.commit",
        "self.matches('^([0-9a-fA-F]{40}|[0-9a-fA-F]{64})$')",
        "has to be a full commit id of 40 or 64 digits",
    ),
    rule("spec", "!has(self.credentials)", NO_CREDENTIALS),
    rule("spec", "!has(self.worktree) || !self.worktree", "only a local folder has a working tree"),
    rule("spec.secretRef", "!has(self.__namespace__)", OWN_NAMESPACE),
    rule("spec.webhook", HOOK_SECRET, HOOK_SECRET_SAID),
    rule("spec.webhook.secretRef", "!has(self.__namespace__)", OWN_NAMESPACE),
];

const CLUSTER: &[Rule] = &[
    rule("", "size(self.metadata.name) <= 63", "a name has at most 63 characters"),
    rule(
        "spec",
        "(has(self.secretRef) ? 1 : 0) + (has(self.inCluster) && self.inCluster ? 1 : 0) + (has(self.agent) ? 1 : 0) == 1",
        "a cluster is reached through exactly one of `secretRef`, `inCluster: true` and `agent`",
    ),
    rule(
        "spec",
        "!has(self.kubeconfig)",
        "a resource names no files of the machine that trueup runs on: put the kubeconfig in a Secret and use `secretRef`",
    ),
    rule("spec.secretRef", "!has(self.__namespace__)", OWN_NAMESPACE),
    rule(
        "spec.agent",
        "has(self.secretRef) && !has(self.token)",
        "an agent proves itself with a token from a Secret of the resource's namespace: use `secretRef`",
    ),
    rule("spec.agent.secretRef", "!has(self.__namespace__)", OWN_NAMESPACE),
];

const ENVIRONMENT: &[Rule] = &[
    rule("", "size(self.metadata.name) <= 63 && !self.metadata.name.contains('.')", SHORT_NAME),
    rule(
        "spec",
        "has(self.cluster) != has(self.clusters)",
        "an environment has exactly one of `cluster` and `clusters`",
    ),
    rule(
        "spec.clusters",
        "(has(self.names) && size(self.names) > 0) || has(self.selector)",
        "needs `names` or a `selector`",
    ),
    rule("spec", "!has(self.rollout) || has(self.clusters)", "a rollout goes over `clusters`"),
    rule(
        "spec.rollout.waves[]",
        "(has(self.names) && size(self.names) > 0) || has(self.selector)",
        "needs `names` or a `selector`",
    ),
    rule("spec.namespace", "self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')", LABEL),
    rule("spec.ignore[]", SOMETHING, NOT_ALL),
];

const APP: &[Rule] = &[
    rule("", "size(self.metadata.name) <= 63 && !self.metadata.name.contains('.')", SHORT_NAME),
    rule("spec", "has(self.path) || has(self.helm)", "an app needs a `path`, or `helm`"),
    rule(
        "spec",
        "!has(self.prune) || !has(self.sync) || !has(self.sync.prune)",
        "`prune` is short for `sync.prune`: write one of the two",
    ),
    rule(
        "spec",
        "!has(self.helm) || !has(self.recurse) || !self.recurse",
        "`recurse` is for folders of plain manifests, and this App has a chart",
    ),
    rule("spec.ref.commit", COMMIT_OR_PLACEHOLDER, COMMIT_OR_PLACEHOLDER_SAID),
    rule("spec.ignore[]", SOMETHING, NOT_ALL),
    rule("spec.helm", "!has(self.credentials)", NO_CREDENTIALS),
    rule(
        "spec.helm",
        "has(self.repository) || !(has(self.version) || has(self.secretRef) || (has(self.insecure) && self.insecure))",
        "`version`, `secretRef` and `insecure` are for charts with a `repository`; this one is in the App's own repository",
    ),
    rule(
        "spec.helm.repository",
        "self.matches('^(https|http|oci)://[^/]')",
        "charts come from https://, http:// or oci://",
    ),
    rule("spec.helm.secretRef", "!has(self.__namespace__)", OWN_NAMESPACE),
];

const APP_SET: &[Rule] = &[
    rule("", "size(self.metadata.name) <= 63 && !self.metadata.name.contains('.')", SHORT_NAME),
    rule("spec.template.spec", "has(self.path) || has(self.helm)", "an app needs a `path`, or `helm`"),
    rule(
        "spec.template.spec",
        "!has(self.prune) || !has(self.sync) || !has(self.sync.prune)",
        "`prune` is short for `sync.prune`: write one of the two",
    ),
    rule(
        "spec.template.spec",
        "!has(self.helm) || !has(self.recurse) || !self.recurse",
        "`recurse` is for folders of plain manifests, and this App has a chart",
    ),
    rule("spec.template.spec.ref.commit", COMMIT_OR_PLACEHOLDER, COMMIT_OR_PLACEHOLDER_SAID),
    rule("spec.template.spec.ignore[]", SOMETHING, NOT_ALL),
    rule("spec.template.spec.helm", "!has(self.credentials)", NO_CREDENTIALS),
    rule("spec.template.spec.helm.secretRef", "!has(self.__namespace__)", OWN_NAMESPACE),
    rule("spec.generators[].pullRequests", ONE_FORGE, ONE_FORGE_SAID),
    rule("spec.generators[].pullRequests", "!has(self.credentials)", NO_CREDENTIALS),
    rule("spec.generators[].pullRequests.secretRef", "!has(self.__namespace__)", OWN_NAMESPACE),
    rule("spec.generators[].pullRequests.webhook", HOOK_SECRET, HOOK_SECRET_SAID),
    rule("spec.generators[].pullRequests.webhook.secretRef", "!has(self.__namespace__)", OWN_NAMESPACE),
    rule("spec.generators[].matrix[].pullRequests", ONE_FORGE, ONE_FORGE_SAID),
    rule("spec.generators[].matrix[].pullRequests", "!has(self.credentials)", NO_CREDENTIALS),
    rule("spec.generators[].matrix[].pullRequests.secretRef", "!has(self.__namespace__)", OWN_NAMESPACE),
    rule("spec.generators[].matrix[].pullRequests.webhook", HOOK_SECRET, HOOK_SECRET_SAID),
    rule(
        "spec.generators[].matrix[].pullRequests.webhook.secretRef",
        "!has(self.__namespace__)",
        OWN_NAMESPACE,
    ),
];

const HOOK_SECRET: &str = "has(self.secretRef) && !has(self.secret)";
const HOOK_SECRET_SAID: &str = "a webhook needs its secret from `secretRef`";
const ONE_FORGE: &str =
    "(has(self.github) ? 1 : 0) + (has(self.gitlab) ? 1 : 0) + (has(self.gitea) ? 1 : 0) == 1";
const ONE_FORGE_SAID: &str = "a forge is exactly one of `github`, `gitlab` and `gitea`";

const COMMIT_OR_PLACEHOLDER: &str =
    "self.contains('{') || self.matches('^([0-9a-fA-F]{40}|[0-9a-fA-F]{64})$')";
const COMMIT_OR_PLACEHOLDER_SAID: &str = "has to be a full commit id of 40 or 64 digits, or a placeholder";

const SHORT_NAME: &str = "a name has at most 63 lower-case letters, digits and `-`";
const SOMETHING: &str =
    "(has(self.fields) && size(self.fields) > 0) || (has(self.managers) && size(self.managers) > 0)";
const NOT_ALL: &str = "a rule needs `fields` or `managers`: all of an object cannot be left to others";

/// Bounds, without which the server could not tell what a rule may cost, and lists that are sets.
fn bounds(kind: Kind) -> &'static [(&'static str, &'static str, u32)] {
    match kind {
        Kind::Repository => &[("spec.url", "maxLength", 2048), ("spec.ref.commit", "maxLength", 64)],
        Kind::Cluster => &[],
        Kind::Environment => &[
            ("spec.namespace", "maxLength", 63),
            ("spec.ignore", "maxItems", 100),
            ("spec.clusters.names", "maxItems", 10_000),
            ("spec.rollout.waves", "maxItems", 100),
        ],
        Kind::App => &[
            ("spec.environments", "minItems", 1),
            ("spec.environments", "maxItems", 1000),
            ("spec.dependsOn", "maxItems", 1000),
            ("spec.ignore", "maxItems", 100),
            ("spec.ref.commit", "maxLength", 253),
            ("spec.helm.repository", "maxLength", 2048),
            ("spec.helm.chart", "minLength", 1),
        ],
        Kind::AppSet => &[
            ("spec.generators", "minItems", 1),
            ("spec.generators", "maxItems", 100),
            ("spec.generators[].matrix", "maxItems", 10),
            ("spec.template.metadata.name", "minLength", 1),
            ("spec.template.spec.environments", "minItems", 1),
            ("spec.template.spec.environments", "maxItems", 1000),
            ("spec.template.spec.dependsOn", "maxItems", 1000),
            ("spec.template.spec.ignore", "maxItems", 100),
            ("spec.template.spec.ref.commit", "maxLength", 253),
            ("spec.template.spec.helm.chart", "minLength", 1),
        ],
    }
}

/// Lists in which nothing stands twice.
fn sets(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Repository | Kind::Cluster => &[],
        Kind::Environment => &["spec.clusters.names"],
        Kind::App => &["spec.environments", "spec.dependsOn"],
        Kind::AppSet => &["spec.template.spec.environments", "spec.template.spec.dependsOn"],
    }
}

fn rules(kind: Kind) -> &'static [Rule] {
    match kind {
        Kind::Repository => REPOSITORY,
        Kind::Cluster => CLUSTER,
        Kind::Environment => ENVIRONMENT,
        Kind::App => APP,
        Kind::AppSet => APP_SET,
    }
}

/// Adds what holds of a kind to the schema of its resources.
pub(super) fn add(kind: Kind, schema: &mut Value) {
    for Rule { place, holds, message } in rules(kind) {
        if let Some(at) = find(schema, place) {
            let rules = at
                .as_object_mut()
                .map(|at| at.entry("x-kubernetes-validations").or_insert_with(|| Value::Array(Vec::new())));
            if let Some(rules) = rules.and_then(Value::as_array_mut) {
                rules.push(json!({ "rule": holds, "message": message }));
            }
        }
    }
    for (place, keyword, bound) in bounds(kind) {
        if let Some(at) = find(schema, place) {
            at[*keyword] = (*bound).into();
        }
    }
    for place in sets(kind) {
        if let Some(at) = find(schema, place) {
            at["x-kubernetes-list-type"] = "set".into();
        }
    }
}

/// The schema at a place.
fn find<'s>(schema: &'s mut Value, place: &str) -> Option<&'s mut Value> {
    let mut here = schema;
    for step in place.split('.').filter(|step| !step.is_empty()) {
        let (name, is_item) = step.strip_suffix("[]").map_or((step, false), |name| (name, true));
        here = here.get_mut("properties")?.get_mut(name)?;
        if is_item {
            here = here.get_mut("items")?;
        }
    }
    Some(here)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::custom::definitions;

    #[test]
    fn every_rule_and_bound_finds_its_place() {
        for (kind, definition) in Kind::ALL.into_iter().zip(definitions()) {
            let mut schema = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone();
            let places = rules(kind).iter().map(|rule| rule.place);
            let places =
                places.chain(bounds(kind).iter().map(|bound| bound.0)).chain(sets(kind).iter().copied());
            for place in places {
                assert!(find(&mut schema, place).is_some(), "{kind} has no {place}");
            }
        }
    }
}
