//! The engine: templates of all charts in one set, executed each with the values of its chart.
//!
//! In come the charts that take part with their values; out comes a text for each template that is no partial.

mod duration;
mod functions;
mod objects;
mod toml;
mod yaml;

use crate::error::Error;
use crate::halves;
use crate::render::Options;
use crate::unit::Unit;
use objects::{Capabilities, Files, named};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
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

/// A template with what it is executed on.
struct Renderable {
    text: Arc<[u8]>,
    dot: Map,
    base: String,
}

/// What all templates make, by their paths.
pub(crate) fn render(
    root: &Unit<'_>,
    values: &Map,
    options: &Options,
) -> Result<BTreeMap<String, String>, Error> {
    let mut all = BTreeMap::new();
    let shared = Shared { release: options.release.as_value(), capabilities: Capabilities::value(options) };
    collect(root, Some(values.clone()), "", &shared, &mut all);

    let current = Rc::new(RefCell::new(String::new()));
    let functions = functions::all(options, &current).map_err(|error| Error::Template(error.to_string()))?;
    let mut templates = Templates::new("gotpl").with_functions(functions).with_missing_key(MissingKey::Zero);
    let order = in_order(&all);
    let texts = order.iter().map(|(path, renderable)| (path.as_str(), &renderable.text));
    parse(&mut templates, texts.collect()).map_err(|error| parse_error(&error.to_string()))?;
    let budget = budget(options);
    let mut rendered = BTreeMap::new();
    for (path, Renderable { dot, base, .. }) in order {
        if base_name(path).starts_with('_') {
            continue;
        }
        current.borrow_mut().clone_from(path);
        let place = [("Name", Value::text(path.as_str())), ("BasePath", Value::text(base.as_str()))];
        dot.entries_mut().insert("Template".into(), named(VALUES, map(place)));
        let output = templates.execute_within(path, named(VALUES, dot.clone()), &budget).map_err(
            |error| match error.kind() {
                ErrorKind::Limit => Error::Limit(error.to_string()),
                ErrorKind::Parse | ErrorKind::Execute => execution_error(&error.to_string()),
            },
        )?;
        let output = String::from_utf8(output)
            .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned());
        rendered.insert(path.clone(), without_no_value(output));
    }
    Ok(rendered)
}

/// Templates are parsed side by side where there are as many.
const MANY: usize = 64;

fn parse(templates: &mut Templates, texts: Vec<(&str, &Arc<[u8]>)>) -> Result<(), trueup_template::Error> {
    if texts.len() < MANY {
        return texts.into_iter().try_for_each(|(path, text)| templates.parse(path, text));
    }
    let parser = templates.parser();
    for parsed in halves::each(texts, MANY, |(path, text)| parser.parse(path, text)) {
        templates.add(parsed?);
    }
    Ok(())
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

/// The templates of a chart and of the charts within it, and what `.Subcharts` shows of it.
fn collect(
    unit: &Unit<'_>,
    values: Option<Map>,
    above: &str,
    shared: &Shared,
    all: &mut BTreeMap<String, Renderable>,
) -> Map {
    let is_root = above.is_empty();
    let path = if is_root { unit.name.clone() } else { format!("{above}/charts/{}", unit.name) };
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
    for inner in &unit.charts {
        let own = match values.get(inner.name.as_bytes()) {
            Some(Value::Map(own)) => Some(own),
            _ => None,
        };
        let shown = collect(inner, own, &path, shared, all);
        charts.entries_mut().insert(inner.name.as_str().into(), Value::Map(shown));
    }
    for file in &unit.chart.templates {
        if unit.chart.metadata.is_library() && !base_name(&file.name).starts_with('_') {
            continue;
        }
        let base = format!("{path}/templates");
        let renderable = Renderable { text: Arc::clone(&file.data), dot: dot.clone(), base };
        all.insert(format!("{path}/{}", file.name), renderable);
    }
    dot
}

fn map<const N: usize>(entries: [(&str, Value); N]) -> Map {
    Map::new(Type::map(), entries.into_iter().map(|(key, value)| (Text::from(key), value)).collect())
}

/// The deepest first, and backwards among those that are equally deep: what stands further up is parsed later, and wins.
fn in_order(all: &BTreeMap<String, Renderable>) -> Vec<(&String, &Renderable)> {
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

fn parse_error(text: &str) -> Error {
    let tokens: Vec<&str> = text.split(": ").collect();
    let [_, place, .., what] = tokens.as_slice() else { return Error::Template(text.to_owned()) };
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
        rest = called;
    }
}
