//! Values in little memory: a map of a few fields takes over 600 bytes as a value, and about as much as its text here.
//!
//! In: documents and values. Out: bytes, and documents and values again; single texts are found without unpacking the rest.
//! Nothing here is ever written to a disk: only what this process packed is unpacked.

use crate::Value;
use crate::yaml::Document;
use serde_json::{Map, Number};

const NULL: u8 = 0;
const FALSE: u8 = 1;
const TRUE: u8 = 2;
const POSITIVE: u8 = 3;
const NEGATIVE: u8 = 4;
const FLOAT: u8 = 5;
const TEXT: u8 = 6;
const LIST: u8 = 7;
const MAP: u8 = 8;

/// The documents as bytes.
pub fn pack(documents: &[Document]) -> Box<[u8]> {
    let mut bytes = Vec::new();
    put_length(&mut bytes, documents.len());
    for document in documents {
        put_length(&mut bytes, document.line);
        put(&mut bytes, &document.value);
    }
    bytes.into_boxed_slice()
}

/// The documents that were packed; `None` for bytes that are not from [`pack`].
pub fn unpack(bytes: &[u8]) -> Option<Vec<Document>> {
    let mut rest = Rest(bytes);
    let count = rest.length()?;
    let documents: Option<Vec<Document>> = (0..count)
        .map(|_| {
            let line = rest.length()?;
            Some(Document { line, value: rest.value()? })
        })
        .collect();
    documents.filter(|_| rest.0.is_empty())
}

/// A single value as bytes.
pub(crate) fn pack_value(value: &Value) -> Box<[u8]> {
    let mut bytes = Vec::new();
    put(&mut bytes, value);
    bytes.into_boxed_slice()
}

/// The value that was packed; `None` for bytes that are not from [`pack_value`].
pub(crate) fn unpack_value(bytes: &[u8]) -> Option<Value> {
    let mut rest = Rest(bytes);
    rest.value().filter(|_| rest.0.is_empty())
}

/// What stands at a place of a packed value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found<'b> {
    /// Nothing.
    Nothing,
    /// A text.
    Text(&'b str),
    /// Something else.
    Other,
}

/// What stands at the place that these fields lead to, one inside of the other.
pub(crate) fn find<'b>(bytes: &'b [u8], path: &[&str]) -> Found<'b> {
    Rest(bytes).find(path).unwrap_or(Found::Nothing)
}

fn put(bytes: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Null => bytes.push(NULL),
        Value::Bool(false) => bytes.push(FALSE),
        Value::Bool(true) => bytes.push(TRUE),
        Value::Number(number) => put_number(bytes, number),
        Value::String(text) => {
            bytes.push(TEXT);
            put_text(bytes, text);
        }
        Value::Array(items) => {
            bytes.push(LIST);
            put_length(bytes, items.len());
            for item in items {
                put(bytes, item);
            }
        }
        Value::Object(fields) => {
            bytes.push(MAP);
            put_length(bytes, fields.len());
            for (key, value) in fields {
                put_text(bytes, key);
                put(bytes, value);
            }
        }
    }
}

fn put_number(bytes: &mut Vec<u8>, number: &Number) {
    if let Some(number) = number.as_u64() {
        bytes.push(POSITIVE);
        bytes.extend(number.to_le_bytes());
    } else if let Some(number) = number.as_i64() {
        bytes.push(NEGATIVE);
        bytes.extend(number.to_le_bytes());
    } else {
        bytes.push(FLOAT);
        bytes.extend(number.as_f64().unwrap_or_default().to_le_bytes());
    }
}

fn put_text(bytes: &mut Vec<u8>, text: &str) {
    put_length(bytes, text.len());
    bytes.extend(text.as_bytes());
}

/// Seven bits a byte, the lowest first; all but the last have the highest bit.
fn put_length(bytes: &mut Vec<u8>, mut length: usize) {
    let low = |length: usize| u8::try_from(length & 0x7f).unwrap_or_default();
    while length >= 0x80 {
        bytes.push(low(length) | 0x80);
        length >>= 7;
    }
    bytes.push(low(length));
}

/// What is still to be read.
struct Rest<'b>(&'b [u8]);

impl<'b> Rest<'b> {
    fn take(&mut self, count: usize) -> Option<&'b [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn length(&mut self) -> Option<usize> {
        let (mut length, mut shift) = (0, 0);
        loop {
            let byte = self.byte()?;
            length |= usize::from(byte & 0x7f).checked_shl(shift)?;
            if byte < 0x80 {
                return Some(length);
            }
            shift += 7;
        }
    }

    fn eight(&mut self) -> Option<[u8; 8]> {
        self.take(8)?.try_into().ok()
    }

    fn text(&mut self) -> Option<&'b str> {
        let length = self.length()?;
        std::str::from_utf8(self.take(length)?).ok()
    }

    fn find(&mut self, path: &[&str]) -> Option<Found<'b>> {
        let kind = self.byte()?;
        let Some((first, rest)) = path.split_first() else {
            return Some(if kind == TEXT { Found::Text(self.text()?) } else { Found::Other });
        };
        if kind != MAP {
            return Some(Found::Nothing);
        }
        for _ in 0..self.length()? {
            let length = self.length()?;
            if self.take(length)? == first.as_bytes() {
                return self.find(rest);
            }
            self.skip()?;
        }
        Some(Found::Nothing)
    }

    fn skip(&mut self) -> Option<()> {
        match self.byte()? {
            NULL | FALSE | TRUE => {}
            POSITIVE | NEGATIVE | FLOAT => drop(self.take(8)?),
            TEXT => {
                let length = self.length()?;
                self.take(length)?;
            }
            LIST => {
                for _ in 0..self.length()? {
                    self.skip()?;
                }
            }
            MAP => {
                for _ in 0..self.length()? {
                    let length = self.length()?;
                    self.take(length)?;
                    self.skip()?;
                }
            }
            _ => return None,
        }
        Some(())
    }

    fn value(&mut self) -> Option<Value> {
        Some(match self.byte()? {
            NULL => Value::Null,
            FALSE => Value::Bool(false),
            TRUE => Value::Bool(true),
            POSITIVE => u64::from_le_bytes(self.eight()?).into(),
            NEGATIVE => i64::from_le_bytes(self.eight()?).into(),
            FLOAT => Value::Number(Number::from_f64(f64::from_le_bytes(self.eight()?))?),
            TEXT => Value::String(self.text()?.to_owned()),
            LIST => {
                let count = self.length()?;
                Value::Array((0..count).map(|_| self.value()).collect::<Option<_>>()?)
            }
            MAP => {
                let count = self.length()?;
                let mut fields = Map::new();
                for _ in 0..count {
                    let key = self.text()?.to_owned();
                    fields.insert(key, self.value()?);
                }
                Value::Object(fields)
            }
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_packed_is_unpacked_as_it_was() {
        let long = "x".repeat(100_000);
        for value in [
            json!(null),
            json!([true, false, 0, -1, i64::MIN, u64::MAX, 1.5, -0.0, "", "é", {}]),
            json!({"a": {"b": [[], {"c": long}]}, "d": (0..1000).collect::<Vec<_>>()}),
        ] {
            let documents = vec![Document { line: 1, value }, Document { line: 300, value: json!("last") }];
            assert_eq!(unpack(&pack(&documents)), Some(documents));
        }
    }

    #[test]
    fn a_text_is_found_without_unpacking_the_rest() {
        let value =
            json!({"a": [1, {"b": null}], "c": -1, "d": {"e": "x", "f": {"g": ""}, "h": 1.5}, "i": true});
        let bytes = pack_value(&value);
        for (path, expected) in [
            (["d", "e"].as_slice(), Found::Text("x")),
            (&["d", "f", "g"], Found::Text("")),
            (&["d", "f"], Found::Other),
            (&["i"], Found::Other),
            (&["d", "x"], Found::Nothing),
            (&["i", "x"], Found::Nothing),
            (&["b"], Found::Nothing),
        ] {
            assert_eq!(find(&bytes, path), expected, "{path:?}");
        }
    }

    #[test]
    fn bytes_that_were_not_packed_are_refused() {
        let packed = pack(&[Document { line: 1, value: json!({"a": ["b"]}) }]);
        for end in 0..packed.len() {
            assert_eq!(unpack(&packed[..end]), None);
        }
        assert_eq!(unpack(&[1, 1, 9]), None);
        assert_eq!(unpack(&[0xff; 40]), None);
    }
}
