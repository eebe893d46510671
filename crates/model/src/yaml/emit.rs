//! Values as go-yaml v2 prints them, byte for byte.
//!
//! Source: `emitterc.go`, `encode.go` and `sorter.go` of go.yaml.in/yaml/v2 2.4, behind `JSONToYAML`
//! of sigs.k8s.io/yaml. Two deviations, so that what is printed is read back: text with U+2028 or U+2029
//! is always put in double quotes, and so is a key `<<`, which go-yaml prints as a merge key.

use super::resolve::{go_float, is_plain_string};
use crate::Value;
use memchr::{memchr_iter, memchr2_iter};
use serde_json::{Map, Number};
use std::cmp::Ordering;

/// go-yaml breaks a line at the first space behind this column.
const WIDTH: usize = 80;
/// What indents are cut from.
const BLANK: &str = "                                                                ";

pub(super) fn emit(value: &Value) -> String {
    emit_as(value, Dialect::Two)
}

/// As go-yaml v3 prints it with an indent of two.
pub(super) fn emit_pretty(value: &Value) -> String {
    emit_as(value, Dialect::Three)
}

/// What a key begins with that has a place of its own.
const PLACED: &str = "\u{0}\u{1}";

/// A name of a struct's field, whose place among the others is not that of its name.
pub(super) fn placed(place: u8, name: &str) -> String {
    format!("{PLACED}{}{name}", char::from(b'A' + place.min(b'z' - b'A')))
}

fn without_place(key: &str) -> &str {
    key.strip_prefix(PLACED).and_then(|rest| rest.get(1..)).unwrap_or(key)
}

/// Whose layout it is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Dialect {
    /// go-yaml v2, behind JSON.
    Two,
    /// go-yaml v3.
    Three,
}

impl Dialect {
    fn width(self) -> usize {
        match self {
            Self::Two => WIDTH,
            Self::Three => usize::MAX,
        }
    }
}

fn emit_as(value: &Value, dialect: Dialect) -> String {
    let out = String::with_capacity(512);
    let mut emitter = Emitter { out, dialect, column: 0, whitespace: true, indention: true };
    emitter.value(value, None, Place::Root);
    emitter.end_line(0);
    emitter.out
}

/// What a node stands in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Root,
    Item,
    Value,
}

/// How a text is written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Style {
    Plain,
    Single,
    Double,
    Literal,
}

struct Emitter {
    out: String,
    dialect: Dialect,
    /// Characters in the line so far.
    column: usize,
    /// Whether a space stands at the end, so that none is needed.
    whitespace: bool,
    /// Whether the line has only indent and indicators so far.
    indention: bool,
}

impl Emitter {
    /// `indent` is the indent of the collection that the value stands in.
    fn value(&mut self, value: &Value, indent: Option<usize>, place: Place) {
        match value {
            Value::Null => self.plain("null", indent),
            Value::Bool(true) => self.plain("true", indent),
            Value::Bool(false) => self.plain("false", indent),
            Value::Number(number) => self.plain(&format_number(number, self.dialect), indent),
            Value::String(text) => {
                let style = Analysis::of(text).value_style(text);
                self.scalar(text, style, indent.map_or(2, |indent| indent + 2), self.dialect.width());
            }
            Value::Array(items) if items.is_empty() => self.indicator("[]", false),
            Value::Array(items) => self.list(items, indent, place),
            Value::Object(entries) if entries.is_empty() => self.indicator("{}", false),
            Value::Object(entries) => self.map(entries, indent),
        }
    }

    fn plain(&mut self, text: &str, indent: Option<usize>) {
        self.scalar(text, Style::Plain, indent.map_or(2, |indent| indent + 2), self.dialect.width());
    }

    fn list(&mut self, items: &[Value], indent: Option<usize>, place: Place) {
        let indent = match indent {
            None => 0,
            Some(indent) if place == Place::Value && !self.indention && self.dialect == Dialect::Two => {
                indent
            }
            Some(indent) => indent + 2,
        };
        for item in items {
            self.end_line(indent);
            self.indicator("-", true);
            self.value(item, Some(indent), Place::Item);
        }
    }

    fn map(&mut self, entries: &Map<String, Value>, indent: Option<usize>) {
        let indent = indent.map_or(0, |indent| indent + 2);
        let in_order =
            entries.keys().zip(entries.keys().skip(1)).all(|(a, b)| natural_order(a, b) != Ordering::Greater);
        if in_order {
            for (key, value) in entries {
                self.entry(key, value, indent);
            }
        } else {
            for (key, value) in sorted(entries) {
                self.entry(key, value, indent);
            }
        }
    }

    fn entry(&mut self, key: &str, value: &Value, indent: usize) {
        self.end_line(indent);
        let key = match self.dialect {
            Dialect::Two => key,
            Dialect::Three => without_place(key),
        };
        let analysis = Analysis::of(key);
        if analysis.multiline || key.len() > 128 {
            self.indicator("?", true);
            self.scalar(key, analysis.value_style(key), indent + 2, self.dialect.width());
            self.end_line(indent);
            self.indicator(":", true);
        } else {
            self.scalar(key, analysis.key_style(key), indent + 2, usize::MAX);
            self.out.push(':');
            self.column += 1;
            (self.whitespace, self.indention) = (false, false);
        }
        self.value(value, Some(indent), Place::Value);
    }

    fn indicator(&mut self, text: &str, keeps_indention: bool) {
        self.space();
        self.out.push_str(text);
        self.column += text.len();
        self.whitespace = false;
        self.indention &= keeps_indention;
    }

    fn space(&mut self) {
        if !self.whitespace {
            self.out.push(' ');
            self.column += 1;
        }
    }

    fn blank(&mut self, count: usize) {
        match BLANK.get(..count) {
            Some(blank) => self.out.push_str(blank),
            None => self.out.extend(std::iter::repeat_n(' ', count)),
        }
    }

    fn put(&mut self, c: char) {
        self.out.push(c);
        self.column += 1;
    }

    fn line_break(&mut self) {
        self.out.push('\n');
        self.column = 0;
    }

    /// Starts a new line, unless this one is still empty, and indents it.
    fn end_line(&mut self, indent: usize) {
        if !self.indention || self.column > indent || (self.column == indent && !self.whitespace) {
            self.line_break();
        }
        if self.column < indent {
            self.blank(indent - self.column);
            self.column = indent;
        }
        (self.whitespace, self.indention) = (true, true);
    }

    fn scalar(&mut self, text: &str, style: Style, indent: usize, width: usize) {
        match style {
            Style::Plain => {
                self.space();
                self.flow_text(text, indent, width);
            }
            Style::Single => {
                self.indicator("'", false);
                self.flow_text(&text.replace('\'', "''"), indent, width);
                self.put('\'');
            }
            Style::Double => {
                self.indicator("\"", false);
                self.escaped(text, indent, width);
                self.put('"');
            }
            Style::Literal => return self.literal(text, indent),
        }
        (self.whitespace, self.indention) = (false, false);
    }

    /// Text that is written as it is, broken at single spaces where the line is long.
    fn flow_text(&mut self, text: &str, indent: usize, width: usize) {
        if text.len() + self.column <= width {
            self.out.push_str(text);
            self.column += text.chars().count();
            return;
        }
        let mut spaces = false;
        for (at, c) in text.char_indices() {
            let inside = at > 0 && at + 1 < text.len();
            if c != ' ' {
                self.put(c);
            } else if inside && !spaces && self.column > width && text.as_bytes()[at + 1] != b' ' {
                self.indention = false;
                self.end_line(indent);
            } else {
                self.put(c);
            }
            spaces = c == ' ';
        }
    }

    fn escaped(&mut self, text: &str, indent: usize, width: usize) {
        let all = text.starts_with('\u{feff}');
        let mut spaces = false;
        for (at, c) in text.char_indices() {
            let inside = at > 0 && at + 1 < text.len();
            if all || !is_printable(c) || is_break(c) || matches!(c, '"' | '\\') {
                self.escape(c);
            } else if c == ' ' && inside && !spaces && self.column > width {
                self.indention = false;
                self.end_line(indent);
                if text.as_bytes()[at + 1] == b' ' {
                    self.put('\\');
                }
            } else {
                self.put(c);
            }
            spaces = c == ' ';
        }
    }

    fn escape(&mut self, c: char) {
        let code = u32::from(c);
        let escape = match c {
            '\0' => "0".to_owned(),
            '\u{7}' => "a".to_owned(),
            '\u{8}' => "b".to_owned(),
            '\t' => "t".to_owned(),
            '\n' => "n".to_owned(),
            '\u{b}' => "v".to_owned(),
            '\u{c}' => "f".to_owned(),
            '\r' => "r".to_owned(),
            '\u{1b}' => "e".to_owned(),
            '"' | '\\' => c.to_string(),
            '\u{85}' => "N".to_owned(),
            '\u{a0}' => "_".to_owned(),
            '\u{2028}' => "L".to_owned(),
            '\u{2029}' => "P".to_owned(),
            _ if code <= 0xff => format!("x{code:02X}"),
            _ if code <= 0xffff => format!("u{code:04X}"),
            _ => format!("U{code:08X}"),
        };
        self.out.push('\\');
        self.out.push_str(&escape);
        self.column += 1 + escape.len();
    }

    fn literal(&mut self, text: &str, indent: usize) {
        self.indicator("|", false);
        if text.starts_with([' ', '\n']) {
            self.put('2');
        }
        if !text.ends_with('\n') {
            self.put('-');
        } else if text == "\n" || text.ends_with("\n\n") {
            self.put('+');
        }
        for line in text.split_inclusive('\n') {
            if self.column > 0 {
                self.line_break();
            }
            if line != "\n" {
                self.blank(indent);
            }
            let content = line.strip_suffix('\n');
            self.out.push_str(content.unwrap_or(line));
            self.column = 1;
            if content.is_some() {
                self.line_break();
            }
        }
        // Behind a line break, the next node starts on this empty line.
        (self.whitespace, self.indention) = (true, self.column == 0);
    }
}

/// What a text's characters allow.
#[expect(clippy::struct_excessive_bools, reason = "four independent findings about a text")]
struct Analysis {
    multiline: bool,
    plain: bool,
    single: bool,
    literal: bool,
}

impl Analysis {
    fn of(text: &str) -> Self {
        if text.is_empty() {
            return Self { multiline: false, plain: true, single: true, literal: false };
        }
        if text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
            return Self::of_ascii_line(text.as_bytes());
        }
        if text.bytes().all(|byte| matches!(byte, b' '..=b'~' | b'\n')) {
            return Self::of_ascii_lines(text.as_bytes());
        }
        let first = text.chars().next().unwrap_or_default();
        let last = text.chars().next_back().unwrap_or_default();
        let mut special = false;
        let mut multiline = false;
        let mut indicators = text.starts_with("---") || text.starts_with("...");
        let (mut break_space, mut space_break) = (false, false);
        let mut before = '\n';
        let mut characters = text.chars().enumerate().peekable();
        while let Some((index, c)) = characters.next() {
            let followed = characters.peek().is_none_or(|(_, next)| matches!(next, ' ' | '\t'));
            indicators |= match c {
                ',' | '[' | ']' | '{' | '}' | '&' | '*' | '!' | '|' | '>' | '\'' | '"' | '%' | '@' | '`' => {
                    index == 0
                }
                '?' | '-' => index == 0 && followed,
                ':' => followed,
                '#' => index == 0 || matches!(before, ' ' | '\t' | '\0') || is_break(before),
                _ => false,
            };
            special |= !is_printable(c) || matches!(c, '\u{2028}' | '\u{2029}');
            multiline |= is_break(c);
            break_space |= c == ' ' && index > 0 && is_break(before);
            space_break |= is_break(c) && before == ' ';
            before = c;
        }
        let edges = [first, last].iter().any(|c| *c == ' ' || is_break(*c));
        Self {
            multiline,
            plain: !(edges || break_space || space_break || special || multiline || indicators),
            single: !(break_space || space_break || special),
            literal: !(last == ' ' || space_break || special),
        }
    }

    /// The same where each character is printable ASCII.
    fn of_ascii_line(text: &[u8]) -> Self {
        let (first, last) = (text[0], text[text.len() - 1]);
        let followed = |at: usize| matches!(text.get(at + 1), None | Some(b' '));
        let starts = match first {
            b' ' | b',' | b'[' | b']' | b'{' | b'}' | b'&' | b'*' | b'!' | b'|' | b'>' | b'\'' | b'"'
            | b'%' | b'@' | b'`' | b'#' => false,
            b'?' | b'-' => !followed(0) && !text.starts_with(b"---"),
            b'.' => !text.starts_with(b"..."),
            _ => true,
        };
        let means_something = |at: usize| match text[at] {
            b':' => followed(at),
            _ => at > 0 && text[at - 1] == b' ',
        };
        let plain = starts && last != b' ' && !memchr2_iter(b':', b'#', text).any(means_something);
        Self { multiline: false, plain, single: true, literal: last != b' ' }
    }

    /// The same where it is several lines of that.
    fn of_ascii_lines(text: &[u8]) -> Self {
        let space_break = memchr_iter(b'\n', text).any(|at| at > 0 && text[at - 1] == b' ');
        let break_space = memchr_iter(b'\n', text).any(|at| text.get(at + 1) == Some(&b' '));
        Self {
            multiline: true,
            plain: false,
            single: !(break_space || space_break),
            literal: !(text.ends_with(b" ") || space_break),
        }
    }

    fn value_style(&self, text: &str) -> Style {
        if text.contains('\n') {
            return if self.literal { Style::Literal } else { Style::Double };
        }
        self.line_style(text)
    }

    /// A key on one line.
    fn key_style(&self, text: &str) -> Style {
        if text == "<<" { Style::Double } else { self.line_style(text) }
    }

    fn line_style(&self, text: &str) -> Style {
        if !is_plain_string(text) || is_base60_float(text) {
            Style::Double
        } else if self.plain {
            Style::Plain
        } else if self.single {
            Style::Single
        } else {
            Style::Double
        }
    }
}

fn is_break(c: char) -> bool {
    matches!(c, '\r' | '\n' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// What go-yaml does not escape: the Basic Multilingual Plane without controls and the byte order mark.
fn is_printable(c: char) -> bool {
    matches!(c, '\n' | ' '..='~' | '\u{a0}'..='\u{fefe}' | '\u{ff00}'..='\u{fffd}')
}

/// `[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?`: a number in YAML 1.1, though go-yaml itself does not read it.
fn is_base60_float(text: &str) -> bool {
    if !text.starts_with(|c: char| matches!(c, '+' | '-' | '0'..='9')) {
        return false;
    }
    let text = text.strip_prefix(['+', '-']).unwrap_or(text);
    let text = match text.rsplit_once('.') {
        Some((rest, fraction)) if fraction.bytes().all(|b| b.is_ascii_digit() || b == b'_') => rest,
        Some(_) => return false,
        None => text,
    };
    let mut parts = text.split(':');
    let first = parts.next().unwrap_or_default();
    let mut count = 0;
    first.starts_with(|c: char| c.is_ascii_digit())
        && first.bytes().all(|b| b.is_ascii_digit() || b == b'_')
        && parts.all(|part| {
            count += 1;
            matches!(part.as_bytes(), [b'0'..=b'9'] | [b'0'..=b'5', b'0'..=b'9'])
        })
        && count > 0
}

fn format_number(number: &Number, dialect: Dialect) -> String {
    let Some(float) = number.as_f64().filter(|_| number.is_f64()) else { return number.to_string() };
    // Behind JSON, a whole number is an integer again, whatever its size.
    if float.fract() == 0.0 && (dialect == Dialect::Two || float.abs() < 1_000_000.0) {
        let digits = float.to_string();
        if digits == "-0" {
            return if dialect == Dialect::Two { "0" } else { "-0" }.to_owned();
        }
        if digits.parse::<i64>().is_ok() || digits.parse::<u64>().is_ok() {
            return digits;
        }
    }
    go_float(&format!("{float:e}"))
}

/// The entries in go-yaml's order of keys.
///
/// That order is no total one (`07x` < `0o7` < `2x` < `07x`), which a sort of the standard library may answer with
/// a panic. Keys come in the order of their bytes, so that nearly all are put at the end.
fn sorted(entries: &Map<String, Value>) -> Vec<(&String, &Value)> {
    let mut sorted: Vec<(&String, &Value)> = Vec::with_capacity(entries.len());
    for (key, value) in entries {
        let is_before = |(before, _): &(&String, &Value)| natural_order(before, key) != Ordering::Greater;
        if sorted.last().is_none_or(is_before) {
            sorted.push((key, value));
        } else {
            let at = sorted.partition_point(is_before);
            sorted.insert(at, (key, value));
        }
    }
    sorted
}

/// go-yaml's order of keys: letters behind all else, runs of digits by their number.
fn natural_order(a: &str, b: &str) -> Ordering {
    if let Some((x, y)) = a.bytes().zip(b.bytes()).find(|(x, y)| x != y)
        && x.is_ascii_alphabetic()
        && y.is_ascii_alphabetic()
    {
        return x.cmp(&y);
    }
    let same = a.char_indices().zip(b.chars()).find(|((_, x), y)| x != y).map(|((at, _), _)| at);
    let Some(at) = same else { return a.len().cmp(&b.len()) };
    let (rest_a, rest_b) = (&a[at..], &b[at..]);
    let first = |text: &str| text.chars().next().unwrap_or_default();
    let (x, y) = (first(rest_a), first(rest_b));
    match (x.is_alphabetic(), y.is_alphabetic()) {
        (true, true) => return x.cmp(&y),
        (true, false) => return Ordering::Greater,
        (false, true) => return Ordering::Less,
        (false, false) => {}
    }
    // A zero inside a number counts as a digit; a leading one does not.
    let inside = (x == '0' || y == '0')
        && a[..at].chars().rev().take_while(char::is_ascii_digit).any(|digit| digit != '0');
    let number = |text: &str| {
        let digits = text.bytes().take_while(u8::is_ascii_digit);
        digits.fold((i64::from(inside), 0), |(number, count), digit| {
            (number.wrapping_mul(10).wrapping_add(i64::from(digit - b'0')), count + 1)
        })
    };
    number(rest_a).cmp(&number(rest_b)).then(x.cmp(&y))
}
