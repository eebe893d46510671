//! Held to the original: random schemas, objects and sequences of appliers and updaters through structured-merge-diff (a
//! small Go program, `tests/oracle`) and through this crate must give the same objects, the same books, the same conflicts.
//!
//! `TRUEUP_FUZZ_SEQUENCES` says how many, `TRUEUP_FUZZ_SEED` where to begin.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on stops where it is")]
#![allow(clippy::print_stdout, reason = "a test says how much it compared")]

use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::env;
use trueup_merge::fields::FieldSet;
use trueup_merge::structured::schema::{Schema, TypeRef};
use trueup_merge::structured::update::{Force, Managers, UpdateError, Updater, Versions};
use trueup_merge::structured::{Duplicates, Typed, element};
use trueup_oracle::{Oracle, Original};

fn ask(oracle: &mut Oracle, sequence: &Value) -> Vec<Value> {
    match oracle.ask(sequence).unwrap() {
        Value::Array(answers) => answers,
        other => panic!("an answer for each step, not {other}"),
    }
}

/// As in the oracle: v2 calls the field "one" "uno", and v0 is gone.
struct Renaming<'s> {
    schema: &'s Schema,
    types: &'s BTreeMap<String, TypeRef>,
}

impl<'s> Versions<'s> for Renaming<'s> {
    fn convert(&self, object: &Typed<'s>, version: &str) -> Result<Option<Typed<'s>>, String> {
        let Some(reference) = self.types.get(version) else { return Ok(None) };
        let renamed: Map<String, Value> = object
            .value()
            .as_object()
            .into_iter()
            .flatten()
            .map(|(key, value)| {
                let key = match (key.as_str(), version) {
                    ("one", "v2") => "uno",
                    ("uno", "v1") => "one",
                    (other, _) => other,
                };
                (key.to_owned(), value.clone())
            })
            .collect();
        Typed::new(Value::Object(renamed), self.schema, reference, Duplicates::Allowed)
            .map(Some)
            .map_err(|error| error.to_string())
    }
}

fn types() -> BTreeMap<String, TypeRef> {
    ["v1", "v2"].into_iter().map(|version| (version.to_owned(), TypeRef::named(version))).collect()
}

/// What this crate makes of a sequence, in the form of the oracle's answers.
fn ours(sequence: &Value) -> Vec<Value> {
    let schemas: Vec<Schema> =
        sequence["schemas"].as_array().unwrap().iter().map(|schema| Schema::read(schema).unwrap()).collect();
    let types = types();
    let ignored: BTreeMap<String, FieldSet> = sequence
        .get("ignored")
        .map(|set| ("v1".to_owned(), FieldSet::parse(set).unwrap()))
        .into_iter()
        .collect();
    let (mut live, mut live_version, mut managers) = (json!({}), "v1".to_owned(), Managers::new());
    let mut answers = Vec::new();
    for step in sequence["steps"].as_array().unwrap() {
        let schema = &schemas[usize::try_from(step["schema"].as_u64().unwrap()).unwrap()];
        let versions = Renaming { schema, types: &types };
        let updater = Updater { versions: &versions, ignored: &ignored };
        match one(&updater, schema, &types, step, (&live, &live_version), &managers) {
            Ok((object, after)) => {
                (live, managers) = (object, after);
                step["version"].as_str().unwrap().clone_into(&mut live_version);
                let books: Map<String, Value> = managers
                    .iter()
                    .map(|(name, owned)| {
                        let entry = json!({"set": owned.set.to_json(), "version": owned.version, "applied": owned.applied});
                        (name.clone(), entry)
                    })
                    .collect();
                answers.push(json!({"object": live, "managers": books}));
            }
            Err(Some(conflicts)) => answers.push(json!({"conflicts": conflicts})),
            Err(None) => answers.push(json!({"error": ""})),
        }
    }
    answers
}

/// The object and the books after a step; or the conflicts, if that is what went wrong.
fn one<'s>(
    updater: &Updater<'_, 's>,
    schema: &'s Schema,
    types: &'s BTreeMap<String, TypeRef>,
    step: &Value,
    (live, live_version): (&Value, &str),
    managers: &Managers,
) -> Result<(Value, Managers), Option<Value>> {
    let version = step["version"].as_str().unwrap();
    let conforming = |value: &Value, version: &str, duplicates| {
        Typed::new(value.clone(), schema, &types[version], duplicates).map_err(|_| None)
    };
    let before = conforming(live, live_version, Duplicates::Allowed)?;
    let before = updater.versions.convert(&before, version).map_err(|_| None)?.ok_or(None)?;
    let manager = step["manager"].as_str().unwrap();
    let failed = |error| match error {
        UpdateError::Conflicts(sets) => Some(
            sets.iter().map(|(manager, set)| (manager.clone(), set.to_json())).collect::<Map<_, _>>().into(),
        ),
        UpdateError::Invalid(_) | UpdateError::Conversion { .. } => None,
    };
    if step["apply"] == true {
        let config = conforming(&step["object"], version, Duplicates::Refused)?;
        let force = if step["force"] == true { Force::Yes } else { Force::No };
        let (after, managers) =
            updater.apply(&before, &config, version, managers, manager, force).map_err(failed)?;
        Ok((after.unwrap_or(before).into_value(), managers))
    } else {
        let config = conforming(&step["object"], version, Duplicates::Allowed)?;
        let managers = updater.update(&before, &config, version, managers, manager).map_err(failed)?;
        Ok((config.into_value(), managers))
    }
}

fn is_same(theirs: &Value, ours: &Value) -> bool {
    match (theirs.get("error"), ours.get("error")) {
        (None, None) => {
            let part = |answer: &Value, name: &str| answer.get(name).cloned().unwrap_or(Value::Null);
            element::is_equal(&part(theirs, "object"), &part(ours, "object"))
                && part(theirs, "conflicts") == part(ours, "conflicts")
                && (part(theirs, "managers") == part(ours, "managers")
                    || theirs.get("managers").is_none() && ours["managers"] == json!({}))
        }
        (Some(_), Some(_)) => true,
        (Some(_), None) | (None, Some(_)) => false,
    }
}

/// Choices that follow from a seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % sides as u64).unwrap()
    }

    fn one_in(&mut self, sides: usize) -> bool {
        self.roll(sides) == 0
    }

    fn of<'v, T>(&mut self, from: &'v [T]) -> &'v T {
        &from[self.roll(from.len())]
    }

    fn scalar_type(&mut self) -> Value {
        json!({"scalar": self.of(&["string", "numeric", "boolean", "untyped", "string"])})
    }

    fn type_ref(&mut self, depth: usize) -> Value {
        if depth == 0 {
            return self.scalar_type();
        }
        match self.roll(9) {
            0 | 1 => self.scalar_type(),
            2 => json!({"list": {"elementType": self.type_ref(depth - 1), "elementRelationship": "atomic"}}),
            3 => json!({"list": {"elementType": self.scalar_type(), "elementRelationship": "associative"}}),
            4 => {
                let keys = if self.one_in(2) { json!(["a"]) } else { json!(["a", "b"]) };
                let mut item = self.structure(depth - 1);
                let mut fields = item["map"]["fields"].as_array().cloned().unwrap_or_default();
                fields.retain(|field| field["name"] != "a" && field["name"] != "b");
                fields.push(json!({"name": "a", "type": {"scalar": "string"}}));
                let mut b = json!({"name": "b", "type": {"scalar": "numeric"}});
                if self.one_in(2) {
                    b["default"] = json!(1);
                }
                fields.push(b);
                item["map"]["fields"] = fields.into();
                json!({"list": {"elementType": item, "elementRelationship": "associative", "keys": keys}})
            }
            5 => json!({"namedType": "__untyped_deduced_"}),
            6 => json!({"namedType": "shared", "elementRelationship": self.of(&["atomic", "separable"])}),
            _ => self.structure(depth - 1),
        }
    }

    fn structure(&mut self, depth: usize) -> Value {
        let mut fields = Vec::new();
        for name in ["a", "b", "c"] {
            if !self.one_in(3) {
                fields.push(json!({"name": name, "type": self.type_ref(depth)}));
            }
        }
        // The original tells an empty list of fields from none; nothing that reads OpenAPI writes an empty one.
        let mut map = if fields.is_empty() { json!({}) } else { json!({"fields": fields}) };
        if self.one_in(3) {
            map["elementType"] = self.type_ref(depth);
        }
        if self.one_in(4) {
            map["elementRelationship"] = json!("atomic");
        }
        json!({"map": map})
    }

    fn schema(&mut self) -> Value {
        let one = self.type_ref(3);
        let rest: Vec<Value> =
            ["two", "three"].map(|name| json!({"name": name, "type": self.type_ref(3)})).into();
        let version = |name: &str, one_name: &str| {
            let mut fields = vec![json!({"name": one_name, "type": one})];
            fields.extend(rest.clone());
            json!({"name": name, "map": {"fields": fields}})
        };
        let shared = json!({"name": "shared", "map": {"fields": [{"name": "a", "type": {"scalar": "string"}},
            {"name": "c", "type": {"namedType": "__untyped_deduced_"}}], "elementType": {"scalar": "numeric"}}});
        let any = |name: &str, element: &str, relationship: &str| {
            json!({"name": name, "scalar": "untyped",
                "list": {"elementType": {"namedType": "__untyped_atomic_"}, "elementRelationship": "atomic"},
                "map": {"elementType": {"namedType": element}, "elementRelationship": relationship}})
        };
        json!({"types": [version("v1", "one"), version("v2", "uno"), shared,
            any("__untyped_atomic_", "__untyped_atomic_", "atomic"),
            any("__untyped_deduced_", "__untyped_deduced_", "separable")]})
    }

    /// The schema with some relationships the other way round.
    fn evolve(&mut self, schema: &mut Value) {
        match schema {
            Value::Object(object) => {
                let is_list = object.contains_key("list");
                for (name, value) in object.iter_mut() {
                    if (name == "map" || name == "list") && self.one_in(3) {
                        let other = match value["elementRelationship"].as_str() {
                            Some("atomic") if is_list => "atomic",
                            Some("atomic") => "separable",
                            _ => "atomic",
                        };
                        value["elementRelationship"] = json!(other);
                    }
                    self.evolve(value);
                }
            }
            Value::Array(items) => items
                .iter_mut()
                .filter(|item| !item["name"].as_str().unwrap_or_default().starts_with("__"))
                .for_each(|item| self.evolve(item)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    fn any_value(&mut self, depth: usize) -> Value {
        match self.roll(if depth == 0 { 5 } else { 7 }) {
            0 => json!("x"),
            1 => json!(self.roll(3)),
            2 => json!(0.5),
            3 => json!(true),
            4 => json!("<&>"),
            5 => (0..self.roll(3)).map(|_| self.any_value(depth - 1)).collect(),
            _ => {
                let mut object = Map::new();
                for name in ["a", "b", "f:c"] {
                    if self.one_in(2) {
                        object.insert(name.to_owned(), self.any_value(depth - 1));
                    }
                }
                Value::Object(object)
            }
        }
    }

    fn value(&mut self, schema: &Value, reference: &Value, depth: usize) -> Value {
        match self.roll(120) {
            0 => return Value::Null,
            1 => return self.any_value(1),
            _ => {}
        }
        let Some(named) = reference["namedType"].as_str() else {
            return self.atom(schema, reference, depth);
        };
        if named.starts_with("__") {
            return self.any_value(2);
        }
        let types = schema["types"].as_array().unwrap();
        let found = types.iter().find(|one| one["name"] == named).unwrap();
        self.atom(schema, found, depth)
    }

    fn atom(&mut self, schema: &Value, atom: &Value, depth: usize) -> Value {
        if let Some(map) = atom.get("map") {
            let mut object = Map::new();
            for field in map["fields"].as_array().into_iter().flatten() {
                if !self.one_in(3) {
                    let name = field["name"].as_str().unwrap().to_owned();
                    object.insert(name, self.value(schema, &field["type"], depth + 1));
                }
            }
            if let Some(element) = map.get("elementType") {
                for name in ["x", "y"] {
                    if self.one_in(2) {
                        object.insert(name.to_owned(), self.value(schema, element, depth + 1));
                    }
                }
            }
            return Value::Object(object);
        }
        if let Some(list) = atom.get("list") {
            return (0..self.roll(5)).map(|_| self.value(schema, &list["elementType"], depth + 1)).collect();
        }
        match atom["scalar"].as_str() {
            Some("string") => json!(self.of(&["x", "y", "z", "a<b"])),
            Some("numeric") => self.of(&[json!(1), json!(2), json!(1.5), json!(1.0)]).clone(),
            Some("boolean") => json!(self.one_in(2)),
            _ => self.any_value(0),
        }
    }

    fn sequence(&mut self) -> Value {
        let first = self.schema();
        let mut second = first.clone();
        if self.one_in(2) {
            self.evolve(&mut second);
        }
        let length = 2 + self.roll(6);
        let turning = 1 + self.roll(length);
        let has_versions = self.one_in(3);
        let steps: Vec<Value> = (0..length)
            .map(|index| {
                let version = if has_versions && self.one_in(2) { "v2" } else { "v1" };
                let schema = usize::from(index >= turning);
                let of = if schema == 0 { &first } else { &second };
                let mut object = self.value(of, &json!({"namedType": version}), 0);
                if !object.is_object() {
                    object = json!({});
                }
                json!({"schema": schema, "apply": !self.one_in(3), "force": self.one_in(2), "version": version,
                    "manager": self.of(&["ann", "bob", "cyd"]), "object": object})
            })
            .collect();
        let mut sequence = json!({"schemas": [first, second], "steps": steps});
        if self.one_in(4) {
            sequence["ignored"] = self
                .of(&[
                    json!({"f:one": {}}),
                    json!({"f:two": {".": {}, "f:a": {}}}),
                    json!({"f:two": {"f:a": {}}}),
                ])
                .clone();
        }
        sequence
    }
}

/// The shortest run of steps that still tells the two apart.
fn shrunk(oracle: &mut Oracle, sequence: &Value) -> Value {
    let mut smallest = sequence.clone();
    let mut index = 0;
    while index < smallest["steps"].as_array().unwrap().len() {
        let mut fewer = smallest.clone();
        fewer["steps"].as_array_mut().unwrap().remove(index);
        let (theirs, mine) = (ask(oracle, &fewer), ours(&fewer));
        if theirs.iter().zip(&mine).any(|(t, o)| !is_same(t, o)) {
            smallest = fewer;
        } else {
            index += 1;
        }
    }
    smallest
}

fn number(name: &str, otherwise: u64) -> u64 {
    env::var(name).map_or(otherwise, |text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

#[test]
fn applies_and_updates_do_what_structured_merge_diff_does() {
    let mut oracle = Original::of_crate(env!("CARGO_MANIFEST_DIR")).start().unwrap();
    let (count, seed) = (number("TRUEUP_FUZZ_SEQUENCES", 1_000), number("TRUEUP_FUZZ_SEED", 1));
    let mut steps = BTreeMap::from([("object", 0), ("conflicts", 0), ("error", 0)]);
    for seed in seed..seed + count {
        let sequence = Dice(seed).sequence();
        let (theirs, mine) = (ask(&mut oracle, &sequence), ours(&sequence));
        assert_eq!(theirs.len(), mine.len(), "seed {seed}: {theirs:?}");
        if theirs.iter().zip(&mine).any(|(t, o)| !is_same(t, o)) {
            let smallest = shrunk(&mut oracle, &sequence);
            let (theirs, mine) = (ask(&mut oracle, &smallest), ours(&smallest));
            let told =
                |answers: &[Value]| answers.iter().map(Value::to_string).collect::<Vec<_>>().join("\n");
            panic!("seed {seed}\n{smallest}\ntheirs:\n{}\nours:\n{}", told(&theirs), told(&mine));
        }
        for answer in &mine {
            for (kind, found) in &mut steps {
                *found += u64::from(answer.get(*kind).is_some());
            }
        }
    }
    println!("{count} sequences from seed {seed}: {steps:?}");
    assert!(steps.values().all(|found| *found > count / 20), "each kind of answer is common: {steps:?}");
}
