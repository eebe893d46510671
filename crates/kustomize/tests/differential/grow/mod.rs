//! Grows random trees: bases, overlays and components over a few kinds and names, so that patches, references and
//! replacements often meet what they aim at, in every spelling that YAML has. Equal seeds give equal trees.

mod fields;
mod patches;
mod plugins;
mod replacements;
mod resources;
pub(crate) mod words;

use super::case::Files;
use std::fmt::Write as _;
use words::{KINDS, Made, NAMES, SAFE};

/// A small generator of numbers (`SplitMix64`).
pub(crate) struct Numbers {
    state: u64,
    /// What has been made so far, so that later parts can aim at it.
    made: Vec<Made>,
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
    fn aim(&mut self) -> Made {
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
        files.insert(format!("{path}/r{index}.yaml"), resources::file(n));
        listed.push(format!("r{index}.yaml"));
    }
    if !listed.is_empty() {
        let field = if n.one_in(30) { "bases" } else { "resources" };
        let _ = writeln!(text, "{field}:");
        for entry in listed {
            let _ = writeln!(text, "- {entry}");
        }
    }
    if n.one_in(if below.is_empty() { 12 } else { 4 }) {
        let name = format!("{path}-part");
        component(n, files, &name, true);
        let _ = writeln!(text, "components:\n- ../{name}");
        if n.one_in(6) {
            let name = format!("{path}-more");
            component(n, files, &name, false);
            let _ = writeln!(text, "- ../{name}");
        }
        if n.one_in(60) {
            text.push_str("- r0.yaml\n");
        }
    }
    features(n, files, path, &mut text);
    if text.is_empty() {
        text.push_str("namePrefix: x-\n");
    }
    let name =
        if n.one_in(20) { n.pick(&["kustomization.yml", "Kustomization"]) } else { "kustomization.yaml" };
    files.insert(format!("{path}/{name}"), text);
}

fn component(n: &mut Numbers, files: &mut Files, path: &str, may_nest: bool) {
    let mut text = "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\n".to_owned();
    if n.one_in(5) {
        files.insert(format!("{path}/r0.yaml"), resources::file(n));
        text.push_str("resources:\n- r0.yaml\n");
    }
    if may_nest && n.one_in(5) {
        component(n, files, &format!("{path}-inner"), false);
        let _ = writeln!(text, "components:\n- ../{path}-inner");
    }
    features(n, files, path, &mut text);
    files.insert(format!("{path}/kustomization.yaml"), text);
}

type Feature = fn(&mut Numbers, &mut Files, &str) -> String;
const FEATURES: &[Feature] = &[
    |n, _, _| format!("namePrefix: {}\n", n.pick(&["a-", "pre-", "''", "'1'"])),
    |n, _, _| format!("nameSuffix: {}\n", n.pick(&["-z", "-v1", "-0"])),
    |n, _, _| format!("namespace: {}\n", n.pick(&["prod", "test", "default"])),
    fields::labels,
    fields::labels,
    |n, _, _| format!("commonLabels:\n  {}: {}\n", n.pick(&["app", "l", "tier"]), n.pick(SAFE)),
    |n, _, _| format!("commonAnnotations:\n  {}: {}\n", n.pick(&["note", "a/b"]), n.pick(SAFE)),
    fields::images,
    fields::replicas,
    |n, f, p| fields::generator(n, f, p, "configMapGenerator"),
    |n, f, p| fields::generator(n, f, p, "secretGenerator"),
    patches::strategic,
    patches::strategic,
    patches::strategic,
    patches::json,
    patches::json,
    replacements::replacements,
    replacements::replacements,
    fields::sort_options,
    fields::build_metadata,
    fields::generator_options,
    fields::variables,
    plugins::transformers,
    plugins::generators,
    plugins::validators,
    fields::configurations,
    fields::crds,
    // A schema costs kustomize more than all the rest.
    |n, f, p| if n.one_in(8) { fields::openapi(n, f, p) } else { fields::labels(n, f, p) },
    |n, _, _| {
        n.pick(&[
            "metadata:\n  name: meta\n",
            "imageTags:\n- name: nginx\n  newTag: v3\n",
            "crds: []\n",
            "vars:\n",
        ])
        .to_owned()
    },
];

fn features(n: &mut Numbers, files: &mut Files, path: &str, text: &mut String) {
    let mut chosen: Vec<usize> = (0..=n.below(5)).map(|_| n.below(FEATURES.len())).collect();
    chosen.sort_unstable();
    chosen.dedup();
    let mut written: Vec<String> = Vec::new();
    for index in chosen {
        let part = FEATURES[index](n, files, path);
        let key = part.split(':').next().unwrap_or_default().to_owned();
        // A doubled field is read in one way only by the ones, and refused by others.
        if !written.contains(&key) || n.one_in(40) {
            text.push_str(&part);
            written.push(key);
        }
    }
}
