//! Upper and lower case, and the ways to write several words as one.

use super::Entry;
use crate::unicode::{self, REPLACEMENT, is_digit, is_letter};
use crate::value::Value;

const ONE: &str = "func(string) string";

pub(super) const TABLE: &[Entry] = &[
    (&["upper"], ONE, |_, arguments| Ok(mapped(arguments.text(0)?, to_upper))),
    (&["lower"], ONE, |_, arguments| Ok(mapped(arguments.text(0)?, to_lower))),
    (&["title"], ONE, |_, arguments| {
        let mut before = ' ';
        Ok(mapped(arguments.text(0)?, |c| {
            let begins = is_separator(before);
            before = c;
            if begins { to_title(c) } else { c }
        }))
    }),
    (&["untitle"], ONE, |_, arguments| {
        let mut begins = true;
        Ok(mapped(arguments.text(0)?, |c| {
            if c.is_whitespace() {
                begins = true;
                return c;
            }
            if std::mem::take(&mut begins) { to_lower(c) } else { c }
        }))
    }),
    (&["swapcase"], ONE, |_, arguments| {
        let mut after_space = true;
        Ok(mapped(arguments.text(0)?, |c| {
            if c.is_uppercase() || is_title(c) {
                after_space = false;
                to_lower(c)
            } else if c.is_lowercase() {
                if std::mem::take(&mut after_space) { to_title(c) } else { to_upper(c) }
            } else {
                after_space = c.is_whitespace();
                c
            }
        }))
    }),
    (&["initials"], ONE, |_, arguments| {
        let mut begins = true;
        let mut initials = String::new();
        // Each byte is taken for a character.
        for c in arguments.text(0)?.iter().map(|&byte| char::from(byte)) {
            let space = c.is_whitespace();
            if begins && !space {
                initials.push(c);
            }
            begins = space;
        }
        Ok(initials.into())
    }),
    (&["nospace"], ONE, |_, arguments| {
        let text = arguments.text(0)?;
        // Each byte is taken for a character, but only where there is something to leave out.
        let kept: String = text.iter().map(|&byte| char::from(byte)).filter(|c| !c.is_whitespace()).collect();
        Ok(if kept.chars().count() == text.len() { arguments.any(0).clone() } else { kept.into() })
    }),
    (&["camelcase"], ONE, |_, arguments| Ok(pascal_case(arguments.text(0)?).into())),
    (&["snakecase"], ONE, |_, arguments| Ok(lower_case_words(arguments.text(0)?, b'_').into())),
    (&["kebabcase"], ONE, |_, arguments| Ok(lower_case_words(arguments.text(0)?, b'-').into())),
];

fn mapped(text: &[u8], mut map: impl FnMut(char) -> char) -> Value {
    let mut out = Vec::with_capacity(text.len());
    unicode::chars(text).for_each(|(_, c, _)| unicode::push(&mut out, map(c)));
    out.into()
}

/// Go maps one character to one; where Rust gives several, few have a single one all the same.
fn to_upper(c: char) -> char {
    let mut upper = c.to_uppercase();
    match (upper.next(), upper.next()) {
        (Some(only), None) => only,
        _ => match c {
            '\u{1f80}'..='\u{1f87}' | '\u{1f90}'..='\u{1f97}' | '\u{1fa0}'..='\u{1fa7}' => {
                char::from_u32(u32::from(c) + 8).unwrap_or(c)
            }
            '\u{1fb3}' | '\u{1fc3}' | '\u{1ff3}' => char::from_u32(u32::from(c) + 9).unwrap_or(c),
            _ => c,
        },
    }
}

fn to_lower(c: char) -> char {
    c.to_lowercase().next().unwrap_or(c)
}

fn to_title(c: char) -> char {
    match c {
        '\u{1c4}'..='\u{1c6}' => '\u{1c5}',
        '\u{1c7}'..='\u{1c9}' => '\u{1c8}',
        '\u{1ca}'..='\u{1cc}' => '\u{1cb}',
        '\u{1f1}'..='\u{1f3}' => '\u{1f2}',
        '\u{10d0}'..='\u{10fa}' | '\u{10fd}'..='\u{10ff}' => c,
        _ => to_upper(c),
    }
}

fn is_title(c: char) -> bool {
    matches!(c, '\u{1c5}' | '\u{1c8}' | '\u{1cb}' | '\u{1f2}')
        || matches!(c, '\u{1f88}'..='\u{1f8f}' | '\u{1f98}'..='\u{1f9f}' | '\u{1fa8}'..='\u{1faf}' | '\u{1fbc}')
        || matches!(c, '\u{1fcc}' | '\u{1ffc}')
}

fn is_separator(c: char) -> bool {
    if c.is_ascii() {
        return !c.is_ascii_alphanumeric() && c != '_';
    }
    !is_letter(c) && !is_digit(c) && c.is_whitespace()
}

fn is_connector(c: char) -> bool {
    matches!(c, '-' | '_') || c.is_whitespace()
}

fn pascal_case(text: &[u8]) -> Vec<u8> {
    let chars: Vec<char> = unicode::chars(text).map(|(_, c, _)| c).collect();
    let leading = chars.iter().take_while(|&&c| is_connector(c)).count();
    let mut out: String = chars[..leading].iter().collect();
    let Some((&first, rest)) = chars[leading..].split_first() else {
        // Of nothing but connectors the last one is there twice.
        out.extend(chars.last());
        return out.into_bytes();
    };
    let mut lowering = first.is_uppercase();
    let mut held = to_upper(first);
    for &c in rest {
        let before = held;
        held = c;
        if is_connector(c) && is_connector(before) {
            out.push(before);
        } else if is_connector(before) {
            lowering = c.is_uppercase();
            held = to_upper(c);
        } else {
            if lowering && c.is_uppercase() {
                held = to_lower(c);
            } else {
                lowering = false;
            }
            out.push(before);
        }
    }
    out.push(held);
    out.into_bytes()
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Word {
    Invalid,
    Number,
    Upper,
    Alphabet,
    Connector,
    Punctuation,
    Other,
}

/// Punctuation (category P) that stands in ASCII; that of other scripts is taken for other characters.
fn is_punctuation(c: char) -> bool {
    c.is_ascii_punctuation() && !matches!(c, '$' | '+' | '<' | '=' | '>' | '^' | '`' | '|' | '~')
}

/// A letter of a script that has words: not a CJK character.
fn is_alphabet(c: char) -> bool {
    let cjk = matches!(c, '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fcc}' | '\u{f900}'..='\u{faff}')
        || matches!(c, '\u{20000}'..='\u{2b81d}' | '\u{2f800}'..='\u{2fa1f}');
    is_letter(c) && !c.is_uppercase() && !cjk
}

/// A character with the bytes that stand for it, broken ones before it included.
type Unit<'t> = (char, &'t [u8]);

fn units(text: &[u8]) -> Vec<Unit<'_>> {
    let mut units: Vec<Unit<'_>> = Vec::new();
    let mut start = 0;
    for (at, c, width) in unicode::chars(text) {
        if c != REPLACEMENT {
            units.push((c, &text[start..at + width]));
            start = at + width;
        }
    }
    if start < text.len() {
        units.push((units.last().map_or(REPLACEMENT, |&(c, _)| c), &text[start..]));
    }
    units
}

/// How many of the first characters make a word, and of which kind.
fn next_word(units: &[Unit<'_>]) -> (Word, usize) {
    let Some(&(first, _)) = units.first() else { return (Word::Invalid, 0) };
    let run = |of: fn(char) -> bool| units.iter().take_while(|&&(c, _)| of(c)).count();
    if first == REPLACEMENT {
        return (Word::Invalid, 1);
    }
    if is_connector(first) {
        return (Word::Connector, run(is_connector));
    }
    if is_punctuation(first) {
        return (Word::Punctuation, run(is_punctuation));
    }
    if first.is_uppercase() {
        let uppers = run(char::is_uppercase);
        let followed = units.get(uppers).map(|&(c, _)| c);
        return match (uppers, followed) {
            (1, Some(c)) if is_alphabet(c) => {
                (Word::Upper, 1 + units[1..].iter().take_while(|&&(c, _)| is_alphabet(c)).count())
            }
            // The last of several belongs to the word that follows: HTTP and Status.
            (2.., Some(c)) if is_alphabet(c) => (Word::Upper, uppers - 1),
            _ => (Word::Upper, uppers),
        };
    }
    if is_alphabet(first) {
        return (Word::Alphabet, run(is_alphabet));
    }
    if first.is_numeric() {
        return (Word::Number, run(char::is_numeric));
    }
    let other = |c: char| {
        let letter = is_alphabet(c) || c.is_uppercase();
        !is_connector(c) && !letter && !c.is_numeric() && !is_punctuation(c)
    };
    (Word::Other, units.iter().take_while(|&&(c, _)| other(c)).count().max(1))
}

/// Words and the connector between them, as they are put together.
struct LowerCase<'c> {
    rest: &'c [Unit<'c>],
    out: Vec<u8>,
    connector: u8,
}

impl<'c> LowerCase<'c> {
    fn take(&mut self) -> (Word, &'c [Unit<'c>]) {
        let (kind, count) = next_word(self.rest);
        let (word, rest) = self.rest.split_at(count);
        self.rest = rest;
        (kind, word)
    }

    fn put(&mut self, kind: Word, word: &[Unit<'_>]) {
        for &(c, bytes) in word {
            match kind {
                Word::Connector => self.out.push(self.connector),
                Word::Upper => unicode::push(&mut self.out, if c.is_uppercase() { to_lower(c) } else { c }),
                Word::Invalid | Word::Alphabet | Word::Number | Word::Punctuation | Word::Other => {
                    self.out.extend_from_slice(bytes);
                }
            }
        }
    }

    fn connect_unless(&mut self, kind: Word, those: &[Word]) {
        if !those.contains(&kind) {
            self.out.push(self.connector);
        }
    }

    /// A number that words follow is of one with them.
    fn put_numbered(&mut self, mut kind: Word, mut word: &'c [Unit<'c>]) -> (Word, &'c [Unit<'c>]) {
        while matches!(kind, Word::Alphabet | Word::Number) {
            self.put(kind, word);
            (kind, word) = self.take();
        }
        self.connect_unless(kind, &[Word::Invalid, Word::Connector, Word::Punctuation]);
        (kind, word)
    }
}

fn lower_case_words(text: &[u8], connector: u8) -> Vec<u8> {
    let units = units(text);
    let mut state = LowerCase { rest: &units, out: Vec::with_capacity(text.len() + 8), connector };
    let (mut kind, mut word) = state.take();
    while !state.rest.is_empty() {
        if kind != Word::Connector {
            state.put(kind, word);
        }
        let (before, last) = (kind, word);
        (kind, word) = state.take();
        match before {
            Word::Number => (kind, word) = state.put_numbered(kind, word),
            Word::Connector => state.put(before, last),
            Word::Punctuation => {}
            Word::Invalid | Word::Upper | Word::Alphabet | Word::Other if kind != Word::Number => {
                state.connect_unless(kind, &[Word::Connector, Word::Punctuation]);
            }
            Word::Invalid | Word::Upper | Word::Alphabet | Word::Other => {
                if state.rest.is_empty() {
                    continue;
                }
                let number = word;
                (kind, word) = state.take();
                if kind == Word::Alphabet {
                    state.out.push(connector);
                    state.put(Word::Number, number);
                    (kind, word) = state.put_numbered(kind, word);
                } else {
                    state.put(Word::Number, number);
                    state.connect_unless(kind, &[Word::Connector, Word::Punctuation]);
                }
            }
        }
    }
    state.put(kind, word);
    state.out
}
