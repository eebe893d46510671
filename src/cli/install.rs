//! `trueup install`: what runs trueup in a cluster.

use super::Verdict;
use super::config::write;
use super::session::Session;
use crate::ambient;
use crate::config::custom;
use crate::render::values::{Layer, Layers};
use anyhow::{Context as _, Result};
use clap::Args;
use include_dir::{Dir, DirEntry, include_dir};
use serde_json::{Value, json};
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use trueup_helm::{Chart, Options, Release, Typed, render};
use trueup_model::MemoryTree;

/// The chart, as it was when the program was built.
static CHART: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/charts/trueup");

/// Print the manifests that run trueup in a cluster
///
/// They are those of the chart charts/trueup, with a namespace for them and the definitions of the custom resources before
/// them: `trueup install | kubectl apply --server-side -f -` installs trueup, and brings it up to date.
#[derive(Debug, Args)]
pub(super) struct Install {
    /// The namespace that trueup and its configuration live in
    #[arg(long, short, default_value = "trueup-system", value_name = "NAMESPACE")]
    namespace: String,
    /// A file of values for the chart; the last one counts
    #[arg(long, short = 'f', value_name = "FILE")]
    values: Vec<PathBuf>,
    /// A value for the chart, as `rbac.scope=namespaces`; goes over the files
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
}

impl Install {
    pub(super) fn run(&self, session: &Session, out: &mut dyn Write) -> Result<Verdict> {
        // Pods that are less restricted than this one have no business there.
        let labels = json!({"pod-security.kubernetes.io/enforce": "restricted"});
        let metadata = json!({"name": self.namespace, "labels": labels});
        let mut all = vec![json!({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})];
        all.extend(custom::definitions());
        all.extend(self.rendered()?);
        write(out, session.output, &all)?;
        Ok(Verdict::Fine)
    }

    fn rendered(&self) -> Result<Vec<Value>> {
        let mut values = Layers::default();
        for path in &self.values {
            let place = path.display().to_string();
            let text = std::fs::read_to_string(path).with_context(|| place.clone())?;
            values.add(Layer::of_text(&place, text).with_context(|| place.clone())?);
        }
        for argument in &self.set {
            values.set("--set", argument, Typed::ByLook)?;
        }
        let mut tree = MemoryTree::default();
        insert(&mut tree, &CHART);
        let chart = Chart::from_tree(&tree, "").context("the chart")?;
        // Nothing in it is made of chance.
        let random = Arc::new(|bytes: &mut [u8]| bytes.fill(0));
        let options = Options::new(Release::install("trueup", &*self.namespace), ambient::now(), random);
        let rendered = render(&chart, values.merged(), &options)?;
        let objects = rendered.manifests.into_iter().map(|manifest| manifest.value);
        Ok(objects.filter(|object| !object.is_null()).collect())
    }
}

fn insert(tree: &mut MemoryTree, folder: &Dir<'_>) {
    for entry in folder.entries() {
        match entry {
            DirEntry::Dir(inner) => insert(tree, inner),
            DirEntry::File(file) => tree.insert(&file.path().to_string_lossy(), file.contents()),
        }
    }
}
