//! The charts that take part in a rendering: which are enabled, what they are called, and what they hand to each other.
//!
//! In come a [`Chart`] and the values given with it; out comes a tree of [`Unit`]s with what conditions, tags and aliases
//! leave of it, and with the values that `import-values` takes over.

use crate::chart::Chart;
use crate::coalesce::{Nulls, check_bounds, coalesced, tables};
use crate::metadata::Dependency;
use crate::semver::is_compatible;
use crate::values::{copied, empty, leaf, map_to_template, table};
use serde_json::Value as Json;
use std::cell::RefCell;
use std::collections::BTreeMap;
use trueup_template::{Map, Text, Type, Value};

/// A chart in its place in a rendering.
#[derive(Clone)]
pub(crate) struct Unit<'c> {
    pub(crate) chart: &'c Chart,
    /// Its name, or its alias.
    pub(crate) name: String,
    /// Its own values.
    pub(crate) values: Map,
    /// What it wants, where it says so.
    pub(crate) wanted: Option<Vec<Wanted>>,
    /// The charts within it.
    pub(crate) charts: Vec<Self>,
}

/// A chart that is wanted, as `.Chart.Dependencies` shows it.
#[derive(Clone)]
pub(crate) struct Wanted {
    /// What the chart says, but for what is below.
    pub(crate) said: Dependency,
    /// Its alias, or its name.
    pub(crate) name: String,
    pub(crate) enabled: bool,
    /// What is taken over, in the form that rendering shows.
    pub(crate) imports: Vec<Value>,
}

/// What should be said of a rendering.
pub(crate) type Warnings = RefCell<Vec<String>>;

impl<'c> Unit<'c> {
    fn new(chart: &'c Chart) -> Self {
        let wanted = chart.metadata.dependencies.as_ref().map(|all| all.iter().map(Wanted::new).collect());
        Self {
            chart,
            name: chart.metadata.name.clone(),
            values: map_to_template(&chart.values),
            wanted,
            charts: chart.dependencies.iter().map(Self::new).collect(),
        }
    }

    /// The charts that take part when these values are given.
    pub(crate) fn resolved(chart: &'c Chart, given: &Map, warnings: &Warnings) -> Result<Self, String> {
        let mut unit = Self::new(chart);
        unit.enable(given, "", warnings)?;
        unit.import(warnings)?;
        Ok(unit)
    }

    /// Leaves the charts that are enabled, under the names that they go by.
    fn enable(&mut self, given: &Map, path: &str, warnings: &Warnings) -> Result<(), String> {
        let Some(mut wanted) = self.wanted.take() else { return Ok(()) };
        self.charts = self.named(&wanted);
        for one in &mut wanted {
            one.name = one.said.goes_by().to_owned();
            one.enabled = true;
        }
        let values = coalesced(self, given, Nulls::Remove)?;
        by_tags(&mut wanted, &values, warnings);
        by_conditions(&mut wanted, &values, path, warnings);
        let disabled =
            |name: &str, wanted: &[Wanted]| wanted.iter().any(|one| !one.enabled && one.name == name);
        self.charts.retain(|chart| !disabled(&chart.name, &wanted));
        let kept = wanted.iter().filter(|one| !disabled(&one.name, &wanted)).cloned().collect();
        for chart in &mut self.charts {
            chart.enable(&values, &format!("{path}{}.", chart.name), warnings)?;
        }
        self.wanted = Some(kept);
        Ok(())
    }

    /// The charts within, those that nobody asked for first, the others in the order that they are asked for.
    fn named(&self, wanted: &[Wanted]) -> Vec<Self> {
        let mut by_name: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (index, chart) in self.charts.iter().enumerate() {
            by_name.entry(&chart.name).or_default().push(index);
        }
        let mut unasked = vec![true; self.charts.len()];
        let mut asked = Vec::new();
        for one in wanted {
            let of_that_name = by_name.get(one.said.name.as_str()).into_iter().flatten();
            let version = |index: usize| &self.charts[index].chart.metadata.version;
            let mut fitting = of_that_name.filter(|index| is_compatible(&one.said.version, version(**index)));
            if let Some(first) = fitting.next() {
                asked.push(Self { name: one.said.goes_by().to_owned(), ..self.charts[*first].clone() });
                unasked[*first] = false;
                fitting.for_each(|another| unasked[*another] = false);
            }
        }
        let unasked = self.charts.iter().zip(unasked).filter(|(_, unasked)| *unasked);
        unasked.map(|(chart, _)| chart.clone()).chain(asked).collect()
    }

    /// Takes over what charts within export, the innermost first.
    fn import(&mut self, warnings: &Warnings) -> Result<(), String> {
        for chart in &mut self.charts {
            chart.import(warnings)?;
        }
        let Some(mut wanted) = self.wanted.take().filter(|wanted| !wanted.is_empty()) else { return Ok(()) };
        let values = coalesced(self, &empty(), Nulls::Keep)?;
        let imported = empty();
        for one in &mut wanted {
            let mut shown = Vec::new();
            for import in &one.said.import_values {
                let (child, parent) = match import {
                    Json::String(name) => (format!("exports.{name}"), ".".to_owned()),
                    Json::Object(map) => (shown_text(map.get("child")), shown_text(map.get("parent"))),
                    Json::Null | Json::Bool(_) | Json::Number(_) | Json::Array(_) => continue,
                };
                shown.push(pair(&child, &parent));
                match table(&values, &format!("{}.{child}", one.name)) {
                    Some(found) => {
                        // What is taken over later goes into this one, and is seen where it came from; but of an empty one Helm makes another.
                        let found = if found.is_empty() { empty() } else { found };
                        let below = below(&parent, found);
                        let taken = tables(&imported, &below, Nulls::Keep);
                        // What is not checked here, the next one may go through without end.
                        taken.and_then(|()| check_bounds(&imported)).map_err(|why| {
                            format!(
                                "chart {}: import-values of {}: {why}: {child} is put at {parent}",
                                self.name, one.name
                            )
                        })?;
                    }
                    None => warnings.borrow_mut().push(format!(
                        "chart {}: import-values of {}: there is no table {child}",
                        self.name, one.name
                    )),
                }
            }
            one.imports = shown;
        }
        self.values = if imported.is_empty() {
            values
        } else {
            // What was taken over may be part of the values that it is put below.
            let own = check_bounds(&values).map(|()| copied(&values));
            let own = own.map_err(|why| format!("chart {}: import-values: {why}", self.name))?;
            let taken = tables(&own, &imported, Nulls::Keep).and_then(|()| check_bounds(&own));
            taken.map_err(|why| format!("chart {}: import-values: {why}", self.name))?;
            own
        };
        self.wanted = Some(wanted);
        Ok(())
    }
}

impl Wanted {
    fn new(said: &Dependency) -> Self {
        Self {
            said: said.clone(),
            name: said.name.clone(),
            enabled: said.enabled,
            imports: said.import_values.iter().map(crate::values::to_template).collect(),
        }
    }
}

/// What `%v` prints of a value that should be a text.
fn shown_text(value: Option<&Json>) -> String {
    match value {
        Some(Json::String(text)) => text.clone(),
        None | Some(Json::Null) => "<nil>".to_owned(),
        Some(other) => other.to_string(),
    }
}

fn pair(child: &str, parent: &str) -> Value {
    let entries = [("child", child), ("parent", parent)];
    let entries = entries.map(|(key, value)| (Text::from(key), Value::text(value)));
    Value::Map(Map::new(Type::Map(Type::Text.into()), BTreeMap::from(entries)))
}

/// A map with `inner` at a path.
fn below(path: &str, inner: Map) -> Map {
    if path == "." {
        return inner;
    }
    path.rsplit('.').fold(inner, |inner, key| {
        Map::new(Type::map(), BTreeMap::from([(Text::from(key), Value::Map(inner))]))
    })
}

/// A chart is enabled by any tag that is true, and disabled where there are only false ones.
fn by_tags(wanted: &mut [Wanted], values: &Map, warnings: &Warnings) {
    let Some(tags) = table(values, "tags") else { return };
    for one in wanted {
        let (mut any_true, mut any_false) = (false, false);
        for tag in &one.said.tags {
            match tags.get(tag.as_bytes()) {
                Some(Value::Bool(true)) => any_true = true,
                Some(Value::Bool(false)) => any_false = true,
                Some(_) => not_bool(warnings, &format!("the tag {tag}"), &one.name),
                None => {}
            }
        }
        one.enabled = any_true || !any_false;
    }
}

/// The first boolean that a condition's paths lead to decides.
fn by_conditions(wanted: &mut [Wanted], values: &Map, path: &str, warnings: &Warnings) {
    for one in wanted {
        for condition in one.said.condition.trim().split(',').filter(|condition| !condition.is_empty()) {
            match leaf(values, &format!("{path}{condition}")) {
                Some(Value::Bool(value)) => {
                    one.enabled = value;
                    break;
                }
                Some(_) => not_bool(warnings, &format!("the value at {condition}"), &one.name),
                None => {}
            }
        }
    }
}

fn not_bool(warnings: &Warnings, what: &str, chart: &str) {
    warnings.borrow_mut().push(format!("{what}, which enables the chart {chart}, is no boolean"));
}
