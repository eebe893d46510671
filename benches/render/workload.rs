//! The folders that everybody renders.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context, Result};
use trueup_model::MemoryTree;

/// Files by their path.
pub(crate) type Files = Vec<(String, String)>;

/// What is in a folder.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Shape {
    /// An overlay with a prefix and a label over a base with that many `ConfigMaps`.
    Plain(usize),
    /// An overlay with one strategic patch for each of that many Deployments.
    Patches(usize),
    /// An overlay with one replacement for each of that many Deployments.
    Replacements(usize),
}

impl Shape {
    pub(crate) fn title(self) -> String {
        match self {
            Self::Plain(count) => format!("{} ConfigMaps, a prefix and a label", thousands(count)),
            Self::Patches(count) => format!("{0} Deployments, {0} patches", thousands(count)),
            Self::Replacements(count) => format!("{0} Deployments, {0} replacements", thousands(count)),
        }
    }

    /// The files; the overlay is the folder `overlay`.
    pub(crate) fn files(self) -> Files {
        let mut overlay = "resources: [../base]\n".to_owned();
        let base = match self {
            Self::Plain(count) => {
                overlay.push_str("namePrefix: shop-\nlabels:\n  - pairs: {team: web}\n");
                (0..count).map(config_map).collect::<String>()
            }
            Self::Patches(count) => {
                overlay.push_str("patches:\n");
                for index in 0..count {
                    // Writing to a String cannot fail.
                    let _ = write!(overlay, "{}", patch(index));
                }
                (0..count).map(deployment).collect()
            }
            Self::Replacements(count) => {
                overlay.push_str("replacements:\n");
                for index in 0..count {
                    let _ = write!(overlay, "{}", replacement(index));
                }
                (0..count).map(deployment).collect()
            }
        };
        vec![
            ("base/all.yaml".to_owned(), base),
            ("base/kustomization.yaml".to_owned(), "resources: [all.yaml]\n".to_owned()),
            ("overlay/kustomization.yaml".to_owned(), overlay),
        ]
    }
}

/// That many overlays over one base of 20 objects; `base` and `first` are written into the base and the first overlay.
pub(crate) fn fleet(overlays: usize, base: &str, first: &str) -> Files {
    let objects: String = (0..10).map(|index| config_map(index) + &deployment(index)).collect();
    let mut files = vec![
        ("base/all.yaml".to_owned(), objects.replace("info", base)),
        ("base/kustomization.yaml".to_owned(), "resources: [all.yaml]\n".to_owned()),
    ];
    for index in 0..overlays {
        let level = if index == 0 { first } else { "warn" };
        files.push((
            format!("{}/kustomization.yaml", overlay(index)),
            format!(
                "resources: [../../base]\nnamePrefix: o{index}-\nlabels:\n  - pairs: {{overlay: \"{index}\"}}\npatches:\n  - patch: |\n      apiVersion: v1\n      kind: ConfigMap\n      metadata: {{name: settings-00003}}\n      data: {{level: {level}}}\n"
            ),
        ));
    }
    files
}

/// The folder of an overlay of a fleet.
pub(crate) fn overlay(index: usize) -> String {
    format!("overlays/o{index:03}")
}

/// The files as a tree in memory.
pub(crate) fn in_memory(files: &Files) -> MemoryTree {
    files.iter().map(|(path, text)| (path, text)).collect()
}

/// The files in a folder.
pub(crate) fn on_disk(files: &Files, folder: &Path) -> Result<()> {
    for (path, text) in files {
        let full = folder.join(path);
        if let Some(above) = full.parent() {
            std::fs::create_dir_all(above).with_context(|| above.display().to_string())?;
        }
        std::fs::write(&full, text).with_context(|| full.display().to_string())?;
    }
    Ok(())
}

fn config_map(index: usize) -> String {
    format!(
        "---\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: settings-{index:05}\n  labels:\n    app: settings\ndata:\n  url: https://service-{index}.example.com/\n  timeout: 30s\n  retries: \"5\"\n  level: info\n  settings.ini: |\n    [cache]\n    size = 512\n    ttl = 300\n\n    [log]\n    level = info\n    format = json\n"
    )
}

fn deployment(index: usize) -> String {
    format!(
        "---\napiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: web-{index:05}\nspec:\n  replicas: 2\n  selector:\n    matchLabels:\n      app: web-{index:05}\n  template:\n    metadata:\n      labels:\n        app: web-{index:05}\n    spec:\n      containers:\n        - name: web\n          image: registry.example.com/web:1.{index}\n          ports:\n            - containerPort: 8080\n              name: http\n          env:\n            - name: LEVEL\n              value: info\n          resources:\n            limits: {{cpu: 500m, memory: 256Mi}}\n      volumes:\n        - name: settings\n          configMap:\n            name: settings-{index:05}\n"
    )
}

fn patch(index: usize) -> String {
    format!(
        "  - patch: |\n      apiVersion: apps/v1\n      kind: Deployment\n      metadata:\n        name: web-{index:05}\n      spec:\n        replicas: {}\n        template:\n          spec:\n            containers:\n              - name: web\n                env:\n                  - name: SHARD\n                    value: \"{index}\"\n",
        3 + index % 5
    )
}

fn replacement(index: usize) -> String {
    format!(
        "  - source: {{kind: Deployment, name: web-{index:05}, fieldPath: \"spec.template.spec.containers.[name=web].image\"}}\n    targets:\n      - select: {{kind: Deployment, name: web-{index:05}}}\n        fieldPaths: [metadata.annotations.image]\n        options: {{create: true}}\n"
    )
}

/// `10000` as `10,000`.
pub(crate) fn thousands(number: usize) -> String {
    if number < 1000 { number.to_string() } else { format!("{},{:03}", number / 1000, number % 1000) }
}
