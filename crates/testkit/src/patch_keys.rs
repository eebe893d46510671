//! Which lists of the Kubernetes API merge by key: the compact table of `crates/kustomize`, made from an OpenAPI document.
//!
//! Enters: an OpenAPI v2 document, as a kube-apiserver serves it and as kustomize carries it. Leaves: the table's text;
//! its first lines say how it is written. Only what leads to a list that merges is in it, and definitions that cannot be
//! told apart by that are one type, with the shortest of their names.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

const DEFINITIONS: &str = "#/definitions/";

/// What stands at a field.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Field<T> {
    /// An object.
    One(T),
    /// A map with such values.
    Map(T),
    /// A list that merges by these keys; its items where they lead further.
    List(Option<T>, Vec<String>),
}

impl<T> Field<T> {
    fn target(&self) -> Option<&T> {
        match self {
            Self::One(target) | Self::Map(target) => Some(target),
            Self::List(target, _) => target.as_ref(),
        }
    }

    fn with<U>(&self, change: impl Fn(&T) -> Option<U>) -> Option<Field<U>> {
        match self {
            Self::One(target) => change(target).map(Field::One),
            Self::Map(target) => change(target).map(Field::Map),
            Self::List(target, keys) => Some(Field::List(target.as_ref().and_then(change), keys.clone())),
        }
    }
}

type Fields<T> = BTreeMap<String, Field<T>>;

/// The table of an OpenAPI document of the Kubernetes version that `version` names.
pub fn table(document: &Value, version: &str) -> Result<String> {
    let definitions = document["definitions"].as_object().context("the document has no definitions")?;
    let mut all = BTreeMap::new();
    for (name, definition) in definitions {
        all.insert(name.as_str(), fields(name, definition)?);
    }
    let kept = leading(&all);
    let types = types(&kept);
    let mut text = HEADER.replace("RELEASE", version);
    for (name, members) in &types.members {
        let fields = members.first().map(|member| &kept[member]).into_iter().flatten();
        write!(text, "type {name}")?;
        for (field, shape) in fields {
            let name_of = |definition: &&str| types.of.get(definition).cloned();
            write!(text, " {field}={}", written(shape.with(name_of).context("a field that leads nowhere")?))?;
        }
        text.push('\n');
    }
    for (name, members) in &types.members {
        let kinds: BTreeSet<String> =
            members.iter().flat_map(|member| kinds(&definitions[*member])).collect();
        if !kinds.is_empty() {
            writeln!(text, "kind {name} {}", kinds.into_iter().collect::<Vec<_>>().join(" "))?;
        }
    }
    for (name, members) in &types.members {
        writeln!(text, "name {name} {}", members.join(" "))?;
    }
    Ok(text)
}

const HEADER: &str = "\
# Where lists merge by key when a strategic merge patch is applied: the parts of the Kubernetes API
# (RELEASE) below which such a list stands. Everything that is not written here is
# replaced as a whole. Written by `cargo run -p trueup-testkit --bin patch-keys`.
#
# type NAME FIELD=TYPE           an object of TYPE        FIELD={TYPE}         a map with values of TYPE
#           FIELD=[TYPE:KEYS]    a list that merges by KEYS; without KEYS a set of plain values
# kind TYPE APIVERSION:KIND...   what the root of these objects is
# name TYPE DEFINITION...        what OpenAPI calls it; types of the same fields are one here
";

/// The lists that merge in a table: `DEFINITION.FIELD` and its keys.
pub fn lists(table: &str) -> BTreeMap<String, String> {
    let lines = |word: &'static str| {
        table.lines().filter_map(move |line| {
            let mut words = line.split(' ');
            (words.next() == Some(word)).then_some(())?;
            Some((words.next()?, words))
        })
    };
    let mut lists = BTreeMap::new();
    for (name, fields) in lines("type") {
        let definitions: Vec<&str> =
            lines("name").filter(|(named, _)| *named == name).flat_map(|(_, rest)| rest).collect();
        for (field, shape) in fields.filter_map(|word| word.split_once('=')) {
            let Some((_, keys)) = shape.strip_suffix(']').and_then(|list| list.split_once(':')) else {
                continue;
            };
            for definition in &definitions {
                lists.insert(format!("{definition}.{field}"), keys.to_owned());
            }
        }
    }
    lists
}

fn fields<'d>(name: &str, definition: &'d Value) -> Result<Fields<&'d str>> {
    let mut fields = Fields::new();
    for (field, node) in definition["properties"].as_object().into_iter().flatten() {
        let keys = merge_keys(node);
        let below = |node: &'d Value| {
            if node["properties"].is_object() {
                bail!("{name}.{field} is written in place; the table has names only");
            }
            Ok(node["$ref"].as_str().and_then(|to| to.strip_prefix(DEFINITIONS)))
        };
        let shape = match (&node["items"], &node["additionalProperties"], keys) {
            (items, _, Some(keys)) => Some(Field::List(below(items)?, keys)),
            (_, values @ Value::Object(_), None) => below(values)?.map(Field::Map),
            (_, _, None) => below(node)?.map(Field::One),
        };
        fields.extend(shape.map(|shape| (field.clone(), shape)));
    }
    Ok(fields)
}

fn merge_keys(node: &Value) -> Option<Vec<String>> {
    let strategy = node["x-kubernetes-patch-strategy"].as_str()?;
    // A field that is no list has a strategy too, once.
    if node["type"] != "array" || !strategy.split(',').any(|word| word == "merge") {
        return None;
    }
    let own = |value: &Value| value.as_str().map(str::to_owned);
    Some(match node["x-kubernetes-list-map-keys"].as_array() {
        Some(keys) => keys.iter().filter_map(own).collect(),
        None => own(&node["x-kubernetes-patch-merge-key"]).into_iter().collect(),
    })
}

/// The definitions below which a list merges, without the fields that lead to none.
fn leading<'d>(all: &BTreeMap<&'d str, Fields<&'d str>>) -> BTreeMap<&'d str, Fields<&'d str>> {
    let mut leading: BTreeSet<&str> = BTreeSet::new();
    loop {
        let before = leading.len();
        for (name, fields) in all {
            let leads = |field: &Field<&str>| match field {
                Field::List(_, _) => true,
                Field::One(target) | Field::Map(target) => leading.contains(target),
            };
            if fields.values().any(leads) {
                leading.insert(*name);
            }
        }
        if leading.len() == before {
            break;
        }
    }
    let kept = |fields: &Fields<&'d str>| -> Fields<&'d str> {
        let still = |target: &&'d str| leading.contains(target).then_some(*target);
        fields.iter().filter_map(|(name, field)| Some((name.clone(), field.with(still)?))).collect()
    };
    let leads = all.iter().filter(|(name, _)| leading.contains(*name));
    leads.map(|(name, fields)| (*name, kept(fields))).collect()
}

struct Types<'d> {
    /// The definitions of each type.
    members: BTreeMap<String, Vec<&'d str>>,
    /// The type of each definition.
    of: BTreeMap<&'d str, String>,
}

/// Definitions are of one type as long as nothing tells them apart: their fields, and the types of those.
fn types<'d>(kept: &BTreeMap<&'d str, Fields<&'d str>>) -> Types<'d> {
    let mut class: BTreeMap<&str, usize> = kept.keys().map(|name| (*name, 0)).collect();
    loop {
        let mut numbers = BTreeMap::new();
        let mut next = BTreeMap::new();
        for (name, fields) in kept {
            let looks: Vec<_> = fields
                .iter()
                .map(|(field, shape)| (field, shape.target().map(|to| class[to]), shape.with(|_| Some(()))))
                .collect();
            let number = numbers.len();
            next.insert(*name, *numbers.entry((class[name], looks)).or_insert(number));
        }
        let count = |class: &BTreeMap<&str, usize>| class.values().collect::<BTreeSet<_>>().len();
        let is_stable = count(&class) == count(&next);
        class = next;
        if is_stable {
            break;
        }
    }
    let mut groups: BTreeMap<usize, Vec<&'d str>> = BTreeMap::new();
    for name in kept.keys() {
        groups.entry(class[name]).or_default().push(*name);
    }
    let mut types = Types { members: BTreeMap::new(), of: BTreeMap::new() };
    for group in groups.into_values() {
        let short = group.iter().map(|name| name.rsplit('.').next().unwrap_or(name));
        let short = short.min_by_key(|name| (name.len(), *name)).unwrap_or_default().to_owned();
        // Another type has the short name already: the long one is nobody else's.
        let name = if types.members.contains_key(&short) { group[0].to_owned() } else { short };
        types.of.extend(group.iter().map(|definition| (*definition, name.clone())));
        types.members.insert(name, group);
    }
    types
}

fn written(field: Field<String>) -> String {
    match field {
        Field::One(name) => name,
        Field::Map(name) => format!("{{{name}}}"),
        Field::List(name, keys) => format!("[{}:{}]", name.unwrap_or_default(), keys.join(",")),
    }
}

fn kinds(definition: &Value) -> Vec<String> {
    let kinds = definition["x-kubernetes-group-version-kind"].as_array();
    let kind = |kind: &Value| {
        let part = |name: &str| kind[name].as_str().unwrap_or_default();
        let separator = if part("group").is_empty() { "" } else { "/" };
        format!("{}{separator}{}:{}", part("group"), part("version"), part("kind"))
    };
    kinds.into_iter().flatten().map(kind).collect()
}
