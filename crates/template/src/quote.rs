//! Go's quoted strings and characters, written and read (Go's strconv).

use crate::unicode::{self, REPLACEMENT};

/// How far a quoted form may go beyond ASCII.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Charset {
    Printable,
    Ascii,
}

/// `bytes` between double quotes, as `%q` writes them.
pub(crate) fn quote(bytes: &[u8]) -> Vec<u8> {
    quoted(bytes, Charset::Printable)
}

pub(crate) fn quoted(bytes: &[u8], charset: Charset) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len() + 2);
    out.push(b'"');
    for (at, c, width) in unicode::chars(bytes) {
        if c == REPLACEMENT && width == 1 {
            out.extend_from_slice(format!("\\x{:02x}", bytes[at]).as_bytes());
        } else {
            escape(&mut out, c, '"', charset);
        }
    }
    out.push(b'"');
    out
}

/// A character between single quotes.
pub(crate) fn quoted_char(c: char, charset: Charset) -> Vec<u8> {
    let mut out = vec![b'\''];
    escape(&mut out, c, '\'', charset);
    out.push(b'\'');
    out
}

fn escape(out: &mut Vec<u8>, c: char, quote: char, charset: Charset) {
    if c == quote || c == '\\' {
        out.push(b'\\');
        return unicode::push(out, c);
    }
    if unicode::is_print(c) && (charset == Charset::Printable || c.is_ascii()) {
        return unicode::push(out, c);
    }
    let named = match c {
        '\x07' => "\\a",
        '\x08' => "\\b",
        '\x0c' => "\\f",
        '\n' => "\\n",
        '\r' => "\\r",
        '\t' => "\\t",
        '\x0b' => "\\v",
        _ => "",
    };
    let code = u32::from(c);
    let written = match code {
        _ if !named.is_empty() => named.to_owned(),
        0..=0x1f | 0x7f => format!("\\x{code:02x}"),
        0..=0xffff => format!("\\u{code:04x}"),
        _ => format!("\\U{code:08x}"),
    };
    out.extend_from_slice(written.as_bytes());
}

/// Whether `bytes` can stand between backquotes on one line.
pub(crate) fn can_backquote(bytes: &[u8]) -> bool {
    unicode::chars(bytes).all(|(_, c, width)| {
        if width > 1 {
            return c != '\u{feff}';
        }
        c != REPLACEMENT && (c >= ' ' || c == '\t') && c != '`' && c != '\x7f'
    })
}

/// A literal that is none.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct InvalidSyntax;

/// The bytes that a quoted literal (with `"`, `` ` ``) stands for.
pub(crate) fn unquote(literal: &[u8]) -> Result<Vec<u8>, InvalidSyntax> {
    let (&open, rest) = literal.split_first().ok_or(InvalidSyntax)?;
    match open {
        b'`' => match rest.split_last() {
            Some((b'`', inner)) if !inner.contains(&b'`') => {
                Ok(inner.iter().copied().filter(|&byte| byte != b'\r').collect())
            }
            _ => Err(InvalidSyntax),
        },
        b'"' => unquote_double(rest),
        _ => Err(InvalidSyntax),
    }
}

fn unquote_double(mut rest: &[u8]) -> Result<Vec<u8>, InvalidSyntax> {
    let mut out = Vec::with_capacity(rest.len());
    loop {
        match rest.first() {
            None | Some(b'\n') => return Err(InvalidSyntax),
            Some(b'"') => break,
            Some(_) => {
                let (value, tail) = unquote_char(rest, b'"')?;
                match value {
                    Unquoted::Byte(byte) => out.push(byte),
                    Unquoted::Char(c) => unicode::push(&mut out, c),
                }
                rest = tail;
            }
        }
    }
    if rest.len() == 1 { Ok(out) } else { Err(InvalidSyntax) }
}

/// What one character of a literal stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unquoted {
    /// One byte of the string, by itself perhaps no character.
    Byte(u8),
    /// A character.
    Char(char),
}

impl Unquoted {
    pub(crate) fn code(self) -> u32 {
        match self {
            Self::Byte(byte) => byte.into(),
            Self::Char(c) => c.into(),
        }
    }
}

/// The first character of a literal's inside, and what follows it.
pub(crate) fn unquote_char(literal: &[u8], quote: u8) -> Result<(Unquoted, &[u8]), InvalidSyntax> {
    match *literal.first().ok_or(InvalidSyntax)? {
        byte if byte == quote => return Err(InvalidSyntax),
        byte if byte >= 0x80 => {
            let (c, width) = unicode::first(literal);
            return Ok((Unquoted::Char(c), &literal[width..]));
        }
        b'\\' => {}
        byte => return Ok((Unquoted::Byte(byte), &literal[1..])),
    }
    let letter = *literal.get(1).ok_or(InvalidSyntax)?;
    let rest = &literal[2..];
    let byte = match letter {
        b'a' => 7,
        b'b' => 8,
        b'f' => 12,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'v' => 11,
        b'\\' => b'\\',
        b'\'' | b'"' if letter == quote => letter,
        b'x' => {
            let (code, rest) = digits(rest, 2, 16)?;
            return Ok((Unquoted::Byte(u8::try_from(code).map_err(|_| InvalidSyntax)?), rest));
        }
        b'u' | b'U' => {
            let (code, rest) = digits(rest, if letter == b'u' { 4 } else { 8 }, 16)?;
            return Ok((Unquoted::Char(char::from_u32(code).ok_or(InvalidSyntax)?), rest));
        }
        b'0'..=b'7' => {
            let (code, rest) = digits(&literal[1..], 3, 8)?;
            return Ok((Unquoted::Byte(u8::try_from(code).map_err(|_| InvalidSyntax)?), rest));
        }
        _ => return Err(InvalidSyntax),
    };
    Ok((Unquoted::Byte(byte), rest))
}

fn digits(text: &[u8], count: usize, radix: u32) -> Result<(u32, &[u8]), InvalidSyntax> {
    let (head, rest) = text.split_at_checked(count).ok_or(InvalidSyntax)?;
    let mut code = 0_u32;
    for &byte in head {
        let digit = char::from(byte).to_digit(radix).ok_or(InvalidSyntax)?;
        code = code.checked_mul(radix).and_then(|code| code.checked_add(digit)).ok_or(InvalidSyntax)?;
    }
    Ok((code, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_quoted_comes_back() {
        for text in ["", "a\"b\\", "tab\tnewline\n", "é世\u{ad}\u{1F600}\u{7f}\u{10ffff}", "`"] {
            assert_eq!(unquote(&quote(text.as_bytes())), Ok(text.as_bytes().to_vec()), "{text:?}");
            assert_eq!(unquote(&quoted(text.as_bytes(), Charset::Ascii)), Ok(text.as_bytes().to_vec()));
        }
        assert_eq!(unquote(&quote(b"\xff\xc3")), Ok(b"\xff\xc3".to_vec()));
    }

    #[test]
    fn a_literal_that_go_refuses_is_refused() {
        for text in [r#""\q""#, r#""\x4""#, r#""\400""#, r#""\ud800""#, r#""\'""#, "\"a\nb\"", "\"a", "`a"] {
            assert_eq!(unquote(text.as_bytes()), Err(InvalidSyntax), "{text}");
        }
        assert_eq!(unquote(b"\"\\'\""), Err(InvalidSyntax));
        assert_eq!(unquote(b"`a\r\nb\\n`"), Ok(b"a\nb\\n".to_vec()));
    }
}
