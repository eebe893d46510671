//! The lexer: text and actions become items. Its states and its counting of lines are those of Go's, for positions
//! stand in messages.

use super::node::{Place, Span, place};
use crate::quote::quote;
use crate::unicode::{self, is_digit, is_letter, is_print};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Error,
    Bool,
    /// A single printable character, such as a comma.
    Char,
    CharConstant,
    Complex,
    Assign,
    Declare,
    Eof,
    Field,
    Identifier,
    LeftDelim,
    LeftParen,
    Number,
    Pipe,
    RawString,
    RightDelim,
    RightParen,
    Space,
    String,
    Text,
    Variable,
    Block,
    Break,
    Continue,
    Dot,
    Define,
    Else,
    End,
    If,
    Nil,
    Range,
    Template,
    With,
}

impl Kind {
    fn is_keyword(self) -> bool {
        use Kind::{Block, Break, Continue, Define, Dot, Else, End, If, Nil, Range, Template, With};
        matches!(
            self,
            Block | Break | Continue | Dot | Define | Else | End | If | Nil | Range | Template | With
        )
    }
}

fn keyword(word: &[u8]) -> Option<Kind> {
    Some(match word {
        b"." => Kind::Dot,
        b"block" => Kind::Block,
        b"break" => Kind::Break,
        b"continue" => Kind::Continue,
        b"define" => Kind::Define,
        b"else" => Kind::Else,
        b"end" => Kind::End,
        b"if" => Kind::If,
        b"range" => Kind::Range,
        b"nil" => Kind::Nil,
        b"template" => Kind::Template,
        b"with" => Kind::With,
        _ => return None,
    })
}

/// A piece of the input. An error has no text: what is wrong is the lexer's [`message`](Lexer::message).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Item<'i> {
    pub(crate) kind: Kind,
    pub(crate) at: Place,
    pub(crate) text: &'i [u8],
    pub(crate) line: usize,
}

impl Item<'_> {
    /// Where it stands.
    pub(crate) fn span(&self) -> Span {
        Span { start: self.at, end: self.at + place(self.text.len()) }
    }

    /// The item in a message.
    pub(crate) fn describe(&self) -> Vec<u8> {
        match self.kind {
            Kind::Eof => b"EOF".to_vec(),
            kind if kind.is_keyword() => [b"<", self.text, b">"].concat(),
            _ if self.text.len() > 10 => {
                let end = unicode::chars(self.text).nth(10).map_or(self.text.len(), |(at, _, _)| at);
                [&quote(&self.text[..end])[..], b"..."].concat()
            }
            _ => quote(self.text),
        }
    }
}

const TRIM_MARKER: usize = 2;

#[allow(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub(crate) struct Lexer<'i> {
    input: &'i [u8],
    left: &'i [u8],
    right: &'i [u8],
    at: usize,
    start: usize,
    at_end: bool,
    parens: usize,
    line: usize,
    start_line: usize,
    in_action: bool,
    /// What is wrong first.
    pub(crate) message: Vec<u8>,
    /// `break` and `continue` are keywords, unless functions have these names.
    pub(crate) break_is_keyword: bool,
    pub(crate) continue_is_keyword: bool,
}

/// What the lexer is at.
#[derive(Clone, Copy)]
enum State {
    Text,
    LeftDelim,
    Comment,
    RightDelim,
    InsideAction,
    Space,
}

/// What a step of the lexer came to.
enum Step<'i> {
    Item(Item<'i>),
    Go(State),
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

fn is_space_byte(byte: u8) -> bool {
    is_space(char::from(byte))
}

fn is_alphanumeric(c: char) -> bool {
    c == '_' || is_letter(c) || is_digit(c)
}

fn has_left_trim(text: &[u8]) -> bool {
    matches!(text, [b'-', space, ..] if is_space_byte(*space))
}

fn has_right_trim(text: &[u8]) -> bool {
    matches!(text, [space, b'-', ..] if is_space_byte(*space))
}

fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    // Delimiters are short: a searcher costs more to build than it saves.
    let first = *what.first()?;
    memchr::memchr_iter(first, text).find(|&at| text[at..].starts_with(what))
}

fn newlines(text: &[u8]) -> usize {
    memchr::memchr_iter(b'\n', text).count()
}

impl<'i> Lexer<'i> {
    pub(crate) fn new(input: &'i [u8], left: &'i [u8], right: &'i [u8]) -> Self {
        Self {
            input,
            left,
            right,
            at: 0,
            start: 0,
            at_end: false,
            parens: 0,
            line: 1,
            start_line: 1,
            in_action: false,
            message: Vec::new(),
            break_is_keyword: true,
            continue_is_keyword: true,
        }
    }

    pub(crate) fn next_item(&mut self) -> Item<'i> {
        let mut state = if self.in_action { State::InsideAction } else { State::Text };
        loop {
            let step = match state {
                State::Text => self.text(),
                State::LeftDelim => self.left_delim(),
                State::Comment => self.comment(),
                State::RightDelim => self.right_delim(),
                State::InsideAction => self.inside_action(),
                State::Space => self.space(),
            };
            match step {
                Step::Item(item) => return item,
                Step::Go(next) => state = next,
            }
        }
    }

    fn rest(&self) -> &'i [u8] {
        self.input.get(self.at..).unwrap_or_default()
    }

    /// The next character; none at the end.
    fn next(&mut self) -> Option<char> {
        let (c, width) = unicode::first(self.rest());
        if width == 0 {
            self.at_end = true;
            return None;
        }
        self.at += width;
        self.line += usize::from(c == '\n');
        Some(c)
    }

    fn peek(&mut self) -> Option<char> {
        let (c, width) = unicode::first(self.rest());
        if width == 0 {
            self.at_end = true;
            return None;
        }
        Some(c)
    }

    fn backup(&mut self) {
        if !self.at_end && self.at > 0 {
            let (c, width) = unicode::last(&self.input[..self.at]);
            self.at -= width;
            self.line -= usize::from(c == '\n');
        }
    }

    fn item(&mut self, kind: Kind) -> Item<'i> {
        let text = &self.input[self.start..self.at];
        let item = Item { kind, at: place(self.start), text, line: self.start_line };
        self.start = self.at;
        self.start_line = self.line;
        item
    }

    fn emit(&mut self, kind: Kind) -> Step<'i> {
        Step::Item(self.item(kind))
    }

    fn ignore(&mut self) {
        self.line += newlines(&self.input[self.start..self.at]);
        self.start = self.at;
        self.start_line = self.line;
    }

    fn accept(&mut self, valid: &str) -> bool {
        let accepted = self.next().is_some_and(|c| valid.contains(c));
        if !accepted {
            self.backup();
        }
        accepted
    }

    fn accept_run(&mut self, valid: &str) {
        while self.next().is_some_and(|c| valid.contains(c)) {}
        self.backup();
    }

    fn error(&mut self, text: impl Into<Vec<u8>>) -> Step<'i> {
        if self.message.is_empty() {
            self.message = text.into();
        }
        let item = Item { kind: Kind::Error, at: place(self.start), text: &[], line: self.start_line };
        self.start = 0;
        self.at = 0;
        self.input = &[];
        Step::Item(item)
    }

    fn text(&mut self) -> Step<'i> {
        let Some(found) = find(self.rest(), self.left) else {
            self.at = self.input.len();
            if self.at == self.start {
                return self.emit(Kind::Eof);
            }
            self.line += newlines(&self.input[self.start..self.at]);
            return self.emit(Kind::Text);
        };
        if found > 0 {
            self.at += found;
            let text = &self.input[self.start..self.at];
            let kept = if has_left_trim(&self.input[self.at + self.left.len()..]) {
                text.iter().rposition(|&byte| !is_space_byte(byte)).map_or(0, |last| last + 1)
            } else {
                text.len()
            };
            self.at = self.start + kept;
            self.line += newlines(&text[..kept]);
            let trimmed = text.len() - kept;
            let item = self.item(Kind::Text);
            self.at += trimmed;
            self.ignore();
            if !item.text.is_empty() {
                return Step::Item(item);
            }
        }
        Step::Go(State::LeftDelim)
    }

    /// Whether the right delimiter is next, and whether it trims.
    fn at_right_delim(&self) -> Option<Trim> {
        let rest = self.rest();
        if has_right_trim(rest) && rest[TRIM_MARKER..].starts_with(self.right) {
            return Some(Trim::Space);
        }
        rest.starts_with(self.right).then_some(Trim::Nothing)
    }

    fn left_delim(&mut self) -> Step<'i> {
        self.at += self.left.len();
        let marker = if has_left_trim(self.rest()) { TRIM_MARKER } else { 0 };
        if self.rest()[marker..].starts_with(b"/*") {
            self.at += marker;
            self.ignore();
            return Step::Go(State::Comment);
        }
        let item = self.item(Kind::LeftDelim);
        self.in_action = true;
        self.at += marker;
        self.ignore();
        self.parens = 0;
        Step::Item(item)
    }

    fn comment(&mut self) -> Step<'i> {
        self.at += 2;
        let Some(end) = find(self.rest(), b"*/") else { return self.error("unclosed comment") };
        self.at += end + 2;
        let Some(trim) = self.at_right_delim() else {
            return self.error("comment ends before closing delimiter");
        };
        self.line += newlines(&self.input[self.start..self.at]);
        self.item(Kind::Text);
        self.skip_right_delim(trim);
        self.ignore();
        Step::Go(State::Text)
    }

    /// Passes the delimiter and the space that it trims.
    fn skip_right_delim(&mut self, trim: Trim) {
        if trim == Trim::Space {
            self.at += TRIM_MARKER;
        }
        self.at += self.right.len();
        if trim == Trim::Space {
            self.at += self.rest().iter().take_while(|&&byte| is_space_byte(byte)).count();
        }
    }

    fn right_delim(&mut self) -> Step<'i> {
        let trim = self.at_right_delim();
        if trim == Some(Trim::Space) {
            self.at += TRIM_MARKER;
            self.ignore();
        }
        self.at += self.right.len();
        let item = self.item(Kind::RightDelim);
        if trim == Some(Trim::Space) {
            self.at += self.rest().iter().take_while(|&&byte| is_space_byte(byte)).count();
            self.ignore();
        }
        self.in_action = false;
        Step::Item(item)
    }

    fn inside_action(&mut self) -> Step<'i> {
        if self.at_right_delim().is_some() {
            return if self.parens == 0 {
                Step::Go(State::RightDelim)
            } else {
                self.error("unclosed left paren")
            };
        }
        let Some(c) = self.next() else { return self.error("unclosed action") };
        match c {
            c if is_space(c) => {
                self.backup();
                Step::Go(State::Space)
            }
            '=' => self.emit(Kind::Assign),
            ':' if self.next() == Some('=') => self.emit(Kind::Declare),
            ':' => self.error("expected :="),
            '|' => self.emit(Kind::Pipe),
            '"' => self.until('"', "unterminated quoted string", Kind::String),
            '`' => self.raw_string(),
            '$' => self.field_or_variable(Kind::Variable),
            '\'' => self.until('\'', "unterminated character constant", Kind::CharConstant),
            '.' if self.rest().first().is_some_and(|byte| !byte.is_ascii_digit()) => {
                self.field_or_variable(Kind::Field)
            }
            '.' | '+' | '-' | '0'..='9' => {
                self.backup();
                self.number()
            }
            c if is_alphanumeric(c) => {
                self.backup();
                self.identifier()
            }
            '(' => {
                self.parens += 1;
                self.emit(Kind::LeftParen)
            }
            ')' if self.parens == 0 => self.error("unexpected right paren"),
            ')' => {
                self.parens -= 1;
                self.emit(Kind::RightParen)
            }
            c if c.is_ascii() && is_print(c) => self.emit(Kind::Char),
            c => self.error(format!("unrecognized character in action: {}", code_point(Some(c)))),
        }
    }

    fn space(&mut self) -> Step<'i> {
        let rest = self.rest();
        let spaces = rest.iter().take_while(|&&byte| is_space_byte(byte)).count();
        self.at += spaces;
        self.line += newlines(&rest[..spaces]);
        // The last space may belong to a trim marker.
        let tail = &self.input[self.at - 1..];
        if has_right_trim(tail) && tail[TRIM_MARKER..].starts_with(self.right) {
            self.backup();
            if spaces == 1 {
                return Step::Go(State::RightDelim);
            }
        }
        self.emit(Kind::Space)
    }

    fn identifier(&mut self) -> Step<'i> {
        self.skip_word();
        if !self.at_terminator() {
            return self.bad_character();
        }
        let word = &self.input[self.start..self.at];
        let kind = match keyword(word) {
            Some(Kind::Break) if !self.break_is_keyword => Kind::Identifier,
            Some(Kind::Continue) if !self.continue_is_keyword => Kind::Identifier,
            Some(kind) => kind,
            None if word == b"true" || word == b"false" => Kind::Bool,
            None => Kind::Identifier,
        };
        self.emit(kind)
    }

    fn bad_character(&mut self) -> Step<'i> {
        let c = self.peek();
        self.error(format!("bad character {}", code_point(c)))
    }

    /// After a `.` or a `$`.
    fn field_or_variable(&mut self, kind: Kind) -> Step<'i> {
        if self.at_terminator() {
            return self.emit(if kind == Kind::Variable { kind } else { Kind::Dot });
        }
        self.skip_word();
        if self.at_terminator() { self.emit(kind) } else { self.bad_character() }
    }

    fn at_terminator(&mut self) -> bool {
        match self.peek() {
            None | Some('.' | ',' | '|' | ':' | ')' | '(') => true,
            Some(c) => is_space(c) || self.rest().starts_with(self.right),
        }
    }

    /// Goes to the end of a word. Nearly all of them are ASCII.
    fn skip_word(&mut self) {
        loop {
            let is_plain = |byte: &&u8| byte.is_ascii_alphanumeric() || **byte == b'_';
            self.at += self.rest().iter().take_while(is_plain).count();
            if !self.next().is_some_and(is_alphanumeric) {
                return self.backup();
            }
        }
    }

    /// A constant between quotes that a backslash escapes.
    fn until(&mut self, close: char, unterminated: &str, kind: Kind) -> Step<'i> {
        loop {
            let is_plain =
                |byte: &&u8| byte.is_ascii() && !matches!(byte, b'\\' | b'\n') && char::from(**byte) != close;
            self.at += self.rest().iter().take_while(is_plain).count();
            match self.next() {
                Some('\\') => {
                    if matches!(self.next(), None | Some('\n')) {
                        return self.error(unterminated);
                    }
                }
                None | Some('\n') => return self.error(unterminated),
                Some(c) if c == close => return self.emit(kind),
                Some(_) => {}
            }
        }
    }

    fn raw_string(&mut self) -> Step<'i> {
        loop {
            match self.next() {
                None => return self.error("unterminated raw quoted string"),
                Some('`') => return self.emit(Kind::RawString),
                Some(_) => {}
            }
        }
    }

    fn number(&mut self) -> Step<'i> {
        if !self.scan_number() {
            return self.bad_number();
        }
        if matches!(self.peek(), Some('+' | '-')) {
            if !self.scan_number() || self.input[self.at - 1] != b'i' {
                return self.bad_number();
            }
            return self.emit(Kind::Complex);
        }
        self.emit(Kind::Number)
    }

    fn bad_number(&mut self) -> Step<'i> {
        let cited = quote(&self.input[self.start..self.at]);
        self.error([b"bad number syntax: ", &cited[..]].concat())
    }

    fn scan_number(&mut self) -> bool {
        const DECIMAL: &str = "0123456789_";
        self.accept("+-");
        let mut digits = DECIMAL;
        if self.accept("0") {
            if self.accept("xX") {
                digits = "0123456789abcdefABCDEF_";
            } else if self.accept("oO") {
                digits = "01234567_";
            } else if self.accept("bB") {
                digits = "01_";
            }
        }
        self.accept_run(digits);
        if self.accept(".") {
            self.accept_run(digits);
        }
        let exponent = match digits.len() {
            11 => "eE",
            23 => "pP",
            _ => "",
        };
        if self.accept(exponent) {
            self.accept("+-");
            self.accept_run(DECIMAL);
        }
        self.accept("i");
        if self.peek().is_some_and(is_alphanumeric) {
            self.next();
            return false;
        }
        true
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Trim {
    Space,
    Nothing,
}

/// `U+0040 '@'`; the end of the input is Go's -1.
fn code_point(c: Option<char>) -> String {
    match c {
        None => "U+FFFFFFFFFFFFFFFF".to_owned(),
        Some(c) if is_print(c) => format!("U+{:04X} '{c}'", u32::from(c)),
        Some(c) => format!("U+{:04X}", u32::from(c)),
    }
}
