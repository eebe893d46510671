//! `trueup render`: the manifests of a target or a folder.

use super::Verdict;
use super::output::{self, Format};
use super::render_chart::{self, ChartFlags};
use super::session::Session;
use crate::render::{self, Build, Given, Request};
use crate::sync::offline::{self, Names};
use anyhow::{Result, bail};
use clap::{Args, ValueEnum};
use serde_json::{Map, json};
use std::io::Write;
use std::path::Path;
use trueup_kustomize as kustomize;
use trueup_model::provenance::{Provenance, Source, annotated, pointer};
use trueup_model::yaml::to_yaml;
use trueup_model::{Manifest, Value};

/// Print manifests as they would be applied
///
/// Of a folder (plain manifests or a kustomization; no configuration, no cluster), of a chart (a folder with a Chart.yaml, or
/// a .tgz, or a chart of a repository or registry; as `helm template` does, whose other flags are taken, too), or of a
/// target of the configuration.
/// Values of Secrets are printed as they are.
/// With --values, the values of a chart or of a target's chart are printed instead, each with where it comes from.
/// With --provenance each line has the file and line that it comes from beside it.
#[derive(Debug, Args)]
#[command(allow_missing_positional = true, disable_version_flag = true)]
pub(super) struct Render {
    /// For a chart, the release's name, as Helm has it before the chart
    #[arg(value_name = "NAME")]
    name: Option<String>,
    /// A folder, a chart (a folder or file, a name with --repo, an oci:// or https:// URL), or a target
    #[arg(value_name = "TARGET|DIR|CHART")]
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
    /// Show the file and line that each field comes from: as a comment beside it, or with -o json instead of the values
    #[arg(long)]
    provenance: bool,
    /// Charts of kustomizations are always rendered
    #[arg(long, hide = true)]
    #[allow(dead_code, reason = "what it asks for is always done")]
    enable_helm: bool,
    #[command(flatten)]
    chart: ChartFlags,
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
    /// Whether it is a chart that is rendered.
    pub(super) fn is_of_chart(&self) -> bool {
        self.chart.are_of_a_chart(&self.what)
    }

    pub(super) async fn run(&self, session: &Session, out: &mut dyn Write) -> Result<Verdict> {
        if self.is_of_chart() {
            if self.provenance
                || self.revision.is_some()
                || self.load_restrictor.is_some()
                || self.reorder.is_some()
            {
                bail!(
                    "{}: is a chart, which takes none of --provenance, --revision, --load-restrictor and --reorder",
                    self.what
                );
            }
            render_chart::run(&self.what, self.name.as_deref(), &self.chart, session.output, out).await?;
            return Ok(Verdict::Fine);
        }
        if let Some(name) = &self.name {
            bail!("{}: is no chart, and takes no name: {name}", self.what);
        }
        render_chart::refuse(&self.chart, &self.what)?;
        if self.chart.show_values() {
            if self.provenance {
                bail!("--values shows where values come from; --provenance is for what is made of them");
            }
            let merged = self.render(session, render::values::build_values, Names::Hidden).await?;
            render_chart::write_values(out, session.output, merged)?;
        } else if self.provenance {
            let found = self.render(session, render::build_with_provenance, Names::Shown).await?;
            write_provenance(out, session.output, &found)?;
        } else {
            let rendered = self.render(session, render::build_from, Names::Hidden).await?;
            render_chart::warn_of_chance(&rendered.calls);
            write(out, session.output, &rendered.manifests)?;
        }
        Ok(Verdict::Fine)
    }

    /// What `build` makes of the folder or the target.
    async fn render<T: Send + 'static>(&self, session: &Session, build: Build<T>, names: Names) -> Result<T> {
        let folder = Path::new(&self.what);
        if folder.is_dir() {
            if self.revision.is_some() {
                bail!("--revision is for targets; {} is a folder", self.what);
            }
            offline::render_folder(folder, self.request()?, build, names).await
        } else if self.load_restrictor.is_some() || self.reorder.is_some() {
            bail!("--load-restrictor and --reorder are for folders; {} is none", self.what);
        } else if self.what.contains('@') {
            offline::render(&session.config, &self.what, self.revision.as_deref(), build).await
        } else {
            bail!("{}: neither a folder nor a target (app@environment)", self.what);
        }
    }

    fn request(&self) -> Result<Request> {
        Ok(Request {
            given: Given { seed: render_chart::seed()?, ..Given::default() },
            load_restrictions: self.load_restrictor.map(Into::into).unwrap_or_default(),
            reorder: self.reorder.map(Into::into).unwrap_or_default(),
            ..Request::default()
        })
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
            let items: Vec<&Value> = manifests.iter().map(|manifest| &*manifest.value).collect();
            output::json(out, &json!({"apiVersion": "v1", "kind": "List", "items": items}))
        }
        Format::Name => Ok(manifests.iter().try_for_each(|manifest| writeln!(out, "{}", manifest.id()))?),
    }
}

/// The manifests with the source of each line, or as JSON the sources alone.
pub(super) fn write_provenance(
    out: &mut dyn Write,
    format: Format,
    found: &[(Manifest, Provenance)],
) -> Result<()> {
    match format {
        Format::Table | Format::Wide | Format::Yaml => {
            for (index, (manifest, sources)) in found.iter().enumerate() {
                let separator = if index == 0 { "" } else { "---\n" };
                write!(out, "{separator}{}", annotated(&manifest.value, sources))?;
            }
            Ok(())
        }
        Format::Json => {
            let objects = found.iter().map(|(manifest, sources)| {
                let fields = sources.leaves().into_iter().map(|(path, source)| {
                    let mut field = place(source);
                    field.insert("path".to_owned(), pointer(&path).into());
                    field
                });
                json!({"object": manifest.id(), "fields": fields.collect::<Vec<_>>()})
            });
            output::json(out, &objects.collect::<Vec<_>>())
        }
        Format::Name => bail!("--provenance goes with -o yaml and -o json"),
    }
}

fn place(source: &Source) -> Map<String, Value> {
    let mut place = Map::new();
    place.insert("file".to_owned(), source.file.as_ref().into());
    place.insert("line".to_owned(), source.line.into());
    if let Some(by) = &source.by {
        place.insert("by".to_owned(), by.as_ref().into());
    }
    if let Some(from) = &source.from {
        place.insert("from".to_owned(), Value::Object(self::place(from)));
    }
    place
}
