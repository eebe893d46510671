//! What the oracle's program gives its templates, given to ours: functions, an object, and data from tagged JSON.

use super::oracle::{Case, unhex};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::Value as Json;
use std::cell::Cell;
use std::rc::Rc;
use trueup_template::{
    Arguments, Context, Error, Failure, Float, Function, Functions, Int, Limits, List, Map, MissingKey,
    Object, Templates, Text, Type, Uint, Value,
};

/// What this crate makes of a case.
pub(crate) fn execute(case: &Case) -> Result<Vec<u8>, Error> {
    let missing = match case.missing {
        "zero" => MissingKey::Zero,
        "error" => MissingKey::Error,
        _ => MissingKey::Invalid,
    };
    let mut templates = Templates::new("all")
        .with_functions(if case.sprig { with_sprig() } else { functions() })
        .with_missing_key(missing)
        .with_delimiters(&case.delimiters[0], &case.delimiters[1]);
    for (name, text) in &case.templates {
        templates.parse(name.as_str(), text)?;
    }
    let limits = Limits { fuel: 20_000_000, output: 4 << 20, ..Limits::default() };
    templates.execute(&case.name, value(&case.data), &limits)
}

fn int(value: &Json) -> i64 {
    value.as_i64().unwrap()
}

pub(crate) fn value(tagged: &Json) -> Value {
    let Some((kind, inner)) = tagged.as_object().and_then(|tagged| tagged.iter().next()) else {
        return Value::Nil;
    };
    let items = || inner.as_array().unwrap().iter();
    let text = || Text::from(unhex(inner.as_str().unwrap()));
    match kind.as_str() {
        "bool" => Value::Bool(inner.as_bool().unwrap()),
        "int" => Value::int(int(inner)),
        "int8" => Value::Int(Int::Int8, int(inner)),
        "int16" => Value::Int(Int::Int16, int(inner)),
        "int32" => Value::Int(Int::Int32, int(inner)),
        "int64" => Value::int64(int(inner)),
        "uint" => Value::Uint(Uint::Uint, inner.as_u64().unwrap()),
        "uint8" => Value::Uint(Uint::Uint8, inner.as_u64().unwrap()),
        "uint16" => Value::Uint(Uint::Uint16, inner.as_u64().unwrap()),
        "uint32" => Value::Uint(Uint::Uint32, inner.as_u64().unwrap()),
        "uint64" => Value::Uint(Uint::Uint64, inner.as_u64().unwrap()),
        "float" => Value::float(inner.as_str().unwrap().parse().unwrap()),
        "float32" => Value::Float(Float::Float32, inner.as_str().unwrap().parse::<f32>().unwrap().into()),
        "text" => Value::Text(text()),
        "bytes" => {
            let bytes = text().iter().map(|&byte| Value::Uint(Uint::Uint8, byte.into())).collect();
            Value::List(List::new(Type::List(Rc::new(Type::Uint(Uint::Uint8))), bytes))
        }
        "texts" => Value::texts(items().map(|item| item.as_str().unwrap())),
        "ints" => {
            let numbers = items().map(|item| Value::int(int(item))).collect();
            Value::List(List::new(Type::List(Rc::new(Type::Int(Int::Int))), numbers))
        }
        "textmap" => {
            let entries = inner.as_object().unwrap().iter();
            let entries =
                entries.map(|(key, item)| (key.as_str().into(), Value::text(item.as_str().unwrap())));
            Value::Map(Map::new(Type::Map(Rc::new(Type::Text)), entries.collect()))
        }
        "list" => Value::list(items().map(value)),
        "map" => Value::map(inner.as_object().unwrap().iter().map(|(key, item)| (key.as_str(), value(item)))),
        "time" => trueup_template::sprig::time(
            &Timestamp::from_nanosecond(int(inner).into()).unwrap(),
            &TimeZone::UTC,
        ),
        "nillist" => Value::List(List::nil(Type::list())),
        "nilmap" => Value::Map(Map::nil(Type::map())),
        "point" | "pointvalue" => Value::Object(Rc::new(Point {
            type_name: if kind == "point" { "*main.point" } else { "main.pointValue" },
            x: int(&inner["X"]),
            y: int(&inner["Y"]),
            name: inner["Name"].as_str().unwrap().into(),
        })),
        "function" => Value::Function(functions().get(inner.as_str().unwrap().as_bytes()).unwrap().clone()),
        other => panic!("no kind of value: {other}"),
    }
}

/// The oracle's `point`.
#[derive(Clone)]
struct Point {
    type_name: &'static str,
    x: i64,
    y: i64,
    name: Text,
}

impl Object for Point {
    fn type_name(&self) -> Rc<str> {
        self.type_name.into()
    }

    fn field(&self, name: &str) -> Option<Value> {
        self.fields()
            .into_iter()
            .find(|(known, _)| known.as_bytes() == name.as_bytes())
            .map(|(_, value)| value)
    }

    fn fields(&self) -> Vec<(Text, Value)> {
        vec![
            ("X".into(), Value::int(self.x)),
            ("Y".into(), Value::int(self.y)),
            ("Name".into(), Value::Text(self.name.clone())),
            ("Any".into(), Value::Nil),
        ]
    }

    fn equals(&self, other: &dyn Object) -> bool {
        self.type_name() == other.type_name()
            && self.fields().iter().zip(other.fields()).all(|((_, ours), (_, theirs))| match (ours, theirs) {
                (Value::Int(_, ours), Value::Int(_, theirs)) => *ours == theirs,
                (Value::Text(ours), Value::Text(theirs)) => *ours == theirs,
                _ => true,
            })
    }

    fn method(&self, name: &str) -> Option<Function> {
        let point = self.clone();
        match name {
            "Sum" => Function::new("func(...int) int", move |_, arguments| {
                let more = (0..arguments.len()).map(|index| arguments.int(index)).sum::<Result<i64, _>>()?;
                Ok(Value::int(point.x + point.y + more))
            })
            .ok(),
            "Greet" => Function::new("func(string) (string, error)", move |_, arguments| {
                let greeting = arguments.text(0)?;
                if greeting.is_empty() {
                    return Err(Failure::new("no greeting"));
                }
                Ok(Value::text([greeting, &b", "[..], &point.name].concat()))
            })
            .ok(),
            _ => None,
        }
    }
}

type Body = fn(&mut Context<'_>, &Arguments) -> Result<Value, Failure>;

const FUNCTIONS: [(&str, &str, Body); 11] = [
    ("add", "func(int, int) int", |_, arguments| {
        Ok(Value::int(arguments.int(0)?.wrapping_add(arguments.int(1)?)))
    }),
    ("join", "func(string, ...string) string", |_, arguments| {
        let parts: Vec<String> =
            (1..arguments.len()).map(|at| arguments.text(at).unwrap().to_string_lossy()).collect();
        let separator = arguments.text(0)?;
        Ok(Value::text(format!("{}{separator}[{}]", parts.len(), parts.join(" "))))
    }),
    ("half", "func(float64) float64", |_, arguments| Ok(Value::float(arguments.float(0)? / 2.0))),
    ("invert", "func(bool) bool", |_, arguments| Ok(Value::Bool(!arguments.bool(0)?))),
    ("size", "func(uint64) uint64", |_, arguments| Ok(arguments.any(0).clone())),
    ("any", "func(interface {}) interface {}", |_, arguments| Ok(arguments.any(0).clone())),
    ("nothing", "func() interface {}", |_, _| Ok(Value::Nil)),
    ("set", "func(map[string]interface {}, string, interface {}) map[string]interface {}", |_, arguments| {
        let map = arguments.map(0)?;
        if map.is_nil() {
            return Err(Failure::new("assignment to entry in nil map"));
        }
        map.entries_mut().insert(arguments.text(1)?.clone(), arguments.any(2).clone());
        Ok(arguments.any(0).clone())
    }),
    ("mklist", "func(...interface {}) []interface {}", |_, arguments| {
        Ok(Value::list(arguments.rest(0).iter().cloned()))
    }),
    ("first", "func([]interface {}) interface {}", |_, arguments| {
        let list = arguments.list(0)?;
        list.get(0).ok_or_else(|| Failure::new("runtime error: index out of range [0] with length 0"))
    }),
    ("fail", "func(string) (string, error)", |_, arguments| {
        Err(Failure::new([b"failed: ", arguments.text(0)?.as_bytes()].concat()))
    }),
];

/// Sprig's functions that give the same every time.
pub(crate) fn sprig_functions() -> Functions {
    let mut all = trueup_template::sprig::functions();
    let now: trueup_template::sprig::Now = Rc::new(|| Timestamp::UNIX_EPOCH);
    let mut dates = trueup_template::sprig::date_functions(&now, &TimeZone::UTC).unwrap();
    for name in ["now", "ago"] {
        dates.remove(name).unwrap();
    }
    all.extend(dates);
    all
}

/// Those that need random bytes or the time.
pub(crate) fn random_functions() -> Functions {
    let state = Cell::new(0x9e37_79b9_7f4a_7c15_u64);
    let random: trueup_template::sprig::Random = Rc::new(move |bytes| {
        for byte in bytes {
            let mut next = state.get();
            next ^= next << 13;
            next ^= next >> 7;
            next ^= next << 17;
            state.set(next);
            *byte = next.to_be_bytes()[0];
        }
    });
    let now: trueup_template::sprig::Now = Rc::new(Timestamp::now);
    let mut all = trueup_template::sprig::random_functions(&random).unwrap();
    let certificates = trueup_template::sprig::certificate_functions(&random, &now).unwrap();
    let dates = trueup_template::sprig::date_functions(&now, &TimeZone::UTC).unwrap();
    all.extend(certificates);
    for name in ["now", "ago"] {
        all.insert(name, dates.get(name.as_bytes()).unwrap().clone());
    }
    all
}

fn with_sprig() -> Functions {
    let mut all = functions();
    for sprig in [sprig_functions(), random_functions()] {
        all.extend(sprig);
    }
    all
}

fn functions() -> Functions {
    let mut functions = Functions::new();
    for (name, signature, body) in FUNCTIONS {
        functions.insert(name, Function::new(signature, body).unwrap());
    }
    functions
}
