//! What the one-pass reader makes of what it reads: nodes that know where they stand, values, or nothing.
//!
//! In: scalars, keys, lists and entries of mappings, as they are read. Out: what the caller wants of them. Absent: where they
//! begin and end in the text.

use super::compose::{Entries, scalar};
use super::{Content, Keys, Node, Position, Reading};
use crate::Value;
use granit_parser::ScalarStyle;
use serde_json::Map;
use std::borrow::Cow;

/// What is made of a text: nodes that know where they stand, values, or nothing.
pub(super) trait Making {
    type Made;
    type Key;
    /// A mapping while it is read.
    type Entries: Default;
    /// Whether anybody asks where something stands.
    const PLACED: bool;
    /// Whether texts are kept.
    const KEPT: bool;

    fn scalar(at: Position, text: Cow<'_, str>, style: ScalarStyle, reading: Reading) -> Option<Self::Made>;
    fn key(at: Position, text: &str, style: ScalarStyle, reading: Reading) -> Option<Self::Key>;
    fn list(at: Position, items: Vec<Self::Made>) -> Self::Made;
    fn map(at: Position, entries: Self::Entries) -> Self::Made;
    /// Adds an entry; `None` where the library decides what becomes of it.
    fn write(entries: &mut Self::Entries, key: Self::Key, value: Self::Made, reading: Reading) -> Option<()>;
}

/// Nodes.
pub(super) struct Nodes;

impl Making for Nodes {
    type Made = Node;
    type Key = (String, Position);
    type Entries = Entries;
    const PLACED: bool = true;
    const KEPT: bool = true;

    fn scalar(at: Position, text: Cow<'_, str>, style: ScalarStyle, reading: Reading) -> Option<Node> {
        scalar(at, text, style, None, reading).ok()?.into_node().ok()
    }

    fn key(at: Position, text: &str, style: ScalarStyle, reading: Reading) -> Option<Self::Key> {
        composed_key(at, text, style, reading)
    }

    fn list(at: Position, items: Vec<Node>) -> Node {
        Node { at, content: Content::List(items) }
    }

    fn map(at: Position, entries: Entries) -> Node {
        Node { at, content: Content::Map(entries.into_list()) }
    }

    fn write(entries: &mut Entries, key: Self::Key, value: Node, reading: Reading) -> Option<()> {
        entries.write(key.0, key.1, value, reading.doubled).ok()
    }
}

/// Their values, without places.
pub(super) struct Values;

impl Making for Values {
    type Made = Value;
    type Key = String;
    type Entries = Map<String, Value>;
    const PLACED: bool = false;
    const KEPT: bool = true;

    fn scalar(at: Position, text: Cow<'_, str>, style: ScalarStyle, reading: Reading) -> Option<Value> {
        scalar(at, text, style, None, reading).ok()?.into_value().ok()
    }

    fn key(at: Position, text: &str, style: ScalarStyle, reading: Reading) -> Option<String> {
        composed_key(at, text, style, reading).map(|(key, _)| key)
    }

    fn list(_: Position, items: Vec<Value>) -> Value {
        Value::Array(items)
    }

    fn map(_: Position, entries: Map<String, Value>) -> Value {
        Value::Object(entries)
    }

    fn write(entries: &mut Map<String, Value>, key: String, value: Value, _: Reading) -> Option<()> {
        entries.insert(key, value).is_none().then_some(())
    }
}

/// What is read only to know that it can be read. A key that is written twice is not noticed.
pub(super) struct Nothing;

impl Making for Nothing {
    type Made = ();
    type Key = ();
    type Entries = ();
    const PLACED: bool = false;
    const KEPT: bool = false;

    fn scalar(at: Position, text: Cow<'_, str>, style: ScalarStyle, reading: Reading) -> Option<()> {
        // Of all that can be written like this, only what is no finite number is no value.
        let is_doubtful =
            style == ScalarStyle::Plain && matches!(text.as_bytes().first(), Some(b'.' | b'+' | b'-'));
        if is_doubtful { Values::scalar(at, text, style, reading).map(drop) } else { Some(()) }
    }

    fn key(at: Position, text: &str, style: ScalarStyle, reading: Reading) -> Option<()> {
        let is_text = style != ScalarStyle::Plain
            || (text.as_bytes().first().is_some_and(u8::is_ascii_alphabetic)
                && !text.eq_ignore_ascii_case("null"));
        let is_clear = is_text && reading.keys == Keys::Words;
        if is_clear { Some(()) } else { composed_key(at, text, style, reading).map(drop) }
    }

    fn list(_: Position, _: Vec<()>) {}

    fn map(_: Position, (): ()) {}

    fn write((): &mut (), (): (), (): (), _: Reading) -> Option<()> {
        Some(())
    }
}

fn composed_key(
    at: Position,
    text: &str,
    style: ScalarStyle,
    reading: Reading,
) -> Option<(String, Position)> {
    let key = scalar(at, Cow::Borrowed(text), style, None, reading).ok()?;
    if reading.keys == Keys::Texts {
        key.demand_text().ok()?;
    }
    key.into_key().ok()
}
