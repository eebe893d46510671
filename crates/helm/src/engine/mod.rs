//! The engine: templates of all charts in one set, executed each with the values of its chart.
//!
//! In come the charts that take part, and their values; out comes a text for each template that is no partial. Parsing needs no values,
//! and is done beside the making of them.

mod duration;
mod functions;
mod objects;
mod toml;
mod words;
mod yaml;

use crate::beside::{Expected, beside};
use crate::error::Error;
use crate::render::Options;
use crate::unit::Unit;
use objects::{Capabilities, Files, named};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use trueup_template::{Budget, ErrorKind, Limits, Map, MissingKey, Templates, Text, Type, Value};

pub(crate) use objects::VALUES;

/// Templates within one another. Helm lets a template include itself a thousand times, and others may stand around it.
const DEPTH: usize = 2000;

/// The stack that a rendering has to begin with, in bytes; templates within one another get more as they need it. A caller whose
/// threads have more than that left spares each rendering a new one.
pub const STACK: usize = 16 << 20;

/// The value as JSON.
pub(crate) fn as_json(value: &Value) -> Result<serde_json::Value, String> {
    yaml::json(value).map_err(|failure| failure.to_string())
}

/// A template of a chart, before anything is known of values.
struct Source<'c> {
    text: &'c [u8],
    /// The folder of its chart's templates.
    base: Rc<str>,
    /// The number of its chart.
    chart: usize,
}

/// The templates of all charts that take part, by their paths, and the functions that they call.
pub(crate) struct Engine<'u, 'c> {
    root: &'u Unit<'c>,
    options: &'u Options,
    sources: BTreeMap<String, Source<'c>>,
    templates: Templates,
    /// The path of the template that is executed.
    current: Rc<RefCell<String>>,
}

/// On how many templates, and what is made of them, two threads work.
const MANY: usize = 64;

impl<'u, 'c> Engine<'u, 'c> {
    /// Collects the templates of a chart and of the charts within it.
    pub(crate) fn new(root: &'u Unit<'c>, options: &'u Options) -> Result<Self, Error> {
        let mut sources = BTreeMap::new();
        collect(root, "", &mut 0, &mut sources);
        let current = Rc::default();
        let functions =
            functions::all(options, &current).map_err(|error| Error::Template(error.to_string()))?;
        let templates = Templates::new("gotpl").with_functions(functions).with_missing_key(MissingKey::Zero);
        Ok(Self { root, options, sources, templates, current })
    }

    /// How many templates there are.
    pub(crate) fn expected(&self) -> Expected {
        Expected::of(self.sources.len(), MANY)
    }

    /// Parses the templates while `values` are made, which it gives. Who has no values gets their error, whatever the templates are.
    pub(crate) fn parse_beside(&mut self, values: impl FnOnce() -> Result<Map, Error>) -> Result<Map, Error> {
        let order = in_order(&self.sources);
        if self.expected() == Expected::Few {
            let values = values()?;
            for (path, source) in order {
                self.templates.parse(path.as_str(), source.text).map_err(|error| parse_error(&error))?;
            }
            return Ok(values);
        }
        let parser = self.templates.parser();
        let texts = order.into_iter().map(|(path, source)| (path.as_str(), source.text));
        let parse = |(path, text): (&str, &[u8])| parser.parse(path, text);
        let (values, parsed) = beside(Expected::Many, parse, |hands| {
            texts.for_each(|text| hands.over(text));
            values()
        });
        let values = values?;
        for parsed in parsed {
            self.templates.add(parsed.map_err(|error| parse_error(&error))?);
        }
        Ok(values)
    }

    /// Executes all templates that are no partials, and hands over what each makes, with its path.
    pub(crate) fn execute(&self, values: &Map, mut over: impl FnMut(&str, String)) -> Result<(), Error> {
        let shared = Shared {
            release: self.options.release.as_value(),
            capabilities: Capabilities::value(self.options),
        };
        let mut dots = Vec::new();
        shown(self.root, Some(values.clone()), true, &shared, &mut dots);
        let budget = budget(self.options);
        for (path, source) in in_order(&self.sources) {
            if base_name(path).starts_with('_') {
                continue;
            }
            self.current.borrow_mut().clone_from(path);
            let dot = &dots[source.chart];
            let place = [("Name", Value::text(path.as_str())), ("BasePath", Value::text(&*source.base))];
            dot.entries_mut().insert("Template".into(), named(VALUES, map(place)));
            let output = self.templates.execute_within(path, named(VALUES, dot.clone()), &budget);
            let output = output.map_err(|error| match error.kind() {
                ErrorKind::Limit => Error::Limit(error.to_string()),
                ErrorKind::Parse | ErrorKind::Execute => execution_error(&error.to_string()),
            })?;
            let output = String::from_utf8(output)
                .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned());
            over(path, without_no_value(output));
        }
        Ok(())
    }
}

/// What the template of a release's name makes.
pub(crate) fn name(template: &str, options: &Options) -> Result<String, Error> {
    const NAME: &str = "name-template";
    let failed = |error: &dyn std::fmt::Display| Error::Template(error.to_string());
    let current = Rc::new(RefCell::new(NAME.to_owned()));
    let functions = functions::all(options, &current).map_err(|error| failed(&error))?;
    let mut templates = Templates::new(NAME).with_functions(functions);
    templates.parse(NAME, template.as_bytes()).map_err(|error| failed(&error))?;
    let budget = budget(options);
    let name = templates.execute_within(NAME, Value::Nil, &budget).map_err(|error| failed(&error))?;
    Ok(String::from_utf8_lossy(&name).into_owned())
}

/// What the templates of one rendering may use up together.
fn budget(options: &Options) -> Budget<'_> {
    Budget::new(&Limits {
        fuel: options.bounds.steps,
        depth: DEPTH,
        output: options.bounds.output,
        stop: options.stop.as_ref().map(|stop| &**stop as &dyn Fn() -> bool),
    })
}

/// What is the same for all charts.
struct Shared {
    release: Value,
    capabilities: Value,
}

/// The templates of a chart and of the charts within it. `charts` counts these, in the order of [`shown`].
fn collect<'c>(unit: &Unit<'c>, above: &str, charts: &mut usize, all: &mut BTreeMap<String, Source<'c>>) {
    let path = if above.is_empty() { unit.name.clone() } else { format!("{above}/charts/{}", unit.name) };
    let chart = *charts;
    *charts += 1;
    for inner in &unit.charts {
        collect(inner, &path, charts, all);
    }
    let base: Rc<str> = format!("{path}/templates").into();
    for file in &unit.chart.templates {
        if unit.chart.metadata.is_library() && !base_name(&file.name).starts_with('_') {
            continue;
        }
        let source = Source { text: &file.data, base: Rc::clone(&base), chart };
        all.insert(format!("{path}/{}", file.name), source);
    }
}

/// What the templates of a chart are executed on, which is what `.Subcharts` shows of it, too. Those of all charts are added to `dots`.
fn shown(unit: &Unit<'_>, values: Option<Map>, is_root: bool, shared: &Shared, dots: &mut Vec<Map>) -> Map {
    let values = values.unwrap_or_else(crate::values::empty);
    let charts = crate::values::empty();
    let dot = map([
        ("Chart", Value::Map(objects::chart(unit, is_root))),
        ("Files", Value::Object(Rc::new(Files::new(&unit.chart.files)))),
        ("Release", shared.release.clone()),
        ("Capabilities", shared.capabilities.clone()),
        ("Values", named(VALUES, values.clone())),
        ("Subcharts", Value::Map(charts.clone())),
    ]);
    dots.push(dot.clone());
    for inner in &unit.charts {
        let own = match values.get(inner.name.as_bytes()) {
            Some(Value::Map(own)) => Some(own),
            _ => None,
        };
        let inner_dot = shown(inner, own, false, shared, dots);
        charts.entries_mut().insert(inner.name.as_str().into(), Value::Map(inner_dot));
    }
    dot
}

fn map<const N: usize>(entries: [(&str, Value); N]) -> Map {
    Map::new(Type::map(), entries.into_iter().map(|(key, value)| (Text::from(key), value)).collect())
}

/// The deepest first, and backwards among those that are equally deep: what stands further up is parsed later, and wins.
fn in_order<'s, 'c>(all: &'s BTreeMap<String, Source<'c>>) -> Vec<(&'s String, &'s Source<'c>)> {
    let mut order: Vec<_> = all.iter().rev().collect();
    order.sort_by_cached_key(|(path, _)| std::cmp::Reverse(path.matches('/').count()));
    order
}

fn base_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// What Go prints for a key that is missing.
const NO_VALUE: &str = "<no value>";

/// What is nothing to Go is nothing to Helm.
fn without_no_value(text: String) -> String {
    if text.contains(NO_VALUE) { text.replace(NO_VALUE, "") } else { text }
}

fn parse_error(error: &trueup_template::Error) -> Error {
    let text = error.to_string();
    let tokens: Vec<&str> = text.split(": ").collect();
    let [_, place, .., what] = tokens.as_slice() else { return Error::Template(text) };
    Error::Template(format!("parse error at ({place}): {what}"))
}

/// Around what `fail` and `required` say.
const SAID: (&str, &str) = ("HELM_ERR_START", "HELM_ERR_END");

fn execution_error(text: &str) -> Error {
    let mut tokens = text.splitn(3, ": ");
    let (Some(_), Some(place), Some(rest)) = (tokens.next(), tokens.next(), tokens.next()) else {
        return Error::Template(text.to_owned());
    };
    let (start, end) = (rest.find(SAID.0), rest.rfind(SAID.1));
    if let (Some(start), Some(end)) = (start, end)
        && let Some(said) = rest.get(start + SAID.0.len()..end)
    {
        return Error::Template(format!("execution error at ({place}): {said}"));
    }
    Error::Template(traced(text).unwrap_or_else(|| text.to_owned()))
}

/// An error of templates that include one another, a line for each of them; none where something else is in between.
fn traced(text: &str) -> Option<String> {
    let mut lines = Vec::new();
    let mut rest = text;
    loop {
        let (place, after) = rest.strip_prefix("template: ")?.split_once(": executing \"")?;
        let (function, after) = after.split_once("\" at <")?;
        let (location, message) = after.split_once(">: ")?;
        lines.push(format!("{place}\n  executing \"{function}\" at <{location}>:\n    "));
        let Some(called) = message.strip_prefix("error calling include: ") else {
            if message.starts_with("error calling ") {
                return None;
            }
            lines.push(format!("{message}\n"));
            return Some(lines.concat().trim().to_owned());
        };
        lines.push("error calling include:\n".to_owned());
        if called.starts_with("template: no template ") {
            lines.push(called.to_owned());
            return Some(lines.concat());
        }
        rest = called;
    }
}
