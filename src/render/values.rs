//! The values that a chart is rendered with, layer by layer: files, what the App says, and objects of the cluster.
//!
//! Enters: a tree, what is said of the chart, and what is known of the cluster's objects. Leaves: the layers with what they come to;
//! or, for whoever wants to see it, the values that templates get, with where each of them comes from. Values of a Secret are
//! never in an error, and are hashes where they are shown.

use super::helm::{DEFAULT_NAMESPACE, Helm};
use super::lookups::Lookups;
use super::{
    Bases, Parsed, Remote, RenderError, Request, Traced, TracedTree, Unrendered, all_fetched, confidential,
    traced_bases, with_causes,
};
use crate::cluster::Query;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use trueup_helm::{
    Chart, InvalidSet, ReadFile, Typed, Values, ValuesError, computed_values, merge_values, read_values,
    set_files, set_values,
};
use trueup_merge::secrets::{MaskKey, masked};
use trueup_model::provenance::{Provenance, Source};
use trueup_model::{Segment, Tree, Value, tree, yaml};

/// The layer of what the App says itself.
const INLINE: &str = "helm.values";
/// What a chart within another one sees of the values of that one.
const GLOBAL: &str = "global";

/// Values in an object of the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValuesFrom {
    /// What it is.
    pub holder: Holder,
    /// Its name.
    pub name: String,
    /// The key that they stand under.
    pub key: String,
    /// Where what stands there goes as one value; it is YAML otherwise.
    pub target_path: Option<String>,
    /// Whether the object has to exist.
    pub need: Need,
}

/// What values stand in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holder {
    /// A ConfigMap.
    ConfigMap,
    /// A Secret.
    Secret,
}

impl Holder {
    fn kind(self) -> &'static str {
        match self {
            Self::ConfigMap => "ConfigMap",
            Self::Secret => "Secret",
        }
    }
}

/// Whether an object has to exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// It has to.
    Required,
    /// Without it there are no values of it.
    Optional,
}

/// Values of one source.
pub struct Layer {
    source: Arc<str>,
    values: Values,
    /// The text that they were read from.
    text: Option<String>,
    shown: Shown,
}

/// How values are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shown {
    Plainly,
    AsHashes,
}

impl Layer {
    /// The values of a text.
    ///
    /// # Errors
    /// The text holds no values.
    pub fn of_text(source: &str, text: String) -> Result<Self, ValuesError> {
        let values = read_values(&text)?;
        Ok(Self { source: source.into(), values, text: Some(text), shown: Shown::Plainly })
    }

    /// Values that stand in no file.
    pub fn of_values(source: &str, values: Values) -> Self {
        Self { source: source.into(), values, text: None, shown: Shown::Plainly }
    }

    /// Where its values stand, by lines.
    fn lines(&self) -> Option<Provenance> {
        let documents = yaml::parse(self.text.as_ref()?).ok()?;
        let [document] = documents.as_slice() else { return None };
        Some(Provenance::of_node(document, &self.source))
    }
}

/// Values, each layer over the ones before.
#[derive(Default)]
pub struct Layers {
    layers: Vec<Layer>,
    merged: Values,
}

impl Layers {
    /// What all of them come to.
    pub fn merged(&self) -> &Values {
        &self.merged
    }

    /// Puts a layer over the others.
    pub fn add(&mut self, layer: Layer) {
        merge_values(&mut self.merged, layer.values.clone());
        self.layers.push(layer);
    }

    /// Puts a layer over the others that changes them as `--set` does.
    ///
    /// # Errors
    /// The argument is none that `--set` would take.
    pub fn set(&mut self, source: &str, argument: &str, typed: Typed) -> Result<(), InvalidSet> {
        self.changed_by(source, |values| set_values(values, argument, typed))
    }

    /// The same, as `--set-file` does.
    ///
    /// # Errors
    /// The argument is none that `--set-file` would take, or a file cannot be read.
    pub fn set_files(&mut self, source: &str, argument: &str, read: &ReadFile<'_>) -> Result<(), InvalidSet> {
        self.changed_by(source, |values| set_files(values, argument, read))
    }

    fn changed_by(
        &mut self,
        source: &str,
        change: impl FnOnce(&mut Values) -> Result<(), InvalidSet>,
    ) -> Result<(), InvalidSet> {
        let mut with = self.merged.clone();
        change(&mut with)?;
        self.layers.push(Layer::of_values(source, changed(&self.merged, &with)));
        self.merged = with;
        Ok(())
    }

    /// Adds the values of an object.
    fn add_object(&mut self, from: &ValuesFrom, query: &Query, object: &Value) -> Result<(), String> {
        let place = format!("{query} {}", from.key);
        let text = text_of(from, object).map_err(|why| format!("{query}{why}"))?;
        match &from.target_path {
            Some(path) => {
                let (value, typed) = match unquoted(&text) {
                    Some(inner) => (inner, Typed::AsText),
                    None => (text.as_str(), Typed::ByLook),
                };
                let set = self.set(&place, &format!("{path}={}", escaped(value)), typed);
                set.map_err(|_| format!("{query}: targetPath {path} does not fit the values below it"))?;
            }
            None => self.add(Layer::of_text(&place, text).map_err(|error| unread(&error, from, query))?),
        }
        if let (Some(layer), Holder::Secret) = (self.layers.last_mut(), from.holder) {
            layer.shown = Shown::AsHashes;
        }
        Ok(())
    }
}

/// Why there are no values under a key: with the line, and no word of a Secret.
fn unread(error: &ValuesError, from: &ValuesFrom, query: &Query) -> String {
    let key = &from.key;
    match (error, from.holder) {
        (ValuesError::Yaml(error), Holder::Secret) => {
            format!("{query}: key {key}: line {}: this is no YAML", error.at.line)
        }
        (ValuesError::Yaml(_), Holder::ConfigMap) | (ValuesError::NoMap { .. }, _) => {
            format!("{query}: key {key}: {error}")
        }
    }
}

/// What stands under the key.
fn text_of(from: &ValuesFrom, object: &Value) -> Result<String, String> {
    let key = &from.key;
    let written = object["data"][key].as_str().ok_or_else(|| format!(" has no key {key}"))?;
    match from.holder {
        Holder::ConfigMap => Ok(written.to_owned()),
        Holder::Secret => {
            let bytes = BASE64_STANDARD.decode(written).ok();
            let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
            text.ok_or_else(|| format!(": what stands under its key {key} is no text"))
        }
    }
}

/// A text in quotes is a text, whatever it looks like.
fn unquoted(text: &str) -> Option<&str> {
    let inner = |quote: char| text.strip_prefix(quote)?.strip_suffix(quote);
    inner('"').or_else(|| inner('\''))
}

/// A text that `--set` takes for one value.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for (at, c) in text.char_indices() {
        if matches!(c, '\\' | ',') || (at == 0 && c == '{') {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

/// What of `after` is not as it was.
fn changed(before: &Values, after: &Values) -> Values {
    let mut changes = Values::new();
    for (key, value) in after {
        match (before.get(key), value) {
            (Some(was), value) if was == value => {}
            (Some(Value::Object(was)), Value::Object(value)) => {
                changes.insert(key.clone(), Value::Object(changed(was, value)));
            }
            (Some(_) | None, value) => drop(changes.insert(key.clone(), value.clone())),
        }
    }
    changes
}

impl Helm {
    /// The objects of the cluster that it takes values from.
    pub fn queries(&self) -> impl Iterator<Item = Query> {
        self.values_from.iter().map(|from| self.query(from))
    }

    fn query(&self, from: &ValuesFrom) -> Query {
        let namespace = if self.namespace.is_empty() { DEFAULT_NAMESPACE } else { &self.namespace };
        Query::core(from.holder.kind(), namespace, &from.name)
    }
}

/// The values that are given to the chart, in their order.
pub(super) fn layers(source: &dyn Tree, helm: &Helm, lookups: &Lookups) -> Result<Layers, RenderError> {
    let mut layers = Layers::default();
    let mut problems = Vec::new();
    for file in &helm.values_files {
        match tree::read_text(source, file).map(|text| Layer::of_text(file, text)) {
            Ok(Ok(layer)) => layers.add(layer),
            Ok(Err(error)) => problems.push(format!("{file}: {error}")),
            Err(error) => problems.push(with_causes(&error)),
        }
    }
    // As if they stood in one more file.
    let inline = Value::Object(helm.values.clone()).to_string();
    match read_values(&inline) {
        Ok(values) => layers.add(Layer::of_values(INLINE, values)),
        Err(error) => problems.push(format!("{INLINE}: {error}")),
    }
    for from in &helm.values_from {
        let query = helm.query(from);
        let added = match (lookups.object(&query), from.need) {
            (Err(why), _) => Err(why),
            (Ok(Some(object)), _) => layers.add_object(from, &query, &object),
            (Ok(None), Need::Optional) => Ok(()),
            (Ok(None), Need::Required) => Err(format!("there is no {query} to take the key {} of", from.key)),
        };
        if let Err(why) = added {
            problems.push(format!("helm.valuesFrom: cluster {}: {why}", helm.cluster));
        }
    }
    if problems.is_empty() { Ok(layers) } else { Err(RenderError(problems)) }
}

/// The values that templates get, and where they come from.
pub struct Merged {
    values: Value,
    sources: Provenance,
    /// The sources whose values are not shown.
    hashed: BTreeSet<Arc<str>>,
}

/// Some may be secrets.
impl fmt::Debug for Merged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl Merged {
    /// What a chart and the values that it is given come to.
    ///
    /// # Errors
    /// What Helm refuses about them.
    pub fn of(chart: &Chart, layers: &Layers) -> Result<Self, trueup_helm::Error> {
        let values = Value::Object(computed_values(chart, layers.merged())?);
        let own: Arc<str> = format!("chart {}", chart.metadata.name).into();
        let above: Vec<Above<'_>> = layers.layers.iter().rev().map(Above::new).collect();
        let sources = Provenance::of_value(&values, &mut |change| {
            above.iter().find_map(|layer| layer.source(change.path)).unwrap_or_else(|| unlined(&own))
        });
        let hashed = layers.layers.iter().filter(|layer| layer.shown == Shown::AsHashes);
        Ok(Self { hashed: hashed.map(|layer| layer.source.clone()).collect(), values, sources })
    }

    /// The values and their sources, hashes under this key in place of what Secrets say.
    pub fn shown(mut self, key: &MaskKey) -> (Value, Provenance) {
        hide(&mut self.values, &self.sources, &self.hashed, key);
        (self.values, self.sources)
    }
}

/// A source without lines.
fn unlined(source: &Arc<str>) -> Source {
    Source { file: source.clone(), line: 0, by: None, from: None }
}

/// A layer, and the lines of its text.
struct Above<'l> {
    layer: &'l Layer,
    lines: Option<Provenance>,
}

impl<'l> Above<'l> {
    fn new(layer: &'l Layer) -> Self {
        Self { layer, lines: layer.lines() }
    }

    /// The source of the value at a path, if this layer gives it one.
    fn source(&self, path: &[Segment]) -> Option<Source> {
        // What a chart within another one has of the globals stands with the other one.
        let global = path.iter().skip(1).position(|step| *step == Segment::Field(GLOBAL.to_owned()));
        let paths = [Some(path), global.and_then(|at| path.get(at + 1..))];
        let path = paths.into_iter().flatten().find(|path| gives(&self.layer.values, path))?;
        let line = self.lines.as_ref().and_then(|lines| lines.leaf(path)).cloned();
        Some(line.unwrap_or_else(|| unlined(&self.layer.source)))
    }
}

/// Whether these values have something at a path. Lists are replaced as a whole: whoever gives one gives all of its items.
fn gives(values: &Values, path: &[Segment]) -> bool {
    let Some((Segment::Field(name), rest)) = path.split_first() else { return false };
    match (values.get(name), rest.first()) {
        (None, _) => false,
        (Some(_), None) => true,
        (Some(Value::Object(below)), Some(Segment::Field(_))) => gives(below, rest),
        (Some(value), Some(_)) => value.is_array(),
    }
}

fn hide(value: &mut Value, sources: &Provenance, hashed: &BTreeSet<Arc<str>>, key: &MaskKey) {
    match (value, sources) {
        (value, Provenance::Leaf(source)) => {
            if hashed.contains(&source.file) {
                *value = Value::String(masked(value, key));
            }
        }
        (Value::Array(items), Provenance::List(sources)) => {
            items.iter_mut().zip(sources).for_each(|(item, source)| hide(item, source, hashed, key));
        }
        (Value::Object(fields), Provenance::Map(sources)) => {
            for (name, field) in fields {
                if let Some(source) = sources.get(name) {
                    hide(field, source, hashed, key);
                }
            }
        }
        // Sources have the shape of what they are the sources of.
        (_, Provenance::List(_) | Provenance::Map(_)) => {}
    }
}

#[allow(clippy::needless_pass_by_value, reason = "one of the ways to build, see render::Build")]
/// The values that a chart is rendered with, instead of what it makes of them.
///
/// # Errors
/// As for rendering, and where there is no chart.
pub fn build_values(
    source: Arc<dyn Tree>,
    request: &Request,
    _: &Parsed,
    bases: &Bases,
) -> Result<Merged, Unrendered> {
    let traced = TracedTree::new(source);
    let bases = traced_bases(bases);
    let merged = values_of(&traced, request, &bases);
    all_fetched(&traced, &bases)?;
    merged.map_err(|unrendered| confidential::scrubbed(unrendered, &request.given.answers))
}

fn values_of(
    source: &dyn Tree,
    request: &Request,
    bases: &BTreeMap<Remote, Result<Traced, String>>,
) -> Result<Merged, Unrendered> {
    let no_chart = || RenderError(vec![format!("{}: is no chart, and has no values", request.shown())]);
    let helm = request.helm.as_ref().ok_or_else(no_chart)?;
    let lookups = Lookups::new(&request.given.answers);
    let layers = layers(source, helm, &lookups);
    if let Some(unasked) = lookups.unasked() {
        return Err(Unrendered::Unasked(unasked));
    }
    let (mut chart, layers) = (super::helm::load(source, helm, &request.given)?, layers?);
    super::helm::completed(&mut chart, source, helm, bases)?;
    let merged = Merged::of(&chart, &layers);
    Ok(merged.map_err(|error| RenderError(vec![format!("{}: {error}", helm.shown())]))?)
}

#[cfg(test)]
mod tests;
