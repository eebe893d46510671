//! What `Chart.yaml` says of a chart, and the older `requirements.yaml`.
//!
//! In comes text, read as Go reads it into a struct: numbers and booleans become texts where a text is asked for, keys
//! that nobody knows are left alone. Out comes what is checked by Helm's rules.

use crate::semver::is_version;
use crate::values::{READING, kind};
use serde_json::Value;
use std::collections::BTreeMap;
use trueup_model::yaml::{self, Floats, Reading};

/// What a chart says of itself.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Metadata {
    /// Its name.
    pub name: String,
    /// The project's page.
    pub home: String,
    /// Where its sources are.
    pub sources: Vec<String>,
    /// Its version.
    pub version: String,
    /// What it is, in a sentence.
    pub description: String,
    /// Words to find it by.
    pub keywords: Vec<String>,
    /// Who keeps it.
    pub maintainers: Vec<Maintainer>,
    /// Where its icon is.
    pub icon: String,
    /// `v1` or `v2`.
    pub api_version: String,
    /// What enables it, as Helm 2 had it.
    pub condition: String,
    /// What enables it, as Helm 2 had it.
    pub tags: String,
    /// The version of what it installs.
    pub app_version: String,
    /// Whether it should no longer be used.
    pub deprecated: bool,
    /// What other tools say of it.
    pub annotations: Option<BTreeMap<String, String>>,
    /// Which versions of Kubernetes it is for.
    pub kube_version: String,
    /// The charts that it wants, where it says which.
    pub dependencies: Option<Vec<Dependency>>,
    /// `application`, `library` or nothing.
    pub chart_type: String,
}

/// Who keeps a chart.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Maintainer {
    /// A name.
    pub name: String,
    /// An address for mail.
    pub email: String,
    /// A page.
    pub url: String,
}

/// A chart that another one wants.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Dependency {
    /// Its name.
    pub name: String,
    /// Which versions will do.
    pub version: String,
    /// Where it comes from.
    pub repository: String,
    /// Paths of values, the first boolean of which says whether it is wanted.
    pub condition: String,
    /// Words of `tags` in the values that say whether it is wanted.
    pub tags: Vec<String>,
    /// What it was set to be; rendering decides anew.
    pub enabled: bool,
    /// Which of its values the wanting chart takes over.
    pub import_values: Vec<Value>,
    /// The name that it goes by.
    pub alias: String,
}

/// Why it is no metadata: a sentence.
type Refusal = String;

impl Metadata {
    /// Whether it is for other charts to use, and renders nothing itself.
    pub fn is_library(&self) -> bool {
        self.chart_type.eq_ignore_ascii_case("library")
    }

    /// Takes over what a text says.
    pub(crate) fn read(&mut self, text: &str) -> Result<(), Refusal> {
        let Some(map) = first_map(text)? else { return Ok(()) };
        let map = Struct(&map);
        let texts: [(&str, &mut String); 11] = [
            ("name", &mut self.name),
            ("home", &mut self.home),
            ("version", &mut self.version),
            ("description", &mut self.description),
            ("icon", &mut self.icon),
            ("apiVersion", &mut self.api_version),
            ("condition", &mut self.condition),
            ("tags", &mut self.tags),
            ("appVersion", &mut self.app_version),
            ("kubeVersion", &mut self.kube_version),
            ("type", &mut self.chart_type),
        ];
        for (key, target) in texts {
            map.text(key, target)?;
        }
        map.boolean("deprecated", &mut self.deprecated)?;
        map.texts("sources", &mut self.sources)?;
        map.texts("keywords", &mut self.keywords)?;
        if let Some(maintainers) = map.list("maintainers")? {
            self.maintainers = maintainers.iter().map(maintainer).collect::<Result<_, _>>()?;
        }
        if let Some(annotations) = map.texts_by_key("annotations")? {
            self.annotations = Some(annotations);
        }
        if let Some(dependencies) = read_dependencies(&map)? {
            self.dependencies = Some(dependencies);
        }
        Ok(())
    }

    /// Brings the texts in the form that Helm gives them, and refuses what Helm refuses.
    pub(crate) fn check(&mut self) -> Result<(), Refusal> {
        self.clean();
        let refused = |what: &str| Err(format!("validation: {what}"));
        if self.api_version.is_empty() {
            return refused("chart.metadata.apiVersion is required");
        }
        if self.name.is_empty() {
            return refused("chart.metadata.name is required");
        }
        if self.name == "." || self.name == ".." {
            return refused(&format!("chart.metadata.name {:?} is not allowed", self.name));
        }
        if self.name.contains('/') {
            return refused(&format!("chart.metadata.name {:?} is invalid", self.name));
        }
        if self.version.is_empty() {
            return refused("chart.metadata.version is required");
        }
        if !is_version(&self.version) {
            return refused(&format!("chart.metadata.version {:?} is invalid", self.version));
        }
        if !matches!(self.chart_type.as_str(), "" | "application" | "library") {
            return refused("chart.metadata.type must be application or library");
        }
        let mut names: Vec<&str> = Vec::new();
        for dependency in self.dependencies.iter().flatten() {
            let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
            if !dependency.alias.chars().all(allowed) {
                let name = &dependency.name;
                return refused(&format!("dependency {name:?} has disallowed characters in the alias"));
            }
            let name = dependency.goes_by();
            if names.contains(&name) {
                return refused(&format!("more than one dependency with name or alias {name:?}"));
            }
            names.push(name);
        }
        Ok(())
    }

    fn clean(&mut self) {
        let own = [
            &mut self.name,
            &mut self.description,
            &mut self.home,
            &mut self.icon,
            &mut self.condition,
            &mut self.tags,
            &mut self.app_version,
            &mut self.kube_version,
        ];
        let maintainers =
            self.maintainers.iter_mut().flat_map(|one| [&mut one.name, &mut one.email, &mut one.url]);
        let dependencies = self.dependencies.iter_mut().flatten().flat_map(|one| {
            let own = [&mut one.name, &mut one.version, &mut one.repository, &mut one.condition];
            own.into_iter().chain(&mut one.tags)
        });
        let listed = self.sources.iter_mut().chain(&mut self.keywords);
        for text in own.into_iter().chain(listed).chain(maintainers).chain(dependencies) {
            *text = printable(text);
        }
    }
}

impl Dependency {
    /// Its alias, or its name where it has none.
    pub fn goes_by(&self) -> &str {
        if self.alias.is_empty() { &self.name } else { &self.alias }
    }
}

/// Spaces of all kinds become one, and what cannot be printed is left out.
fn printable(text: &str) -> String {
    let shown = |c: &char| *c == ' ' || !c.is_control();
    text.chars().map(|c| if c.is_whitespace() { ' ' } else { c }).filter(shown).collect()
}

fn maintainer(value: &Value) -> Result<Maintainer, Refusal> {
    let Value::Object(map) = value else {
        return Err("validation: maintainers must not contain empty or null nodes".into());
    };
    let (map, mut read) = (Struct(map), Maintainer::default());
    map.text("name", &mut read.name)?;
    map.text("email", &mut read.email)?;
    map.text("url", &mut read.url)?;
    Ok(read)
}

/// The list `dependencies` of a chart or of a lock, where there is one.
pub(crate) fn read_dependencies(map: &Struct<'_>) -> Result<Option<Vec<Dependency>>, Refusal> {
    let Some(dependencies) = map.list("dependencies")? else { return Ok(None) };
    dependencies.iter().map(dependency).collect::<Result<_, _>>().map(Some)
}

fn dependency(value: &Value) -> Result<Dependency, Refusal> {
    let Value::Object(map) = value else {
        return Err("validation: dependencies must not contain empty or null nodes".into());
    };
    let (map, mut read) = (Struct(map), Dependency::default());
    map.text("name", &mut read.name)?;
    map.text("version", &mut read.version)?;
    map.text("repository", &mut read.repository)?;
    map.text("condition", &mut read.condition)?;
    map.text("alias", &mut read.alias)?;
    map.texts("tags", &mut read.tags)?;
    map.boolean("enabled", &mut read.enabled)?;
    read.import_values = map.list("import-values")?.cloned().unwrap_or_default();
    Ok(read)
}

/// The first document of a text, where that is a map.
pub(crate) fn first_map(text: &str) -> Result<Option<serde_json::Map<String, Value>>, Refusal> {
    // What becomes a text is made of a number as it was read, not as JSON has it.
    let reading = Reading { floats: Floats::Kept, ..READING };
    let first = yaml::documents_as(text, reading).map_err(|error| error.to_string())?.into_iter().next();
    match first.map(|document| document.value) {
        None => Ok(None),
        Some(Value::Object(map)) => Ok(Some(map)),
        Some(other) => Err(format!("line 1: is {}, where a map was expected", kind(&other))),
    }
}

/// A map that is read as Go reads it into a struct.
pub(crate) struct Struct<'m>(pub(crate) &'m serde_json::Map<String, Value>);

impl<'m> Struct<'m> {
    /// The value at a key, whose case does not matter; null is none.
    pub(crate) fn get(&self, key: &str) -> Option<&'m Value> {
        let exact = self.0.get(key);
        let found = exact.or_else(|| {
            self.0.iter().find(|(known, _)| known.eq_ignore_ascii_case(key)).map(|(_, value)| value)
        });
        found.filter(|value| !value.is_null())
    }

    pub(crate) fn text(&self, key: &str, target: &mut String) -> Result<(), Refusal> {
        if let Some(value) = self.get(key) {
            *target = text(value).ok_or_else(|| unlike(key, value, "a string"))?;
        }
        Ok(())
    }

    fn boolean(&self, key: &str, target: &mut bool) -> Result<(), Refusal> {
        if let Some(value) = self.get(key) {
            *target = value.as_bool().ok_or_else(|| unlike(key, value, "a boolean"))?;
        }
        Ok(())
    }

    fn list(&self, key: &str) -> Result<Option<&'m Vec<Value>>, Refusal> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::Array(items)) => Ok(Some(items)),
            Some(other) => Err(unlike(key, other, "a list")),
        }
    }

    fn texts(&self, key: &str, target: &mut Vec<String>) -> Result<(), Refusal> {
        if let Some(items) = self.list(key)? {
            let texts = items.iter().map(|item| match item {
                Value::Null => Ok(String::new()),
                item => text(item).ok_or_else(|| unlike(key, item, "a string")),
            });
            *target = texts.collect::<Result<_, _>>()?;
        }
        Ok(())
    }

    pub(crate) fn texts_by_key(&self, key: &str) -> Result<Option<BTreeMap<String, String>>, Refusal> {
        let map = match self.get(key) {
            None => return Ok(None),
            Some(Value::Object(map)) => map,
            Some(other) => return Err(unlike(key, other, "a map")),
        };
        let texts = map.iter().map(|(name, value)| match value {
            Value::Null => Ok((name.clone(), String::new())),
            value => match text(value) {
                Some(text) => Ok((name.clone(), text)),
                None => Err(unlike(&format!("{key}.{name}"), value, "a string")),
            },
        });
        texts.collect::<Result<_, _>>().map(Some)
    }
}

fn unlike(key: &str, value: &Value, wanted: &str) -> Refusal {
    format!("{key}: is {}, where {wanted} was expected", kind(value))
}

/// A scalar as a text: the reader of YAML turns numbers and booleans into texts where a struct wants them.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(value) => Some(value.to_string()),
        Value::Number(number) if number.is_f64() => number.as_f64().map(shortest),
        Value::Number(number) => Some(number.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// The shortest digits of a float, as `%g` has it: with an exponent from a million on and below a ten-thousandth.
pub(crate) fn shortest(float: f64) -> String {
    let scientific = format!("{float:e}");
    let Some((digits, exponent)) = scientific.split_once('e') else { return scientific };
    let exponent: i32 = exponent.parse().unwrap_or_default();
    if (-4..6).contains(&exponent) {
        return float.to_string();
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Metadata, String> {
        let mut metadata = Metadata::default();
        metadata.read(text)?;
        metadata.check()?;
        Ok(metadata)
    }

    #[test]
    fn a_number_becomes_a_text_where_one_is_asked_for() {
        let read =
            read("apiVersion: v2\nname: a\nversion: 1\nappVersion: 1.10\nannotations: {x: true}\n").unwrap();
        assert_eq!((read.version.as_str(), read.app_version.as_str()), ("1", "1.1"));
        assert_eq!(read.annotations.unwrap()["x"], "true");
    }

    #[test]
    fn what_helm_refuses_is_refused() {
        let refused = |text: &str| read(text).unwrap_err();
        assert_eq!(refused("apiVersion: v2\nname: a\n"), "validation: chart.metadata.version is required");
        assert_eq!(
            refused("apiVersion: v2\nname: a\nversion: 72445e2\n"),
            "validation: chart.metadata.version \"7.2445e+06\" is invalid"
        );
        let base = "apiVersion: v2\nname: a\nversion: 1.2.3\n";
        assert_eq!(
            refused(&format!("{base}dependencies: [{{name: b}}, {{name: c, alias: b}}]")),
            "validation: more than one dependency with name or alias \"b\""
        );
        assert_eq!(
            refused(&format!("{base}keywords: b")),
            "keywords: is a string, where a list was expected"
        );
    }
}
