//! Texts. Lengths and places are counted in bytes, as Sprig counts them.

use super::Entry;
use super::convert::text;
use crate::context::Context;
use crate::error::Failure;
use crate::fmt::sprint;
use crate::function::Arguments;
use crate::quote::quote;
use crate::text::Text;
use crate::unicode;
use crate::value::Value;

const ONE: &str = "func(string) string";
const TWO: &str = "func(string, string) string";
const TEST: &str = "func(string, string) bool";

pub(super) const TABLE: &[Entry] = &[
    (&["trim"], ONE, |_, arguments| Ok(trimmed(arguments.text(0)?, char::is_whitespace).into())),
    (&["trimAll", "trimall"], TWO, |_, arguments| {
        let set: Vec<char> = unicode::chars(arguments.text(0)?).map(|(_, c, _)| c).collect();
        Ok(trimmed(arguments.text(1)?, |c| set.contains(&c)).into())
    }),
    (&["trimPrefix"], TWO, |_, arguments| {
        let text = arguments.text(1)?;
        Ok(Value::text(text.strip_prefix(&arguments.text(0)?[..]).unwrap_or(text)))
    }),
    (&["trimSuffix"], TWO, |_, arguments| {
        let text = arguments.text(1)?;
        Ok(Value::text(text.strip_suffix(&arguments.text(0)?[..]).unwrap_or(text)))
    }),
    (&["contains"], TEST, |_, arguments| {
        Ok(Value::Bool(memchr::memmem::find(arguments.text(1)?, arguments.text(0)?).is_some()))
    }),
    (&["hasPrefix"], TEST, |_, arguments| {
        Ok(Value::Bool(arguments.text(1)?.starts_with(arguments.text(0)?)))
    }),
    (&["hasSuffix"], TEST, |_, arguments| Ok(Value::Bool(arguments.text(1)?.ends_with(arguments.text(0)?)))),
    (&["toString"], "func(interface {}) string", |_, arguments| text(arguments.any(0)).map(Value::Text)),
    (&["quote"], "func(...interface {}) string", |context, arguments| {
        let quoted = present(arguments).map(|value| Ok(quote(&text(value)?)));
        joined(context, &quoted.collect::<Result<Vec<_>, Failure>>()?)
    }),
    (&["squote"], "func(...interface {}) string", |context, arguments| {
        let room = context.room();
        let quoted = present(arguments).map(|value| {
            let printed = sprint(std::slice::from_ref(value), room)?;
            Ok([b"'", &printed[..], b"'"].concat())
        });
        joined(context, &quoted.collect::<Result<Vec<_>, Failure>>()?)
    }),
    (&["cat"], "func(...interface {}) string", |context, arguments| {
        let room = context.room();
        let printed = present(arguments).map(|value| sprint(std::slice::from_ref(value), room));
        joined(context, &printed.collect::<Result<Vec<_>, Failure>>()?)
    }),
    (&["indent"], "func(int, string) string", |context, arguments| indent(context, arguments, b"")),
    (&["nindent"], "func(int, string) string", |context, arguments| indent(context, arguments, b"\n")),
    (&["replace"], "func(string, string, string) string", |context, arguments| {
        replace(context, arguments.text(2)?, arguments.text(0)?, arguments.text(1)?)
    }),
    (&["repeat"], "func(int, string) string", |context, arguments| {
        let count = count(arguments.int(0)?)?;
        let text = arguments.text(1)?;
        context.write(text.len().saturating_mul(count))?;
        Ok(text.repeat(count).into())
    }),
    (&["plural"], "func(string, string, int) string", |_, arguments| {
        Ok(arguments.any(usize::from(arguments.int(2)? != 1)).clone())
    }),
    (&["trunc"], "func(int, string) string", |_, arguments| {
        let (text, count) = (arguments.text(1)?, arguments.int(0)?);
        let places = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
        Ok(Value::text(match text.len().checked_sub(places) {
            Some(start) if count < 0 && start > 0 => &text[start..],
            Some(_) if count >= 0 => &text[..places],
            _ => text,
        }))
    }),
    (&["substr"], "func(int, int, string) string", |_, arguments| {
        substring(arguments.int(0)?, arguments.int(1)?, arguments.text(2)?)
    }),
    (&["splitList"], "func(string, string) []string", |_, arguments| {
        Ok(Value::texts(split(arguments.text(1)?, arguments.text(0)?, -1)))
    }),
    (&["abbrev"], "func(int, string) string", |_, arguments| {
        let text = arguments.text(1)?;
        Ok(Value::text(match usize::try_from(arguments.int(0)?) {
            Ok(width) if width >= 4 => abbreviated(text, 0, width),
            _ => text.to_vec(),
        }))
    }),
    (&["abbrevboth"], "func(int, int, string) string", |_, arguments| {
        let (left, right, text) = (arguments.int(0)?, arguments.int(1)?, arguments.text(2)?);
        let width = usize::try_from(right).unwrap_or(0);
        if width < 4 || left > 0 && width < 7 {
            return Ok(arguments.any(2).clone());
        }
        Ok(abbreviated(text, usize::try_from(left).unwrap_or(0), width).into())
    }),
    (&["wrap"], "func(int, string) string", |context, arguments| {
        wrap(context, arguments.text(1)?, arguments.int(0)?, b"\n", LongWords::Stay)
    }),
    (&["wrapWith"], "func(int, string, string) string", |context, arguments| {
        let separator = arguments.text(1)?;
        let separator = if separator.is_empty() { b"\n" } else { &separator[..] };
        wrap(context, arguments.text(2)?, arguments.int(0)?, separator, LongWords::Break)
    }),
];

/// The arguments that are not nil.
fn present(arguments: &Arguments) -> impl Iterator<Item = &Value> {
    arguments.rest(0).iter().filter(|value| !matches!(value, Value::Nil))
}

fn joined(context: &mut Context<'_>, parts: &[Vec<u8>]) -> Result<Value, Failure> {
    context.write(parts.iter().map(|part| part.len() + 1).sum())?;
    Ok(parts.join(&b' ').into())
}

fn count(count: i64) -> Result<usize, Failure> {
    usize::try_from(count).map_err(|_| "strings: negative Repeat count".into())
}

fn trimmed(text: &[u8], off: impl Fn(char) -> bool) -> Vec<u8> {
    let mut rest = text;
    while let (c, width @ 1..) = unicode::first(rest)
        && off(c)
    {
        rest = &rest[width..];
    }
    while let (c, width @ 1..) = unicode::last(rest)
        && off(c)
    {
        rest = &rest[..rest.len() - width];
    }
    rest.to_vec()
}

fn indent(context: &mut Context<'_>, arguments: &Arguments, before: &[u8]) -> Result<Value, Failure> {
    let (spaces, text) = (count(arguments.int(0)?)?, arguments.text(1)?);
    let lines = 1 + memchr::memchr_iter(b'\n', text).count();
    context.write(text.len().saturating_add(spaces.saturating_mul(lines)))?;
    let mut out = Vec::with_capacity(before.len() + text.len() + spaces * lines);
    out.extend_from_slice(before);
    let mut start = 0;
    for end in memchr::memchr_iter(b'\n', text).chain([text.len()]) {
        out.resize(out.len() + spaces, b' ');
        // With the line break, where there is one.
        out.extend_from_slice(&text[start..text.len().min(end + 1)]);
        start = end + 1;
    }
    Ok(out.into())
}

fn replace(context: &mut Context<'_>, text: &[u8], old: &[u8], new: &[u8]) -> Result<Value, Failure> {
    if old == new {
        return Ok(Value::text(text));
    }
    let mut out = Vec::with_capacity(text.len());
    if old.is_empty() {
        context.write(text.len().saturating_add(new.len().saturating_mul(text.len() + 1)))?;
        for (at, _, width) in unicode::chars(text) {
            out.extend_from_slice(new);
            out.extend_from_slice(&text[at..at + width]);
        }
        out.extend_from_slice(new);
        return Ok(out.into());
    }
    let places: Vec<usize> = memchr::memmem::find_iter(text, old).collect();
    context.write(text.len().saturating_add(new.len().saturating_mul(places.len())))?;
    let mut after = 0;
    for place in places {
        out.extend_from_slice(&text[after..place]);
        out.extend_from_slice(new);
        after = place + old.len();
    }
    out.extend_from_slice(&text[after..]);
    Ok(out.into())
}

/// The parts between separators: at most `limit`, all where it is negative.
pub(super) fn split(text: &[u8], separator: &[u8], limit: i64) -> Vec<Text> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    if limit == 0 {
        return Vec::new();
    }
    let mut parts: Vec<Text> = Vec::new();
    let mut rest = text;
    if separator.is_empty() {
        while let (_, width @ 1..) = unicode::first(rest) {
            if parts.len() + 1 == limit {
                parts.push(rest.into());
                return parts;
            }
            parts.push(rest[..width].into());
            rest = &rest[width..];
        }
        return parts;
    }
    while parts.len() + 1 < limit
        && let Some(at) = memchr::memmem::find(rest, separator)
    {
        parts.push(rest[..at].into());
        rest = &rest[at + separator.len()..];
    }
    parts.push(rest.into());
    parts
}

fn substring(start: i64, end: i64, text: &[u8]) -> Result<Value, Failure> {
    let length = text.len();
    let to = usize::try_from(end).ok();
    let out_of_bounds =
        |what: String| Failure::new(format!("runtime error: slice bounds out of range {what}"));
    let Ok(from) = usize::try_from(start) else {
        return match to {
            None => Err(out_of_bounds(format!("[:{end}]"))),
            Some(to) => text
                .get(..to)
                .map(Value::text)
                .ok_or_else(|| out_of_bounds(format!("[:{end}] with length {length}"))),
        };
    };
    let to = to.filter(|&to| to <= length).unwrap_or(length);
    text.get(from..to).map(Value::text).ok_or_else(|| out_of_bounds(format!("[{from}:{to}]")))
}

/// A text with dots for what is left out, from about `offset` on, `width` long.
fn abbreviated(text: &[u8], offset: usize, width: usize) -> Vec<u8> {
    if text.len() <= width {
        return text.to_vec();
    }
    let inside = width - 3;
    let mut offset = offset.min(text.len());
    if text.len() - offset < inside {
        offset = text.len() - inside;
    }
    if offset <= 4 {
        return [&text[..inside], b"..."].concat();
    }
    if width < 7 {
        return Vec::new();
    }
    if offset + inside < text.len() {
        return [b"...", &abbreviated(&text[offset..], 0, inside)[..]].concat();
    }
    [b"...", &text[text.len() - inside..]].concat()
}

/// What becomes of a word that is longer than a line.
#[derive(Clone, Copy, PartialEq, Eq)]
enum LongWords {
    Stay,
    Break,
}

fn wrap(
    context: &mut Context<'_>,
    text: &[u8],
    width: i64,
    separator: &[u8],
    long: LongWords,
) -> Result<Value, Failure> {
    let width = usize::try_from(width).unwrap_or(0).max(1);
    context.write(text.len())?;
    let mut out = Vec::with_capacity(text.len());
    let mut offset = 0;
    while text.len() - offset > width {
        if text[offset] == b' ' {
            offset += 1;
            continue;
        }
        let end = offset + width;
        let space = text[offset..=end].iter().rposition(|&byte| byte == b' ').map(|at| at + offset);
        let (stop, next) = match (space, long) {
            (Some(space), _) => (space, space + 1),
            (None, LongWords::Break) => (end, end),
            (None, LongWords::Stay) => match text[end..].iter().position(|&byte| byte == b' ') {
                Some(at) => (end + at, end + at + 1),
                None => break,
            },
        };
        context.write(separator.len())?;
        out.extend_from_slice(&text[offset..stop]);
        out.extend_from_slice(separator);
        offset = next;
    }
    out.extend_from_slice(&text[offset..]);
    Ok(out.into())
}
