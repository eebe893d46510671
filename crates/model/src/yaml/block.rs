//! The plain part of YAML that nearly all manifests are written in, read in one pass without events.
//!
//! In: block mappings and lists, scalars that end on their line, literals, flow collections (JSON among them), comments,
//! several documents; ASCII without tabs. Out: the same nodes, with the same positions, that [`super::compose`]
//! makes of the parser library's events, or their values at once, or of most of a document nothing at all ([`super::making`]). Everything
//! else, and everything that is wrong, is [`None`]: the library reads the text then, and says what is wrong. Nothing is
//! decided here in which the two could differ.

use super::making::{Making, Nodes, Nothing, Values};
use super::{Document, Doubled, Node, Position, Reading};
use crate::Value;
use granit_parser::ScalarStyle;
use memchr::{memchr, memchr2_iter};
use serde_json::Map;
use std::borrow::Cow;
use std::marker::PhantomData;

/// Deeper texts are the library's.
const MAX_DEPTH: usize = 64;
/// YAML bounds keys; ours are bounded lower.
const MAX_KEY: usize = 256;

/// The documents of a text that is plain enough.
pub(super) fn read(text: &str, reading: Reading) -> Option<Vec<Node>> {
    let documents = Reader::<Nodes>::documents(text, reading, Reader::document)?;
    Some(documents.into_iter().map(|(_, node)| node).collect())
}

/// The same as values, each with the line it starts on.
pub(super) fn values(text: &str, reading: Reading) -> Option<Vec<Document>> {
    let documents = Reader::<Values>::documents(text, reading, Reader::document)?;
    Some(documents.into_iter().map(|(line, value)| Document { value, line }).collect())
}

/// The same; of a document's own keys only those `wanted`.
pub(super) fn heads(text: &str, wanted: &[&str], reading: Reading) -> Option<Vec<Document>> {
    if reading.doubled != Doubled::LastCounts {
        return None;
    }
    let documents = Reader::<Values>::documents(text, reading, |reader| reader.head(wanted))?;
    Some(documents.into_iter().map(|(line, value)| Document { value, line }).collect())
}

impl<'t, M: Making> Reader<'t, M> {
    fn documents(
        text: &'t str,
        reading: Reading,
        document: impl Fn(&mut Self) -> Option<M::Made>,
    ) -> Option<Vec<(usize, M::Made)>> {
        let bytes = text.as_bytes();
        // Without a way out of the middle, many are looked at at once.
        let is_plain = |all: bool, byte: &u8| all & matches!(byte, b'\n' | b' '..=b'~');
        let ascii = bytes.chunks(1024).all(|chunk| chunk.iter().fold(true, is_plain));
        if !ascii && !text.chars().all(is_harmless) {
            return None;
        }
        let mut reader =
            Reader::<M> { text, bytes, ascii, at: 0, start: 0, line: 1, reading, making: PhantomData };
        let mut documents = Vec::new();
        loop {
            match reader.significant()? {
                Next::End => return Some(documents),
                Next::Separator => reader.next_line(),
                Next::Line(0) => {
                    let line = reader.line;
                    documents.push((line, document(&mut reader)?));
                    if let Next::Line(_) = reader.significant()? {
                        return None;
                    }
                }
                Next::Line(_) => return None,
            }
        }
    }
}

impl Reader<'_, Values> {
    /// A document of which only some keys are kept, where it is a mapping.
    fn head(&mut self, wanted: &[&str]) -> Option<Value> {
        if self.at_dash() {
            return self.collection(0, None);
        }
        let indent = self.column();
        let mut entries = Map::new();
        loop {
            let key = self.key(Place::Block)?;
            if wanted.contains(&key.as_str()) {
                let value = self.value(indent, 0)?;
                Values::write(&mut entries, key, value, self.reading)?;
            } else {
                self.pass(indent)?;
            }
            if !self.goes_on(indent)? {
                return Some(Value::Object(entries));
            }
        }
    }

    /// Goes over the value of a key that stands at `indent`.
    fn pass(&mut self, indent: usize) -> Option<()> {
        let Self { text, bytes, ascii, at, start, line, reading, making: _ } = *self;
        let mut passing =
            Reader::<Nothing> { text, bytes, ascii, at, start, line, reading, making: PhantomData };
        passing.value(indent, 0)?;
        (self.at, self.start, self.line) = (passing.at, passing.start, passing.line);
        Some(())
    }
}

/// What comes behind blank lines and comments.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    /// The text is over.
    End,
    /// A line `---`, where a document ends and another begins.
    Separator,
    /// A line of so much indent; the reader stands behind the indent.
    Line(usize),
}

/// Where a key stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Block,
    Flow,
}

/// What of a line of a scalar was read last.
#[derive(Clone, Copy)]
enum Written {
    Nothing,
    Text,
    Escape,
}

struct Reader<'t, M> {
    text: &'t str,
    bytes: &'t [u8],
    /// Whether each character is a byte.
    ascii: bool,
    at: usize,
    /// Where the line begins.
    start: usize,
    /// From 1.
    line: usize,
    reading: Reading,
    making: PhantomData<M>,
}

impl<'t, M: Making> Reader<'t, M> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn column(&self) -> usize {
        self.at - self.start
    }

    fn position(&self) -> Position {
        if !M::PLACED {
            return Position::default();
        }
        let before = if self.ascii { self.column() } else { self.text[self.start..self.at].chars().count() };
        Position { line: self.line, column: before + 1 }
    }

    fn made(&self, at: Position, text: Cow<'_, str>, style: ScalarStyle) -> Option<M::Made> {
        M::scalar(at, text, style, self.reading)
    }

    /// The end of the line, without its break.
    fn line_end(&self, from: usize) -> usize {
        memchr(b'\n', &self.bytes[from..]).map_or(self.bytes.len(), |length| from + length)
    }

    fn next_line(&mut self) {
        let end = self.line_end(self.at);
        self.at = self.bytes.len().min(end + 1);
        if end < self.bytes.len() {
            self.line += 1;
        }
        self.start = self.at;
    }

    fn skip_spaces(&mut self) {
        while self.peek() == Some(b' ') {
            self.at += 1;
        }
    }

    /// Goes to the next line that says something; must be called at the start of a line or behind a value.
    fn significant(&mut self) -> Option<Next> {
        loop {
            self.skip_spaces();
            match self.peek() {
                None => return Some(Next::End),
                Some(b'\n' | b'#') => self.next_line(),
                Some(first) => {
                    let indent = self.column();
                    let rest = &self.bytes[self.at..];
                    if indent == 0 && first == b'-' && rest.starts_with(b"---") {
                        let behind = self.text[self.at + 3..self.line_end(self.at)].trim_start_matches(' ');
                        return (behind.is_empty() || behind.starts_with('#')).then_some(Next::Separator);
                    }
                    let ends = indent == 0 && (first == b'%' || rest.starts_with(b"..."));
                    return (!ends).then_some(Next::Line(indent));
                }
            }
        }
    }

    /// Whether the reader stands at a list's dash.
    fn at_dash(&self) -> bool {
        self.peek() == Some(b'-') && matches!(self.bytes.get(self.at + 1), None | Some(b' ' | b'\n'))
    }

    /// A document: a flow collection, as JSON is, may have lines without indent.
    fn document(&mut self) -> Option<M::Made> {
        if matches!(self.peek(), Some(b'{' | b'[')) { self.inline(None) } else { self.collection(0, None) }
    }

    fn collection(&mut self, depth: usize, key: Option<usize>) -> Option<M::Made> {
        if depth > MAX_DEPTH {
            return None;
        }
        if self.at_dash() { self.list(depth, key) } else { self.map(depth) }
    }

    /// A list whose first dash the reader stands at, below a key of that indent.
    fn list(&mut self, depth: usize, key: Option<usize>) -> Option<M::Made> {
        let (mut at, indent) = (self.position(), self.column());
        let mut items = Vec::new();
        loop {
            self.at += 1;
            let behind = self.position();
            self.skip_spaces();
            if items.is_empty() && key == Some(indent) {
                // The library has a list that is not indented start at what stands in it.
                if matches!(self.peek(), None | Some(b'\n' | b'#')) {
                    return None;
                }
                at = self.position();
            }
            let item = match self.peek() {
                None | Some(b'\n' | b'#') => self.below(indent, indent + 1, behind, depth)?,
                Some(_) if self.at_dash() || self.at_key() => self.collection(depth + 1, None)?,
                Some(_) => self.inline(Some(indent))?,
            };
            items.push(item);
            match self.significant()? {
                Next::Line(next) if next == indent && self.at_dash() => {}
                Next::Line(next) if next > indent => return None,
                Next::Line(_) | Next::End | Next::Separator => {
                    return Some(M::list(at, items));
                }
            }
        }
    }

    /// A mapping whose first key the reader stands at.
    fn map(&mut self, depth: usize) -> Option<M::Made> {
        let (at, indent) = (self.position(), self.column());
        let mut entries = M::Entries::default();
        loop {
            let key = self.key(Place::Block)?;
            let value = self.value(indent, depth)?;
            M::write(&mut entries, key, value, self.reading)?;
            if !self.goes_on(indent)? {
                return Some(M::map(at, entries));
            }
        }
    }

    /// The value behind the colon that the reader stands behind, of a key at `indent`.
    fn value(&mut self, indent: usize, depth: usize) -> Option<M::Made> {
        // The library has what is left out stand at the colon.
        let behind = self.position();
        let behind = Position { column: behind.column.saturating_sub(1), ..behind };
        self.skip_spaces();
        match self.peek() {
            None | Some(b'\n' | b'#') => self.below(indent, indent, behind, depth),
            Some(_) => self.inline(Some(indent)),
        }
    }

    /// Whether another key follows in a mapping whose keys stand at `indent`.
    fn goes_on(&mut self, indent: usize) -> Option<bool> {
        match self.significant()? {
            Next::Line(next) if next == indent && !self.at_dash() => Some(true),
            Next::Line(next) if next >= indent && !(next == indent && self.at_dash()) => None,
            Next::Line(_) | Next::End | Next::Separator => Some(false),
        }
    }

    /// What stands on the lines below a key or dash of that indent: a collection, or nothing. Lists may start at
    /// `list_indent`, all else further right.
    fn below(&mut self, indent: usize, list_indent: usize, empty: Position, depth: usize) -> Option<M::Made> {
        match self.significant()? {
            Next::Line(next) if next > indent || (next >= list_indent && self.at_dash()) => {
                if self.at_dash() || self.at_key() {
                    self.collection(depth + 1, Some(indent))
                } else {
                    self.inline(Some(indent))
                }
            }
            Next::Line(_) | Next::End | Next::Separator => {
                self.made(empty, Cow::Borrowed(""), ScalarStyle::Plain)
            }
        }
    }

    /// The length of the plain key that the reader stands at, if there is one.
    fn plain_key(&self) -> Option<usize> {
        let rest = &self.bytes[self.at..];
        let length = rest.iter().take_while(|byte| is_key_byte(**byte)).count();
        let starts = rest.first().is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
        let ends =
            rest.get(length) == Some(&b':') && matches!(rest.get(length + 1), None | Some(b' ' | b'\n'));
        (starts && ends && length <= MAX_KEY).then_some(length)
    }

    fn at_key(&self) -> bool {
        match self.peek() {
            Some(quote @ (b'"' | b'\'')) => self.quoted_end(quote).is_some_and(|end| {
                self.bytes.get(end + 1) == Some(&b':')
                    && matches!(self.bytes.get(end + 2), None | Some(b' ' | b'\n'))
            }),
            _ => self.plain_key().is_some(),
        }
    }

    /// Where a quoted text on this line ends that needs no unescaping.
    fn quoted_end(&self, quote: u8) -> Option<usize> {
        let from = self.at + 1;
        let rest = &self.bytes[from..];
        let end = rest.iter().position(|byte| matches!(byte, b'\n' | b'\\') || *byte == quote)?;
        let doubled = quote == b'\'' && rest.get(end + 1) == Some(&quote);
        let clean = rest[end] == quote || (rest[end] == b'\\' && quote == b'\'');
        if !clean || doubled {
            return None;
        }
        if rest[end] == quote {
            return Some(from + end);
        }
        // A backslash means nothing in single quotes.
        let end = rest.iter().position(|byte| *byte == b'\n' || *byte == quote)?;
        (rest[end] == quote && rest.get(end + 1) != Some(&quote)).then_some(from + end)
    }

    fn key(&mut self, place: Place) -> Option<M::Key> {
        let at = self.position();
        let (text, style) = if let quote @ (b'"' | b'\'') = self.peek()? {
            let end = self.quoted_end(quote)?;
            let text = &self.text[self.at + 1..end];
            if text.len() > MAX_KEY {
                return None;
            }
            self.at = end + 1;
            (text, style(quote))
        } else {
            let length = self.plain_key()?;
            let text = &self.text[self.at..self.at + length];
            self.at += length;
            (text, ScalarStyle::Plain)
        };
        if self.peek() != Some(b':') {
            return None;
        }
        self.at += 1;
        // In a flow collection a value may stand right behind a quoted key, as JSON has it.
        let is_close = place == Place::Flow && style != ScalarStyle::Plain;
        if !is_close && !matches!(self.peek(), None | Some(b' ' | b'\n')) {
            return None;
        }
        M::key(at, text, style, self.reading)
    }

    /// A value that starts on the line of its key or dash, which stands at `indent`; a document's own has none.
    fn inline(&mut self, indent: Option<usize>) -> Option<M::Made> {
        let node = match (self.peek()?, indent) {
            (b'{' | b'[', _) => self.flow(indent, 0)?,
            (quote @ (b'"' | b'\''), _) => self.quoted(quote, indent)?,
            (b'|', Some(indent)) => return self.literal(indent),
            (_, Some(indent)) => return self.plain(indent),
            (_, None) => return None,
        };
        let end = self.line_end(self.at);
        let behind = &self.text[self.at..end];
        let rest = behind.trim_start_matches(' ');
        let comment = rest.starts_with('#') && rest.len() < behind.len();
        if !rest.is_empty() && !comment {
            return None;
        }
        self.at = end;
        Some(node)
    }

    fn quoted(&mut self, quote: u8, indent: Option<usize>) -> Option<M::Made> {
        let at = self.position();
        let text = if let Some(end) = self.quoted_end(quote) {
            let text = &self.text[self.at + 1..end];
            self.at = end + 1;
            Cow::Borrowed(text)
        } else {
            Cow::Owned(self.unquoted(quote, indent)?)
        };
        self.made(at, text, style(quote))
    }

    /// Quoted text of several lines, or with the commonest escapes.
    fn unquoted(&mut self, quote: u8, indent: Option<usize>) -> Option<String> {
        let mut text = String::new();
        let mut last = Written::Nothing;
        self.at += 1;
        loop {
            let from = self.at;
            let rest = &self.bytes[from..];
            let stop = |byte: &u8| *byte == quote || *byte == b'\n' || (*byte == b'\\' && quote == b'"');
            let end = from + rest.iter().position(stop)?;
            text.push_str(&self.text[from..end]);
            if from < end {
                last = Written::Text;
            }
            self.at = end;
            match (self.bytes[end], self.bytes.get(end + 1)) {
                (b'\n', _) => {
                    self.fold(&mut text, last, indent?)?;
                    last = Written::Nothing;
                }
                (b'\'', Some(b'\'')) => {
                    text.push('\'');
                    last = Written::Escape;
                    self.at += 2;
                }
                (b'\\', Some(escape)) => {
                    text.push(match escape {
                        b'n' => '\n',
                        b't' => '\t',
                        b'"' | b'\\' => char::from(*escape),
                        _ => return None,
                    });
                    last = Written::Escape;
                    self.at += 2;
                }
                _ => {
                    self.at += 1;
                    return Some(text);
                }
            }
        }
    }

    /// Goes over the break at the end of a line of a scalar, and over blank lines, to what stands on the next one.
    fn fold(&mut self, text: &mut String, last: Written, indent: usize) -> Option<()> {
        let kept = text.trim_end_matches(' ').len();
        match last {
            Written::Nothing => return None,
            // An escape at the end of the line is not blank, whatever it stands for.
            Written::Text if kept == 0 || text.as_bytes()[kept - 1].is_ascii_whitespace() => return None,
            Written::Text => text.truncate(kept),
            Written::Escape => {}
        }
        self.next_line();
        let mut blank = 0;
        loop {
            self.skip_spaces();
            match self.peek()? {
                b'\n' => {
                    blank += 1;
                    self.next_line();
                }
                _ if self.column() <= indent => return None,
                _ => break,
            }
        }
        if blank == 0 {
            text.push(' ');
        }
        text.extend(std::iter::repeat_n('\n', blank));
        Some(())
    }

    fn plain(&mut self, indent: usize) -> Option<M::Made> {
        let at = self.position();
        let rest = &self.bytes[self.at..];
        let starts = match *rest.first()? {
            b'-' | b':' => !matches!(rest.get(1), None | Some(b' ' | b'\n')),
            b'/' | b'.' | b'_' | b'$' | b'(' | b'~' | b'+' | b'^' | b'<' | b'=' | b';' | b'\\' => true,
            byte => byte.is_ascii_alphanumeric() || byte >= 0x80,
        };
        if !starts {
            return None;
        }
        let mut text = Cow::Borrowed(self.plain_line()?);
        loop {
            let (before, line, start) = (self.at, self.line, self.start);
            match self.significant()? {
                // The text goes on there, unless a comment ended it.
                Next::Line(next) if next > indent => {
                    if self.text[before..self.at].contains('#') || self.at_dash() {
                        return None;
                    }
                    (self.at, self.line, self.start) = (before, line, start);
                    self.fold(text.to_mut(), Written::Text, indent)?;
                    let more = self.plain_line()?;
                    text.to_mut().push_str(more);
                }
                Next::Line(_) | Next::End | Next::Separator => {
                    return self.made(at, text, ScalarStyle::Plain);
                }
            }
        }
    }

    /// The rest of the line as a line of a plain scalar; the reader stands at its end, or at a comment.
    fn plain_line(&mut self) -> Option<&'t str> {
        let end = self.line_end(self.at);
        let line = &self.text[self.at..end];
        let bytes = line.as_bytes();
        let mut comment = None;
        for at in memchr2_iter(b':', b'#', bytes) {
            if bytes[at] == b':' {
                if matches!(bytes.get(at + 1), None | Some(b' ')) {
                    return None;
                }
            } else if at > 0 && bytes[at - 1] == b' ' {
                comment = Some(at);
                break;
            }
        }
        let text = comment.map_or(line, |comment| &line[..comment]).trim_end_matches(' ');
        self.at = comment.map_or(end, |comment| self.at + comment);
        Some(text)
    }

    /// `|` or `|-` and the lines below.
    fn literal(&mut self, indent: usize) -> Option<M::Made> {
        let keeps_break = match &self.text[self.at..self.line_end(self.at)] {
            "|" => true,
            "|-" => false,
            _ => return None,
        };
        self.next_line();
        let (mut blank, mut widest) = (0, 0);
        let content = loop {
            self.skip_spaces();
            match self.peek()? {
                b'\n' => {
                    blank += 1;
                    widest = widest.max(self.column());
                    self.next_line();
                }
                _ => break self.column(),
            }
        };
        self.at = self.start;
        if content <= indent || widest > content {
            return None;
        }
        let at = Position { line: self.line, column: content + 1 };
        let mut text = String::new();
        loop {
            let end = self.line_end(self.at);
            let line = &self.text[self.at..end];
            let spaces = line.bytes().take_while(|byte| *byte == b' ').count();
            if spaces < content && spaces < line.len() {
                break;
            }
            if spaces == line.len() && spaces <= content {
                blank += 1;
            } else {
                if M::KEPT {
                    text.extend(std::iter::repeat_n('\n', blank));
                    text.push_str(&line[content..]);
                }
                blank = 1;
            }
            if end == self.bytes.len() {
                // The last line without a break is the library's, unless there is nothing in it.
                if !line.is_empty() {
                    return None;
                }
                self.at = end;
                break;
            }
            self.next_line();
        }
        if keeps_break {
            text.push('\n');
        }
        self.made(at, Cow::Owned(text), ScalarStyle::Literal)
    }

    /// A flow collection, or a scalar in it; all lines stand further right than `indent`, if there is one.
    fn flow(&mut self, indent: Option<usize>, depth: usize) -> Option<M::Made> {
        if depth > MAX_DEPTH / 4 {
            return None;
        }
        let at = self.position();
        match self.peek()? {
            b'[' => {
                let mut items = Vec::new();
                self.flow_items(b']', indent, |reader| {
                    items.push(reader.flow(indent, depth + 1)?);
                    Some(())
                })?;
                Some(M::list(at, items))
            }
            b'{' => {
                let mut entries = M::Entries::default();
                self.flow_items(b'}', indent, |reader| {
                    let key = reader.key(Place::Flow)?;
                    reader.flow_blank(indent)?;
                    let value = reader.flow(indent, depth + 1)?;
                    M::write(&mut entries, key, value, reader.reading)
                })?;
                Some(M::map(at, entries))
            }
            quote @ (b'"' | b'\'') => self.quoted(quote, indent),
            first => {
                let rest = &self.bytes[self.at..];
                let length = rest.iter().take_while(|byte| is_flow_byte(**byte)).count();
                let starts = first != b'-'
                    || rest.get(1).is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'-');
                let behind = rest.iter().skip(length).find(|byte| !matches!(byte, b' ' | b'\n'));
                if length == 0 || !starts || !matches!(behind, Some(b',' | b']' | b'}')) {
                    return None;
                }
                let text = &self.text[self.at..self.at + length];
                self.at += length;
                self.made(at, Cow::Borrowed(text), ScalarStyle::Plain)
            }
        }
    }

    /// The items up to the closing bracket, separated by commas.
    fn flow_items(
        &mut self,
        close: u8,
        indent: Option<usize>,
        mut item: impl FnMut(&mut Self) -> Option<()>,
    ) -> Option<()> {
        self.at += 1;
        self.flow_blank(indent)?;
        if self.peek() == Some(close) {
            self.at += 1;
            return Some(());
        }
        loop {
            item(self)?;
            self.flow_blank(indent)?;
            match self.peek()? {
                b',' => self.at += 1,
                byte if byte == close => {
                    self.at += 1;
                    return Some(());
                }
                _ => return None,
            }
            self.flow_blank(indent)?;
        }
    }

    /// Goes over spaces and line breaks.
    fn flow_blank(&mut self, indent: Option<usize>) -> Option<()> {
        loop {
            self.skip_spaces();
            if self.peek()? != b'\n' {
                let rest = &self.bytes[self.at..];
                let ends = self.column() == 0 && (rest.starts_with(b"---") || rest.starts_with(b"..."));
                return (!ends && indent.is_none_or(|indent| self.column() > indent)).then_some(());
            }
            self.next_line();
        }
    }
}

/// What no reader takes for a line break, for blank or for damage.
fn is_harmless(c: char) -> bool {
    matches!(c, '\n' | ' '..='~' | '\u{a1}'..='\u{1fff}' | '\u{2010}'..='\u{2027}' | '\u{2030}'..='\u{2fff}')
        || matches!(c, '\u{3001}'..='\u{d7ff}' | '\u{1f000}'..='\u{1ffff}')
}

fn is_flow_byte(byte: u8) -> bool {
    is_key_byte(byte) || matches!(byte, b'=' | b'$' | b'(' | b')' | b'+')
}

fn is_key_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'/')
}

fn style(quote: u8) -> ScalarStyle {
    if quote == b'"' { ScalarStyle::DoubleQuoted } else { ScalarStyle::SingleQuoted }
}
