//! TOML, as github.com/BurntSushi/toml writes it, and as values of templates when it is read.

use super::yaml::Wanted;
use trueup_template::{Context, Failure, Text, Value};

const DEEPEST: usize = 100;

/// The map as TOML: scalars of a table first, then the tables within it, each level indented by two spaces.
pub(super) fn written(context: &mut Context<'_>, value: &Value) -> Result<Vec<u8>, Failure> {
    let mut writer = Writer { out: Vec::new(), counted: 0, context };
    match beneath(value) {
        Value::Map(map) if map.is_nil() => {}
        Value::Map(_) => writer.table(&mut Vec::new(), &entries(value))?,
        Value::List(list) if kind(value)? == Kind::Tables && !list.is_empty() => {
            return Err("toml: top-level values must be Go maps or structs".into());
        }
        other => writer.element(&other, 0)?,
    }
    writer.count()?;
    Ok(writer.out)
}

struct Writer<'w, 'c> {
    out: Vec<u8>,
    /// How much of it the context has been told of.
    counted: usize,
    context: &'w mut Context<'c>,
}

/// What a value is in TOML.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Nothing,
    Scalar,
    Table,
    Tables,
}

/// What a name or a struct comes to; what prints by itself stays as it is.
fn beneath(value: &Value) -> Value {
    match value {
        Value::Object(object) => match object.underlying() {
            Some(Value::Int(..)) if object.to_text().is_some() => value.clone(),
            Some(beneath) => beneath,
            None if object.to_json_text().is_some() => value.clone(),
            None => Value::map(object.fields()),
        },
        _ => value.clone(),
    }
}

/// The entries of a table: those of a map by their keys, those of a struct as they stand in it.
fn entries(value: &Value) -> Vec<(Text, Value)> {
    match (value, beneath(value)) {
        (Value::Object(object), Value::Map(_)) if object.underlying().is_none() => object.fields(),
        (_, Value::Map(map)) => {
            map.entries().iter().map(|(key, value)| (key.clone(), value.clone())).collect()
        }
        _ => Vec::new(),
    }
}

fn kind(value: &Value) -> Result<Kind, Failure> {
    Ok(match beneath(value) {
        value if value.is_nil() => Kind::Nothing,
        Value::Map(_) => Kind::Table,
        Value::List(list) if !list.is_empty() => {
            let mut all = true;
            for item in list.items().iter() {
                match beneath(item) {
                    Value::Map(map) if !map.is_nil() => {}
                    item if item.is_nil() => return Err("toml: cannot encode array with nil element".into()),
                    _ => all = false,
                }
            }
            if all { Kind::Tables } else { Kind::Scalar }
        }
        Value::Function(_) => return Err("unsupported type: func".into()),
        Value::Nil
        | Value::Bool(_)
        | Value::Int(..)
        | Value::Uint(..)
        | Value::Float(..)
        | Value::Text(_)
        | Value::List(_)
        | Value::Object(_) => Kind::Scalar,
    })
}

impl Writer<'_, '_> {
    fn put(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }

    /// Tells the context what was written since it was told last.
    fn count(&mut self) -> Result<(), Failure> {
        let new = self.out.len() - std::mem::replace(&mut self.counted, self.out.len());
        self.context.write(new + 1)
    }

    fn table(&mut self, path: &mut Vec<Text>, entries: &[(Text, Value)]) -> Result<(), Failure> {
        if path.len() > DEEPEST {
            return Err("a value is nested too deeply for TOML".into());
        }
        for tables in [false, true] {
            for (key, value) in entries {
                let kind = kind(value)?;
                if kind == Kind::Nothing || matches!(kind, Kind::Table | Kind::Tables) != tables {
                    continue;
                }
                path.push(key.clone());
                match (kind, beneath(value)) {
                    (Kind::Table, _) => self.inner_table(path, &self::entries(value))?,
                    (Kind::Tables, Value::List(list)) => {
                        for item in list.items().clone() {
                            self.line_break();
                            self.header(path, "[[", "]]");
                            self.table(path, &self::entries(&item))?;
                        }
                    }
                    (_, value) => {
                        self.indent(path);
                        self.key(key);
                        self.put(" = ");
                        self.element(&value, 0)?;
                        self.put("\n");
                    }
                }
                path.pop();
                self.count()?;
            }
        }
        Ok(())
    }

    fn inner_table(&mut self, path: &mut Vec<Text>, entries: &[(Text, Value)]) -> Result<(), Failure> {
        if path.len() == 1 {
            self.line_break();
        }
        self.header(path, "[", "]");
        self.table(path, entries)
    }

    fn header(&mut self, path: &[Text], open: &str, close: &str) {
        self.indent(path);
        self.put(open);
        for (index, key) in path.iter().enumerate() {
            if index > 0 {
                self.put(".");
            }
            self.key(key);
        }
        self.put(close);
        self.put("\n");
    }

    /// A line break, unless nothing was written yet.
    fn line_break(&mut self) {
        if !self.out.is_empty() {
            self.put("\n");
        }
    }

    fn indent(&mut self, path: &[Text]) {
        for _ in 1..path.len() {
            self.put("  ");
        }
    }

    fn element(&mut self, value: &Value, depth: usize) -> Result<(), Failure> {
        if depth > DEEPEST {
            return Err("a value is nested too deeply for TOML".into());
        }
        self.count()?;
        match beneath(value) {
            Value::Nil => return Err("toml: cannot encode array with nil element".into()),
            Value::Bool(value) => self.put(if value { "true" } else { "false" }),
            Value::Int(_, int) => self.put(&int.to_string()),
            Value::Uint(_, int) => self.put(&int.to_string()),
            Value::Float(_, float) => self.put(&shown_float(float)),
            Value::Text(text) => self.text(&text),
            Value::List(list) => {
                self.put("[");
                for (index, item) in list.items().clone().iter().enumerate() {
                    if index > 0 {
                        self.put(", ");
                    }
                    self.element(item, depth + 1)?;
                }
                self.put("]");
            }
            Value::Map(_) => self.inline_table(entries(value), depth)?,
            Value::Object(object) => match object.to_text() {
                // A time.
                Some(_) if object.to_go_text().is_some() => {
                    self.out.extend_from_slice(&object.to_json_text().unwrap_or_default());
                }
                Some(text) => self.text(&text),
                None => return Err(format!("unexpected type: {}", object.type_name()).into()),
            },
            Value::Function(_) => return Err("unexpected type: func".into()),
        }
        Ok(())
    }

    fn inline_table(&mut self, entries: Vec<(Text, Value)>, depth: usize) -> Result<(), Failure> {
        self.put("{");
        let (mut scalars, mut tables) = (Vec::new(), Vec::new());
        for own in entries {
            if matches!(kind(&own.1)?, Kind::Table | Kind::Tables) { &mut tables } else { &mut scalars }
                .push(own);
        }
        let all: Vec<_> = scalars.into_iter().chain(tables).collect();
        for (index, (key, value)) in all.iter().enumerate() {
            if kind(value)? == Kind::Nothing {
                continue;
            }
            self.key(key);
            self.put(" = ");
            self.element(value, depth + 1)?;
            if index + 1 < all.len() {
                self.put(", ");
            }
        }
        self.put("}");
        Ok(())
    }

    fn text(&mut self, text: &[u8]) {
        self.put("\"");
        for byte in text {
            match byte {
                b'"' => self.put("\\\""),
                b'\\' => self.put("\\\\"),
                8 => self.put("\\b"),
                b'\t' => self.put("\\t"),
                b'\n' => self.put("\\n"),
                0xc => self.put("\\f"),
                b'\r' => self.put("\\r"),
                0..=0x1f | 0x7f => self.put(&format!("\\u{byte:04x}")),
                byte => self.out.push(*byte),
            }
        }
        self.put("\"");
    }

    /// In quotes where it has other characters than letters, digits, `_` and `-`.
    fn key(&mut self, key: &[u8]) {
        let bare = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
        if !key.is_empty() && key.iter().all(bare) {
            self.out.extend_from_slice(key);
        } else {
            self.text(key);
        }
    }
}

fn shown_float(float: f64) -> String {
    if float.is_nan() {
        return "nan".to_owned();
    }
    if float.is_infinite() {
        return if float < 0.0 { "-inf" } else { "inf" }.to_owned();
    }
    let shown = crate::metadata::shortest(float);
    if shown.contains(['e', '.']) { shown } else { format!("{shown}.0") }
}

/// The map that a text of TOML stands for; in its place what is wrong.
pub(super) fn read(text: &[u8]) -> Value {
    // Marks of UTF-16 are passed over, and nothing else is done about it.
    let text = [[0xff, 0xfe], [0xfe, 0xff]].iter().find_map(|mark| text.strip_prefix(mark)).unwrap_or(text);
    match String::from_utf8_lossy(text).parse::<toml::Table>() {
        Ok(table) => Value::map(table.into_iter().map(|(key, value)| (key, value_of(value)))),
        Err(error) => Wanted::Map.with_error(&format!("toml: {}", error.message())),
    }
}

fn value_of(value: toml::Value) -> Value {
    match value {
        toml::Value::String(text) => text.into(),
        toml::Value::Integer(int) => Value::int64(int),
        toml::Value::Float(float) => float.into(),
        toml::Value::Boolean(value) => value.into(),
        toml::Value::Datetime(at) => time(&at).unwrap_or_else(|| at.to_string().into()),
        toml::Value::Array(items) => Value::list(items.into_iter().map(value_of)),
        toml::Value::Table(table) => Value::map(table.into_iter().map(|(key, value)| (key, value_of(value)))),
    }
}

/// An instant; a time without a zone is one of UTC.
fn time(at: &toml::value::Datetime) -> Option<Value> {
    let text = at.to_string();
    let text = match (at.date, at.time, at.offset) {
        (Some(_), Some(_), Some(_)) => text,
        (Some(_), Some(_), None) => format!("{text}Z"),
        (Some(_), None, _) => format!("{text}T00:00:00Z"),
        (None, Some(_), _) => format!("0000-01-01T{text}Z"),
        (None, None, _) => return None,
    };
    let instant: jiff::Timestamp = text.parse().ok()?;
    Some(trueup_template::sprig::time(&instant, &jiff::tz::TimeZone::UTC))
}

#[cfg(test)]
mod tests {
    use super::*;
    use trueup_template::{Function, Functions, Limits, Templates};

    fn written(value: &Value) -> String {
        let function = Function::new("func(interface {}) string", |context, given| {
            Ok(super::written(context, given.any(0))?.into())
        });
        let mut functions = Functions::new();
        functions.insert("toToml", function.unwrap());
        let mut templates = Templates::new("all").with_functions(functions);
        templates.parse("main", "{{ toToml . }}").unwrap();
        String::from_utf8(templates.execute("main", value.clone(), &Limits::default()).unwrap()).unwrap()
    }

    #[test]
    fn scalars_stand_before_tables_and_levels_are_indented() {
        let value = Value::map([
            ("b", Value::map([("c", Value::float(1.0)), ("d", Value::map([("e", Value::texts(["x"]))]))])),
            ("z", Value::int(1)),
            ("a", Value::list([Value::map([("k v", Value::Bool(true))]), Value::map([("n", Value::Nil)])])),
        ]);
        let expected =
            "z = 1\n\n[[a]]\n  \"k v\" = true\n\n[[a]]\n\n[b]\n  c = 1.0\n  [b.d]\n    e = [\"x\"]\n";
        assert_eq!(written(&value), expected);
    }

    #[test]
    fn what_is_read_can_be_asked_for_and_errors_are_values() {
        let read = read(b"a = 1\n[b]\nc = [1.5, \"x\"]\n");
        assert_eq!(written(&read), "a = 1\n\n[b]\n  c = [1.5, \"x\"]\n");
        let Value::Map(failed) = super::read(b"a = ") else { unreachable!() };
        assert!(matches!(failed.get(b"Error"), Some(Value::Text(_))));
    }
}
