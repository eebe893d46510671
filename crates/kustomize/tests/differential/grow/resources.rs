//! Resources of the kinds that kustomize has rules for, of custom ones, and of lists.

use super::Numbers;
use super::patches::indented;
use super::words::{IMAGES, KINDS, NAMES, SAFE, flat, word};
use std::fmt::Write as _;

/// The documents of one file.
pub(super) fn file(n: &mut Numbers) -> String {
    if n.one_in(14) {
        return list(n);
    }
    let mut text = resource(n);
    for _ in 0..n.below(3) {
        let _ = write!(text, "---\n{}", resource(n));
    }
    text
}

/// A list whose items are resources of their own, or a kind that only ends as lists do.
fn list(n: &mut Numbers) -> String {
    let (version, kind) =
        [("v1", "List"), ("v1", "ConfigMapList"), ("example.com/v1", "WidgetList"), ("v1", "AllowList")]
            [n.below(4)];
    let mut text = format!("apiVersion: {version}\nkind: {kind}\n");
    if kind == "AllowList" || n.one_in(4) {
        text.push_str("metadata:\n  name: list\n");
    }
    if n.one_in(8) {
        text.push_str(n.pick(&["items:\n", "items: []\n", "spec: {}\n"]));
        return text;
    }
    text.push_str("items:\n");
    for _ in 0..=n.below(2) {
        let item = indented(&resource(n), "  ");
        let comment = item.trim_start().starts_with('#');
        let item = if comment { item.split_once('\n').map_or("", |(_, rest)| rest).to_owned() } else { item };
        let _ = write!(text, "-{}", &item[1..]);
    }
    text
}

fn resource(n: &mut Numbers) -> String {
    let (mut version, mut kind, mut name) = ("v1", "ConfigMap", "last");
    for _ in 0..20 {
        (version, kind) = KINDS[n.below(KINDS.len())];
        name = n.pick(NAMES);
        if !n.made.contains(&(version, kind, name)) || n.one_in(60) {
            break;
        }
    }
    n.made.push((version, kind, name));
    let mut text = format!("apiVersion: {version}\nkind: {kind}\nmetadata:\n  name: {name}\n");
    if n.one_in(4) {
        let _ = writeln!(text, "  namespace: {}", n.pick(&["prod", "test", "default"]));
    }
    if n.one_in(3) {
        let _ = writeln!(text, "  labels:\n    app: {}\n    tier: {}", n.pick(SAFE), n.pick(SAFE));
    }
    if n.one_in(4) {
        let _ = writeln!(text, "  annotations:\n    note: {}", n.pick(SAFE));
        if n.one_in(12) {
            let _ =
                writeln!(text, "    config.kubernetes.io/local-config: '{}'", n.pick(&["true", "false", ""]));
        }
    }
    if n.one_in(12) {
        text.push_str(n.pick(&[
            "  creationTimestamp: null\n",
            "  finalizers:\n",
            "  generation: 0o17\n",
            "  uid: 1e3\n",
        ]));
    }
    text.push_str(&body(n, kind));
    if n.one_in(8) {
        text.insert_str(0, "# a comment\n");
    }
    if n.one_in(20) {
        text.push_str(n.pick(&[
            "status:\n",
            "status: {}\n",
            "status:\n  a:\n  b: null\n",
            "status: {c: [], d: ~}\n",
        ]));
    }
    text
}

fn body(n: &mut Numbers, kind: &str) -> String {
    let name = n.pick(NAMES);
    match kind {
        "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicationController" => workload(n),
        "Pod" => pod(n, ""),
        "Job" => format!("spec:\n  template:\n{}", pod(n, "    ")),
        "CronJob" => format!(
            "spec:\n  schedule: '* * * * *'\n  jobTemplate:\n    spec:\n      template:\n{}",
            pod(n, "        ")
        ),
        "ConfigMap" => config_map(n),
        "CustomResourceDefinition" => format!(
            "spec:\n  group: example.com\n  names:\n    kind: {}\n    plural: widgets\n  scope: {}\n  conversion:\n    webhook:\n      clientConfig:\n        service:\n          name: {name}\n          namespace: prod\n",
            n.pick(&["Widget", "Gadget"]),
            n.pick(&["Cluster", "Namespaced"])
        ),
        "APIService" => format!("spec:\n  service:\n    name: {name}\n    namespace: prod\n  group: g\n"),
        "StorageClass" => "provisioner: x\nparameters:\n  a: 'true'\n".to_owned(),
        "Secret" => format!("type: Opaque\n{}:\n  a: {}\n", n.pick(&["data", "stringData"]), n.pick(SAFE)),
        "Service" => format!(
            "spec:\n  selector:\n    app: {}\n  ports:\n  - port: {}\n    name: http\n    protocol: TCP\n  - port: 443\n",
            n.pick(SAFE),
            n.pick(&["80", "443", "8080"]),
        ),
        "RoleBinding" | "ClusterRoleBinding" => format!(
            "roleRef:\n  apiGroup: rbac.authorization.k8s.io\n  kind: {}\n  name: {name}\nsubjects:\n- kind: ServiceAccount\n  name: {}\n{}{}",
            n.pick(&["ClusterRole", "Role"]),
            n.pick(&["web", "db", "default"]),
            n.pick(&["", "  namespace: prod\n", "  namespace: test\n"]),
            n.pick(&[
                "",
                "- kind: User\n  name: default\n",
                "- kind: ServiceAccount\n  name: default\n- kind: Group\n  name: web\n"
            ]),
        ),
        "ClusterRole" | "Role" => format!(
            "rules:\n- apiGroups: ['']\n  resources: [secrets]\n  resourceNames: [{name}]\n  verbs: [get]\n"
        ),
        "Ingress" => format!(
            "spec:\n  tls:\n  - secretName: {name}\n  rules:\n  - host: x.y\n    http:\n      paths:\n      - path: /\n        backend:\n          service:\n            name: {name}\n"
        ),
        "HorizontalPodAutoscaler" => format!(
            "spec:\n  scaleTargetRef:\n    apiVersion: apps/v1\n    kind: Deployment\n    name: {name}\n"
        ),
        "ValidatingWebhookConfiguration" | "MutatingWebhookConfiguration" => format!(
            "webhooks:\n- name: w.x\n  clientConfig:\n    service:\n      name: {name}\n      namespace: {}\n",
            n.pick(&["prod", "test"])
        ),
        "NetworkPolicy" => format!("spec:\n  podSelector:\n    matchLabels:\n      app: {}\n", n.pick(SAFE)),
        "PersistentVolume" => format!("spec:\n  claimRef:\n    name: {name}\n    namespace: prod\n"),
        "PodDisruptionBudget" => "spec:\n  maxUnavailable: 1\n".to_owned(),
        "Widget" | "Gadget" => custom(n, kind, name),
        _ => String::new(),
    }
}

fn workload(n: &mut Numbers) -> String {
    let mut text = format!("spec:\n  replicas: {}\n", n.below(4));
    if n.one_in(2) {
        let _ = writeln!(text, "  selector:\n    matchLabels:\n      app: {}", n.pick(SAFE));
    }
    let _ = write!(
        text,
        "  template:\n    metadata:\n      labels:\n        app: {}\n{}",
        n.pick(SAFE),
        pod(n, "    ")
    );
    text
}

fn config_map(n: &mut Numbers) -> String {
    let mut text = "data:\n".to_owned();
    for key in ["a", "b.c", "k/d"].iter().take(1 + n.below(3)) {
        let _ = writeln!(text, "  {key}: {}", word(n));
    }
    if n.one_in(8) {
        let _ = writeln!(text, "  anchor: &x {}\n  alias: *x", flat(n));
    }
    if n.one_in(10) {
        text.push_str("  json: '{\"host\": \"old\", \"ports\": [80]}'\n");
    }
    if n.one_in(12) {
        text.push_str("immutable: true\nbinaryData:\n  bin: AAEC\n");
    }
    if n.one_in(4) {
        text.push_str("  inner.yaml: |\n    host: old  # note\n    'ports': [80, 443]\n");
    }
    text
}

/// Objects of kinds that no schema knows, with anchors and merge keys.
fn custom(n: &mut Numbers, kind: &str, name: &str) -> String {
    match kind {
        "Gadget" => format!(
            "spec:\n  base: &b\n    x: {}\n    y: 2\n  derived:\n    <<: *b\n    {}\n  refs:\n  - {name}\n  - {{name: {name}, namespace: {}}}\n  template:\n    spec:\n      containers:\n      - {{name: main, image: nginx:1}}\n      initContainers:\n      - image: {}\n",
            flat(n),
            n.pick(&["z: 3", "x: 3", "y: [1]"]),
            n.pick(&["prod", "default", "''"]),
            n.pick(IMAGES)
        ),
        "Widget" if n.one_in(3) => format!(
            "spec: &all\n  text: {}\n  ref: {{name: {name}}}\n  list:\n  - &one {{name: one, value: {}}}\n  - *one\n  - <<: *one\n    name: two\nother: *all\n",
            flat(n),
            flat(n),
        ),
        _ => format!(
            "spec:\n  text: {}\n  {}: {}\n  list:\n  - name: one\n    value: {}\n  - name: two\n  ref:\n    name: {name}\n  empty:{}\n",
            word(n),
            n.pick(&["on", "number", "'1'", "image", "+1", "~", "0x10"]),
            word(n),
            flat(n),
            n.pick(&[" {}", " []", " ''"]),
        ),
    }
}

/// The keys of a pod template from `spec` on.
fn pod(n: &mut Numbers, indent: &str) -> String {
    let mut text = "spec:\n  containers:\n".to_owned();
    for container in ["main", "side"].iter().take(1 + n.below(2)) {
        let _ = writeln!(text, "  - name: {container}\n    image: {}", n.pick(IMAGES));
        if n.one_in(2) {
            let _ = writeln!(
                text,
                "    env:\n    - name: A\n      value: {}\n    - name: B\n      valueFrom:\n        configMapKeyRef:\n          name: {}\n          key: a",
                n.pick(SAFE),
                n.pick(NAMES)
            );
        }
        if n.one_in(3) {
            let _ = writeln!(
                text,
                "    ports:\n    - containerPort: 80\n    - containerPort: 80\n      protocol: UDP\n    args: [a, '$(VAR)', {}]",
                n.pick(SAFE)
            );
        }
        if n.one_in(3) {
            let _ = writeln!(text, "    envFrom:\n    - secretRef:\n        name: {}", n.pick(NAMES));
        }
    }
    if n.one_in(3) {
        let _ = writeln!(
            text,
            "  volumes:\n  - name: v\n    configMap:\n      name: {}\n  - name: s\n    secret:\n      secretName: {}",
            n.pick(NAMES),
            n.pick(NAMES)
        );
    }
    if n.one_in(4) {
        let _ = writeln!(text, "  serviceAccountName: {}", n.pick(NAMES));
    }
    text.lines().fold(String::new(), |all, line| format!("{all}{indent}{line}\n"))
}
