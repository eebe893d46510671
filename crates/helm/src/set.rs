//! Values from the command line: `--set a.b=1,c[0].d={x,y}`, `--set-string`, `--set-json`, `--set-file` and `--set-literal`.
//!
//! In comes one argument, with Helm's escapes, lists and indexes; it changes values that are there already. Absent on
//! purpose: the file system, which whoever calls reads for `--set-file`.

use crate::values::{Values, as_json_reads, kind, merge_values};
use serde_json::Value;

const LARGEST_INDEX: usize = 65_536;
const DEEPEST: usize = 30;

/// What the values of an argument are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Typed {
    /// Integers, booleans and null are what they look like: `--set`.
    ByLook,
    /// All are texts: `--set-string`.
    AsText,
    /// JSON: `--set-json`.
    AsJson,
    /// One text, up to the end of the argument, in which nothing has a meaning: `--set-literal`.
    Literal,
}

/// Gives the content of a file that `--set-file` names, or says why there is none.
pub type ReadFile<'r> = dyn Fn(&str) -> Result<String, String> + 'r;

/// An argument that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("failed parsing --{option} data: {message}")]
pub struct InvalidSet {
    option: &'static str,
    message: String,
}

/// Sets what the argument says.
///
/// ```
/// use trueup_helm::{Typed, Values, set_values};
///
/// let mut values = Values::new();
/// set_values(&mut values, r"image.tag=v1\,2,ports[1]=80,args={a,b},off=null", Typed::ByLook)?;
/// let text = serde_json::to_string(&values)?;
/// assert_eq!(text, r#"{"args":["a","b"],"image":{"tag":"v1,2"},"off":null,"ports":[null,80]}"#);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// An argument that Helm refuses, too.
pub fn set_values(values: &mut Values, argument: &str, typed: Typed) -> Result<(), InvalidSet> {
    let option = match typed {
        Typed::ByLook => "set",
        Typed::AsText => "set-string",
        Typed::AsJson => "set-json",
        Typed::Literal => "set-literal",
    };
    let invalid = |message| InvalidSet { option, message };
    if typed == Typed::AsJson && argument.trim_start().starts_with('{') {
        let map: Values = serde_json::from_str(argument).map_err(|error| invalid(error.to_string()))?;
        if let Value::Object(map) = as_json_reads(Value::Object(map)) {
            merge_values(values, map);
        }
        return Ok(());
    }
    Parser { text: argument, typed, files: None }.all(values).map_err(invalid)
}

/// Sets values to the contents of the files that the argument names: `a=file,b={one,other}`.
///
/// # Errors
/// An argument that Helm refuses, too, or a file that cannot be read.
pub fn set_files(values: &mut Values, argument: &str, read: &ReadFile<'_>) -> Result<(), InvalidSet> {
    let parser = Parser { text: argument, typed: Typed::AsText, files: Some(read) };
    parser.all(values).map_err(|message| InvalidSet { option: "set-file", message })
}

/// Why reading does not go on.
enum Stop {
    /// There is nothing left.
    End,
    /// This cannot be.
    Refused(String),
}

fn refused<T>(message: impl Into<String>) -> Result<T, Stop> {
    Err(Stop::Refused(message.into()))
}

struct Parser<'t> {
    /// What is left.
    text: &'t str,
    typed: Typed,
    /// Gives the files whose names stand in the place of texts.
    files: Option<&'t ReadFile<'t>>,
}

impl Parser<'_> {
    fn all(mut self, values: &mut Values) -> Result<(), String> {
        loop {
            match self.key(values, 0) {
                Ok(()) => {}
                Err(Stop::End) => return Ok(()),
                Err(Stop::Refused(message)) => return Err(message),
            }
        }
    }

    fn next(&mut self) -> Option<char> {
        let c = self.text.chars().next()?;
        self.text = &self.text[c.len_utf8()..];
        Some(c)
    }

    /// Characters up to one of these, which is taken too; none where the text ends before.
    fn until(&mut self, stops: &[char]) -> (String, Option<char>) {
        let mut found = String::new();
        while let Some(c) = self.next() {
            if stops.contains(&c) {
                return (found, Some(c));
            }
            match c {
                '\\' if self.typed != Typed::Literal => match self.next() {
                    Some(escaped) => found.push(escaped),
                    None => return (found, None),
                },
                c => found.push(c),
            }
        }
        (found, None)
    }

    fn key(&mut self, data: &mut Values, depth: usize) -> Result<(), Stop> {
        let stops: &[char] =
            if self.typed == Typed::Literal { &['=', '[', '.'] } else { &['=', '[', ',', '.'] };
        let (key, stop) = self.until(stops);
        match stop {
            None if key.is_empty() => Err(Stop::End),
            None => refused(format!("key {key:?} has no value")),
            Some('[') => {
                let index = self.index()?;
                let mut list = match data.get(&key) {
                    None => Vec::new(),
                    Some(Value::Array(list)) => list.clone(),
                    Some(other) => return refused(format!("key {key:?}: is {}, no list", kind(other))),
                };
                let result = self.item(&mut list, index, depth);
                set(data, &key, Value::Array(list));
                result
            }
            Some('=') => {
                let (value, result) = self.value()?;
                set(data, &key, value);
                result
            }
            Some(',') => {
                set(data, &key, Value::String(String::new()));
                refused(format!("key {key:?} has no value (cannot end with ,)"))
            }
            Some(_) => self.below(data, &key, depth + 1),
        }
    }

    /// A key within a map.
    fn below(&mut self, data: &mut Values, key: &str, depth: usize) -> Result<(), Stop> {
        if depth > DEEPEST {
            return refused(format!(
                "value name nested level is greater than maximum supported nested level of {DEEPEST}"
            ));
        }
        let mut inner = match data.get(key) {
            None => Values::new(),
            Some(Value::Object(map)) => map.clone(),
            Some(other) => return refused(format!("key {key:?}: is {}, no map", kind(other))),
        };
        let result = self.key(&mut inner, depth);
        if inner.is_empty() {
            return result.and_then(|()| refused(format!("key map {key:?} has no value")));
        }
        set(data, key, Value::Object(inner));
        result
    }

    fn index(&mut self) -> Result<usize, Stop> {
        let (index, stop) = self.until(&[']']);
        if stop.is_none() {
            return Err(Stop::End);
        }
        match index.parse::<i64>() {
            Ok(number) if number < 0 => refused(format!("negative {number} index not allowed")),
            Ok(number) => match usize::try_from(number) {
                Ok(number) if number <= LARGEST_INDEX => Ok(number),
                _ => refused(format!(
                    "index of {number} is greater than maximum supported index of {LARGEST_INDEX}"
                )),
            },
            Err(_) => refused(format!("error parsing index: {index:?} is no number")),
        }
    }

    fn item(&mut self, list: &mut Vec<Value>, index: usize, depth: usize) -> Result<(), Stop> {
        let (key, stop) = self.until(&['[', '.', '=']);
        if !key.is_empty() {
            return refused(format!("unexpected data at end of array index: {key:?}"));
        }
        let there = list.get(index).cloned();
        match stop {
            None => Err(Stop::End),
            Some('=') => {
                let (value, result) = self.value()?;
                put(list, index, value);
                result
            }
            Some('[') => {
                let next = self.index()?;
                let mut inner = match there {
                    None | Some(Value::Null) => Vec::new(),
                    Some(Value::Array(inner)) => inner,
                    Some(other) => return refused(format!("[{index}]: is {}, no list", kind(&other))),
                };
                self.item(&mut inner, next, depth)?;
                put(list, index, Value::Array(inner));
                Ok(())
            }
            Some(_) => {
                let mut inner = match there {
                    Some(Value::Object(inner)) => inner,
                    _ => Values::new(),
                };
                let result = self.key(&mut inner, depth);
                put(list, index, Value::Object(inner));
                result
            }
        }
    }

    /// A value, and whether reading goes on behind it.
    fn value(&mut self) -> Result<(Value, Result<(), Stop>), Stop> {
        if self.typed == Typed::AsJson {
            return Ok((self.json()?, Ok(())));
        }
        if self.typed == Typed::Literal {
            return Ok((Value::String(std::mem::take(&mut self.text).to_owned()), Err(Stop::End)));
        }
        match self.text.chars().next() {
            None => Ok((Value::String(String::new()), Err(Stop::End))),
            Some('{') => {
                self.next();
                Ok((self.list()?, Ok(())))
            }
            Some(_) => {
                let (text, _) = self.until(&[',']);
                Ok((self.scalar(text)?, Ok(())))
            }
        }
    }

    /// What stands behind a `{`.
    fn list(&mut self) -> Result<Value, Stop> {
        let mut items = Vec::new();
        loop {
            let (text, stop) = self.until(&[',', '}']);
            match stop {
                None => return refused("list must terminate with '}'"),
                Some('}') => {
                    if let Some(rest) = self.text.strip_prefix(',') {
                        self.text = rest;
                    }
                    items.push(self.scalar(text)?);
                    return Ok(Value::Array(items));
                }
                Some(_) => items.push(self.scalar(text)?),
            }
        }
    }

    fn scalar(&self, text: String) -> Result<Value, Stop> {
        if let Some(files) = self.files {
            return files(&text).map(Value::String).map_err(Stop::Refused);
        }
        if self.typed == Typed::AsText {
            return Ok(Value::String(text));
        }
        Ok(match text.to_ascii_lowercase().as_str() {
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            "null" => Value::Null,
            "0" => Value::from(0),
            // What begins with a zero is a text, as are numbers with a point.
            _ if text.starts_with('0') => Value::String(text),
            _ => text.parse::<i64>().map_or(Value::String(text), Value::from),
        })
    }

    /// A JSON value, and the comma behind it; nothing at all is null.
    fn json(&mut self) -> Result<Value, Stop> {
        if self.skip_comma() {
            return Ok(Value::Null);
        }
        let mut values = serde_json::Deserializer::from_str(self.text).into_iter::<Value>();
        let value = match values.next() {
            Some(Ok(value)) => value,
            Some(Err(error)) => return refused(error.to_string()),
            None => return Ok(Value::Null),
        };
        let end = values.byte_offset();
        self.text = self.text.get(end..).unwrap_or_default();
        self.skip_comma();
        Ok(as_json_reads(value))
    }

    /// Skips spaces and a comma behind them; whether there was a comma, or the end.
    fn skip_comma(&mut self) -> bool {
        self.text = self.text.trim_start();
        match self.text.strip_prefix(',') {
            Some(rest) => {
                self.text = rest;
                true
            }
            None => self.text.is_empty(),
        }
    }
}

fn set(data: &mut Values, key: &str, value: Value) {
    if !key.is_empty() {
        data.insert(key.to_owned(), value);
    }
}

fn put(list: &mut Vec<Value>, index: usize, value: Value) {
    if list.len() <= index {
        list.resize(index + 1, Value::Null);
    }
    list[index] = value;
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn set(argument: &str, typed: Typed) -> Result<Value, String> {
        let mut values = Values::new();
        set_values(&mut values, argument, typed).map_err(|error| error.to_string())?;
        Ok(Value::Object(values))
    }

    #[test]
    fn values_are_what_they_look_like() {
        let read = set("a=1,b=true,c=null,d=1.5,e=007,f=,g=x\\,y,h=0,i=-3", Typed::ByLook).unwrap();
        let expected = json!({
            "a": 1, "b": true, "c": null, "d": "1.5", "e": "007", "f": "", "g": "x,y", "h": 0, "i": -3
        });
        assert_eq!(read, expected);
        assert_eq!(set("a=1,b=null", Typed::AsText).unwrap(), json!({"a": "1", "b": "null"}));
    }

    #[test]
    fn lists_and_maps_are_made_and_extended() {
        let read = set("a[1].b=1,a[1].c={x,2},a[0][1]=z,d\\.e.f=1", Typed::ByLook).unwrap();
        assert_eq!(read, json!({"a": [[null, "z"], {"b": 1, "c": ["x", 2]}], "d.e": {"f": 1}}));
        let mut values = Values::new();
        set_values(&mut values, "a={1,2}", Typed::ByLook).unwrap();
        set_values(&mut values, "a[1]=3", Typed::ByLook).unwrap();
        assert_eq!(Value::Object(values), json!({"a": [1, 3]}));
    }

    #[test]
    fn json_is_taken_as_it_is() {
        let read = set(r#"a={"b":[1,2]},c="x",d=,e[1]=true"#, Typed::AsJson).unwrap();
        assert_eq!(read, json!({"a": {"b": [1.0, 2.0]}, "c": "x", "d": null, "e": [null, true]}));
        assert_eq!(set(r#"{"a":{"b":1}}"#, Typed::AsJson).unwrap(), json!({"a": {"b": 1.0}}));
    }

    #[test]
    fn a_literal_goes_to_the_end_and_nothing_in_it_has_a_meaning() {
        assert_eq!(
            set(r"a.b[1]=x,c=\d{1}", Typed::Literal).unwrap(),
            json!({"a": {"b": [null, r"x,c=\d{1}"]}})
        );
        assert_eq!(set("a,b=1", Typed::Literal).unwrap(), json!({"a,b": "1"}));
        assert_eq!(set("a=", Typed::Literal).unwrap(), json!({"a": ""}));
        assert!(set("a", Typed::Literal).unwrap_err().starts_with("failed parsing --set-literal data: key"));
    }

    #[test]
    fn files_stand_for_their_contents() {
        let read = |path: &str| match path {
            "none" => Err("none: there is no such file".to_owned()),
            path => Ok(format!("1 in {path}\n")),
        };
        let mut values = Values::new();
        set_files(&mut values, "a.b=one,c={one,two}", &read).unwrap();
        assert_eq!(
            Value::Object(values.clone()),
            json!({"a": {"b": "1 in one\n"}, "c": ["1 in one\n", "1 in two\n"]})
        );
        let why = set_files(&mut values, "a=none", &read).unwrap_err().to_string();
        assert_eq!(why, "failed parsing --set-file data: none: there is no such file");
    }

    #[test]
    fn what_helm_refuses_is_refused() {
        for (argument, message) in [
            ("a", "key \"a\" has no value"),
            ("a,b=1", "key \"a\" has no value (cannot end with ,)"),
            ("a={1,2", "list must terminate with '}'"),
            ("a[-1]=1", "negative -1 index not allowed"),
            ("a[70000]=1", "index of 70000 is greater than maximum supported index of 65536"),
            ("a[0]x=1", "unexpected data at end of array index: \"x\""),
            ("a=1,a.b=2", "key \"a\": is a number, no map"),
        ] {
            assert_eq!(
                set(argument, Typed::ByLook).unwrap_err(),
                format!("failed parsing --set data: {message}")
            );
        }
        let deep = "a.".repeat(40) + "b=1";
        assert!(set(&deep, Typed::ByLook).is_err());
    }
}
