//! TOML, as github.com/BurntSushi/toml writes it, and as values of templates when it is read.

use super::yaml::Wanted;
use std::fmt::Write as _;
use trueup_template::{Map, Value};

const DEEPEST: usize = 100;

/// The map as TOML: scalars of a table first, then the tables within it, each level indented by two spaces.
pub(super) fn written(value: &Value) -> Result<String, String> {
    let mut writer = Writer { out: String::new() };
    match value.underlying() {
        Value::Map(map) if map.is_nil() => {}
        Value::Map(map) => writer.table(&mut Vec::new(), &map)?,
        other => writer.element(&other, 0)?,
    }
    Ok(writer.out)
}

struct Writer {
    out: String,
}

/// What a value is in TOML.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Nothing,
    Scalar,
    Table,
    Tables,
}

fn kind(value: &Value) -> Result<Kind, String> {
    Ok(match value.underlying() {
        Value::Nil => Kind::Nothing,
        Value::Map(map) if map.is_nil() => Kind::Nothing,
        Value::List(list) if list.is_nil() => Kind::Nothing,
        Value::Map(_) => Kind::Table,
        Value::List(list) if !list.is_empty() => {
            let mut all = true;
            for item in list.items().iter() {
                match kind(item)? {
                    Kind::Nothing => return Err("toml: cannot encode array with nil element".into()),
                    Kind::Table => {}
                    Kind::Scalar | Kind::Tables => all = false,
                }
            }
            if all { Kind::Tables } else { Kind::Scalar }
        }
        Value::Function(_) => return Err("unsupported type: func".into()),
        Value::Bool(_)
        | Value::Int(..)
        | Value::Uint(..)
        | Value::Float(..)
        | Value::Text(_)
        | Value::List(_)
        | Value::Object(_) => Kind::Scalar,
    })
}

impl Writer {
    fn table(&mut self, path: &mut Vec<String>, map: &Map) -> Result<(), String> {
        if path.len() > DEEPEST {
            return Err("a value is nested too deeply for TOML".into());
        }
        let entries: Vec<_> =
            map.entries().iter().map(|(key, value)| (key.to_string_lossy(), value.clone())).collect();
        for tables in [false, true] {
            for (key, value) in &entries {
                let kind = kind(value)?;
                if kind == Kind::Nothing || matches!(kind, Kind::Table | Kind::Tables) != tables {
                    continue;
                }
                path.push(key.clone());
                match (kind, value.underlying()) {
                    (Kind::Table, Value::Map(inner)) => self.inner_table(path, &inner)?,
                    (Kind::Tables, Value::List(list)) => {
                        for item in list.items().clone() {
                            if let Value::Map(inner) = item.underlying() {
                                self.line_break();
                                self.header(path, "[[", "]]");
                                self.table(path, &inner)?;
                            }
                        }
                    }
                    (_, value) => {
                        self.indent(path);
                        self.out.push_str(&quoted_key(key));
                        self.out.push_str(" = ");
                        self.element(&value, 0)?;
                        self.out.push('\n');
                    }
                }
                path.pop();
            }
        }
        Ok(())
    }

    fn inner_table(&mut self, path: &mut Vec<String>, map: &Map) -> Result<(), String> {
        if path.len() == 1 {
            self.line_break();
        }
        self.header(path, "[", "]");
        self.table(path, map)
    }

    fn header(&mut self, path: &[String], open: &str, close: &str) {
        self.indent(path);
        self.out.push_str(open);
        let keys: Vec<String> = path.iter().map(|key| quoted_key(key)).collect();
        self.out.push_str(&keys.join("."));
        self.out.push_str(close);
        self.out.push('\n');
    }

    /// A line break, unless nothing was written yet.
    fn line_break(&mut self) {
        if !self.out.is_empty() {
            self.out.push('\n');
        }
    }

    fn indent(&mut self, path: &[String]) {
        for _ in 1..path.len() {
            self.out.push_str("  ");
        }
    }

    fn element(&mut self, value: &Value, depth: usize) -> Result<(), String> {
        if depth > DEEPEST {
            return Err("a value is nested too deeply for TOML".into());
        }
        match value.underlying() {
            Value::Nil => return Err("toml: cannot encode array with nil element".into()),
            Value::Bool(value) => self.out.push_str(if value { "true" } else { "false" }),
            Value::Int(_, int) => self.out.push_str(&int.to_string()),
            Value::Uint(_, int) => self.out.push_str(&int.to_string()),
            Value::Float(_, float) => self.out.push_str(&shown_float(float)),
            Value::Text(text) => self.text(&text.to_string_lossy()),
            Value::List(list) => {
                self.out.push('[');
                for (index, item) in list.items().clone().iter().enumerate() {
                    if index > 0 {
                        self.out.push_str(", ");
                    }
                    self.element(item, depth + 1)?;
                }
                self.out.push(']');
            }
            Value::Map(map) => self.inline_table(&map, depth)?,
            Value::Object(object) => match object.to_text() {
                Some(text) => self.text(&text.to_string_lossy()),
                None => return Err(format!("unexpected type: {}", object.type_name())),
            },
            Value::Function(_) => return Err("unexpected type: func".into()),
        }
        Ok(())
    }

    fn inline_table(&mut self, map: &Map, depth: usize) -> Result<(), String> {
        self.out.push('{');
        let (mut scalars, mut tables) = (Vec::new(), Vec::new());
        for (key, value) in map.entries().iter() {
            let own = (key.to_string_lossy(), value.clone());
            if matches!(kind(value)?, Kind::Table | Kind::Tables) { &mut tables } else { &mut scalars }
                .push(own);
        }
        let all: Vec<_> = scalars.into_iter().chain(tables).collect();
        for (index, (key, value)) in all.iter().enumerate() {
            if kind(value)? == Kind::Nothing {
                continue;
            }
            self.out.push_str(&quoted_key(key));
            self.out.push_str(" = ");
            self.element(value, depth + 1)?;
            if index + 1 < all.len() {
                self.out.push_str(", ");
            }
        }
        self.out.push('}');
        Ok(())
    }

    fn text(&mut self, text: &str) {
        self.out.push('"');
        for c in text.chars() {
            match c {
                '"' => self.out.push_str("\\\""),
                '\\' => self.out.push_str("\\\\"),
                '\u{8}' => self.out.push_str("\\b"),
                '\t' => self.out.push_str("\\t"),
                '\n' => self.out.push_str("\\n"),
                '\u{c}' => self.out.push_str("\\f"),
                '\r' => self.out.push_str("\\r"),
                '\0'..='\u{1f}' | '\u{7f}' => {
                    let _ = write!(self.out, "\\u{:04x}", u32::from(c));
                }
                c => self.out.push(c),
            }
        }
        self.out.push('"');
    }
}

/// A key, in quotes where it has other characters than letters, digits, `_` and `-`.
fn quoted_key(key: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if !key.is_empty() && key.chars().all(bare) {
        return key.to_owned();
    }
    let mut writer = Writer { out: String::new() };
    writer.text(key);
    writer.out
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
pub(super) fn read(text: &str) -> Value {
    match text.parse::<toml::Table>() {
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

    #[test]
    fn scalars_stand_before_tables_and_levels_are_indented() {
        let value = Value::map([
            ("b", Value::map([("c", Value::float(1.0)), ("d", Value::map([("e", Value::texts(["x"]))]))])),
            ("z", Value::int(1)),
            ("a", Value::list([Value::map([("k v", Value::Bool(true))]), Value::map([("n", Value::Nil)])])),
        ]);
        let expected =
            "z = 1\n\n[[a]]\n  \"k v\" = true\n\n[[a]]\n\n[b]\n  c = 1.0\n  [b.d]\n    e = [\"x\"]\n";
        assert_eq!(written(&value).unwrap(), expected);
    }

    #[test]
    fn what_is_read_can_be_asked_for_and_errors_are_values() {
        let read = read("a = 1\n[b]\nc = [1.5, \"x\"]\n");
        assert_eq!(written(&read).unwrap(), "a = 1\n\n[b]\n  c = [1.5, \"x\"]\n");
        let Value::Map(failed) = super::read("a = ") else { unreachable!() };
        assert!(matches!(failed.get(b"Error"), Some(Value::Text(_))));
    }
}
