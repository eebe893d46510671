//! The charts that take part in a rendering: which are enabled, what they are called, and what they hand to each other.
//!
//! In come a [`Chart`] and the values given with it; out comes a tree of [`Unit`]s with what conditions, tags and aliases
//! leave of it, and with the values that `import-values` takes over.

use crate::chart::Chart;
use crate::coalesce::{Nulls, check_bounds, coalesced, tables};
use crate::metadata::{Dependency, Metadata};
use crate::semver::is_compatible;
use crate::values::{Values, copied, empty, leaf, map_to_template, table};
use serde_json::Value as Json;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::mem;
use trueup_template::{Map, Text, Type, Value};

/// A chart in its place in a rendering.
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

/// The charts that take part in a rendering, the outermost one with all others in it.
pub(crate) struct Resolved<'c> {
    pub(crate) unit: Unit<'c>,
    /// The values of all charts, where it took these to know which take part.
    values: Option<Map>,
}

impl<'c> Resolved<'c> {
    /// The charts that take part when these values are given.
    pub(crate) fn new(chart: &'c Chart, given: &Map, warnings: &Warnings) -> Result<Self, String> {
        let mut unit = Unit::new(chart);
        if unit.merges_once(given) {
            if let Some(values) = unit.at_once(given, warnings)? {
                return Ok(Self { unit, values: Some(values) });
            }
            unit = Unit::new(chart);
        }
        unit.enable(given, "", warnings)?;
        unit.import(warnings)?;
        Ok(Self { unit, values: None })
    }

    /// The values of all charts, with those over them that were given before.
    pub(crate) fn values(&self, given: &Map) -> Result<Map, String> {
        self.values.clone().map_or_else(|| coalesced(&self.unit, given, Nulls::Remove), Ok)
    }
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

    /// What holds for it and all charts within it.
    fn all(&self, holds: &impl Fn(&Self) -> bool) -> bool {
        holds(self) && self.charts.iter().all(|chart| chart.all(holds))
    }

    /// Whether its values need be merged only once. Helm merges them to see which charts are enabled, again for what charts take over from
    /// each other, and at last with those that are left; that makes a difference where something is null or no map where another chart has
    /// one, and where a chart within says what it wants.
    fn merges_once(&self, given: &Map) -> bool {
        let is_table = |values: &Values, key: &str| values.get(key).is_none_or(Json::is_object);
        let plain = |unit: &Self| {
            let values = &unit.chart.values;
            let wanted = unit.wanted.iter().flatten();
            let mut names =
                wanted.map(|one| one.said.goes_by()).chain(unit.charts.iter().map(|chart| &*chart.name));
            !values.values().any(has_null)
                && is_table(values, "global")
                && names.all(|name| is_table(values, name))
        };
        let wanted = self.wanted.iter().flatten();
        given.get(b"global").is_none()
            && !given.entries().values().any(holds_nil)
            && wanted.map(|one| &one.said).all(|said| said.import_values.is_empty())
            && self.charts.iter().all(|chart| chart.all(&|chart| chart.wanted.is_none()))
            && self.all(&plain)
    }

    /// The values of all charts, if they need be merged only once and all charts are enabled. Then nothing else is to be done; otherwise the
    /// unit is of no use any more.
    fn at_once(&mut self, given: &Map, warnings: &Warnings) -> Result<Option<Map>, String> {
        let wanted = self.wanted.take().map(|wanted| self.choose(wanted));
        let values = coalesced(self, given, Nulls::None)?;
        if let Some(mut wanted) = wanted {
            let told = Warnings::default();
            let charts = self.charts.len();
            self.leave_enabled(&mut wanted, &values, "", &told);
            if self.charts.len() < charts {
                return Ok(None);
            }
            warnings.borrow_mut().append(&mut told.into_inner());
            self.wanted = Some(wanted);
        }
        Ok(Some(values))
    }

    /// Leaves the charts that are enabled, under the names that they go by.
    fn enable(&mut self, given: &Map, path: &str, warnings: &Warnings) -> Result<(), String> {
        let Some(wanted) = self.wanted.take() else { return Ok(()) };
        let mut wanted = self.choose(wanted);
        let values = coalesced(self, given, Nulls::Remove)?;
        self.leave_enabled(&mut wanted, &values, path, warnings);
        for chart in &mut self.charts {
            chart.enable(&values, &format!("{path}{}.", chart.name), warnings)?;
        }
        self.wanted = Some(wanted);
        Ok(())
    }

    /// Leaves the charts that are enabled with these values, and what is said of them.
    fn leave_enabled(&mut self, wanted: &mut Vec<Wanted>, values: &Map, path: &str, warnings: &Warnings) {
        by_tags(wanted, values, warnings);
        by_conditions(wanted, values, path, warnings);
        let disabled: BTreeSet<_> =
            wanted.iter().filter(|one| !one.enabled).map(|one| one.name.clone()).collect();
        self.charts.retain(|chart| !disabled.contains(&chart.name));
        wanted.retain(|one| !disabled.contains(&one.name));
    }

    /// Puts the charts within in their order, those that nobody asked for first, the others as they are asked for and under the names that
    /// they then go by. Gives back what is asked for, with these names.
    fn choose(&mut self, mut wanted: Vec<Wanted>) -> Vec<Wanted> {
        let mut by_name: BTreeMap<&str, Vec<(usize, &str)>> = BTreeMap::new();
        for (index, chart) in self.charts.iter().enumerate() {
            let Metadata { name, version, .. } = &chart.chart.metadata;
            by_name.entry(name).or_default().push((index, version));
        }
        let mut charts: Vec<Option<Self>> = mem::take(&mut self.charts).into_iter().map(Some).collect();
        let mut unasked = vec![true; charts.len()];
        let mut asked: Vec<Self> = Vec::new();
        // The first one who asks for a chart gets it, the others copies.
        let mut given = BTreeMap::new();
        for one in &mut wanted {
            one.name = one.said.goes_by().to_owned();
            one.enabled = true;
            let of_that_name = by_name.get(one.said.name.as_str()).into_iter().flatten();
            let mut fitting = of_that_name.filter(|(_, version)| is_compatible(&one.said.version, version));
            if let Some((first, _)) = fitting.next() {
                let chart = match charts[*first].take() {
                    Some(chart) => {
                        given.insert(first, asked.len());
                        chart
                    }
                    None => asked[given[first]].copied(),
                };
                asked.push(Self { name: one.name.clone(), ..chart });
                unasked[*first] = false;
                fitting.for_each(|(another, _)| unasked[*another] = false);
            }
        }
        let unasked = charts.into_iter().zip(unasked).filter(|(_, unasked)| *unasked);
        self.charts = unasked.filter_map(|(chart, _)| chart).chain(asked).collect();
        wanted
    }

    /// A copy whose values are its own.
    fn copied(&self) -> Self {
        let charts = self.charts.iter().map(Self::copied).collect();
        Self {
            values: copied(&self.values),
            charts,
            name: self.name.clone(),
            wanted: self.wanted.clone(),
            ..*self
        }
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

/// Whether something in it is null.
fn has_null(value: &Json) -> bool {
    match value {
        Json::Null => true,
        Json::Array(items) => items.iter().any(has_null),
        Json::Object(map) => map.values().any(has_null),
        Json::Bool(_) | Json::Number(_) | Json::String(_) => false,
    }
}

/// As [`has_null`], of what templates compute with.
fn holds_nil(value: &Value) -> bool {
    match value {
        Value::Nil => true,
        Value::List(list) => list.items().iter().any(holds_nil),
        Value::Map(map) => map.entries().values().any(holds_nil),
        Value::Bool(_)
        | Value::Int(..)
        | Value::Uint(..)
        | Value::Float(..)
        | Value::Text(_)
        | Value::Object(_)
        | Value::Function(_) => false,
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
