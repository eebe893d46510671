//! JSON as Go's encoding/json writes and reads it into `interface {}`, with its messages.

use super::Entry;
use super::encoding::base64;
use crate::context::Context;
use crate::error::Failure;
use crate::number::{FloatForm, format_float, format_float32};
use crate::quote::quote;
use crate::text::Text;
use crate::unicode::{self, REPLACEMENT};
use crate::value::{Float, Map, Type, Uint, Value};
use std::collections::BTreeMap;

/// Values nested deeper than this are neither written nor read.
const DEEPEST: usize = 300;

const WRITE: &str = "func(interface {}) string";
const MUST_WRITE: &str = "func(interface {}) (string, error)";

pub(super) const TABLE: &[Entry] = &[
    (&["toJson"], WRITE, |context, arguments| quiet(written(context, arguments.any(0), Style::Compact))),
    (&["mustToJson"], MUST_WRITE, |context, arguments| written(context, arguments.any(0), Style::Compact)),
    (&["toPrettyJson"], WRITE, |context, arguments| quiet(written(context, arguments.any(0), Style::Pretty))),
    (&["mustToPrettyJson"], MUST_WRITE, |context, arguments| {
        written(context, arguments.any(0), Style::Pretty)
    }),
    (&["toRawJson"], WRITE, |context, arguments| written(context, arguments.any(0), Style::Raw)),
    (&["mustToRawJson"], MUST_WRITE, |context, arguments| written(context, arguments.any(0), Style::Raw)),
    (&["fromJson"], "func(string) interface {}", |_, arguments| {
        Ok(read(arguments.text(0)?).unwrap_or(Value::Nil))
    }),
    (&["mustFromJson"], "func(string) (interface {}, error)", |_, arguments| read(arguments.text(0)?)),
];

/// How JSON is laid out.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Style {
    Compact,
    /// Indented by two spaces a level.
    Pretty,
    /// Without the escapes that HTML asks for.
    Raw,
}

fn written(context: &mut Context<'_>, value: &Value, style: Style) -> Result<Value, Failure> {
    let mut writer = Writer { out: Vec::new(), style, room: context.room() };
    writer.value(value, 0)?;
    context.write(writer.out.len())?;
    Ok(writer.out.into())
}

/// A value that is no JSON gives no text, but a bound that is met ends the execution.
fn quiet(result: Result<Value, Failure>) -> Result<Value, Failure> {
    match result {
        Err(failure) if failure.kind == crate::error::ErrorKind::Execute => Ok("".into()),
        result => result,
    }
}

struct Writer {
    out: Vec<u8>,
    style: Style,
    room: usize,
}

impl Writer {
    fn value(&mut self, value: &Value, depth: usize) -> Result<(), Failure> {
        if depth > DEEPEST {
            return Err(Failure::limit("a value is nested too deeply for JSON"));
        }
        if self.out.len() > self.room {
            return Err(Failure::limit("the output is larger than allowed"));
        }
        match value {
            Value::Nil => self.out.extend_from_slice(b"null"),
            Value::Bool(value) => self.out.extend_from_slice(if *value { b"true" } else { b"false" }),
            Value::Int(_, number) => self.out.extend_from_slice(number.to_string().as_bytes()),
            Value::Uint(_, number) => self.out.extend_from_slice(number.to_string().as_bytes()),
            Value::Float(kind, number) => self.float(*kind, *number)?,
            Value::Text(text) => self.text(text),
            Value::List(list) if list.is_nil() => self.out.extend_from_slice(b"null"),
            Value::List(list) if *list.type_of().element() == Type::Uint(Uint::Uint8) => {
                let bytes = super::convert::text(value)?;
                self.text(&base64(&bytes));
            }
            Value::List(list) => {
                let items = list.items().clone();
                self.sequence(b'[', b']', items.iter().map(|item| (None, item)), depth)?;
            }
            Value::Map(map) if map.is_nil() => self.out.extend_from_slice(b"null"),
            Value::Map(map) => {
                let entries: Vec<_> =
                    map.entries().iter().map(|(key, item)| (key.clone(), item.clone())).collect();
                self.sequence(b'{', b'}', entries.iter().map(|(key, item)| (Some(key), item)), depth)?;
            }
            Value::Object(object) => match (object.underlying(), object.to_json_text()) {
                (Some(beneath), _) => self.value(&beneath, depth)?,
                (None, Some(text)) => self.text(&text),
                (None, None) => {
                    let fields = object.json_fields();
                    self.sequence(b'{', b'}', fields.iter().map(|(name, item)| (Some(name), item)), depth)?;
                }
            },
            Value::Function(_) => {
                return Err(format!("json: unsupported type: {}", value.type_name()).into());
            }
        }
        Ok(())
    }

    fn sequence<'v>(
        &mut self,
        open: u8,
        close: u8,
        items: impl Iterator<Item = (Option<&'v Text>, &'v Value)>,
        depth: usize,
    ) -> Result<(), Failure> {
        self.out.push(open);
        let mut any = false;
        for (key, item) in items {
            if std::mem::replace(&mut any, true) {
                self.out.push(b',');
            }
            self.line(depth + 1);
            if let Some(key) = key {
                self.text(key);
                self.out.push(b':');
                if self.style == Style::Pretty {
                    self.out.push(b' ');
                }
            }
            self.value(item, depth + 1)?;
        }
        if any {
            self.line(depth);
        }
        self.out.push(close);
        Ok(())
    }

    fn line(&mut self, depth: usize) {
        if self.style == Style::Pretty {
            self.out.push(b'\n');
            self.out.resize(self.out.len() + 2 * depth, b' ');
        }
    }

    /// The shortest digits, as JavaScript lays them out.
    fn float(&mut self, kind: Float, number: f64) -> Result<(), Failure> {
        if !number.is_finite() {
            let shown = format_float(number, FloatForm::Shorter, None);
            return Err(format!("json: unsupported value: {shown}").into());
        }
        let plain = number == 0.0 || (1e-6..1e21).contains(&number.abs());
        let form = if plain { FloatForm::Fixed } else { FloatForm::Exponent };
        #[allow(clippy::cast_possible_truncation, reason = "it was a float32 before it was widened")]
        let text = match kind {
            Float::Float32 => format_float32(number as f32, form, None),
            Float::Float64 => format_float(number, form, None),
        };
        self.out.extend_from_slice(text.replace("e-0", "e-").as_bytes());
        Ok(())
    }

    fn text(&mut self, text: &[u8]) {
        self.out.push(b'"');
        for (at, c, width) in unicode::chars(text) {
            match c {
                '"' | '\\' => self.out.extend_from_slice(&[b'\\', text[at]]),
                '\n' => self.out.extend_from_slice(b"\\n"),
                '\r' => self.out.extend_from_slice(b"\\r"),
                '\t' => self.out.extend_from_slice(b"\\t"),
                '\x08' => self.out.extend_from_slice(b"\\b"),
                '\x0c' => self.out.extend_from_slice(b"\\f"),
                '<' | '>' | '&' if self.style == Style::Raw => self.out.push(text[at]),
                '<' | '>' | '&' | '\0'..='\x1f' | '\u{2028}' | '\u{2029}' => {
                    self.out.extend_from_slice(format!("\\u{:04x}", u32::from(c)).as_bytes());
                }
                REPLACEMENT if width == 1 => self.out.extend_from_slice(b"\\ufffd"),
                _ => self.out.extend_from_slice(&text[at..at + width]),
            }
        }
        self.out.push(b'"');
    }
}

/// The value that a JSON text stands for: numbers are `float64`. What is wrong is said as Go says it.
pub fn read(text: &[u8]) -> Result<Value, Failure> {
    let mut reader = Reader { text, at: 0 };
    let value = reader.value(0)?;
    match reader.peek() {
        None => Ok(value),
        Some(_) => Err(reader.unexpected("after top-level value")),
    }
}

struct Reader<'t> {
    text: &'t [u8],
    at: usize,
}

impl Reader<'_> {
    /// The next byte that is no space.
    fn peek(&mut self) -> Option<u8> {
        while matches!(self.text.get(self.at), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
        self.text.get(self.at).copied()
    }

    /// What stands at this place does not belong there.
    fn unexpected(&self, place: &str) -> Failure {
        // At the end Go's scanner reads one more space: what does not take it is wrong, the rest is not complete.
        let within = ["in literal", "numeric literal", "escape"].iter().any(|word| place.contains(word));
        let byte = match self.text.get(self.at) {
            Some(&byte) => byte,
            None if within => b' ',
            None => return "unexpected end of JSON input".into(),
        };
        let shown = match byte {
            b'\'' => r"'\''".to_owned(),
            b'"' => "'\"'".to_owned(),
            _ => {
                let quoted = quote(char::from(byte).to_string().as_bytes());
                format!("'{}'", String::from_utf8_lossy(&quoted[1..quoted.len() - 1]))
            }
        };
        format!("invalid character {shown} {place}").into()
    }

    fn value(&mut self, depth: usize) -> Result<Value, Failure> {
        if depth > DEEPEST {
            return Err(Failure::limit("a value is nested too deeply for JSON"));
        }
        match self.peek() {
            Some(b'{') => self.object(depth),
            Some(b'[') => self.array(depth),
            Some(b'"') => self.string().map(Value::Text),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.literal("true", Value::Bool(true)),
            Some(b'f') => self.literal("false", Value::Bool(false)),
            Some(b'n') => self.literal("null", Value::Nil),
            _ => Err(self.unexpected("looking for beginning of value")),
        }
    }

    fn literal(&mut self, word: &str, value: Value) -> Result<Value, Failure> {
        for expected in word.bytes() {
            if self.text.get(self.at) != Some(&expected) {
                let place = format!("in literal {word} (expecting '{}')", char::from(expected));
                return Err(self.unexpected(&place));
            }
            self.at += 1;
        }
        Ok(value)
    }

    fn array(&mut self, depth: usize) -> Result<Value, Failure> {
        self.at += 1;
        let mut items = Vec::new();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(Value::list(items));
        }
        loop {
            items.push(self.value(depth + 1)?);
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b']') => {
                    self.at += 1;
                    return Ok(Value::list(items));
                }
                _ => return Err(self.unexpected("after array element")),
            }
        }
    }

    fn object(&mut self, depth: usize) -> Result<Value, Failure> {
        self.at += 1;
        let mut entries = BTreeMap::new();
        let made = |entries| Ok(Value::Map(Map::new(Type::map(), entries)));
        if self.peek() == Some(b'}') {
            self.at += 1;
            return made(entries);
        }
        loop {
            if self.peek() != Some(b'"') {
                return Err(self.unexpected("looking for beginning of object key string"));
            }
            let key = self.string()?;
            if self.peek() != Some(b':') {
                return Err(self.unexpected("after object key"));
            }
            self.at += 1;
            entries.insert(key, self.value(depth + 1)?);
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => {
                    self.at += 1;
                    return made(entries);
                }
                _ => return Err(self.unexpected("after object key:value pair")),
            }
        }
    }

    fn string(&mut self) -> Result<Text, Failure> {
        self.at += 1;
        let mut out = Vec::new();
        loop {
            match self.text.get(self.at) {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(out.into());
                }
                Some(b'\\') => self.escape(&mut out)?,
                None | Some(0..=0x1f) => return Err(self.unexpected("in string literal")),
                Some(_) => {
                    let (c, width) = unicode::first(&self.text[self.at..]);
                    unicode::push(&mut out, c);
                    self.at += width;
                }
            }
        }
    }

    fn escape(&mut self, out: &mut Vec<u8>) -> Result<(), Failure> {
        self.at += 1;
        let byte = match self.text.get(self.at) {
            Some(b'b') => 8,
            Some(b'f') => 12,
            Some(b'n') => b'\n',
            Some(b'r') => b'\r',
            Some(b't') => b'\t',
            Some(&byte @ (b'"' | b'\\' | b'/')) => byte,
            Some(b'u') => {
                self.at += 1;
                let unit = self.unit()?;
                let c = self.paired(unit)?;
                unicode::push(out, c);
                return Ok(());
            }
            _ => return Err(self.unexpected("in string escape code")),
        };
        self.at += 1;
        out.push(byte);
        Ok(())
    }

    /// Four hexadecimal digits.
    fn unit(&mut self) -> Result<u32, Failure> {
        let mut unit = 0;
        for _ in 0..4 {
            let digit = self.text.get(self.at).and_then(|&byte| char::from(byte).to_digit(16));
            unit = unit * 16 + digit.ok_or_else(|| self.unexpected("in \\u hexadecimal character escape"))?;
            self.at += 1;
        }
        Ok(unit)
    }

    /// The character of a unit, with a second one where it is the first of a pair.
    fn paired(&mut self, unit: u32) -> Result<char, Failure> {
        if (0xd800..0xdc00).contains(&unit) && self.text[self.at..].starts_with(b"\\u") {
            let before = self.at;
            self.at += 2;
            let low = self.unit()?;
            if (0xdc00..0xe000).contains(&low) {
                let code = 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
                return Ok(char::from_u32(code).unwrap_or(REPLACEMENT));
            }
            self.at = before;
        }
        Ok(char::from_u32(unit).unwrap_or(REPLACEMENT))
    }

    fn digits(&mut self, place: &str) -> Result<(), Failure> {
        if !self.text.get(self.at).is_some_and(u8::is_ascii_digit) {
            return Err(self.unexpected(place));
        }
        while self.text.get(self.at).is_some_and(u8::is_ascii_digit) {
            self.at += 1;
        }
        Ok(())
    }

    fn number(&mut self) -> Result<Value, Failure> {
        let start = self.at;
        if self.text[self.at] == b'-' {
            self.at += 1;
        }
        if self.text.get(self.at) == Some(&b'0') {
            self.at += 1;
        } else {
            self.digits("in numeric literal")?;
        }
        if self.text.get(self.at) == Some(&b'.') {
            self.at += 1;
            self.digits("after decimal point in numeric literal")?;
        }
        if matches!(self.text.get(self.at), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.text.get(self.at), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits("in exponent of numeric literal")?;
        }
        let digits = String::from_utf8_lossy(&self.text[start..self.at]);
        match digits.parse::<f64>() {
            Ok(number) if number.is_finite() => Ok(Value::float(number)),
            _ => Err(format!("json: cannot unmarshal number {digits} into Go value of type float64").into()),
        }
    }
}
