//! Regular expressions in the syntax of Go's regexp (RE2), carried out by the `regex` crate. Both take time that is
//! linear in the text. Of broken patterns the common ones are refused in Go's words.

use super::Entry;
use crate::context::Context;
use crate::error::Failure;
use crate::function::Arguments;
use crate::quote::{can_backquote, quote};
use crate::value::{List, Type, Value};
use regex::bytes::{Match, Regex, RegexBuilder};
use std::rc::Rc;

const FIND: &str = "func(string, string) string";
const MUST_FIND: &str = "func(string, string) (string, error)";
const LIST: &str = "func(string, string, int) []string";
const MUST_LIST: &str = "func(string, string, int) ([]string, error)";
const REPLACE: &str = "func(string, string, string) string";
const MUST_REPLACE: &str = "func(string, string, string) (string, error)";

pub(super) const TABLE: &[Entry] = &[
    (&["regexMatch"], "func(string, string) bool", |context, arguments| {
        charge(context, arguments)?;
        let regex = compile(arguments.text(0)?);
        Ok(Value::Bool(regex.is_ok_and(|regex| arguments.text(1).is_ok_and(|text| regex.is_match(text)))))
    }),
    (&["mustRegexMatch"], "func(string, string) (bool, error)", |context, arguments| {
        Ok(Value::Bool(checked(context, arguments)?.is_match(arguments.text(1)?)))
    }),
    (&["regexFind"], FIND, |context, arguments| find(&panicking(context, arguments)?, arguments)),
    (&["mustRegexFind"], MUST_FIND, |context, arguments| find(&checked(context, arguments)?, arguments)),
    (&["regexFindAll"], LIST, |context, arguments| find_all(&panicking(context, arguments)?, arguments)),
    (&["mustRegexFindAll"], MUST_LIST, |context, arguments| {
        find_all(&checked(context, arguments)?, arguments)
    }),
    (&["regexReplaceAll"], REPLACE, |context, arguments| {
        let regex = panicking(context, arguments)?;
        replace(context, &regex, arguments, Replacement::Template)
    }),
    (&["mustRegexReplaceAll"], MUST_REPLACE, |context, arguments| {
        let regex = checked(context, arguments)?;
        replace(context, &regex, arguments, Replacement::Template)
    }),
    (&["regexReplaceAllLiteral"], REPLACE, |context, arguments| {
        let regex = panicking(context, arguments)?;
        replace(context, &regex, arguments, Replacement::Literal)
    }),
    (&["mustRegexReplaceAllLiteral"], MUST_REPLACE, |context, arguments| {
        let regex = checked(context, arguments)?;
        replace(context, &regex, arguments, Replacement::Literal)
    }),
    (&["regexSplit"], LIST, |context, arguments| split(&panicking(context, arguments)?, arguments)),
    (&["mustRegexSplit"], MUST_LIST, |context, arguments| split(&checked(context, arguments)?, arguments)),
    (&["regexQuoteMeta"], "func(string) string", |_, arguments| {
        let mut out = Vec::new();
        for &byte in arguments.text(0)?.iter() {
            if br"\.+*?()|[]{}^$".contains(&byte) {
                out.push(b'\\');
            }
            out.push(byte);
        }
        Ok(out.into())
    }),
];

/// Charges what a search may take: at worst each byte is looked at in each state, of which a repetition makes a thousand.
fn charge(context: &mut Context<'_>, arguments: &Arguments) -> Result<(), Failure> {
    let (pattern, text) = (arguments.text(0)?, arguments.text(1)?);
    let repetitions = memchr::memchr_iter(b'{', pattern).count();
    let states = (pattern.len() + 1000 * repetitions.min(10)) as u64;
    context.spend(states.saturating_mul(1 + text.len() as u64 / 32))
}

fn checked(context: &mut Context<'_>, arguments: &Arguments) -> Result<Regex, Failure> {
    charge(context, arguments)?;
    compile(arguments.text(0)?).map_err(Failure::new)
}

/// As Go's `MustCompile`.
fn panicking(context: &mut Context<'_>, arguments: &Arguments) -> Result<Regex, Failure> {
    charge(context, arguments)?;
    let pattern = arguments.text(0)?;
    compile(pattern).map_err(|why| {
        let cited = if can_backquote(pattern) { [b"`", &pattern[..], b"`"].concat() } else { quote(pattern) };
        Failure::new([b"regexp: Compile(", &cited[..], b"): ", &why].concat())
    })
}

fn compile(pattern: &[u8]) -> Result<Regex, Vec<u8>> {
    let refused =
        |why: &str, what: &[u8]| [b"error parsing regexp: ", why.as_bytes(), b": `", what, b"`"].concat();
    let text = std::str::from_utf8(pattern).map_err(|_| refused("invalid UTF-8", pattern))?;
    let translated = Translation::of(text).map_err(|(why, what)| refused(why, what.as_bytes()))?;
    RegexBuilder::new(&translated).octal(true).build().map_err(|error| {
        let last =
            error.to_string().lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
        refused(&last, pattern)
    })
}

/// What is wrong, and where.
type Refusal = (&'static str, String);

/// A pattern on its way from Go's syntax.
struct Translation<'p> {
    rest: &'p str,
    out: String,
}

impl<'p> Translation<'p> {
    fn of(pattern: &'p str) -> Result<String, Refusal> {
        let mut this = Self { rest: pattern, out: String::with_capacity(pattern.len() + 16) };
        let mut open = 0_usize;
        // Where the last repetition began, while nothing stands after it; and whether there is something to repeat.
        let (mut repetition, mut operand): (Option<&str>, bool) = (None, false);
        while let Some(c) = this.rest.chars().next() {
            let here = this.rest;
            match c {
                '*' | '+' | '?' | '{' if c != '{' || repeat_count(here).is_some() => {
                    let operator = if c == '{' { repeat_count(here).unwrap_or(1) } else { 1 };
                    let lazy = usize::from(here[operator..].starts_with('?'));
                    if let Some(first) = repetition {
                        let end = first.len() - here.len() + operator + lazy;
                        return Err(("invalid nested repetition operator", first[..end].to_owned()));
                    }
                    if !operand {
                        return Err(("missing argument to repetition operator", here[..operator].to_owned()));
                    }
                    if c == '{'
                        && here[1..operator - 1]
                            .split(',')
                            .any(|count| count.len() > 4 || count > "1000" && count.len() == 4)
                    {
                        return Err(("invalid repeat count", here[..operator].to_owned()));
                    }
                    this.keep(operator + lazy);
                    repetition = Some(here);
                    continue;
                }
                '{' => this.put(1, r"\{"),
                '(' => {
                    open += 1;
                    this.group()?;
                    (repetition, operand) = (None, false);
                    continue;
                }
                ')' => {
                    let Some(fewer) = open.checked_sub(1) else {
                        return Err(("unexpected )", pattern.to_owned()));
                    };
                    open = fewer;
                    this.keep(1);
                }
                '|' => {
                    this.keep(1);
                    (repetition, operand) = (None, false);
                    continue;
                }
                '[' => this.class()?,
                '\\' => this.escape()?,
                _ => this.keep(c.len_utf8()),
            }
            (repetition, operand) = (None, true);
        }
        if open > 0 {
            return Err(("missing closing )", pattern.to_owned()));
        }
        Ok(this.out)
    }

    fn keep(&mut self, length: usize) {
        let (kept, rest) = self.rest.split_at(length);
        self.out.push_str(kept);
        self.rest = rest;
    }

    fn put(&mut self, length: usize, text: &str) {
        self.out.push_str(text);
        self.rest = &self.rest[length..];
    }

    /// An opening parenthesis, with flags or a name.
    fn group(&mut self) -> Result<(), Refusal> {
        let letters = self.rest.strip_prefix("(?").unwrap_or_default();
        let letters = &letters[..letters.find(|c| !"imsU-xuR".contains(c)).unwrap_or(letters.len())];
        // Go knows fewer of them.
        if let Some(unknown) = letters.find(['x', 'u', 'R']) {
            return Err(("invalid or unsupported Perl syntax", self.rest[..unknown + 3].to_owned()));
        }
        let flags = self.rest.strip_prefix("(?").map_or(0, |inside| {
            inside
                .find([':', ')', '>'])
                .map_or(0, |end| if inside[end..].starts_with(')') { end + 1 } else { end + 2 })
        });
        self.keep(if flags == 0 { 1 } else { 1 + flags });
        Ok(())
    }

    fn escape(&mut self) -> Result<(), Refusal> {
        let Some(c) = self.rest[1..].chars().next() else {
            return Err(("trailing backslash at end of expression", String::new()));
        };
        match c {
            'd' => self.put(2, "[0-9]"),
            'D' => self.put(2, "[^0-9]"),
            'w' => self.put(2, "[0-9A-Za-z_]"),
            'W' => self.put(2, "[^0-9A-Za-z_]"),
            's' => self.put(2, r"[\t\n\f\r ]"),
            'S' => self.put(2, r"[^\t\n\f\r ]"),
            'b' => self.put(2, r"(?-u:\b)"),
            'B' => self.put(2, r"(?-u:\B)"),
            'Q' => {
                let quoted = &self.rest[2..];
                let end = quoted.find(r"\E").unwrap_or(quoted.len());
                self.out.push_str(&regex::escape(&quoted[..end]));
                self.rest = quoted[end..].strip_prefix(r"\E").unwrap_or_default();
            }
            _ => self.literal_escape(c)?,
        }
        Ok(())
    }

    /// An escape that means the same within brackets and outside.
    fn literal_escape(&mut self, c: char) -> Result<(), Refusal> {
        match c {
            'x' | 'p' | 'P' if self.rest[2..].starts_with('{') => self.braces(c)?,
            'A' | 'z' | 'a' | 'f' | 'n' | 'r' | 't' | 'v' | 'x' | 'p' | 'P' | '0'..='7' => self.keep(2),
            _ if c.is_ascii() && !c.is_ascii_alphanumeric() => {
                let code = format!("\\x{{{:x}}}", u32::from(c));
                self.put(2, &code);
            }
            _ => return Err(("invalid escape sequence", self.rest[..=c.len_utf8()].to_owned())),
        }
        Ok(())
    }

    /// `\x{3b1}`, `\p{Greek}`, or `\p{^Greek}`, which is `\P{Greek}`.
    fn braces(&mut self, c: char) -> Result<(), Refusal> {
        let Some(end) = self.rest.find('}') else {
            let why = if c == 'x' { "invalid escape sequence" } else { "invalid character class range" };
            return Err((why, self.rest.to_owned()));
        };
        match (c, self.rest[3..end].strip_prefix('^')) {
            ('p' | 'P', Some(name)) => {
                let other = if c == 'p' { 'P' } else { 'p' };
                let class = format!("\\{other}{{{name}}}");
                self.put(end + 1, &class);
            }
            _ => self.keep(end + 1),
        }
        Ok(())
    }

    /// Brackets: what has a meaning there only in the other syntax is escaped.
    fn class(&mut self) -> Result<(), Refusal> {
        let whole = self.rest;
        self.keep(1);
        if self.rest.starts_with('^') {
            self.keep(1);
        }
        let mut first = true;
        loop {
            let Some(c) = self.rest.chars().next() else {
                return Err(("missing closing ]", whole.to_owned()));
            };
            match c {
                ']' if !first => {
                    self.keep(1);
                    return Ok(());
                }
                '[' if self.rest.starts_with("[:") && self.rest.contains(":]") => {
                    let end = self.rest.find(":]").unwrap_or(0);
                    self.keep(end + 2);
                }
                '[' | '&' | '~' | ']' => {
                    self.out.push('\\');
                    self.keep(1);
                }
                '\\' => match self.rest[1..].chars().next() {
                    Some('d') => self.put(2, "0-9"),
                    Some('w') => self.put(2, "0-9A-Za-z_"),
                    Some('s') => self.put(2, r"\t\n\f\r "),
                    Some('D' | 'W' | 'S') => self.escape()?,
                    Some(c) => self.literal_escape(c)?,
                    None => return Err(("missing closing ]", whole.to_owned())),
                },
                _ => self.keep(c.len_utf8()),
            }
            first = false;
        }
    }
}

/// How long a `{n,m}` is that begins here.
fn repeat_count(text: &str) -> Option<usize> {
    let (inside, _) = text.strip_prefix('{')?.split_once('}')?;
    let (least, most) = inside.split_once(',').unwrap_or((inside, "0"));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    (!least.is_empty() && digits(least) && digits(most)).then_some(inside.len() + 2)
}

fn find(regex: &Regex, arguments: &Arguments) -> Result<Value, Failure> {
    let found = matches(regex, arguments.text(1)?).next();
    Ok(found.map_or_else(|| "".into(), |found| Value::text(found.as_bytes())))
}

/// Whether a place is where a character begins: nothing is found within one.
fn is_boundary(text: &[u8], at: usize) -> bool {
    text.get(at).is_none_or(|byte| byte & 0xc0 != 0x80)
}

fn matches<'r, 't>(regex: &'r Regex, text: &'t [u8]) -> impl Iterator<Item = Match<'t>> + use<'r, 't> {
    regex.find_iter(text).filter(move |found| is_boundary(text, found.start()))
}

fn nil() -> Value {
    Value::List(List::nil(Type::List(Rc::new(Type::Text))))
}

fn limit(arguments: &Arguments) -> Result<usize, Failure> {
    Ok(usize::try_from(arguments.int(2)?).unwrap_or(usize::MAX))
}

fn find_all(regex: &Regex, arguments: &Arguments) -> Result<Value, Failure> {
    let found: Vec<_> =
        matches(regex, arguments.text(1)?).take(limit(arguments)?).map(|found| found.as_bytes()).collect();
    Ok(if found.is_empty() { nil() } else { Value::texts(found) })
}

/// What a replacement is: `$1` and `${name}` stand for what was found, or for themselves.
#[derive(Clone, Copy)]
enum Replacement {
    Template,
    Literal,
}

fn replace(
    context: &mut Context<'_>,
    regex: &Regex,
    arguments: &Arguments,
    replacement: Replacement,
) -> Result<Value, Failure> {
    let (text, with) = (arguments.text(1)?, arguments.text(2)?);
    let references = memchr::memchr_iter(b'$', with).count();
    let mut out = Vec::with_capacity(text.len());
    let mut after = 0;
    for captures in regex.captures_iter(text) {
        let Some(found) = captures.get(0).filter(|found| is_boundary(text, found.start())) else { continue };
        let before = out.len();
        // Each reference may stand for all that was found.
        let most = with.len().saturating_add(references.saturating_mul(found.len()));
        if most > context.room() {
            return Err(Failure::limit("the output is larger than allowed"));
        }
        out.extend_from_slice(&text[after..found.start()]);
        match replacement {
            Replacement::Template => captures.expand(with, &mut out),
            Replacement::Literal => out.extend_from_slice(with),
        }
        context.write(out.len() - before)?;
        after = found.end();
    }
    out.extend_from_slice(&text[after..]);
    Ok(out.into())
}

fn split(regex: &Regex, arguments: &Arguments) -> Result<Value, Failure> {
    let (text, limit) = (arguments.text(1)?, limit(arguments)?);
    if limit == 0 {
        return Ok(nil());
    }
    if text.is_empty() && !arguments.text(0)?.is_empty() {
        return Ok(Value::texts([""]));
    }
    let mut parts: Vec<&[u8]> = Vec::new();
    let (mut begin, mut end) = (0, 0);
    for found in matches(regex, text).take(limit) {
        if parts.len() + 1 == limit {
            break;
        }
        end = found.start();
        if found.end() != 0 {
            parts.push(&text[begin..end]);
        }
        begin = found.end();
    }
    if end != text.len() {
        parts.push(&text[begin..]);
    }
    Ok(Value::texts(parts))
}
