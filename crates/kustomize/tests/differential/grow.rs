//! Grows random trees: bases, overlays and components over a few kinds and names, so that patches, references and
//! replacements often meet what they aim at, in every spelling that YAML has. Equal seeds give equal trees.
//!
//! Left out are two things in which this crate is known to differ from kustomize: a field without a value (`key:`) in an
//! object that a strategic merge patches, which kustomize drops and this crate keeps as null; and a label that one layer
//! sets in templates too and a later one only in the metadata, where kustomize changes the templates as well.

use super::case::Files;
use std::fmt::Write as _;

/// A small generator of numbers (`SplitMix64`).
pub(crate) struct Numbers {
    state: u64,
    /// What has been made so far, so that later parts can aim at it.
    made: Vec<(&'static str, &'static str, &'static str)>,
    generated: Vec<&'static str>,
}

impl Numbers {
    pub(crate) fn new(seed: u64) -> Self {
        Self { state: seed.wrapping_mul(0x2545_f491_4f6c_dd1d), made: Vec::new(), generated: Vec::new() }
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % limit.max(1) as u64).unwrap_or_default()
    }

    /// The version, kind and name of something that is there, or (seldom) of something that may not be.
    fn aim(&mut self) -> (&'static str, &'static str, &'static str) {
        if self.made.is_empty() || self.one_in(25) {
            let (version, kind) = KINDS[self.below(KINDS.len())];
            return (version, kind, self.pick(NAMES));
        }
        let index = self.below(self.made.len());
        self.made[index]
    }

    fn one_in(&mut self, chances: usize) -> bool {
        self.below(chances) == 0
    }

    pub(crate) fn pick(&mut self, choices: &[&'static str]) -> &'static str {
        choices[self.below(choices.len())]
    }
}

const NAMES: &[&str] = &["web", "db", "cache", "web-2"];
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
const SAFE: &[&str] = &["plain", "'yes'", "\"1\"", "blue", "'true'", "a.b", "\"\"", "green"];
const IMAGES: &[&str] =
    &["nginx", "nginx:1.2", "reg.io:5000/nginx:1.2", "nginx@sha256:abc", "db/x:v1", "nginx:1.2@sha256:abc"];
const KINDS: &[(&str, &str)] = &[
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
];

pub(crate) fn tree(n: &mut Numbers) -> Files {
    let mut files = Files::new();
    let layers = 1 + n.below(3);
    folder(n, &mut files, "base", &[]);
    let mut below = vec!["../base".to_owned()];
    if n.one_in(5) {
        folder(n, &mut files, "other", &[]);
        below.push("../other".to_owned());
    }
    for layer in 1..layers {
        let name = format!("layer{layer}");
        folder(n, &mut files, &name, &below);
        below = vec![format!("../{name}")];
    }
    folder(n, &mut files, "top", &below);
    if n.one_in(25) {
        for text in files.values_mut() {
            *text = text.replace('\n', "\r\n");
        }
    }
    files
}

fn folder(n: &mut Numbers, files: &mut Files, path: &str, below: &[String]) {
    let mut text = String::new();
    if n.one_in(3) {
        text.push_str("apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n");
    }
    let mut listed = below.to_vec();
    let count = if below.is_empty() { 1 + n.below(3) } else { n.below(2) };
    for index in 0..count {
        let mut body = resource(n);
        for _ in 0..n.below(3) {
            let _ = write!(body, "---\n{}", resource(n));
        }
        files.insert(format!("{path}/r{index}.yaml"), body);
        listed.push(format!("r{index}.yaml"));
    }
    if !listed.is_empty() {
        text.push_str("resources:\n");
        for entry in listed {
            let _ = writeln!(text, "- {entry}");
        }
    }
    if !below.is_empty() && n.one_in(4) {
        let mut component = "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\n".to_owned();
        features(n, files, &format!("{path}-part"), &mut component);
        files.insert(format!("{path}-part/kustomization.yaml"), component);
        let _ = writeln!(text, "components:\n- ../{path}-part");
    }
    features(n, files, path, &mut text);
    if text.is_empty() {
        text.push_str("namePrefix: x-\n");
    }
    files.insert(format!("{path}/kustomization.yaml"), text);
}

type Feature = fn(&mut Numbers, &mut Files, &str) -> String;
const FEATURES: &[Feature] = &[
    |n, _, _| format!("namePrefix: {}\n", n.pick(&["a-", "pre-", "''"])),
    |n, _, _| format!("nameSuffix: {}\n", n.pick(&["-z", "-v1"])),
    |n, _, _| format!("namespace: {}\n", n.pick(&["prod", "test", "default"])),
    labels,
    |n, _, _| format!("commonLabels:\n  app: {}\n", n.pick(SAFE)),
    |n, _, _| format!("commonAnnotations:\n  note: {}\n", n.pick(SAFE)),
    images,
    replicas,
    |n, f, p| generator(n, f, p, "configMapGenerator"),
    |n, f, p| generator(n, f, p, "secretGenerator"),
    patches,
    patches,
    json_patches,
    replacements,
    replacements,
    |n, _, _| format!("sortOptions:\n  order: {}\n", n.pick(&["legacy", "fifo"])),
    |n, _, _| {
        format!(
            "buildMetadata: [{}]\n",
            n.pick(&[
                "originAnnotations",
                "managedByLabel",
                "transformerAnnotations",
                "managedByLabel, originAnnotations"
            ])
        )
    },
    |n, _, _| {
        format!(
            "generatorOptions:\n  disableNameSuffixHash: {}\n  labels:\n    g: {}\n",
            n.pick(&["true", "false"]),
            n.pick(SAFE)
        )
    },
    variables,
    transformers,
    configurations,
];

fn features(n: &mut Numbers, files: &mut Files, path: &str, text: &mut String) {
    let mut chosen: Vec<usize> = (0..=n.below(4)).map(|_| n.below(FEATURES.len())).collect();
    chosen.sort_unstable();
    chosen.dedup();
    let mut written: Vec<String> = Vec::new();
    for index in chosen {
        let part = FEATURES[index](n, files, path);
        let key = part.split(':').next().unwrap_or_default().to_owned();
        if !written.contains(&key) {
            text.push_str(&part);
            written.push(key);
        }
    }
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
    }
    text.push_str(&body(n, kind));
    if n.one_in(8) {
        text.insert_str(0, "# a comment\n");
    }
    text
}

fn body(n: &mut Numbers, kind: &str) -> String {
    let name = n.pick(NAMES);
    match kind {
        "Deployment" | "StatefulSet" | "DaemonSet" => {
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
        "Pod" => pod(n, ""),
        "Job" => format!("spec:\n  template:\n{}", pod(n, "    ")),
        "CronJob" => format!(
            "spec:\n  schedule: '* * * * *'\n  jobTemplate:\n    spec:\n      template:\n{}",
            pod(n, "        ")
        ),
        "ConfigMap" => {
            let mut text = "data:\n".to_owned();
            for key in ["a", "b.c", "k/d"].iter().take(1 + n.below(3)) {
                let _ = writeln!(text, "  {key}: {}", n.pick(WORDS));
            }
            if n.one_in(4) {
                text.push_str("  inner.yaml: |\n    host: old  # note\n    'ports': [80, 443]\n");
            }
            text
        }
        "Secret" => format!("type: Opaque\n{}:\n  a: {}\n", n.pick(&["data", "stringData"]), n.pick(SAFE)),
        "Service" => format!(
            "spec:\n  selector:\n    app: {}\n  ports:\n  - port: {}\n    name: http\n    protocol: TCP\n  - port: 443\n",
            n.pick(SAFE),
            n.pick(&["80", "443", "8080"]),
        ),
        "RoleBinding" | "ClusterRoleBinding" => format!(
            "roleRef:\n  apiGroup: rbac.authorization.k8s.io\n  kind: ClusterRole\n  name: {name}\nsubjects:\n- kind: ServiceAccount\n  name: {}\n{}",
            n.pick(&["web", "db", "default"]),
            n.pick(&["", "  namespace: prod\n", "  namespace: test\n"]),
        ),
        "ClusterRole" => format!(
            "rules:\n- apiGroups: ['']\n  resources: [secrets]\n  resourceNames: [{name}]\n  verbs: [get]\n"
        ),
        "Ingress" => format!(
            "spec:\n  tls:\n  - secretName: {name}\n  rules:\n  - host: x.y\n    http:\n      paths:\n      - path: /\n        backend:\n          service:\n            name: {name}\n"
        ),
        "HorizontalPodAutoscaler" => format!(
            "spec:\n  scaleTargetRef:\n    apiVersion: apps/v1\n    kind: Deployment\n    name: {name}\n"
        ),
        "ValidatingWebhookConfiguration" => format!(
            "webhooks:\n- name: w.x\n  clientConfig:\n    service:\n      name: {name}\n      namespace: {}\n",
            n.pick(&["prod", "test"])
        ),
        "NetworkPolicy" => format!("spec:\n  podSelector:\n    matchLabels:\n      app: {}\n", n.pick(SAFE)),
        "PersistentVolume" => format!("spec:\n  claimRef:\n    name: {name}\n    namespace: prod\n"),
        "PodDisruptionBudget" => "spec:\n  maxUnavailable: 1\n".to_owned(),
        "Widget" => format!(
            "spec:\n  text: {}\n  {}: {}\n  list:\n  - name: one\n    value: {}\n  - name: two\n  ref:\n    name: {name}\n  empty:{}\n",
            n.pick(WORDS),
            n.pick(&["on", "number", "'1'", "image"]),
            n.pick(WORDS),
            n.pick(WORDS),
            n.pick(&[" {}", " []", " ''"]),
        ),
        _ => String::new(),
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

fn replicas(n: &mut Numbers, _: &mut Files, _: &str) -> String {
    let scaled =
        n.made.iter().find(|made| ["Deployment", "StatefulSet"].contains(&made.1)).map(|made| made.2);
    match scaled {
        Some(name) => format!("replicas:\n- name: {name}\n  count: {}\n", n.below(5)),
        None => String::new(),
    }
}

fn labels(n: &mut Numbers, _: &mut Files, _: &str) -> String {
    let key = ["l", "m", "k"][n.below(3)];
    let mut text = format!("labels:\n- pairs:\n    {key}: {}\n", n.pick(SAFE));
    for option in [
        "includeSelectors: true",
        "includeTemplates: true",
        "fields:\n  - path: spec/extra\n    create: true\n    kind: Widget",
    ] {
        if n.one_in(3) {
            let _ = writeln!(text, "  {option}");
        }
    }
    text
}

fn images(n: &mut Numbers, _: &mut Files, _: &str) -> String {
    let mut text =
        format!("images:\n- name: {}\n", n.pick(&["nginx", "reg.io:5000/nginx", "db/x", "ngin.", "'*'"]));
    for option in
        ["newName: other/img", "newTag: v9", "newTag: '1.10'", "digest: sha256:def", "tagSuffix: -x"]
    {
        if n.one_in(3) && !(option.starts_with("newTag") && text.contains("newTag")) {
            let _ = writeln!(text, "  {option}");
        }
    }
    text
}

fn generator(n: &mut Numbers, files: &mut Files, path: &str, kind: &str) -> String {
    let (generated, wanted) =
        (n.generated.clone(), if kind.starts_with('s') { "Secret" } else { "ConfigMap" });
    let mut name = ["gen", "gen-2", "web", "conf", "db"][n.below(5)];
    let mut text = String::new();
    if generated.contains(&name) && !n.one_in(20) {
        let _ = writeln!(text, "  behavior: {}", n.pick(&["merge", "replace"]));
    } else if let Some((_, _, there)) =
        n.made.clone().into_iter().find(|made| made.1 == wanted && made.2 == name)
    {
        name = there;
        let _ = writeln!(text, "  behavior: {}", n.pick(&["merge", "replace"]));
    }
    n.generated.push(name);
    text.insert_str(0, &format!("{kind}:\n- name: {name}\n"));
    if n.one_in(8) {
        let _ = writeln!(text, "  namespace: {}", n.pick(&["prod", "test"]));
    }
    if n.one_in(2) {
        let _ = writeln!(
            text,
            "  literals:\n  - k={}\n  - {}",
            n.pick(&["v", "''", "\"q\"", "1", "a=b", "", "true", "2024-01-02"]),
            n.pick(&["x=y", "'j=\"z\"'", "m=\"  s \"", "n='ü'"])
        );
    }
    if n.one_in(2) {
        files.insert(
            format!("{path}/f.txt"),
            n.pick(&["hello\n", "a: 1\nb: x\n", "", "tab\tx \n", "é\r\nz\n", "no end"]).to_owned(),
        );
        let _ = writeln!(text, "  files:\n  - {}f.txt", n.pick(&["", "named="]));
    }
    if n.one_in(3) {
        files.insert(
            format!("{path}/e.env"),
            n.pick(&[
                "A=1\nB=two words\n",
                "# c\n\nA=\"q\"\n",
                "\u{feff}A=x\n",
                "A=b=c\nD= e\n",
                "A='x'\r\nB=1\r\n",
                "1A=x\n",
                "A\n",
            ])
            .to_owned(),
        );
        let _ = writeln!(text, "  {}", n.pick(&["envs: [e.env]", "env: e.env"]));
    }
    if n.one_in(3) {
        let _ = writeln!(
            text,
            "  options:\n    {}\n    labels:\n      o: {}",
            n.pick(&["disableNameSuffixHash: true", "immutable: true", "annotations: {z: '1'}"]),
            n.pick(SAFE)
        );
    }
    if kind.starts_with('s') && n.one_in(3) {
        text.push_str("  type: kubernetes.io/tls\n");
    }
    text
}

fn patch_body(n: &mut Numbers, kind: &str) -> String {
    let workload = ["Deployment", "StatefulSet", "DaemonSet"].contains(&kind);
    match n.below(if workload { 9 } else { 5 }) {
        0 => format!("metadata:\n  labels:\n    app: {}\n", n.pick(&["null", "new", "''"])),
        1 => "$patch: delete\n".to_owned(),
        2 => format!("metadata:\n  annotations: {}\n", n.pick(&["null", "{}", "{$patch: replace, q: r}", "{note: null}"])),
        3 => format!("data:\n  a: {}\n  new:{}\n", n.pick(WORDS), n.pick(&["", " x", " null"])),
        4 => format!("spec:\n  {}\n", n.pick(&["list:\n  - name: three", "text: null", "ports:\n  - port: 80\n    targetPort: 1", "selector:", "empty: {a: b}", "ports:\n  - $patch: replace\n  - port: 1", "$patch: replace\n  a: b"])),
        5 => format!("spec:\n  template:\n    spec:\n      containers:\n      - name: {}\n        image: patched\n", n.pick(&["main", "side", "extra"])),
        6 => format!("spec:\n  template:\n    spec:\n      containers:\n      - name: main\n        $patch: {}\n", n.pick(&["delete", "replace", "merge"])),
        7 => "spec:\n  template:\n    spec:\n      $setElementOrder/containers:\n      - name: side\n      - name: main\n      containers:\n      - name: main\n        env:\n        - name: C\n          value: c\n        - name: A\n          $patch: delete\n".to_owned(),
        _ => "spec:\n  replicas: null\n  template:\n    spec:\n      volumes:\n      - name: v\n        emptyDir: {}\n        $retainKeys: [name, emptyDir]\n      containers:\n      - name: main\n        args: [z]\n        ports:\n        - containerPort: 80\n          name: p\n".to_owned(),
    }
}

fn indented(text: &str, indent: &str) -> String {
    text.lines().fold(String::new(), |all, line| format!("{all}{indent}{line}\n"))
}

fn patches(n: &mut Numbers, files: &mut Files, path: &str) -> String {
    let (version, kind, name) = n.aim();
    let body = format!("apiVersion: {version}\nkind: {kind}\nmetadata:\n  name: {name}\n");
    let changes = patch_body(n, kind);
    let body = match changes.strip_prefix("metadata:\n") {
        Some(rest) => body + rest,
        None => body + &changes,
    };
    if n.one_in(6) {
        return format!("patchesStrategicMerge:\n- |-\n{}", indented(&body, "  "));
    }
    let mut text = "patches:\n".to_owned();
    if n.one_in(3) {
        files.insert(format!("{path}/p.yaml"), body);
        text.push_str("- path: p.yaml\n");
    } else {
        let _ = write!(text, "- patch: |\n{}", indented(&body, "    "));
    }
    if n.one_in(2) {
        text.push_str(&target(n));
    }
    if n.one_in(6) {
        let _ = writeln!(text, "  options:\n    {}: true", n.pick(&["allowNameChange", "allowKindChange"]));
    }
    text
}

fn target(n: &mut Numbers) -> String {
    match n.below(7) {
        0 => format!(
            "  target:\n    kind: {}\n",
            n.pick(&["Deployment", "ConfigMap", "Service", "Depl.*", "(Secret|Widget)"])
        ),
        1 => format!("  target:\n    name: {}\n", n.pick(&["web", "w.*", "web|db", "'.*'", "eb"])),
        2 => format!(
            "  target:\n    labelSelector: {}\n",
            n.pick(&["app=blue", "app", "'!app'", "app in (blue,plain)", "app!=blue,tier"])
        ),
        3 => "  target:\n    annotationSelector: note=blue\n".to_owned(),
        4 => format!("  target:\n    group: {}\n    version: v1\n", n.pick(&["apps", "''", "a.*"])),
        5 => format!("  target:\n    namespace: {}\n", n.pick(&["prod", "default", ".*"])),
        _ => format!("  target:\n    kind: Deployment\n    name: {}\n", n.pick(NAMES)),
    }
}

fn json_patches(n: &mut Numbers, _: &mut Files, _: &str) -> String {
    let mut text = "patches:\n- patch: |\n".to_owned();
    for _ in 0..=n.below(2) {
        let operation = n.pick(&["add", "add", "add", "replace", "remove", "test", "copy", "move"]);
        let path = if n.one_in(2) {
            n.pick(&["/spec", "/data", "/metadata/annotations", "/metadata/labels", "/metadata/name", "/x"])
        } else {
            n.pick(&[
                "/metadata/labels/app",
                "/metadata/labels",
                "/data/a",
                "/data/k~1d",
                "/spec/replicas",
                "/spec/template/spec/containers/0/image",
                "/spec/ports/-",
                "/spec/list/1",
                "/metadata/name",
                "/spec",
                "/spec/list/-1",
                "/metadata/annotations/x~1y",
            ])
        };
        let _ = writeln!(text, "    - op: {operation}\n      path: {path}");
        if ["copy", "move"].contains(&operation) {
            let _ = writeln!(
                text,
                "      from: {}",
                n.pick(&["/metadata/name", "/metadata/labels", "/data/a", "/spec"])
            );
        } else if operation != "remove" {
            let _ = writeln!(
                text,
                "      value: {}",
                n.pick(&["x", "3", "'3'", "{a: b}", "[q]", "null", "true", "2024-01-02", "1.5"])
            );
        }
    }
    text + &target(n)
}

const FIELDS: &[&str] = &[
    "metadata.name",
    "metadata.labels.app",
    "metadata.namespace",
    "data.a",
    "data.[b.c]",
    "data.b\\.c",
    "spec.replicas",
    "spec.text",
    "spec.template.spec.containers.0.image",
    "spec.template.spec.containers.[name=main].image",
    "spec.template.spec.containers.*.image",
    "spec.list.[name=one].value",
    "spec.list.*.name",
    "spec.ports.0.port",
    "metadata.annotations.[x.y/z]",
    "spec.list.[name=nine].value",
    "kind",
    "spec.list.0",
    "spec.template.metadata.labels",
    "spec.ref",
    "spec.list",
    "spec.list.-.value",
];

/// A field that objects of the kind have more often than not.
fn likely(kind: &str, n: &mut Numbers) -> &'static str {
    match kind {
        "Deployment" | "StatefulSet" | "DaemonSet" => n.pick(&[
            "spec.replicas",
            "spec.template.spec.containers.[name=main].image",
            "spec.template.metadata.labels.app",
            "spec.template.metadata.labels",
        ]),
        "ConfigMap" => "data.a",
        "Widget" => {
            n.pick(&["spec.text", "spec.list", "spec.list.[name=one].value", "spec.ref.name", "spec.empty"])
        }
        "Service" => n.pick(&["spec.ports.0.port", "spec.selector", "spec.ports.[name=http].protocol"]),
        _ => n.pick(&["metadata.name", "kind", "apiVersion"]),
    }
}

fn replacements(n: &mut Numbers, files: &mut Files, path: &str) -> String {
    let (_, kind, name) = n.aim();
    let mut text = format!("- source:\n    kind: {kind}\n");
    if !n.one_in(8) {
        let _ = writeln!(text, "    name: {name}");
    }
    if !n.one_in(3) {
        let field = if n.one_in(3) { n.pick(FIELDS) } else { likely(kind, n) };
        let _ = writeln!(text, "    fieldPath: {field}");
    }
    if n.one_in(4) {
        let _ = writeln!(
            text,
            "    options:\n      delimiter: {}\n      index: {}",
            n.pick(&["':'", "'-'", "'.'", "''"]),
            n.pick(&["0", "1", "-1", "5"])
        );
    }
    text.push_str("  targets:\n");
    for _ in 0..=n.below(2) {
        let _ = writeln!(text, "  - select:\n      kind: {}", n.aim().1);
        if n.one_in(3) {
            let _ = writeln!(text, "      name: {}", n.pick(&["web", "db", "w.*"]));
        }
        if n.one_in(4) {
            let _ = writeln!(text, "    reject:\n    - name: {}", n.pick(&["web", "w.*", "db"]));
        }
        if !n.one_in(8) {
            let field = if n.one_in(2) {
                n.pick(FIELDS)
            } else {
                n.pick(&["metadata.name", "metadata.annotations.made", "spec.made"])
            };
            let _ = writeln!(text, "    fieldPaths:\n    - {field}");
        }
        if !n.one_in(4) {
            let _ = writeln!(text, "    options:");
            let _ = writeln!(
                text,
                "      {}",
                n.pick(&[
                    "create: true",
                    "create: true",
                    "create: true",
                    "create: true",
                    "delimiter: ':'\n      index: 0",
                    "delimiter: '-'\n      index: -1",
                    "delimiter: ':'\n      index: 9"
                ])
            );
        }
    }
    if n.one_in(4) {
        files.insert(format!("{path}/repl.yaml"), text);
        return "replacements:\n- path: repl.yaml\n".to_owned();
    }
    format!("replacements:\n{text}")
}

fn variables(n: &mut Numbers, _: &mut Files, _: &str) -> String {
    let (version, kind, name) = n.aim();
    let mut text = format!(
        "vars:\n- name: VAR\n  objref:\n    apiVersion: {version}\n    kind: {kind}\n    name: {name}\n"
    );
    if n.one_in(2) {
        let _ = writeln!(
            text,
            "  fieldref:\n    fieldpath: {}",
            n.pick(&["metadata.name", "data.a", "spec.replicas", "spec.ports[0].port", "metadata.labels"])
        );
    }
    text
}

fn transformers(n: &mut Numbers, _: &mut Files, _: &str) -> String {
    let bodies = [
        "apiVersion: builtin\nkind: PrefixTransformer\nmetadata:\n  name: t\nprefix: t-\nfieldSpecs:\n- path: metadata/name\n",
        "apiVersion: builtin\nkind: LabelTransformer\nmetadata:\n  name: t\nlabels:\n  t: u\nfieldSpecs:\n- path: spec/extra\n  create: true\n",
        "apiVersion: builtin\nkind: NamespaceTransformer\nmetadata:\n  name: t\n  namespace: prod\nunsetOnly: true\n",
        "apiVersion: builtin\nkind: NamespaceTransformer\nmetadata:\n  name: t\n  namespace: prod\nsetRoleBindingSubjects: allServiceAccounts\nfieldSpecs:\n- path: metadata/namespace\n  create: true\n",
        "apiVersion: builtin\nkind: AnnotationsTransformer\nmetadata:\n  name: t\nannotations:\n  t: 'yes'\nfieldSpecs:\n- path: metadata/annotations\n  create: true\n",
        "apiVersion: builtin\nkind: ImageTagTransformer\nmetadata:\n  name: t\nimageTag:\n  name: nginx\n  newTag: t\nfieldSpecs:\n- path: spec/image\n",
        "apiVersion: builtin\nkind: ReplicaCountTransformer\nmetadata:\n  name: t\nreplica:\n  name: web\n  count: 7\nfieldSpecs:\n- path: spec/replicas\n  create: true\n",
        "apiVersion: builtin\nkind: PatchTransformer\nmetadata:\n  name: t\ntarget:\n  kind: Widget\npatch: '[{\"op\": \"add\", \"path\": \"/spec\", \"value\": {\"z\": 1}}]'\n",
        "apiVersion: builtin\nkind: ValueAddTransformer\nmetadata:\n  name: t\nvalue: v\ntargets:\n- fieldPath: spec/text\n",
        "apiVersion: builtin\nkind: SuffixTransformer\nmetadata:\n  name: t\nsuffix: -t\nfieldSpecs:\n- path: metadata/name\n  kind: ConfigMap\n",
        "apiVersion: builtin\nkind: HashTransformer\nmetadata:\n  name: t\n",
    ];
    let body = bodies[n.below(bodies.len())];
    format!("transformers:\n- |-\n{}", indented(body, "  "))
}

fn configurations(n: &mut Numbers, files: &mut Files, path: &str) -> String {
    let body = n.pick(&[
        "nameReference:\n- kind: ConfigMap\n  fieldSpecs:\n  - kind: Widget\n    path: spec/ref/name\n",
        "commonLabels:\n- path: spec/labels\n  create: true\n  kind: Widget\n",
        "images:\n- path: spec/image\n  kind: Widget\n",
        "namespace:\n- path: spec/ns\n  create: true\n  kind: Widget\n",
        "namePrefix:\n- path: spec/text\n  kind: Widget\n",
        "varReference:\n- path: spec/text\n- path: data\n",
        "replicas:\n- path: spec/number\n  create: true\n  kind: Widget\n",
    ]);
    files.insert(format!("{path}/conf.yaml"), body.to_owned());
    "configurations:\n- conf.yaml\n".to_owned()
}
