//! Patches, strategic and JSON, with and without targets.

use super::words::{NAMES, flat, word};
use super::{Files, Numbers};
use std::fmt::Write as _;

fn patch_body(n: &mut Numbers, kind: &str) -> String {
    let workload = ["Deployment", "StatefulSet", "DaemonSet"].contains(&kind);
    match n.below(if workload { 13 } else { 7 }) {
        0 => format!("metadata:\n  labels:\n    app: {}\n", n.pick(&["null", "new", "''"])),
        1 => "$patch: delete\n".to_owned(),
        2 => format!("metadata:\n  annotations: {}\n", n.pick(&["null", "{}", "{$patch: replace, q: r}", "{note: null}"])),
        3 => format!("data:\n  a: {}\n  new:{}\n  b.c: {}\n", word(n), n.pick(&["", " x", " null"]), word(n)),
        4 => format!("spec:\n  {}\n", n.pick(&["list:\n  - name: three", "text: null", "ports:\n  - port: 80\n    targetPort: 1", "selector:", "empty: {a: b}", "ports:\n  - $patch: replace\n  - port: 1", "$patch: replace\n  a: b"])),
        5 => format!("metadata:\n  labels: {}\n", n.pick(&["null", "{}", "{$patch: replace, app: q}", "{$patch: delete}", "{app: 5, l: true}", "", "{$patch: merge, app: z}"])),
        6 => format!("spec:\n  text: {}\n  ref:\n    name: {}\n  list:\n  - name: one\n    value: {}\n  - {}\n", word(n), n.pick(NAMES), flat(n), n.pick(&["name: two\n    $patch: delete", "name: four", "$patch: replace", "$patch: delete", "$patch: merge", "plain", "value: nameless"])),
        7 => format!("spec:\n  replicas: {}\n  strategy: {}\n  template:\n    metadata:\n      labels:\n        app: {}\n", n.pick(&["5", "'5'", "null", "", "1e1"]), n.pick(&["{type: Recreate}", "{$retainKeys: [type], type: Recreate}", "{$patch: replace, type: X}", "null"]), flat(n)),
        8 => format!("spec:\n  template:\n    spec:\n      containers:\n      - name: main\n        env:\n        - name: A\n          value: {}\n        - name: {}\n          {}\n", flat(n), n.pick(&["B", "Z", "A"]), n.pick(&["valueFrom: null", "value: late", "$patch: delete", "$patch: replace"])),
        9 => format!("spec:\n  template:\n    spec:\n      {}\n", n.pick(&["containers: []", "containers: null", "containers:", "containers:\n      - $patch: replace\n      - name: only", "containers:\n      - $patch: delete", "volumes:\n      - name: v\n        $patch: delete", "$deleteFromPrimitiveList/x: [a]", "containers:\n      - image: nameless", "tolerations:\n      - key: k", "initContainers:\n      - {name: i, image: i}", "imagePullSecrets:\n      - name: web\n      - name: web", "hostAliases:\n      - ip: 1.2.3.4\n        hostnames: [a]"])),
        10 => format!("spec:\n  template:\n    spec:\n      containers:\n      - name: main\n        ports:\n        - containerPort: {}\n          {}\n", n.pick(&["80", "'80'", "81"]), n.pick(&["protocol: UDP", "protocol: TCP", "name: q", "$patch: delete"])),
        11 => format!("spec:\n  template:\n    spec:\n      containers:\n      - name: {}\n        image: patched\n", n.pick(&["main", "side", "extra"])),
        _ if n.one_in(2) => format!("spec:\n  template:\n    spec:\n      containers:\n      - name: {}\n        image: patched\n", n.pick(&["main", "side", "extra"])),
        _ if n.one_in(2) => format!("spec:\n  template:\n    spec:\n      containers:\n      - name: main\n        $patch: {}\n", n.pick(&["delete", "replace", "merge"])),
        _ if n.one_in(2) => "spec:\n  template:\n    spec:\n      $setElementOrder/containers:\n      - name: side\n      - name: main\n      containers:\n      - name: main\n        env:\n        - name: C\n          value: c\n        - name: A\n          $patch: delete\n".to_owned(),
        _ => "spec:\n  replicas: null\n  template:\n    spec:\n      volumes:\n      - name: v\n        emptyDir: {}\n        $retainKeys: [name, emptyDir]\n      containers:\n      - name: main\n        args: [z]\n        ports:\n        - containerPort: 80\n          name: p\n".to_owned(),
    }
}

pub(super) fn indented(text: &str, indent: &str) -> String {
    text.lines().fold(String::new(), |all, line| format!("{all}{indent}{line}\n"))
}

pub(super) fn strategic(n: &mut Numbers, files: &mut Files, path: &str) -> String {
    let (version, kind, name) = n.aim();
    let body = format!("apiVersion: {version}\nkind: {kind}\nmetadata:\n  name: {name}\n");
    let changes = patch_body(n, kind);
    let body = match changes.strip_prefix("metadata:\n") {
        Some(rest) => body + rest,
        None => body + &changes,
    };
    if n.one_in(6) {
        if n.one_in(3) {
            files.insert(format!("{path}/psm.yaml"), body);
            return "patchesStrategicMerge:\n- psm.yaml\n".to_owned();
        }
        return format!("patchesStrategicMerge:\n- |-\n{}", indented(&body, "  "));
    }
    let body = match (n.one_in(10), n.aim()) {
        (true, (version, kind, name)) => {
            format!(
                "{body}---\napiVersion: {version}\nkind: {kind}\nmetadata:\n  name: {name}\n  labels:\n    second: x\n"
            )
        }
        (false, _) => body,
    };
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

pub(super) fn json(n: &mut Numbers, _: &mut Files, _: &str) -> String {
    let aimed = format!("  target:\n    kind: {}\n    name: {}\n", n.aim().1, n.pick(NAMES));
    let (old, aim) = (n.one_in(8), n.one_in(3));
    let target = target(n);
    let mut text = if old { "patchesJson6902:\n- patch: |\n" } else { "patches:\n- patch: |\n" }.to_owned();
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
                "data/a",
                "/spec/list/0/name",
                "/spec/template/metadata/labels/app",
                "/spec/selector/matchLabels/app",
                "/metadata/namespace",
                "/kind",
                "/subjects/0/name",
                "/webhooks/0/clientConfig/service/name",
            ])
        };
        let _ = writeln!(text, "    - op: {operation}\n      path: {path}");
        if ["copy", "move"].contains(&operation) {
            let _ = writeln!(
                text,
                "      from: {}",
                n.pick(&["/metadata/name", "/metadata/labels", "/data/a", "/spec"])
            );
        } else if operation != "remove" && path.starts_with("/metadata/") {
            let _ = writeln!(text, "      value: {}", n.pick(&["x", "'3'", "{a: b}", "q"]));
        } else if operation != "remove" {
            let _ = writeln!(
                text,
                "      value: {}",
                n.pick(&["x", "3", "'3'", "{a: b}", "[q]", "null", "true", "2024-01-02", "1.5"])
            );
        }
    }
    text + if old || aim { &aimed } else { &target }
}
