//! Names and words: few enough that they meet, and what readers of YAML disagree about.

use super::Numbers;

pub(super) const NAMES: &[&str] = &["web", "db", "cache", "web-2"];
/// Words as they stand in the text, quotes included: what readers of YAML disagree about.
pub(crate) const WORDS: &[&str] = &[
    "plain",
    "two words",
    "'yes'",
    "\"no\"",
    "on",
    "true",
    "'true'",
    "~",
    "null",
    "''",
    "\"\"",
    "1",
    "'1'",
    "0o17",
    "0777",
    "'0777'",
    "1e3",
    "1.0",
    "0.10",
    "-0",
    "+1",
    "0x1F",
    "1_000",
    ".5",
    "2024-01-02",
    "'2024-01-02'",
    "2024-01-02T03:04:05Z",
    "12:30",
    "'12:30:45'",
    "",
    "'a: b'",
    "\"tab\\there\"",
    "\"line\\nbreak\"",
    "ünï",
    "\"\\u00e9\"",
    "日本",
    "'#no comment'",
    "x # comment",
    "False",
    "1.10",
    "NULL",
    "[1, b]",
    "{k: v}",
    "'*'",
    "'&a'",
    "!!str 12",
    "99999999999999999999",
    "y",
    "N",
    "=",
    "'- dash'",
    "' lead'",
    "\"trail \"",
    "$(VAR)",
    "a$(VAR)b",
    "|\n    block\n    text",
    ">-\n    folded\n    text",
];
/// Words that fit on one line.
pub(crate) const FLAT_WORDS: &[&str] = &[
    "plain",
    "two words",
    "'yes'",
    "\"no\"",
    "on",
    "true",
    "'true'",
    "~",
    "null",
    "''",
    "\"\"",
    "1",
    "'1'",
    "0o17",
    "0777",
    "'0777'",
    "1e3",
    "1.0",
    "0.10",
    "-0",
    "+1",
    "0x1F",
    "1_000",
    ".5",
    ".inf",
    "2024-01-02",
    "'2024-01-02'",
    "2024-01-02T03:04:05Z",
    "12:30",
    "'12:30:45'",
    "a: b",
    "'a: b'",
    "\"tab\\there\"",
    "\"line\\nbreak\"",
    "ünï",
    "\"\\u00e9\"",
    "日本",
    "'#no comment'",
    "x # comment",
    "[1, b]",
    "{k: v}",
    "'*'",
    "'&a'",
    "!!str 12",
    "99999999999999999999",
    "y",
    "N",
    "=",
    "'- dash'",
    "' lead'",
    "\"trail \"",
    "$(VAR)",
    "a$(VAR)b",
    "012",
    "08",
    "0b11",
    "1e400",
    "18446744073709551616",
    "-9223372036854775809",
    "!!int 3",
    "!!bool yes",
    "!!float 1",
    "? x",
];
/// Words that make a document invalid, or that cannot be printed.
const BROKEN: &[&str] = &["a: b", ".inf", "*none", "'open", "? x", "1e400", "!!int x"];
/// Versions, kinds and names of everything that a tree may hold.
pub(super) type Made = (&'static str, &'static str, &'static str);

/// A word for a field that stands two columns from the left.
pub(super) fn word(n: &mut Numbers) -> &'static str {
    if n.one_in(150) { n.pick(BROKEN) } else { n.pick(WORDS) }
}

/// A word on one line, for any column and inside of braces. What has nothing between its braces kustomize turns from null
/// to an empty text when it prints, which no one means.
pub(super) fn flat(n: &mut Numbers) -> &'static str {
    loop {
        let word = word(n);
        if !word.contains('\n') && !word.is_empty() {
            return word;
        }
    }
}

pub(super) const SAFE: &[&str] = &["plain", "'yes'", "\"1\"", "blue", "'true'", "a.b", "\"\"", "green"];
pub(super) const IMAGES: &[&str] =
    &["nginx", "nginx:1.2", "reg.io:5000/nginx:1.2", "nginx@sha256:abc", "db/x:v1", "nginx:1.2@sha256:abc"];
pub(super) const KINDS: &[(&str, &str)] = &[
    ("apps/v1", "Deployment"),
    ("apps/v1", "StatefulSet"),
    ("v1", "ConfigMap"),
    ("v1", "Secret"),
    ("v1", "Service"),
    ("v1", "ServiceAccount"),
    ("rbac.authorization.k8s.io/v1", "RoleBinding"),
    ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding"),
    ("rbac.authorization.k8s.io/v1", "ClusterRole"),
    ("networking.k8s.io/v1", "Ingress"),
    ("batch/v1", "CronJob"),
    ("example.com/v1", "Widget"),
    ("v1", "Namespace"),
    ("v1", "PersistentVolumeClaim"),
    ("autoscaling/v2", "HorizontalPodAutoscaler"),
    ("v1", "Pod"),
    ("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration"),
    ("batch/v1", "Job"),
    ("networking.k8s.io/v1", "NetworkPolicy"),
    ("policy/v1", "PodDisruptionBudget"),
    ("v1", "PersistentVolume"),
    ("apps/v1", "DaemonSet"),
    ("apiextensions.k8s.io/v1", "CustomResourceDefinition"),
    ("admissionregistration.k8s.io/v1", "MutatingWebhookConfiguration"),
    ("rbac.authorization.k8s.io/v1", "Role"),
    ("v1", "ReplicationController"),
    ("apiregistration.k8s.io/v1", "APIService"),
    ("storage.k8s.io/v1", "StorageClass"),
    ("example.com/v1beta1", "Gadget"),
    ("other.io/v1", "Deployment"),
];
