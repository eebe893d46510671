//! `trueup render CHART`: what `helm template` prints.

use super::output::{self, Format};
use crate::ambient;
use crate::render::chance::Chance;
use crate::render::{Called, Seed, chart};
use crate::source::DiskTree;
use anyhow::{Context as _, Result, bail};
use clap::Args;
use jiff::Timestamp;
use serde_json::json;
use std::io::Write;
use std::path::{Path, PathBuf};
use trueup_helm::{
    Chart, Crds, Detail, KubeVersion, Options, Release, Rendered, Typed, Values, merge_values, read_values,
    render, set_values,
};
use trueup_model::yaml;

/// What is said of a chart: the flags of `helm template`.
#[derive(Debug, Args)]
#[command(next_help_heading = "For charts")]
pub(super) struct ChartFlags {
    /// The release's name
    #[arg(long, value_name = "NAME")]
    release_name: Option<String>,
    /// The namespace that the release goes to
    #[arg(long, short, value_name = "NAMESPACE")]
    namespace: Option<String>,
    /// A file of values; the last one counts
    #[arg(long, short = 'f', value_name = "FILE")]
    values: Vec<PathBuf>,
    /// A value, as `a.b=1,c[0]={x,y}`; goes over the files
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// As --set, for values that are texts whatever they look like
    #[arg(long, value_name = "KEY=VALUE")]
    set_string: Vec<String>,
    /// As --set, for values in JSON; goes below those of --set
    #[arg(long, value_name = "KEY=JSON")]
    set_json: Vec<String>,
    /// Print the files of the chart's crds folders, too
    #[arg(long)]
    include_crds: bool,
    /// The version of Kubernetes to render for
    #[arg(long, value_name = "VERSION")]
    kube_version: Option<String>,
    /// API versions and kinds that the cluster has besides Kubernetes' own, as `example.com/v1/Widget`
    #[arg(long, short = 'a', value_name = "VERSIONS", value_delimiter = ',')]
    api_versions: Vec<String>,
}

impl ChartFlags {
    /// Whether any of them is given.
    pub(super) fn are_given(&self) -> bool {
        let listed = [&self.set, &self.set_string, &self.set_json, &self.api_versions];
        let single = [&self.release_name, &self.namespace, &self.kube_version];
        !self.values.is_empty()
            || self.include_crds
            || listed.iter().any(|given| !given.is_empty())
            || single.iter().any(|given| given.is_some())
    }

    /// The values given, in the order in which Helm takes them.
    fn given(&self) -> Result<Values> {
        let mut values = Values::new();
        for path in &self.values {
            let place = || path.display().to_string();
            let text = std::fs::read_to_string(path).with_context(place)?;
            merge_values(&mut values, read_values(&text).with_context(place)?);
        }
        let arguments =
            [(&self.set_json, Typed::AsJson), (&self.set, Typed::ByLook), (&self.set_string, Typed::AsText)];
        for (arguments, typed) in arguments {
            for argument in arguments {
                set_values(&mut values, argument, typed)?;
            }
        }
        Ok(values)
    }

    fn options(&self, chance: &Chance) -> Result<Options> {
        let name = self.release_name.as_deref().unwrap_or("release-name");
        let release = Release::install(name, self.namespace.as_deref().unwrap_or("default"));
        let mut options = Options::new(release, Timestamp::now(), chance.random());
        options.calls = Some(chance.calls());
        options.stop = Some(chart::deadline());
        let capabilities = &mut options.capabilities;
        if let Some(version) = &self.kube_version {
            capabilities.kube_version = KubeVersion::parse(version)?;
        }
        let known = capabilities.api_versions.iter().chain(&self.api_versions);
        capabilities.api_versions = known.cloned().collect();
        Ok(options)
    }
}

/// Whether a chart stands there: a folder with a Chart.yaml, or a packed one.
pub(super) fn is_chart(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let packed = [".tgz", ".tar.gz"].iter().any(|extension| name.ends_with(extension));
    (packed && path.is_file()) || path.join("Chart.yaml").is_file()
}

/// Prints what the chart makes.
pub(super) fn run(path: &Path, flags: &ChartFlags, format: Format, out: &mut dyn Write) -> Result<()> {
    let chart = load(path)?;
    let chance = chance()?;
    let mut options = flags.options(&chance)?;
    options.detail = match format {
        Format::Table | Format::Wide | Format::Yaml => Detail::Head,
        Format::Json | Format::Name => Detail::Whole,
    };
    let rendered = render(&chart, &flags.given()?, &options)?;
    warn_of_chance(&chance.called());
    for warning in &rendered.warnings {
        tracing::warn!("{warning}");
    }
    let crds = if flags.include_crds { Crds::Included } else { Crds::Skipped };
    match format {
        Format::Table | Format::Wide | Format::Yaml => Ok(out.write_all(rendered.to_text(crds).as_bytes())?),
        Format::Json => {
            let items = objects(&rendered, crds)?;
            output::json(out, &json!({"apiVersion": "v1", "kind": "List", "items": items}))
        }
        Format::Name => {
            for object in objects(&rendered, crds)? {
                let text = |pointer| object.pointer(pointer).and_then(serde_json::Value::as_str);
                let (kind, name) = (text("/kind"), text("/metadata/name"));
                let name = [text("/metadata/namespace"), name].into_iter().flatten().collect::<Vec<_>>();
                writeln!(out, "{} {}", kind.unwrap_or_default(), name.join("/"))?;
            }
            Ok(())
        }
    }
}

fn load(path: &Path) -> Result<Chart> {
    let shown = path.display().to_string();
    if path.is_file() {
        let packed = std::fs::read(path).with_context(|| shown.clone())?;
        return Ok(Chart::from_archive(&packed, &shown)?);
    }
    let root = path.canonicalize().with_context(|| shown.clone())?;
    Chart::from_tree(&DiskTree::new(&root), "").with_context(|| shown)
}

/// Chance that differs from call to call.
fn chance() -> Result<Chance> {
    let bytes = ambient::secret().context("the system has no random bytes")?;
    Ok(Chance::new(&Seed { bytes, time: Timestamp::now() }))
}

/// Says what would be another one at the next rendering.
pub(super) fn warn_of_chance(calls: &[Called]) {
    for Called { template, function } in calls {
        tracing::warn!("{template}: {function} makes another value at each rendering; in a target it stays");
    }
}

/// The objects in the order of an installation.
fn objects(rendered: &Rendered, crds: Crds) -> Result<Vec<serde_json::Value>> {
    let mut objects = Vec::new();
    if crds == Crds::Included {
        for crd in &rendered.crds {
            let read = yaml::documents(&crd.text).with_context(|| crd.file.clone())?;
            objects.extend(read.into_iter().map(|document| document.value));
        }
    }
    let hooks = rendered.hooks.iter().map(|hook| &hook.manifest);
    let manifests = rendered.manifests.iter().chain(hooks).map(|manifest| manifest.value.clone());
    objects.extend(manifests.filter(|value| !value.is_null()));
    Ok(objects)
}

/// Refuses what says something of a chart where there is none.
pub(super) fn refuse(flags: &ChartFlags, what: &str) -> Result<()> {
    if flags.are_given() {
        bail!("{what} is no chart: --values, --set and the like are for charts");
    }
    Ok(())
}
