//! Rendering: from a chart and values to manifests, hooks and notes.

use crate::beside::beside;
use crate::capabilities::Capabilities;
use crate::chart::Chart;
use crate::engine::{self, Engine};
use crate::error::Error;
use crate::manifest::{self, Detail, Hook, Manifest};
use crate::schema;
use crate::semver::is_compatible;
use crate::unit::{Resolved, Unit, Warnings};
use crate::values::{Values, kind, map_to_template};
use jiff::Timestamp;
use std::fmt::Write as _;
use std::sync::Arc;
use trueup_template::{Map, Value};

/// Answers `lookup`: API version, kind, namespace and name go in, the object or a list comes out, or nothing.
pub type Lookup = Arc<dyn Fn(&str, &str, &str, &str) -> Result<Values, String> + Send + Sync>;

/// Answers `getHostByName`: a host's name goes in, an address of it comes out, or nothing where it has none.
pub type Resolve = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// Fills a slice with random bytes.
pub type Random = Arc<dyn Fn(&mut [u8]) + Send + Sync>;

/// A call of a function whose result is another one each time: it makes something of random bytes, or of the time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// The path of the template that is rendered, whatever it includes.
    pub template: String,
    /// The function's name.
    pub function: String,
    /// The arguments, in a form that is of use for nothing but to tell them from others. They may be secrets.
    pub arguments: String,
}

/// Told of each [`Call`] before random bytes are asked for.
pub type Calls = Arc<dyn Fn(Call) + Send + Sync>;

/// How to render.
#[derive(Clone)]
pub struct Options {
    /// What `.Release` says.
    pub release: Release,
    /// What `.Capabilities` says.
    pub capabilities: Capabilities,
    /// What time it is.
    pub now: Timestamp,
    /// Where passwords, keys and ids come from.
    pub random: Random,
    /// Told of the calls that are of chance.
    pub calls: Option<Calls>,
    /// Answers `lookup`; without it every lookup finds nothing.
    pub lookup: Option<Lookup>,
    /// Answers `getHostByName`; without it every address is empty.
    pub resolve: Option<Resolve>,
    /// Asked now and then; true ends the rendering.
    pub stop: Option<Arc<dyn Fn() -> bool + Send + Sync>>,
    /// What the rendering may use up.
    pub bounds: RenderBounds,
    /// How much of the manifests becomes values.
    pub detail: Detail,
    /// Whether values have to fit the schemas of the charts.
    pub schemas: Schemas,
    /// What becomes of that which only the rendering needed.
    pub leftovers: Leftovers,
}

/// Values, parsed templates and all else that a rendering makes for itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Leftovers {
    /// Their memory is free again when the rendering ends.
    #[default]
    TakenApart,
    /// Their memory is lost until the process ends: for one that ends with the rendering, and would free it for nothing.
    Left,
}

/// What `values.schema.json` means.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Schemas {
    /// Values that do not fit are refused.
    #[default]
    Checked,
    /// Nothing.
    Ignored,
}

/// What all templates together may use up.
#[derive(Debug, Clone, Copy)]
pub struct RenderBounds {
    /// Steps: nodes walked, commands evaluated, and what functions charge.
    pub steps: u64,
    /// Bytes written, those on the way to the output included.
    pub output: usize,
}

impl Default for RenderBounds {
    fn default() -> Self {
        Self { steps: 400_000_000, output: 256 << 20 }
    }
}

impl Options {
    /// Renders a release with the capabilities that Helm assumes.
    pub fn new(release: Release, now: Timestamp, random: Random) -> Self {
        Self {
            release,
            capabilities: Capabilities::default(),
            now,
            random,
            calls: None,
            lookup: None,
            resolve: None,
            stop: None,
            bounds: RenderBounds::default(),
            detail: Detail::default(),
            schemas: Schemas::default(),
            leftovers: Leftovers::default(),
        }
    }
}

/// What is installed under which name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// Its name.
    pub name: String,
    /// The namespace that it goes to.
    pub namespace: String,
    /// How often it was written, from 1.
    pub revision: i64,
    /// Whether it is there already.
    pub action: Action,
}

/// What is done with a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// It is put there.
    Install,
    /// It is there already.
    Upgrade,
}

impl Release {
    /// The first installation of a release.
    pub fn install(name: impl Into<String>, namespace: impl Into<String>) -> Self {
        Self { name: name.into(), namespace: namespace.into(), revision: 1, action: Action::Install }
    }

    pub(crate) fn as_value(&self) -> Value {
        Value::map([
            ("Name", Value::text(self.name.as_str())),
            ("Namespace", Value::text(self.namespace.as_str())),
            ("IsUpgrade", Value::Bool(self.action == Action::Upgrade)),
            ("IsInstall", Value::Bool(self.action == Action::Install)),
            ("Revision", Value::int(self.revision)),
            ("Service", Value::text("Helm")),
        ])
    }

    fn check(&self) -> Result<(), String> {
        let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        let part = |part: &str| {
            part.starts_with(inner) && part.ends_with(inner) && part.chars().all(|c| inner(c) || c == '-')
        };
        if self.name.is_empty() {
            return Err("no name provided".into());
        }
        if self.name.len() > 53 || !self.name.split('.').all(part) {
            return Err(format!(
                "release name {:?}: invalid release name, must match regex \
                 ^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$ and the length must not be longer \
                 than 53",
                self.name
            ));
        }
        Ok(())
    }
}

/// What a chart makes.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Rendered {
    /// The files of `crds/`, as they are.
    pub crds: Vec<Crd>,
    /// What is applied, in the order of an installation.
    pub manifests: Vec<Manifest>,
    /// What is put there at certain moments, in the order of an installation.
    pub hooks: Vec<Hook>,
    /// What the chart says to whoever installed it.
    pub notes: String,
    /// What should be said of the rendering.
    pub warnings: Vec<String>,
}

/// A file of definitions of kinds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Crd {
    /// Its path, with those of its charts before it.
    pub file: String,
    /// What it holds.
    pub text: String,
}

/// Whether files of `crds/` are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Crds {
    /// They are.
    Included,
    /// They are not.
    Skipped,
}

impl Rendered {
    /// What `helm template` prints.
    pub fn to_text(&self, crds: Crds) -> String {
        let sizes = self.manifests.iter().map(|manifest| manifest.template.len() + manifest.text.len() + 32);
        let mut text = String::with_capacity(sizes.sum());
        let mut document = |source: &str, content: &str| {
            let _ = writeln!(text, "---\n# Source: {source}\n{content}");
        };
        if crds == Crds::Included {
            self.crds.iter().for_each(|crd| document(&crd.file, &crd.text));
        }
        self.manifests.iter().for_each(|manifest| document(&manifest.template, &manifest.text));
        // It begins with three dashes, if there is anything.
        text.truncate(text.trim_end().len());
        text.push('\n');
        for Hook { manifest, .. } in &self.hooks {
            let _ = writeln!(text, "---\n# Source: {}\n{}", manifest.template, manifest.text);
        }
        text
    }
}

/// Renders a chart with the values given over its own.
///
/// # Errors
/// What Helm refuses: a library, charts that are missing, values that do not fit a schema, a version of Kubernetes that
/// the chart is not for, a template that fails, a manifest that is no YAML.
pub fn render(chart: &Chart, values: &Values, options: &Options) -> Result<Rendered, Error> {
    apart(|| rendered(chart, values, options))
}

/// The values that the chart's templates get: those given over its own and those of the charts within it.
///
/// # Errors
/// What Helm refuses of conditions, imports and shapes; values are not held against a schema.
pub fn computed_values(chart: &Chart, values: &Values) -> Result<Values, Error> {
    apart(|| {
        let refused = |message: String| Error::chart(chart.name(), message);
        let (warnings, given) = (Warnings::new(Vec::new()), map_to_template(values));
        let resolved = Resolved::new(chart, &given, &warnings);
        let values = resolved.and_then(|resolved| resolved.values(&given)).map_err(refused)?;
        match schema::whole_numbers(engine::as_json(&Value::Map(values)).map_err(refused)?) {
            serde_json::Value::Object(values) => Ok(values),
            other => Err(refused(format!("values are {}", kind(&other)))),
        }
    })
}

/// On a stack of its own where there is less left: how deep a chart may nest things should not depend on where its caller stands.
fn apart<T>(work: impl FnOnce() -> T) -> T {
    stacker::maybe_grow(engine::STACK, engine::STACK, work)
}

/// The name that a template makes of Helm's functions, as `helm template --name-template` has it.
///
/// # Errors
/// The template cannot be read, or fails.
pub fn release_name(template: &str, options: &Options) -> Result<String, Error> {
    apart(|| engine::name(template, options))
}

/// What each template makes that is no partial and no notes, by its path; nobody looks whether it is YAML. For those who look for what is
/// wrong with it, as `helm template --debug` shows it.
///
/// # Errors
/// What [`render`] refuses before it reads what the templates made.
pub fn texts(chart: &Chart, values: &Values, options: &Options) -> Result<Vec<(String, String)>, Error> {
    apart(|| {
        let refused = |message: String| Error::chart(chart.name(), message);
        let (warnings, given) = (Warnings::new(Vec::new()), map_to_template(values));
        let resolved = Resolved::new(chart, &given, &warnings).map_err(refused)?;
        let mut engine = Engine::new(&resolved.unit, options)?;
        let values = engine.parse_beside(|| fitting_values(chart, &resolved, &given, options))?;
        let mut texts = Vec::new();
        engine.execute(&values, |path, text| {
            if !path.ends_with("NOTES.txt") && !text.trim().is_empty() {
                texts.push((path.to_owned(), text));
            }
        })?;
        texts.sort();
        Ok(texts)
    })
}

fn rendered(chart: &Chart, values: &Values, options: &Options) -> Result<Rendered, Error> {
    let refused = |message: String| Error::chart(chart.name(), message);
    installable(chart).map_err(refused)?;
    options.release.check().map_err(refused)?;
    let warnings = Warnings::new(chart.warnings.clone());
    let given = map_to_template(values);
    let resolved = Resolved::new(chart, &given, &warnings).map_err(refused)?;
    let unit = &resolved.unit;
    let mut engine = Engine::new(unit, options)?;
    let values = engine.parse_beside(|| fitting_values(chart, &resolved, &given, options))?;
    let notes_path = format!("{}/templates/NOTES.txt", unit.name);
    let mut notes = String::new();
    let read = |(path, text): (String, String)| manifest::read(path, &text, options.detail);
    let (executed, documents) = beside(engine.expected(), read, |hands| {
        engine.execute(&values, |path, text| {
            if path == notes_path {
                notes = text;
            } else if !path.ends_with("NOTES.txt") {
                hands.over((path.to_owned(), text));
            }
        })
    });
    executed?;
    let sorted = manifest::sort(documents)?;
    let mut warnings = warnings.into_inner();
    warnings.extend(sorted.warnings);
    let mut crds = Vec::new();
    collect_crds(unit, &unit.name, &mut crds);
    if options.leftovers == Leftovers::Left {
        std::mem::forget((given, values, engine));
        std::mem::forget(resolved);
    }
    Ok(Rendered { crds, manifests: sorted.manifests, hooks: sorted.hooks, notes, warnings })
}

/// The values of all charts, where they fit the schemas and the chart is for that version of Kubernetes.
fn fitting_values(
    chart: &Chart,
    resolved: &Resolved<'_>,
    given: &Map,
    options: &Options,
) -> Result<Map, Error> {
    let refused = |message: String| Error::chart(chart.name(), message);
    let values = resolved.values(given).map_err(refused)?;
    let misfits = match options.schemas {
        Schemas::Checked => schema::refusals(&resolved.unit, &values),
        Schemas::Ignored => String::new(),
    };
    if !misfits.is_empty() {
        return Err(Error::Schema(misfits));
    }
    let kube = &options.capabilities.kube_version;
    let wanted = &chart.metadata.kube_version;
    if !wanted.is_empty() && !is_compatible(wanted, &kube.normalized) {
        return Err(refused(format!(
            "chart requires kubeVersion: {wanted} which is incompatible with Kubernetes {}",
            kube.version
        )));
    }
    Ok(values)
}

/// Whether it is a chart that can be installed, with all that it wants in place.
fn installable(chart: &Chart) -> Result<(), String> {
    if chart.metadata.chart_type == "library" {
        return Err("library charts are not installable".into());
    }
    let missing: Vec<&str> = chart.lacking().map(|(_, one)| one.name.as_str()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(format!(
        "an error occurred while checking for chart dependencies. You may need to run 'helm dependency build' to fetch \
         missing dependencies: found in Chart.yaml, but missing in charts/ directory: {}",
        missing.join(", ")
    ))
}

fn collect_crds(unit: &Unit<'_>, path: &str, crds: &mut Vec<Crd>) {
    for file in unit.chart.crd_files() {
        let text = String::from_utf8_lossy(&file.data).into_owned();
        crds.push(Crd { file: format!("{path}/{}", file.name), text });
    }
    for inner in &unit.charts {
        collect_crds(inner, &format!("{path}/charts/{}", inner.name), crds);
    }
}
