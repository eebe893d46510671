//! From the parser's events to nodes: aliases are expanded, merge keys merged, scalars resolved.

use super::resolve::{self, Resolved, ScalarTag};
use super::timestamp;
use super::{
    Content, Dates, Document, Doubled, Floats, Keys, MAX_DEPTH, Node, Position, Reading, Words, YamlError,
    block,
};
use granit_parser::{ErrorKind, Event, Marker, Parser, ScalarStyle, Span, StrInput, Tag};
use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

/// Mappings up to this size are searched for a duplicate key, larger ones are hashed.
const SEARCHED_KEYS: usize = 12;

/// How much text aliases of one document may repeat, in bytes.
const MAX_REPEATED_TEXT: usize = 32 << 20;

/// How many lines of quoted text may stand further left than YAML 1.2 wants them.
const MAX_OUTDENTED: usize = 100;

pub(super) fn compose(text: &str, reading: Reading) -> Result<Vec<Node>, YamlError> {
    block::read(text, reading).map_or_else(|| compose_events(text, reading), Ok)
}

/// As [`compose`], without the positions.
pub(super) fn values(text: &str, reading: Reading) -> Result<Vec<Document>, YamlError> {
    if let Some(documents) = block::values(text, reading) {
        return Ok(documents);
    }
    let nodes = compose_events(text, reading)?.into_iter();
    Ok(nodes.map(|node| Document { line: node.at.line, value: node.into_value() }).collect())
}

/// As [`compose`], through the parser library whatever the text is.
pub(super) fn compose_events(text: &str, reading: Reading) -> Result<Vec<Node>, YamlError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut text = normalize_separators(text)?;
    for _ in 0..MAX_OUTDENTED {
        let mut composer = Composer::new(&text, reading);
        let error = match composer.documents() {
            Ok(documents) => return Ok(documents),
            Err(error) => error,
        };
        let Some(at) = composer.outdented else { return Err(error) };
        // YAML 1.1 lets quoted text go on at any column, and spaces at the start of a line do not count in it.
        text.to_mut().insert_str(at, &" ".repeat(MAX_DEPTH));
    }
    Composer::new(&text, reading).documents()
}

/// Kubernetes allows nothing but a comment behind a document's `---`, wherever a line starts with it, but lets
/// that comment follow at once; YAML wants a space between them.
fn normalize_separators(text: &str) -> Result<Cow<'_, str>, YamlError> {
    let first = text.starts_with("---").then_some(0);
    let starts = first.into_iter().chain(text.match_indices("\n---").map(|(at, _)| at + 1));
    let mut glued = Vec::new();
    for start in starts {
        let behind = text[start + 3..].lines().next().unwrap_or_default();
        if behind.starts_with('#') {
            glued.push(start + 3);
        } else if !behind.trim().is_empty() && !behind.trim_start().starts_with('#') {
            let line = text[..start].matches('\n').count() + 1;
            return Err(refuse(
                Position { line, column: 4 },
                "nothing but a comment may follow `---` on its line",
            ));
        }
    }
    if glued.is_empty() {
        return Ok(Cow::Borrowed(text));
    }
    let mut spaced = String::with_capacity(text.len() + glued.len());
    let mut done = 0;
    for at in glued {
        spaced.push_str(&text[done..at]);
        spaced.push(' ');
        done = at;
    }
    spaced.push_str(&text[done..]);
    Ok(Cow::Owned(spaced))
}

/// What the composer makes of one node: scalars stay undecided, because a key reads them otherwise than a value.
pub(super) enum Composed<'t> {
    Scalar { at: Position, resolved: Resolved<'t>, merge: bool },
    Node(Node),
}

/// An anchored node, with what it costs to repeat it.
struct Anchored {
    node: Node,
    size: Size,
}

#[derive(Clone, Copy, Default)]
struct Size {
    nodes: usize,
    text: usize,
    depth: usize,
}

struct Composer<'t> {
    events: Parser<'t, StrInput<'t>>,
    /// By the parser's number; missing while the anchored node is still being read.
    anchors: HashMap<usize, Anchored>,
    /// Nodes of this document so far, repeated ones included.
    decoded: usize,
    repeated: usize,
    repeated_text: usize,
    /// How long the text is, in bytes.
    length: usize,
    /// Where reading stopped because quoted text stands too far left, in bytes.
    outdented: Option<usize>,
    reading: Reading,
}

impl<'t> Composer<'t> {
    fn new(text: &'t str, reading: Reading) -> Self {
        let mut options = granit_parser::Options::default();
        options.set_emit_comments(false);
        options.disallow_directives = true;
        Self {
            events: Parser::new_from_str_with_options(text, options),
            anchors: HashMap::new(),
            decoded: 0,
            repeated: 0,
            repeated_text: 0,
            length: text.len(),
            outdented: None,
            reading,
        }
    }

    fn documents(&mut self) -> Result<Vec<Node>, YamlError> {
        let mut documents = Vec::new();
        while let Some((event, span)) = self.next()? {
            if let Event::DocumentStart(..) = event {
                self.start_document();
            } else if event.is_node() {
                let node = self.node(event, &span, 0)?.into_node()?;
                if !node.is_null() {
                    documents.push(node);
                }
            }
        }
        Ok(documents)
    }

    fn start_document(&mut self) {
        self.anchors.clear();
        (self.decoded, self.repeated, self.repeated_text) = (1, 0, 0);
    }

    fn next(&mut self) -> Result<Option<(Event<'t>, Span)>, YamlError> {
        self.events.next_event().transpose().map_err(|error| {
            if *error.kind() == ErrorKind::InvalidQuotedScalarIndent {
                self.outdented = error.marker().byte_offset();
            }
            YamlError { at: position(error.marker()), message: error.info() }
        })
    }

    /// The next event inside a list or mapping.
    fn inner(&mut self, parent: Position) -> Result<(Event<'t>, Span), YamlError> {
        self.next()?.ok_or_else(|| refuse(parent, "the text ends inside of this"))
    }

    fn node(&mut self, event: Event<'t>, span: &Span, depth: usize) -> Result<Composed<'t>, YamlError> {
        let at = position(&span.start);
        if depth > MAX_DEPTH {
            return Err(refuse(at, format!("nested more than {MAX_DEPTH} levels deep")));
        }
        self.decoded += 1;
        let (node, anchor) = match event {
            Event::Alias(anchor) => return self.alias(anchor, at, depth).map(Composed::Node),
            Event::Scalar(text, style, 0, tag) => {
                let text = self.as_it_ends(text, style, span);
                return scalar(at, text, style, tag.as_deref(), self.reading);
            }
            Event::Scalar(text, style, anchor, tag) => {
                let text = self.as_it_ends(text, style, span);
                (scalar(at, text, style, tag.as_deref(), self.reading)?.into_node()?, anchor)
            }
            Event::SequenceStart(_, anchor, _) => (self.list(at, depth)?, anchor),
            Event::MappingStart(_, anchor, _) => (self.map(at, depth)?, anchor),
            other => return Err(refuse(at, format!("unexpected {other:?}"))),
        };
        if anchor != 0 {
            let size = measure(&node);
            self.anchors.insert(anchor, Anchored { node: node.clone(), size });
        }
        Ok(Composed::Node(node))
    }

    /// A block of lines that the text ends in has no line break behind it, though the parser gives it one.
    fn as_it_ends(&self, text: Cow<'t, str>, style: ScalarStyle, span: &Span) -> Cow<'t, str> {
        let is_block = matches!(style, ScalarStyle::Literal | ScalarStyle::Folded);
        if is_block && span.end.byte_offset() == Some(self.length) && span.end.col() > span.start.col() {
            let mut text = text.into_owned();
            if text.ends_with('\n') {
                text.pop();
            }
            return Cow::Owned(text);
        }
        text
    }

    fn alias(&mut self, anchor: usize, at: Position, depth: usize) -> Result<Node, YamlError> {
        let Some(Anchored { node, size }) = self.anchors.get(&anchor) else {
            return Err(refuse(at, "this alias stands inside of what it repeats"));
        };
        self.decoded += size.nodes;
        self.repeated += size.nodes;
        self.repeated_text += size.text;
        if is_excessive(self.repeated, self.decoded) || self.repeated_text > MAX_REPEATED_TEXT {
            return Err(refuse(at, "the document repeats too much through aliases"));
        }
        if depth + size.depth > MAX_DEPTH {
            return Err(refuse(at, format!("nested more than {MAX_DEPTH} levels deep through aliases")));
        }
        Ok(node.clone())
    }

    fn list(&mut self, at: Position, depth: usize) -> Result<Node, YamlError> {
        let mut items = Vec::new();
        loop {
            let (event, span) = self.inner(at)?;
            if event == Event::SequenceEnd {
                return Ok(Node { at, content: Content::List(items) });
            }
            items.push(self.node(event, &span, depth + 1)?.into_node()?);
        }
    }

    fn map(&mut self, at: Position, depth: usize) -> Result<Node, YamlError> {
        let mut entries = Entries::default();
        loop {
            let (event, span) = self.inner(at)?;
            if event == Event::MappingEnd {
                return Ok(Node { at, content: Content::Map(entries.list) });
            }
            let key = self.node(event, &span, depth + 1)?;
            let (event, span) = self.inner(at)?;
            if let Composed::Scalar { merge: true, .. } = key {
                let merged = self.node(event, &span, depth)?.into_node()?;
                entries.merge(merged)?;
                continue;
            }
            if self.reading.keys == Keys::Texts && depth > 0 {
                key.demand_text()?;
            }
            let (key, key_at) = key.into_key()?;
            let value = self.node(event, &span, depth + 1)?.into_node()?;
            entries.write(key, key_at, value, self.reading.doubled)?;
        }
    }
}

/// go-yaml's measure of an alias bomb: 99 % of a small document may come from aliases, 10 % of a large one.
fn is_excessive(repeated: usize, decoded: usize) -> bool {
    const SMALL: f64 = 400_000.0;
    const LARGE: f64 = 4_000_000.0;
    #[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
    let (share, total) = (repeated as f64 / decoded as f64, decoded as f64);
    let allowed = 0.99 - 0.89 * ((total - SMALL) / (LARGE - SMALL)).clamp(0.0, 1.0);
    repeated > 100 && decoded > 1000 && share > allowed
}

/// The entries of a mapping while it is read.
#[derive(Default)]
pub(super) struct Entries {
    list: Vec<(String, Position, Node)>,
    /// The keys that are written in the mapping itself, once there are many.
    written: HashSet<String>,
    /// The keys that only a merge brought so far.
    merged: HashSet<String>,
}

impl Entries {
    pub(super) fn write(
        &mut self,
        key: String,
        at: Position,
        value: Node,
        doubled: Doubled,
    ) -> Result<(), YamlError> {
        if self.merged.remove(&key) {
            if self.list.len() > SEARCHED_KEYS {
                self.written.insert(key.clone());
            }
            self.replace(key, at, value);
            return Ok(());
        }
        if self.is_written(&key) {
            if doubled == Doubled::LastCounts {
                self.replace(key, at, value);
                return Ok(());
            }
            return Err(refuse(at, format!("the key {key:?} is already set in this mapping")));
        }
        if self.list.len() >= SEARCHED_KEYS {
            if self.written.is_empty() {
                let merged = &self.merged;
                let keys = self.list.iter().map(|(key, ..)| key).filter(|key| !merged.contains(*key));
                self.written = keys.cloned().collect();
            }
            self.written.insert(key.clone());
        }
        self.list.push((key, at, value));
        Ok(())
    }

    pub(super) fn into_list(self) -> Vec<(String, Position, Node)> {
        self.list
    }

    fn is_written(&self, key: &str) -> bool {
        if self.written.is_empty() {
            self.list.iter().any(|(name, ..)| name == key)
        } else {
            self.written.contains(key)
        }
    }

    /// Takes over what `<<` names; of a list, what stands first wins. As in go-yaml, a merge also
    /// overrides the keys that are written above it.
    fn merge(&mut self, merged: Node) -> Result<(), YamlError> {
        let at = merged.at;
        match merged.content {
            Content::Map(entries) => {
                for (key, at, value) in entries {
                    if self.list.iter().any(|(name, ..)| *name == key) {
                        self.replace(key, at, value);
                    } else {
                        self.merged.insert(key.clone());
                        self.list.push((key, at, value));
                    }
                }
                Ok(())
            }
            Content::List(items) => items.into_iter().rev().try_for_each(|item| match item.content {
                Content::Map(_) => self.merge(item),
                Content::List(_) | Content::Scalar(_) => Err(refuse_merge(item.at)),
            }),
            Content::Scalar(_) => Err(refuse_merge(at)),
        }
    }

    fn replace(&mut self, key: String, at: Position, value: Node) {
        if let Some(entry) = self.list.iter_mut().find(|(name, ..)| *name == key) {
            *entry = (key, at, value);
        }
    }
}

fn refuse_merge(at: Position) -> YamlError {
    refuse(at, "a merge key needs a mapping or a list of mappings")
}

pub(super) fn scalar<'t>(
    at: Position,
    text: Cow<'t, str>,
    style: ScalarStyle,
    tag: Option<&Tag>,
    reading: Reading,
) -> Result<Composed<'t>, YamlError> {
    let plain = tag.is_none() && style == ScalarStyle::Plain;
    let core = tag.and_then(|tag| tag.suffix_in_namespace("tag:yaml.org,2002:"));
    let merge = text == "<<" && (plain || core.as_deref() == Some("merge"));
    let instant = (plain && reading.dates == Dates::Instants).then(|| timestamp::as_instant(&text)).flatten();
    let resolved = if let Some(instant) = instant {
        Resolved::Text(Cow::Owned(instant))
    } else if plain && reading.words == Words::TrueAndFalse && resolve::is_old_boolean(&text) {
        Resolved::Text(text)
    } else if plain {
        resolve::plain(text)
    } else {
        match core.as_deref().and_then(ScalarTag::from_suffix) {
            Some(tag) => resolve::tagged(tag, text).map_err(|message| refuse(at, message))?,
            None => Resolved::Text(text),
        }
    };
    let resolved = match (resolved, reading.floats) {
        (Resolved::Float(number), Floats::Kept) => Resolved::Kept(number),
        (resolved, Floats::Kept | Floats::AsPrinted) => resolved,
    };
    Ok(Composed::Scalar { at, resolved, merge })
}

impl Composed<'_> {
    pub(super) fn into_value(self) -> Result<crate::Value, YamlError> {
        match self {
            Self::Node(node) => Ok(node.into_value()),
            Self::Scalar { at, resolved, .. } => resolved.into_value().map_err(|message| refuse(at, message)),
        }
    }

    pub(super) fn into_node(self) -> Result<Node, YamlError> {
        match self {
            Self::Node(node) => Ok(node),
            Self::Scalar { at, resolved, .. } => {
                let value = resolved.into_value().map_err(|message| refuse(at, message))?;
                Ok(Node { at, content: Content::Scalar(value) })
            }
        }
    }

    /// Refuses a key that is no text.
    pub(super) fn demand_text(&self) -> Result<(), YamlError> {
        match self {
            Self::Scalar { resolved: Resolved::Text(_), .. }
            | Self::Node(Node { content: Content::Scalar(crate::Value::String(_)), .. }) => Ok(()),
            Self::Scalar { at, .. } | Self::Node(Node { at, .. }) => {
                Err(refuse(*at, "a key must be a text here, put it in quotes"))
            }
        }
    }

    pub(super) fn into_key(self) -> Result<(String, Position), YamlError> {
        match self {
            Self::Scalar { at, resolved, .. } => {
                let key = resolved.into_key().map_err(|message| refuse(at, message))?;
                Ok((key, at))
            }
            Self::Node(Node { at, content: Content::Scalar(value) }) => match value {
                crate::Value::String(text) => Ok((text, at)),
                crate::Value::Null => Err(refuse(at, "null cannot be a key, put it in quotes")),
                other => Ok((other.to_string(), at)),
            },
            Self::Node(Node { at, .. }) => Err(refuse(at, "a list or a mapping cannot be a key")),
        }
    }
}

fn measure(node: &Node) -> Size {
    let add = |sum: Size, size: Size| Size {
        nodes: sum.nodes + size.nodes,
        text: sum.text + size.text,
        depth: sum.depth.max(size.depth + 1),
    };
    let one = Size { nodes: 1, ..Size::default() };
    match &node.content {
        Content::Scalar(value) => Size { text: value.as_str().map_or(0, str::len), ..one },
        Content::List(items) => items.iter().map(measure).fold(one, add),
        Content::Map(entries) => entries
            .iter()
            .map(|(key, _, node)| (key.len(), measure(node)))
            .map(|(key, size)| Size { nodes: size.nodes + 1, text: size.text + key, ..size })
            .fold(one, add),
    }
}

fn position(mark: &Marker) -> Position {
    Position { line: mark.line(), column: mark.col() + 1 }
}

fn refuse(at: Position, message: impl Into<String>) -> YamlError {
    YamlError { at, message: message.into() }
}
