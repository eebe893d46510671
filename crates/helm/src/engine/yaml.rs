//! YAML and JSON between templates' values and texts, by way of JSON as Helm goes.

use super::words;
use crate::values::{READING, as_json_reads, to_template};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value as Json;
use std::borrow::Cow;
use trueup_model::yaml::{self, YamlError};
use trueup_template::{Context, Failure, List, Map, Object, Text, Type, Uint, Value};

/// How deep values may be nested that become YAML.
const DEEPEST: usize = 250;

/// How a value becomes YAML.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Layout {
    /// By way of JSON, with the names that JSON has.
    Plain,
    /// By go-yaml itself, which indents the items of lists, and knows bytes, and names of fields, as Go has them.
    Pretty,
}

/// The value as YAML, without the last line break. What it takes is counted before it is there.
pub(super) fn written(context: &mut Context<'_>, value: &Value, layout: Layout) -> Result<String, Failure> {
    if let (Layout::Pretty, Value::Object(object)) = (layout, value)
        && object.to_go_text().is_some()
        && let Some(time) = object.to_json_text()
    {
        return Ok(time.to_string_lossy());
    }
    let mut room = |bytes| context.write(bytes);
    let value = Conversion { layout, room: &mut room }.value(value, 0)?;
    let mut text = match layout {
        Layout::Plain => yaml::to_yaml(&value),
        Layout::Pretty => yaml::to_yaml_pretty(&value),
    };
    if text.ends_with('\n') {
        text.pop();
    }
    context.write(text.len())?;
    Ok(text)
}

/// The value as JSON.
pub(super) fn json(value: &Value) -> Result<Json, Failure> {
    Conversion { layout: Layout::Plain, room: &mut |_| Ok(()) }.value(value, 0)
}

/// What a value takes at least, in bytes: what is shared among values is written once for each of them.
const EACH: usize = 16;

struct Conversion<'c> {
    layout: Layout,
    room: &'c mut dyn FnMut(usize) -> Result<(), Failure>,
}

impl Conversion<'_> {
    fn value(&mut self, value: &Value, depth: usize) -> Result<Json, Failure> {
        if depth > DEEPEST {
            return Err("a value is nested too deeply".into());
        }
        (self.room)(EACH)?;
        Ok(match value {
            Value::Nil => Json::Null,
            Value::Bool(value) => Json::Bool(*value),
            Value::Int(_, int) => Json::from(*int),
            Value::Uint(_, int) => Json::from(*int),
            Value::Float(_, float) => self.float(*float)?,
            Value::Text(text) => {
                (self.room)(text.len())?;
                Json::String(self.text(text)?)
            }
            Value::List(list) => self.list(list, depth)?,
            Value::Map(map) if map.is_nil() && self.layout == Layout::Plain => Json::Null,
            Value::Map(map) => {
                let mut object = serde_json::Map::new();
                for (key, item) in &*map.entries() {
                    self.entry(&mut object, key, item, depth)?;
                }
                Json::Object(object)
            }
            Value::Object(object) => match (object.underlying(), object.to_json_text()) {
                (Some(Value::Int(..)), _) if self.layout == Layout::Pretty && object.to_text().is_some() => {
                    Json::String(object.to_text().unwrap_or_default().to_string_lossy())
                }
                (Some(beneath), _) => self.value(&beneath, depth)?,
                (None, Some(text)) => Json::String(text.to_string_lossy()),
                (None, None) => self.fields(object.as_ref(), depth)?,
            },
            Value::Function(_) => return Err("json: unsupported type".into()),
        })
    }

    /// What is left of a text behind JSON that is read as YAML.
    fn text(&self, text: &Text) -> Result<String, Failure> {
        let text = text.to_string_lossy();
        let suspect = |c: char| matches!(c, '\u{7f}'..='\u{9f}' | '\u{fffe}' | '\u{ffff}');
        if self.layout == Layout::Pretty || !text.contains(suspect) {
            return Ok(text);
        }
        if text.contains(|c| suspect(c) && c != NEXT_LINE) {
            return Err("yaml: control characters are not allowed".into());
        }
        Ok(folded(&text))
    }

    fn float(&self, float: f64) -> Result<Json, Failure> {
        if float == 0.0 && self.layout == Layout::Plain {
            return Ok(Json::from(0));
        }
        let number = serde_json::Number::from_f64(float).map(Json::Number);
        number.ok_or_else(|| format!("json: unsupported value: {float}").into())
    }

    fn list(&mut self, list: &List, depth: usize) -> Result<Json, Failure> {
        let is_bytes = *list.type_of() == Type::List(Type::Uint(Uint::Uint8).into());
        let items = list.items();
        match self.layout {
            Layout::Plain if list.is_nil() => Ok(Json::Null),
            Layout::Plain if is_bytes => {
                let bytes = items.iter().filter_map(|item| match item {
                    Value::Uint(_, byte) => u8::try_from(*byte).ok(),
                    _ => None,
                });
                Ok(Json::String(STANDARD.encode(bytes.collect::<Vec<u8>>())))
            }
            Layout::Plain | Layout::Pretty => items
                .iter()
                .map(|item| self.value(item, depth + 1))
                .collect::<Result<_, _>>()
                .map(Json::Array),
        }
    }

    fn fields(&mut self, object: &dyn Object, depth: usize) -> Result<Json, Failure> {
        match self.layout {
            Layout::Plain => self.object(object.json_fields(), depth),
            Layout::Pretty => {
                let key = |place, name: Text| yaml::field_key(place, &name.to_string_lossy().to_lowercase());
                let fields = (0..).zip(object.fields());
                let fields = fields.map(|(place, (name, item))| (Text::from(key(place, name)), item));
                self.object(fields.collect(), depth)
            }
        }
    }

    fn object(&mut self, entries: Vec<(Text, Value)>, depth: usize) -> Result<Json, Failure> {
        let mut object = serde_json::Map::new();
        for (key, item) in entries {
            self.entry(&mut object, &key, &item, depth)?;
        }
        Ok(Json::Object(object))
    }

    fn entry(
        &mut self,
        object: &mut serde_json::Map<String, Json>,
        key: &Text,
        item: &Value,
        depth: usize,
    ) -> Result<(), Failure> {
        let unreadable = || Failure::from("yaml: line 1: did not find expected ',' or '}'");
        (self.room)(key.len())?;
        let is_plain = self.layout == Layout::Plain;
        if is_plain && !key.is_ascii() && key.to_string_lossy().contains(NEXT_LINE) {
            return Err(unreadable());
        }
        let key = self.text(key)?;
        if is_plain && is_too_long(&key) {
            return Err(unreadable());
        }
        object.insert(key, self.value(item, depth + 1)?);
        Ok(())
    }
}

/// Whether go-yaml, which reads the JSON that Go writes, does not find the end of the key.
fn is_too_long(key: &str) -> bool {
    /// Characters of a key, quotes and escapes included.
    const LONGEST: usize = 1024;
    let written = |c: char| match c {
        '"' | '\\' | '\n' | '\r' | '\t' | '\u{8}' | '\u{c}' => 2,
        '<' | '>' | '&' | '\u{2028}' | '\u{2029}' | '\0'..='\u{1f}' => 6,
        _ => 1,
    };
    key.len() > LONGEST / 6 && key.chars().map(written).sum::<usize>() + 2 > LONGEST
}

/// A line break in YAML that JSON does not escape.
const NEXT_LINE: char = '\u{85}';

/// The text with such breaks folded, as within double quotes: one is a space, of several the first is left out, and
/// spaces around them go.
fn folded(text: &str) -> String {
    let mut out = String::new();
    let mut pieces = text.split(NEXT_LINE).peekable();
    let mut first = true;
    let mut breaks = 0;
    while let Some(piece) = pieces.next() {
        let blank = |c| c == ' ';
        let piece = if first { piece } else { piece.trim_start_matches(blank) };
        let piece = if pieces.peek().is_some() { piece.trim_end_matches(blank) } else { piece };
        if !first {
            breaks += 1;
        }
        if !piece.is_empty() || pieces.peek().is_none() {
            match breaks {
                0 => {}
                1 => out.push(' '),
                more => out.extend(std::iter::repeat_n('\n', more - 1)),
            }
            breaks = 0;
        }
        out.push_str(piece);
        first = false;
    }
    out
}

/// What a document is asked to be.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    Map,
    List,
}

impl Wanted {
    fn type_of(self) -> Type {
        match self {
            Self::Map => Type::map(),
            Self::List => Type::list(),
        }
    }

    /// What a document that holds nothing becomes.
    fn empty(self) -> Value {
        match self {
            Self::Map => Value::Map(crate::values::empty()),
            Self::List => Value::list([]),
        }
    }

    /// What JSON's null becomes.
    pub(super) fn nil(self) -> Value {
        match self {
            Self::Map => Value::Map(Map::nil(Type::map())),
            Self::List => Value::List(trueup_template::List::nil(Type::list())),
        }
    }

    /// How an error is handed to the template that asked.
    pub(super) fn with_error(self, error: &str) -> Value {
        match self {
            Self::Map => Value::map([("Error", Value::text(error))]),
            Self::List => Value::list([Value::text(error)]),
        }
    }

    /// Why JSON of this kind cannot be it.
    pub(super) fn refusal(self, found: &str) -> String {
        format!("json: cannot unmarshal {found} into Go value of type {}", self.type_of())
    }
}

/// The first document of a text, as it is wanted; in its place what is wrong.
pub(super) fn read(text: &[u8], wanted: Wanted) -> Value {
    let text = &*decoded(text);
    let first = &*without_dashes(first_document(text));
    if let Some(line) = tab_before_all(first) {
        let at = if line > 1 { format!("line {line}: ") } else { String::new() };
        return wanted.with_error(&format!("error converting YAML to JSON: yaml: {at}{}", words::NO_START));
    }
    let documents = match yaml::documents_as(first, READING) {
        Ok(documents) => documents,
        Err(error) => {
            let Some(documents) = ended_before(first, &error) else {
                let told = words::told(&error, first);
                return wanted.with_error(&format!("error converting YAML to JSON: {told}"));
            };
            documents
        }
    };
    let Some(first) = documents.into_iter().next() else { return wanted.empty() };
    match (wanted, as_json_reads(first.value)) {
        (Wanted::Map, map @ Json::Object(_)) => to_template(&map),
        (Wanted::List, list @ Json::Array(_)) => to_template(&list),
        (_, other) => {
            let found = json_kind(&other);
            let why = format!("error unmarshaling JSON: while decoding JSON: {}", wanted.refusal(found));
            wanted.with_error(&why)
        }
    }
}

/// The text without dashes before what is in brackets, or is a block of text, on the first line.
fn without_dashes(text: &str) -> Cow<'_, str> {
    match text.strip_prefix("--- ") {
        Some(rest) if rest.trim_start().starts_with(['{', '[', '|', '>']) => {
            Cow::Owned(format!("    {rest}"))
        }
        Some(_) | None => Cow::Borrowed(text),
    }
}

/// The line of a tab that stands before all else: nothing begins with one.
fn tab_before_all(text: &str) -> Option<usize> {
    let before = text
        .lines()
        .take_while(|line| matches!(line.trim_start_matches(' ').as_bytes().first(), None | Some(b'#')));
    let before = before.count();
    let line = text.lines().nth(before)?;
    line.trim_start_matches(' ').starts_with('\t').then_some(before + 1)
}

/// What stands before something wrong, where the document ends there already: nobody looks behind it.
fn ended_before(text: &str, error: &YamlError) -> Option<Vec<yaml::Document>> {
    let lines: usize = text.split_inclusive('\n').take(error.at.line.saturating_sub(1)).map(str::len).sum();
    let ends = if text.trim_start().starts_with(['[', '{']) {
        let line = &text[lines..];
        let column = line.char_indices().nth(error.at.column.saturating_sub(1)).map_or(0, |(at, _)| at);
        [lines, lines + column]
    } else if error.message.ends_with("did not find expected <document start>") {
        [lines; 2]
    } else {
        return None;
    };
    let read = |end: usize| yaml::documents_as(&text[..end], READING).ok();
    ends.into_iter().filter_map(read).find(|documents| !documents.is_empty())
}

/// What Go calls a kind of JSON.
fn json_kind(value: &Json) -> &'static str {
    match value {
        Json::Null => "null",
        Json::Bool(_) => "bool",
        Json::Number(_) => "number",
        Json::String(_) => "string",
        Json::Array(_) => "array",
        Json::Object(_) => "object",
    }
}

/// The text up to where a second document begins: nobody looks at what stands there.
fn first_document(text: &str) -> &str {
    let text = text.strip_prefix("%YAML 1.1\n").unwrap_or(text);
    let mut begun = false;
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let bare = line.trim_end();
        let separates = bare == "---" || line.starts_with("--- ");
        if separates && begun {
            return &text[..at];
        }
        begun |= separates || !(bare.trim_start().is_empty() || bare.trim_start().starts_with(['#', '%']));
        at += line.len();
    }
    text
}

/// The text, which may be one of UTF-16 where it begins with a byte order mark.
fn decoded(text: &[u8]) -> Cow<'_, str> {
    let units = |unit: fn([u8; 2]) -> u16| {
        let units = text[2..].chunks_exact(2).map(|pair| unit([pair[0], pair[1]]));
        Cow::Owned(char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect())
    };
    match text {
        [0xff, 0xfe, ..] => units(u16::from_le_bytes),
        [0xfe, 0xff, ..] => units(u16::from_be_bytes),
        _ => String::from_utf8_lossy(text),
    }
}
