//! `trueup render`: the manifests of a target or a folder.

use super::Verdict;
use super::output::{self, Format};
use super::session::Session;
use crate::render::Request;
use crate::sync::offline;
use anyhow::{Result, bail};
use clap::{Args, ValueEnum};
use serde_json::json;
use std::io::Write;
use std::path::Path;
use trueup_kustomize as kustomize;
use trueup_model::yaml::to_yaml;
use trueup_model::{Manifest, Value};

/// Print manifests as they would be applied
///
/// Of a folder (plain manifests or a kustomization; no configuration, no cluster), or of a target of the configuration.
/// Values of Secrets are printed as they are.
#[derive(Debug, Args)]
pub(super) struct Render {
    /// A folder, or a target
    #[arg(value_name = "TARGET|DIR")]
    what: String,
    /// A branch, tag or commit instead of the configured one
    #[arg(long, value_name = "REV")]
    revision: Option<String>,
    /// Which files a kustomization of a folder may read: those below its own folder, or all of the repository
    #[arg(long, value_name = "WHICH")]
    load_restrictor: Option<LoadRestrictor>,
    /// The order of a kustomization of a folder that sets no sortOptions: by kind, or as its files name the objects
    #[arg(long, value_name = "ORDER")]
    reorder: Option<Reorder>,
}

/// `kustomize build --load-restrictor`, with its own words as aliases.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum LoadRestrictor {
    /// Files in or below the kustomization's own folder
    #[value(alias = "LoadRestrictionsRootOnly")]
    Root,
    /// Every file of the repository
    #[value(alias = "LoadRestrictionsNone")]
    None,
}

/// `kustomize build --reorder`.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Reorder {
    /// Namespaces and definitions first, webhooks last
    Legacy,
    /// As the files name the objects
    None,
}

impl From<LoadRestrictor> for kustomize::LoadRestrictions {
    fn from(restrictor: LoadRestrictor) -> Self {
        match restrictor {
            LoadRestrictor::Root => Self::RootOnly,
            LoadRestrictor::None => Self::None,
        }
    }
}

impl From<Reorder> for kustomize::Reorder {
    fn from(reorder: Reorder) -> Self {
        match reorder {
            Reorder::Legacy => Self::Legacy,
            Reorder::None => Self::None,
        }
    }
}

impl Render {
    pub(super) async fn run(&self, session: &Session, out: &mut dyn Write) -> Result<Verdict> {
        let folder = Path::new(&self.what);
        let manifests = if folder.is_dir() {
            if self.revision.is_some() {
                bail!("--revision is for targets; {} is a folder", self.what);
            }
            offline::render_folder(folder, self.request()).await?
        } else if self.load_restrictor.is_some() || self.reorder.is_some() {
            bail!("--load-restrictor and --reorder are for folders; {} is none", self.what);
        } else if self.what.contains('@') {
            offline::render(&session.config, &self.what, self.revision.as_deref()).await?
        } else {
            bail!("{}: neither a folder nor a target (app@environment)", self.what);
        };
        write(out, session.output, &manifests)?;
        Ok(Verdict::Fine)
    }

    fn request(&self) -> Request {
        Request {
            load_restrictions: self.load_restrictor.map(Into::into).unwrap_or_default(),
            reorder: self.reorder.map(Into::into).unwrap_or_default(),
            ..Request::default()
        }
    }
}

pub(super) fn write(out: &mut dyn Write, format: Format, manifests: &[Manifest]) -> Result<()> {
    match format {
        Format::Table | Format::Wide | Format::Yaml => {
            for (index, manifest) in manifests.iter().enumerate() {
                let separator = if index == 0 { "" } else { "---\n" };
                write!(out, "{separator}{}", to_yaml(&manifest.value))?;
            }
            Ok(())
        }
        Format::Json => {
            let items: Vec<&Value> = manifests.iter().map(|manifest| &manifest.value).collect();
            output::json(out, &json!({"apiVersion": "v1", "kind": "List", "items": items}))
        }
        Format::Name => Ok(manifests.iter().try_for_each(|manifest| writeln!(out, "{}", manifest.id()))?),
    }
}
