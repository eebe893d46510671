//! `trueup render CHART`: what `helm template` prints.

use super::elsewhere::ElsewhereFlags;
use super::helm_flags::HelmFlags;
use super::output::{self, Format};
use super::output_dir;
use crate::ambient;
use crate::render::chance::Chance;
use crate::render::values::{Layer, Layers, Merged};
use crate::render::{Called, Seed, chart};
use crate::source::DiskTree;
use crate::sync::offline;
use anyhow::{Context as _, Result, anyhow, bail};
use clap::Args;
use jiff::Timestamp;
use serde_json::{Value, json};
use std::ffi::OsString;
use std::io::{Read as _, Write};
use std::mem::ManuallyDrop;
use std::net::ToSocketAddrs as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use trueup_helm::{
    Action, Chart, Crds, Detail, HookEvent, KubeVersion, Leftovers, Options, Release, Rendered, Schemas,
    Typed, release_name, render,
};
use trueup_model::provenance::{annotated, pointer};
use trueup_model::yaml;

/// What is said of a chart: the flags of `helm template`.
#[derive(Debug, Args)]
#[command(next_help_heading = "For charts")]
#[allow(clippy::struct_excessive_bools, reason = "each is a flag")]
pub(super) struct ChartFlags {
    /// The release's name; without one: below --output-dir, put all into a folder of that name
    #[arg(long, value_name = "NAME", num_args = 0..=1, default_missing_value = "")]
    release_name: Option<String>,
    /// The namespace that the release goes to
    #[arg(long, short, value_name = "NAMESPACE")]
    namespace: Option<String>,
    /// A template that makes the release's name
    #[arg(long, value_name = "TEMPLATE")]
    name_template: Option<String>,
    /// A file of values, an https:// or http:// URL of one, or - for the standard input; the last one counts. Without a file: print the values that templates get,
    /// each with where it comes from, instead of what they make; also of a target, with hashes in place of what Secrets say
    #[arg(long, short = 'f', value_name = "FILE", num_args = 0..=1, default_missing_value = "", value_delimiter = ',')]
    values: Vec<OsString>,
    /// A value, as `a.b=1,c[0]={x,y}`; goes over the files
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// As --set, for values that are texts whatever they look like
    #[arg(long, value_name = "KEY=VALUE")]
    set_string: Vec<String>,
    /// As --set, for values in JSON; goes below those of --set
    #[arg(long, value_name = "KEY=JSON")]
    set_json: Vec<String>,
    /// As --set, for values that are the contents of files; goes over --set-string
    #[arg(long, value_name = "KEY=FILE")]
    set_file: Vec<String>,
    /// A value that is all that stands behind the =, whatever it is; goes over all others
    #[arg(long, value_name = "KEY=TEXT")]
    set_literal: Vec<String>,
    /// Print the files of the chart's crds folders, too
    #[arg(long)]
    include_crds: bool,
    /// Has no effect, as in Helm: they are printed where --include-crds says so
    #[arg(long, hide = true)]
    skip_crds: bool,
    /// Leave out hooks that are tests
    #[arg(long)]
    skip_tests: bool,
    /// Leave out all hooks
    #[arg(long)]
    no_hooks: bool,
    /// Print only what these files of the chart make, as `templates/*.yaml`
    #[arg(long, short, value_name = "PATH")]
    show_only: Vec<String>,
    /// Write what is made into files below this folder, as CHART/templates/FILE, and print their names
    #[arg(long, value_name = "DIR", conflicts_with = "show_only")]
    output_dir: Option<PathBuf>,
    /// Take values that do not fit the chart's values.schema.json
    #[arg(long)]
    skip_schema_validation: bool,
    /// Render an upgrade: .Release.IsUpgrade instead of .Release.IsInstall
    #[arg(long)]
    is_upgrade: bool,
    /// Let getHostByName ask for addresses; without it each is empty
    #[arg(long)]
    enable_dns: bool,
    /// Print what the templates make also where that is no YAML
    #[arg(long)]
    debug: bool,
    /// The version of Kubernetes to render for
    #[arg(long, value_name = "VERSION")]
    kube_version: Option<String>,
    /// API versions and kinds that the cluster has besides Kubernetes' own, as `example.com/v1/Widget`
    #[arg(long, short = 'a', value_name = "VERSIONS", value_delimiter = ',')]
    api_versions: Vec<String>,
    #[command(flatten)]
    elsewhere: ElsewhereFlags,
    #[command(flatten)]
    helm: HelmFlags,
}

impl ChartFlags {
    /// Whether it is a chart that is rendered with them: a folder with a Chart.yaml, a packed one, or one from elsewhere.
    pub(super) fn are_of_a_chart(&self, what: &str) -> bool {
        self.elsewhere.apply_to(what) || is_chart(Path::new(what))
    }

    /// Whether the values are to be shown.
    pub(super) fn show_values(&self) -> bool {
        self.values.iter().any(|file| file.is_empty())
    }

    fn files(&self) -> impl Iterator<Item = &Path> {
        self.values.iter().filter(|file| !file.is_empty()).map(Path::new)
    }

    /// Whether any is given that says something of a chart.
    pub(super) fn are_given(&self) -> bool {
        let values = [&self.set, &self.set_string, &self.set_json, &self.set_file, &self.set_literal];
        let listed = values.into_iter().chain([&self.api_versions, &self.show_only]);
        let single = [&self.release_name, &self.name_template, &self.namespace, &self.kube_version];
        let flags = [
            self.include_crds,
            self.skip_crds,
            self.skip_tests,
            self.no_hooks,
            self.is_upgrade,
            self.skip_schema_validation,
            self.enable_dns,
            self.debug,
            self.helm.are_given(),
            self.elsewhere.are_given(),
        ];
        self.files().next().is_some()
            || flags.contains(&true)
            || self.output_dir.is_some()
            || listed.into_iter().any(|given| !given.is_empty())
            || single.iter().any(|given| given.is_some())
    }

    /// The values given, in the order in which Helm takes them.
    async fn given(&self) -> Result<Layers> {
        let mut layers = Layers::default();
        for path in self.files() {
            let place = path.display().to_string();
            if is_url(&place) {
                // Some hold a token.
                let shown = place.split(['?', '#']).next().unwrap_or_default();
                let text = offline::text_at(&place).await?;
                layers.add(Layer::of_text(shown, text).with_context(|| shown.to_owned())?);
            } else {
                let text = text_of(path).with_context(|| place.clone())?;
                layers.add(Layer::of_text(&place, text).with_context(|| place.clone())?);
            }
        }
        for (option, arguments, typed) in [
            ("--set-json", &self.set_json, Typed::AsJson),
            ("--set", &self.set, Typed::ByLook),
            ("--set-string", &self.set_string, Typed::AsText),
        ] {
            for argument in arguments {
                layers.set(option, argument, typed)?;
            }
        }
        let read = |path: &str| text_of(Path::new(path)).map_err(|error| format!("{path}: {error}"));
        for argument in &self.set_file {
            layers.set_files("--set-file", argument, &read)?;
        }
        for argument in &self.set_literal {
            layers.set("--set-literal", argument, Typed::Literal)?;
        }
        Ok(layers)
    }

    /// The release's name as it is written.
    fn name<'n>(&'n self, before: Option<&'n str>) -> Result<&'n str> {
        let named = self.release_name.as_deref().filter(|name| !name.is_empty());
        let name = match (before, named) {
            (Some(before), Some(named)) if before != named => bail!("two names: {before} and {named}"),
            (before, named) => before.or(named),
        };
        if name.is_some() && self.helm.wants_a_name() {
            bail!("cannot set --generate-name and also specify a name");
        }
        if name.is_some() && self.name_template.is_some() {
            bail!("cannot set --name-template and also specify a name");
        }
        Ok(name.unwrap_or("release-name"))
    }

    fn options(&self, name: &str, chance: &Chance) -> Result<Options> {
        let mut release = Release::install(name, self.namespace.as_deref().unwrap_or("default"));
        if self.is_upgrade {
            release.action = Action::Upgrade;
        }
        let mut options = Options::new(release, Timestamp::now(), chance.random());
        options.calls = Some(chance.calls());
        options.stop = Some(chart::deadline());
        if self.enable_dns {
            options.resolve = Some(Arc::new(address_of));
        }
        if self.skip_schema_validation {
            options.schemas = Schemas::Ignored;
        }
        let capabilities = &mut options.capabilities;
        if let Some(version) = &self.kube_version {
            capabilities.kube_version = KubeVersion::parse(version)?;
        }
        if !self.api_versions.is_empty() {
            let known = capabilities.api_versions.iter().chain(&self.api_versions);
            capabilities.api_versions = known.cloned().collect();
        }
        if let Some(template) = &self.name_template {
            options.release.name = release_name(template, &options)?;
        }
        Ok(options)
    }
}

/// Whether a chart stands there: a folder with a Chart.yaml, or a packed one.
fn is_chart(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let packed = [".tgz", ".tar.gz"].iter().any(|extension| name.ends_with(extension));
    (packed && path.is_file()) || path.join("Chart.yaml").is_file()
}

/// An address of a host.
fn address_of(host: &str) -> Option<String> {
    Some((host, 0).to_socket_addrs().ok()?.next()?.ip().to_string())
}

fn is_url(place: &str) -> bool {
    ["https://", "http://"].iter().any(|scheme| place.starts_with(scheme))
}

/// The text of a file, or of the standard input.
fn text_of(path: &Path) -> std::io::Result<String> {
    if path != Path::new("-") {
        return std::fs::read_to_string(path);
    }
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text)?;
    Ok(text)
}

/// Prints what the chart makes. `name` is the release's, where it is written before the chart.
pub(super) async fn run(
    what: &str,
    name: Option<&str>,
    flags: &ChartFlags,
    format: Format,
    out: &mut dyn Write,
) -> Result<()> {
    flags.helm.check()?;
    let name = flags.name(name)?;
    // The program ends with this: to take apart what was made would only take time, a twentieth of it where charts are large.
    let chart = if flags.elsewhere.apply_to(what) {
        offline::chart_at(&flags.elsewhere.address(what)?).await?
    } else {
        load(Path::new(what)).await?
    };
    let chart = ManuallyDrop::new(chart);
    let given = flags.given().await?;
    if flags.show_values() {
        return write_values(out, format, Merged::of(&chart, &given)?);
    }
    let chance = Chance::new(&seed()?);
    let mut options = flags.options(name, &chance)?;
    options.leftovers = Leftovers::Left;
    options.detail = match format {
        Format::Table | Format::Wide | Format::Yaml => Detail::Head,
        Format::Json | Format::Name => Detail::Whole,
    };
    let rendered = render(&chart, given.merged(), &options);
    if flags.debug && rendered.is_err() {
        // What is wrong with it follows.
        for (path, text) in trueup_helm::texts(&chart, given.merged(), &options).unwrap_or_default() {
            write!(out, "---\n# Source: {path}\n{text}\n")?;
        }
        out.flush()?;
    }
    let mut rendered = ManuallyDrop::new(rendered.map_err(|error| match error {
        trueup_helm::Error::Manifest { .. } if !flags.debug => {
            anyhow!("{error}\n\nUse --debug flag to render out invalid YAML")
        }
        error => error.into(),
    })?);
    warn_of_chance(&chance.called());
    for warning in &rendered.warnings {
        tracing::warn!("{warning}");
    }
    rendered.hooks.retain(|hook| {
        let is_test = hook.events.contains(&HookEvent::Test);
        !(flags.no_hooks || flags.skip_tests && is_test)
    });
    let crds = if flags.include_crds { Crds::Included } else { Crds::Skipped };
    if let Some(folder) = &flags.output_dir {
        let by_name = flags.release_name.as_ref().is_some_and(String::is_empty);
        let folder = if by_name { &folder.join(&options.release.name) } else { folder };
        return output_dir::write(folder, &rendered.to_files(crds), out);
    }
    match format {
        Format::Json | Format::Name if !flags.show_only.is_empty() => {
            bail!("--show-only goes with -o yaml");
        }
        Format::Table | Format::Wide | Format::Yaml if !flags.show_only.is_empty() => {
            let text = rendered.to_text_of(&flags.show_only, crds)?;
            Ok(out.write_all(text.as_bytes())?)
        }
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

/// The values with the source of each, as comments, or as JSON beside them.
pub(super) fn write_values(out: &mut dyn Write, format: Format, merged: Merged) -> Result<()> {
    let (values, sources) = merged.shown(&ambient::secret().context("random numbers")?);
    match format {
        Format::Table | Format::Wide | Format::Yaml => {
            Ok(out.write_all(annotated(&values, &sources).as_bytes())?)
        }
        Format::Json => {
            let source = |(path, source): (Vec<_>, &trueup_model::provenance::Source)| {
                let mut told = json!({"path": pointer(&path), "source": &*source.file});
                if source.line > 0 {
                    told["line"] = source.line.into();
                }
                told
            };
            let sources: Vec<Value> = sources.leaves().into_iter().map(source).collect();
            output::json(out, &json!({"values": values, "sources": sources}))
        }
        Format::Name => bail!("--values goes with -o yaml and -o json"),
    }
}

/// The chart, with all charts that it asks for.
async fn load(path: &Path) -> Result<Chart> {
    let shown = path.display().to_string();
    if path.is_file() {
        let packed = std::fs::read(path).with_context(|| shown.clone())?;
        return offline::completed(Chart::from_archive(&packed, &shown)?, None, &shown).await;
    }
    let root = path.canonicalize().with_context(|| shown.clone())?;
    let chart = Chart::from_tree(&DiskTree::new(&root), "").with_context(|| shown.clone())?;
    offline::completed(chart, Some(&root), shown.trim_end_matches('/')).await
}

/// What chance is made of that differs from call to call.
pub(super) fn seed() -> Result<Seed> {
    let bytes = ambient::secret().context("the system has no random bytes")?;
    Ok(Seed { bytes, time: Timestamp::now() })
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
