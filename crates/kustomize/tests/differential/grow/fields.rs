//! Fields of a kustomization that stand for themselves: labels, images, replicas, generators, vars, configurations.

use super::words::{NAMES, SAFE};
use super::{Files, Numbers};
use std::fmt::Write as _;

pub(super) fn replicas(n: &mut Numbers, _: &mut Files, _: &str) -> String {
    let scaled =
        n.made.iter().find(|made| ["Deployment", "StatefulSet"].contains(&made.1)).map(|made| made.2);
    if n.one_in(8) {
        return format!(
            "replicas:\n- name: {}\n  count: {}\n",
            n.pick(NAMES),
            n.pick(&["1", "'2'", "-1", "1.5"])
        );
    }
    match scaled {
        Some(name) => format!("replicas:\n- name: {name}\n  count: {}\n", n.below(5)),
        None => String::new(),
    }
}

pub(super) fn labels(n: &mut Numbers, _: &mut Files, _: &str) -> String {
    let mut text = String::from("labels:\n");
    for _ in 0..=n.below(2) {
        text.push_str(&label(n));
    }
    text
}

fn label(n: &mut Numbers) -> String {
    let key = n.pick(&["l", "app", "tier", "k"]);
    let mut text = format!("- pairs:\n    {key}: {}\n", n.pick(SAFE));
    if n.one_in(4) {
        let _ = writeln!(text, "    other: {}", n.pick(SAFE));
    }
    for option in [
        "includeSelectors: true",
        "includeTemplates: true",
        "includeVolumeClaimTemplates: true",
        "fields:\n  - path: spec/extra\n    create: true\n    kind: Widget",
    ] {
        if n.one_in(3) {
            let _ = writeln!(text, "  {option}");
        }
    }
    text
}

pub(super) fn images(n: &mut Numbers, _: &mut Files, _: &str) -> String {
    let mut text = format!(
        "images:\n- name: {}\n",
        n.pick(&["nginx", "reg.io:5000/nginx", "db/x", "ngin.", "'*'", "''", ".*"])
    );
    if n.one_in(12) {
        text = String::from("images:\n- newName: nameless\n");
    }
    for option in [
        "newName: other/img",
        "newName: nginx",
        "newTag: v9",
        "newTag: '1.10'",
        "newTag: 1.10",
        "digest: sha256:def",
        "tagSuffix: -x",
    ] {
        if n.one_in(3) && !text.contains(option.split(':').next().unwrap_or_default()) {
            let _ = writeln!(text, "  {option}");
        }
    }
    text
}

pub(super) fn generator(n: &mut Numbers, files: &mut Files, path: &str, kind: &str) -> String {
    let (generated, wanted) =
        (n.generated.clone(), if kind.starts_with('s') { "Secret" } else { "ConfigMap" });
    let mut name = ["gen", "gen-2", "web", "conf", "db"][n.below(5)];
    let mut text = String::new();
    if generated.contains(&name) && !n.one_in(20) {
        let _ = writeln!(
            text,
            "  behavior: {}",
            n.pick(&["merge", "replace", "merge", "replace", "create", "append"])
        );
    } else if let Some((_, _, there)) =
        n.made.clone().into_iter().find(|made| made.1 == wanted && made.2 == name)
    {
        name = there;
        let _ = writeln!(
            text,
            "  behavior: {}",
            n.pick(&["merge", "replace", "merge", "replace", "create", "append"])
        );
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

pub(super) fn variables(n: &mut Numbers, _: &mut Files, _: &str) -> String {
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

const CONFIGURATIONS: &[&str] = &[
    "nameReference:\n- kind: ConfigMap\n  fieldSpecs:\n  - kind: Widget\n    path: spec/ref/name\n",
    "nameReference:\n- kind: Secret\n  version: v1\n  fieldSpecs:\n  - kind: Gadget\n    path: spec/refs\n  - kind: Widget\n    path: spec/ref\n",
    "nameReference:\n- kind: Widget\n  group: example.com\n  fieldSpecs:\n  - kind: ConfigMap\n    path: data/a\n  - kind: Gadget\n    path: spec/refs[]/name\n",
    "commonLabels:\n- path: spec/labels\n  create: true\n  kind: Widget\n",
    "commonAnnotations:\n- path: spec/notes\n  create: true\n  kind: Gadget\n",
    "labels:\n- path: spec/marks/all\n  create: true\n  kind: Widget\n",
    "templateLabels:\n- path: spec/template/metadata/labels\n  create: true\n  kind: Gadget\n",
    "images:\n- path: spec/image\n  kind: Widget\n",
    "namespace:\n- path: spec/ns\n  create: true\n  kind: Widget\n",
    "namespace:\n- path: subjects/namespace\n  kind: RoleBinding\n  group: rbac.authorization.k8s.io\n  create: true\n",
    "namePrefix:\n- path: spec/ref/name\n  kind: Widget\n",
    "nameSuffix:\n- path: metadata/labels/app\n",
    "namePrefix:\n- path: metadata/name\n  kind: ConfigMap\n",
    "varReference:\n- path: spec/text\n- path: data\n",
    "replicas:\n- path: spec/number\n  create: true\n  kind: Widget\n",
    "generated: no field\n",
    "",
];

pub(super) fn configurations(n: &mut Numbers, files: &mut Files, path: &str) -> String {
    let mut body = n.pick(CONFIGURATIONS).to_owned();
    if n.one_in(3) {
        let more = n.pick(CONFIGURATIONS);
        if more.split(':').next() != body.split(':').next() {
            body.push_str(more);
        }
    }
    files.insert(format!("{path}/conf.yaml"), body);
    "configurations:\n- conf.yaml\n".to_owned()
}

/// Definitions that name references, as kustomize reads them.
pub(super) fn crds(n: &mut Numbers, files: &mut Files, path: &str) -> String {
    let reference = n.pick(&[
        r#"{"x-kubernetes-object-ref-api-version": "v1", "x-kubernetes-object-ref-kind": "Secret"}"#,
        r#"{"x-kubernetes-object-ref-api-version": "v1", "x-kubernetes-object-ref-kind": "ConfigMap", "x-kubernetes-object-ref-name-key": "name"}"#,
        r#"{"x-kubernetes-annotation": ""}"#,
        r#"{"x-kubernetes-label-selector": ""}"#,
        r#"{"x-kubernetes-identity": ""}"#,
        r#"{"x-kubernetes-patch-merge-key": "name", "x-kubernetes-patch-strategy": "merge", "type": "array"}"#,
    ]);
    let field = n.pick(&["ref", "list", "labels"]);
    let body = format!(
        r#"{{
  "example.com/v1.Widget": {{"Schema": {{"properties": {{
    "apiVersion": {{"type": "string"}}, "kind": {{"type": "string"}}, "metadata": {{"type": "object"}},
    "spec": {{"$ref": "example.com/v1.WidgetSpec"}}}}}}}},
  "example.com/v1.WidgetSpec": {{"Schema": {{"properties": {{"{field}": {reference}}}}}}}
}}
"#
    );
    files.insert(format!("{path}/crd.json"), body);
    "crds:\n- crd.json\n".to_owned()
}

/// A schema by which the lists of a custom kind merge.
pub(super) fn openapi(n: &mut Numbers, files: &mut Files, path: &str) -> String {
    if n.one_in(4) {
        return n
            .pick(&["openapi:\n  version: v1.21.2\n", "openapi:\n  version: v1.20.4\n", "openapi: {}\n"])
            .to_owned();
    }
    let list = n.pick(&[
        r#""x-kubernetes-patch-merge-key": "name", "x-kubernetes-patch-strategy": "merge""#,
        r#""x-kubernetes-patch-strategy": "merge""#,
        r#""x-kubernetes-list-map-keys": ["name"], "x-kubernetes-list-type": "map""#,
        r#""x-kubernetes-patch-merge-key": "name", "x-kubernetes-patch-strategy": "merge,retainKeys""#,
    ]);
    let body = format!(
        r##"{{"definitions": {{
  "v1.Widget": {{"properties": {{"apiVersion": {{"type": "string"}}, "kind": {{"type": "string"}}, "metadata": {{"type": "object"}},
    "spec": {{"$ref": "#/definitions/v1.Spec"}}}}, "type": "object",
    "x-kubernetes-group-version-kind": [{{"group": "example.com", "kind": "Widget", "version": "v1"}}]}},
  "v1.Spec": {{"properties": {{"list": {{"items": {{"type": "object"}}, "type": "array", {list}}}}}, "type": "object"}}
}}}}
"##
    );
    files.insert(format!("{path}/schema.json"), body);
    "openapi:\n  path: schema.json\n".to_owned()
}

pub(super) fn sort_options(n: &mut Numbers, _: &mut Files, _: &str) -> String {
    let mut text =
        format!("sortOptions:\n  order: {}\n", n.pick(&["legacy", "fifo", "legacy", "fifo", "''", "kind"]));
    if n.one_in(3) {
        text.push_str("  legacySortOptions:\n");
        let _ = writeln!(
            text,
            "    orderFirst: [{}]",
            n.pick(&["Deployment, ConfigMap", "Widget", "", "Service, Service"])
        );
        if n.one_in(2) {
            let _ =
                writeln!(text, "    orderLast: [{}]", n.pick(&["Namespace", "Secret, Widget", "Deployment"]));
        }
    }
    text
}

pub(super) fn build_metadata(n: &mut Numbers, _: &mut Files, _: &str) -> String {
    let options = n.pick(&[
        "originAnnotations",
        "managedByLabel",
        "transformerAnnotations",
        "managedByLabel, originAnnotations",
        "originAnnotations, transformerAnnotations",
    ]);
    format!("buildMetadata: [{options}]\n")
}

pub(super) fn generator_options(n: &mut Numbers, _: &mut Files, _: &str) -> String {
    format!(
        "generatorOptions:\n  disableNameSuffixHash: {}\n  labels:\n    g: {}\n{}",
        n.pick(&["true", "false"]),
        n.pick(SAFE),
        n.pick(&["", "  immutable: true\n", "  annotations:\n    note: general\n"])
    )
}
