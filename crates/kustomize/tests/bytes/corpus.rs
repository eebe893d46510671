//! What is damaged: the files of the conformance cases, and a few trees that are bombs by themselves.

use super::recorded;
use std::collections::BTreeMap;

/// Files and the folder that is built.
pub(crate) struct Input {
    pub(crate) root: String,
    pub(crate) files: BTreeMap<String, Vec<u8>>,
    /// Which of the ways to build is taken.
    pub(crate) variant: usize,
}

/// Trees by the folder that is built, in the order of their names.
pub(crate) struct Corpus {
    pub(crate) trees: Vec<(String, BTreeMap<String, String>)>,
    /// The lines of all files, each once.
    pub(crate) lines: Vec<String>,
}

/// Reads the cases; without them the bombs are left, and the random trees that [`super::damage`] grows.
pub(crate) fn load() -> Corpus {
    let mut trees: Vec<(String, BTreeMap<String, String>)> = BOMBS
        .iter()
        .map(|files| {
            let files = files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned()));
            ("top".to_owned(), files.collect())
        })
        .collect();
    trees.extend(recorded::load().into_iter().flatten().map(|case| (case.root, case.files)));
    let mut lines: Vec<String> = trees
        .iter()
        .flat_map(|(_, files)| files.values())
        .flat_map(|text| text.lines())
        .map(str::to_owned)
        .collect();
    lines.sort();
    lines.dedup();
    Corpus { trees, lines }
}

type Bomb = &'static [(&'static str, &'static str)];

/// Small trees in which something grows with each step. They are built as they are, and damaged.
const BOMBS: &[Bomb] = &[
    &[
        ("top/kustomization.yaml", "resources: [a.yaml]\n"),
        (
            "top/a.yaml",
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\na: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: &f [*e,*e,*e,*e,*e,*e,*e,*e,*e]\ng: &g [*f,*f,*f,*f,*f,*f,*f,*f,*f]\n",
        ),
    ],
    &[
        (
            "top/kustomization.yaml",
            "x: &a {a: b}\nl: &l [*a, *a]\nresources: &r [a.yaml]\npatches: &p\n- patch: &t |\n    - op: copy\n      from: /data\n      path: /data/x\n    - op: copy\n      from: /data\n      path: /data/y\n  target: {kind: ConfigMap}\n- patch: *t\n  target: {kind: ConfigMap}\n- patch: *t\n  target: {kind: ConfigMap}\n- patch: *t\n  target: {kind: ConfigMap}\n- patch: *t\n  target: {kind: ConfigMap}\n- patch: *t\n  target: {kind: ConfigMap}\n",
        ),
        ("top/a.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {k: v}\n"),
    ],
    &[
        (
            "top/kustomization.yaml",
            "resources: [a.yaml]\nreplacements:\n- source: {kind: ConfigMap, fieldPath: data}\n  targets:\n  - select: {kind: ConfigMap}\n    fieldPaths: [data.x, data.y, data.z.0.a, data.w.*.b]\n    options: {create: true, delimiter: '', index: 9}\n- source: {kind: ConfigMap, fieldPath: data}\n  targets:\n  - select: {kind: ConfigMap}\n    fieldPaths: [data.u, 'data.v.[a=b].c']\n    options: {create: true}\n",
        ),
        ("top/a.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {k: v, w: [{b: c}]}\n"),
    ],
    &[
        (
            "top/kustomization.yaml",
            "resources: [a.yaml]\nvars:\n- name: A\n  objref: {apiVersion: v1, kind: ConfigMap, name: a}\n  fieldref: {fieldPath: data.a}\n- name: B\n  objref: {apiVersion: v1, kind: ConfigMap, name: a}\n  fieldref: {fieldPath: data.b}\nconfigurations: [c.yaml]\n",
        ),
        (
            "top/c.yaml",
            "varReference:\n- {path: data/a}\n- {path: data/b}\n- {path: data, kind: ConfigMap}\n",
        ),
        (
            "top/a.yaml",
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {a: $(B)$(B)$(A), b: $(A)$(A)$$(A), c: $(B}\n",
        ),
    ],
    &[
        ("top/kustomization.yaml", "resources: [../b1, ../b2]\nnamePrefix: 'a-'\nnameSuffix: '-b'\n"),
        ("b1/kustomization.yaml", "resources: [../b3]\nnamePrefix: 'b1-'\ncomponents: [../c]\n"),
        ("b2/kustomization.yaml", "resources: [../b3]\nnamePrefix: 'b2-'\ncomponents: [../c]\n"),
        ("b3/kustomization.yaml", "resources: [a.yaml]\nnamespace: here\n"),
        (
            "c/kustomization.yaml",
            "kind: Component\npatches:\n- patch: |\n    apiVersion: v1\n    kind: ConfigMap\n    metadata: {name: a, namespace: here}\n    $patch: delete\n",
        ),
        (
            "b3/a.yaml",
            "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: ConfigMap, metadata: {name: a}}\n- {apiVersion: v1, kind: Secret, metadata: {name: b}}\n",
        ),
    ],
    &[
        (
            "top/kustomization.yaml",
            "resources: [a.yaml]\nimages:\n- {name: '(a+)+', newTag: v2}\n- {name: a, newName: b, digest: 'sha256:0'}\nreplicas: [{name: a, count: 99999999999}]\npatches:\n- patch: '[{\"op\": \"add\", \"path\": \"/spec/template/spec/containers/-\", \"value\": {}}]'\n  target: {kind: (((.*)*)*)*, name: 'a{1,900}', labelSelector: 'a in (b,c),!d,e!=f'}\n",
        ),
        (
            "top/a.yaml",
            "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: aaaaaaaaaaaaaaaaaaaaaaaaaaaa, labels: {a: b}}\nspec: {template: {spec: {containers: [{name: a, image: 'aaaaaaaa:1@x'}]}}}\n",
        ),
    ],
];
