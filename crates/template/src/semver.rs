//! Versions and ranges of them as Masterminds/semver (v3.5, Helm's) reads and compares them.

use crate::error::Failure;
use crate::quote::quote;
use crate::text::Text;
use std::cmp::Ordering;
use std::fmt;
use thiserror::Error;

const LONGEST_VERSION: usize = 256;
const LONGEST_RANGE: usize = 512;
const MOST_ALTERNATIVES: usize = 32;

/// What may stand between an operator and a version, and between constraints.
const SPACE: [char; 5] = [' ', '\t', '\n', '\u{c}', '\r'];

/// Longer ones first.
const OPERATORS: [(&str, Operator); 11] = [
    ("!=", Operator::NotEqual),
    (">=", Operator::GreaterOrEqual),
    ("=>", Operator::GreaterOrEqual),
    ("<=", Operator::LessOrEqual),
    ("=<", Operator::LessOrEqual),
    ("~>", Operator::Tilde),
    ("=", Operator::Equal),
    (">", Operator::Greater),
    ("<", Operator::Less),
    ("~", Operator::Tilde),
    ("^", Operator::Caret),
];

/// A version as it is written, in parts: digits, or in ranges also what stands for any.
struct Written<'t> {
    text: &'t str,
    /// Without the points; empty where there are fewer.
    numbers: [&'t str; 3],
    /// Without the dash.
    pre: &'t str,
    /// Without the plus.
    metadata: &'t str,
}

fn is_digit(byte: u8) -> bool {
    byte.is_ascii_digit()
}

fn is_digit_or_any(byte: u8) -> bool {
    byte.is_ascii_digit() || matches!(byte, b'|' | b'x' | b'X' | b'*')
}

fn is_identifier(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-'
}

/// As much of the text as is of such bytes, and the rest.
fn run(text: &str, of: fn(u8) -> bool) -> (&str, &str) {
    text.split_at(text.bytes().take_while(|&byte| of(byte)).count())
}

impl<'t> Written<'t> {
    /// The longest one that the text begins with, and the rest.
    fn at_start(text: &'t str, digit: fn(u8) -> bool) -> Option<(Self, &'t str)> {
        let (major, mut rest) = run(text.strip_prefix('v').unwrap_or(text), digit);
        if major.is_empty() {
            return None;
        }
        let mut numbers = [major, "", ""];
        for number in &mut numbers[1..] {
            match rest.strip_prefix('.').map(|rest| run(rest, digit)) {
                Some((digits, after)) if !digits.is_empty() => (*number, rest) = (digits, after),
                Some(_) | None => break,
            }
        }
        let (pre, rest) = labels(rest, '-');
        let (metadata, rest) = labels(rest, '+');
        Some((Self { text: &text[..text.len() - rest.len()], numbers, pre, metadata }, rest))
    }
}

/// Identifiers with points between them, behind a mark, and the rest.
fn labels(text: &str, mark: char) -> (&str, &str) {
    let Some(all) = text.strip_prefix(mark) else { return ("", text) };
    let (first, mut rest) = run(all, is_identifier);
    if first.is_empty() {
        return ("", text);
    }
    while let Some((label, after)) = rest.strip_prefix('.').map(|rest| run(rest, is_identifier))
        && !label.is_empty()
    {
        rest = after;
    }
    (&all[..all.len() - rest.len()], rest)
}

/// Why a text is no version or no range, in the words of Masterminds/semver.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct Error(Text);

impl Error {
    pub(crate) fn text(&self) -> &Text {
        &self.0
    }
}

impl From<&str> for Error {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

fn improper(text: &str) -> Error {
    Error([b"improper constraint: ", &quote(text.as_bytes())[..]].concat().into())
}

/// A version that may lack its minor and patch parts and may begin with a `v`.
///
/// ```
/// use trueup_template::semver::Version;
///
/// let version = Version::parse("v1.2-rc.1")?;
/// assert_eq!(version.to_string(), "1.2.0-rc.1");
/// assert!(version.precedence(&Version::parse("1.2.0")?).is_lt());
/// # Ok::<(), trueup_template::semver::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    pub(crate) numbers: [u64; 3],
    pub(crate) pre: String,
    pub(crate) metadata: String,
    pub(crate) original: String,
}

impl Version {
    /// Reads a version, leniently.
    pub fn parse(text: &str) -> Result<Self, Error> {
        if text.len() > LONGEST_VERSION {
            return Err("version string is too long (max 256 bytes)".into());
        }
        let whole = Written::at_start(text, is_digit).filter(|(_, rest)| rest.is_empty());
        let (written, _) = whole.ok_or("invalid semantic version")?;
        let mut numbers = [0; 3];
        for (number, digits) in numbers.iter_mut().zip(written.numbers) {
            if !digits.is_empty() {
                *number = digits.parse().map_err(|_| {
                    let cause = format!("strconv.ParseUint: parsing \"{digits}\": value out of range");
                    Error(format!("error parsing version segment: {cause}").into())
                })?;
            }
        }
        let numeric = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if written.pre.split('.').any(|part| numeric(part) && part.len() > 1 && part.starts_with('0')) {
            return Err("version segment starts with 0".into());
        }
        let (pre, metadata) = (written.pre.to_owned(), written.metadata.to_owned());
        Ok(Self { numbers, pre, metadata, original: text.to_owned() })
    }

    /// Whether it has a pre-release part.
    pub fn is_prerelease(&self) -> bool {
        !self.pre.is_empty()
    }

    /// The text that it was read from.
    pub fn original(&self) -> &str {
        &self.original
    }

    /// Which comes first; metadata says nothing.
    pub fn precedence(&self, other: &Self) -> Ordering {
        self.numbers.cmp(&other.numbers).then_with(|| match (self.pre.is_empty(), other.pre.is_empty()) {
            (true, true) => Ordering::Equal,
            (true, false) => Ordering::Greater,
            (false, true) => Ordering::Less,
            (false, false) => compare_pre(&self.pre, &other.pre),
        })
    }

    /// The next version in the number at that place.
    pub(crate) fn next(&self, place: usize) -> Result<Self, Failure> {
        let mut numbers = self.numbers;
        if place < 2 || self.pre.is_empty() {
            let name = ["major", "minor", "patch"][place];
            let more = numbers[place].checked_add(1);
            numbers[place] =
                more.ok_or_else(|| Failure::new(format!("{name} version increment would overflow uint64")))?;
        }
        numbers[place + 1..].fill(0);
        let mut next = Self { numbers, pre: String::new(), metadata: String::new(), original: String::new() };
        let prefix = if self.original.starts_with('v') { "v" } else { "" };
        next.original = format!("{prefix}{next}");
        Ok(next)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [major, minor, patch] = self.numbers;
        write!(f, "{major}.{minor}.{patch}")?;
        if !self.pre.is_empty() {
            write!(f, "-{}", self.pre)?;
        }
        if !self.metadata.is_empty() {
            write!(f, "+{}", self.metadata)?;
        }
        Ok(())
    }
}

fn compare_pre(left: &str, right: &str) -> Ordering {
    let (mut left, mut right) = (left.split('.'), right.split('.'));
    loop {
        let order = match (left.next(), right.next()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => Ordering::Less,
            (Some(_), None) => Ordering::Greater,
            (Some(left), Some(right)) => match (left.parse::<u64>(), right.parse::<u64>()) {
                (Ok(left), Ok(right)) => left.cmp(&right),
                (Ok(_), Err(_)) => Ordering::Less,
                (Err(_), Ok(_)) => Ordering::Greater,
                (Err(_), Err(_)) => left.cmp(right),
            },
        };
        if order != Ordering::Equal {
            return order;
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Equal,
    NotEqual,
    Greater,
    Less,
    GreaterOrEqual,
    LessOrEqual,
    Tilde,
    Caret,
}

/// How far a constraint's version is written out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Extent {
    /// `*`
    Nothing,
    /// `1` or `1.x`
    Major,
    /// `1.2` or `1.2.x`
    Minor,
    All,
}

#[derive(Debug)]
struct Constraint {
    operator: Operator,
    version: Version,
    extent: Extent,
}

/// A range of versions: alternatives, of each of which all must hold.
///
/// Versions with a pre-release part are in it only where a version of the alternative has one too.
///
/// ```
/// use trueup_template::semver::{Constraints, Version};
///
/// let range = Constraints::parse("~1.2 || ^2.0.0-0")?;
/// assert!(range.check(&Version::parse("1.2.9")?));
/// assert!(range.check(&Version::parse("2.1.0-rc1")?));
/// assert!(!range.check(&Version::parse("1.2.9-rc1")?));
/// # Ok::<(), trueup_template::semver::Error>(())
/// ```
#[derive(Debug)]
pub struct Constraints(Vec<Vec<Constraint>>);

impl Constraints {
    /// Reads a range.
    pub fn parse(text: &str) -> Result<Self, Error> {
        if text.len() > LONGEST_RANGE {
            return Err("constraint string is too long (max 512 bytes)".into());
        }
        let rewritten = without_ranges(text);
        if rewritten.split("||").count() > MOST_ALTERNATIVES {
            return Err("too many constraint groups (max 32)".into());
        }
        let mut alternatives = Vec::new();
        for alternative in rewritten.split("||") {
            let all = constraints(alternative).ok_or_else(|| improper(alternative))?;
            let all = all.into_iter().map(|(operator, written)| Constraint::new(operator, &written));
            alternatives.push(all.collect::<Result<Vec<_>, _>>()?);
        }
        Ok(Self(alternatives))
    }

    /// Whether a version is in it.
    pub fn check(&self, version: &Version) -> bool {
        self.0.iter().any(|all| {
            let shown = !version.is_prerelease() || all.iter().any(|one| one.version.is_prerelease());
            shown && all.iter().all(|constraint| constraint.check(version))
        })
    }
}

/// Constraints with spaces or commas between them.
fn constraints(text: &str) -> Option<Vec<(Operator, Written<'_>)>> {
    let mut all = Vec::new();
    let mut rest = text.trim_start_matches(SPACE);
    loop {
        let operator =
            OPERATORS.iter().find_map(|(sign, operator)| Some((rest.strip_prefix(sign)?, *operator)));
        let (after, operator) = operator.unwrap_or((rest, Operator::Equal));
        let (written, after) = Written::at_start(after.trim_start_matches(SPACE), is_digit_or_any)?;
        all.push((operator, written));
        rest = after.trim_start_matches(SPACE);
        if rest.is_empty() {
            return Some(all);
        }
        match rest.strip_prefix(',') {
            Some(next) => rest = next.trim_start_matches(SPACE),
            None if rest.len() == after.len() => return None,
            None => {}
        }
    }
}

/// `1.2 - 1.4` becomes `>= 1.2, <= 1.4`.
fn without_ranges(text: &str) -> String {
    let mut out = text.to_owned();
    let mut at = 0;
    while at < text.len() {
        match range(text, at) {
            Some((from, to, end)) => {
                out = out.replacen(&text[at..end], &format!(">= {from}, <= {to} "), 1);
                at = end;
            }
            None => at += 1,
        }
    }
    out
}

/// A range that stands at that place, spaces around it included: its two versions, and where it ends.
fn range(text: &str, at: usize) -> Option<(&str, &str, usize)> {
    let (from, rest) = Written::at_start(text.get(at..)?.trim_start_matches(SPACE), is_digit_or_any)?;
    let rest = rest.strip_prefix(SPACE)?.trim_start_matches(SPACE);
    let rest = rest.strip_prefix('-')?.strip_prefix(SPACE)?.trim_start_matches(SPACE);
    let (to, rest) = Written::at_start(rest, is_digit_or_any)?;
    Some((from.text, to.text, text.len() - rest.trim_start_matches(SPACE).len()))
}

impl Constraint {
    fn new(operator: Operator, written: &Written<'_>) -> Result<Self, Error> {
        let open = |place: usize| matches!(written.numbers[place], "" | "x" | "*" | "X");
        let pre = match written.pre {
            "" => String::new(),
            pre => format!("-{pre}"),
        };
        let [major, minor, _] = written.numbers;
        let (extent, version) = if open(0) {
            (Extent::Nothing, format!("0.0.0{pre}"))
        } else if open(1) {
            (Extent::Major, format!("{major}.0.0{pre}"))
        } else if open(2) {
            (Extent::Minor, format!("{major}.{minor}.0{pre}"))
        } else {
            (Extent::All, written.text.to_owned())
        };
        let version = Version::parse(&version).map_err(|_| "constraint parser error")?;
        Ok(Self { operator, version, extent })
    }

    fn check(&self, version: &Version) -> bool {
        let own = &self.version;
        let whole = self.extent == Extent::All;
        let order = version.precedence(own);
        match self.operator {
            Operator::Equal if whole => order == Ordering::Equal,
            Operator::Equal | Operator::Tilde => self.tilde(version),
            Operator::NotEqual => self.differs(version),
            Operator::Greater => match self.extent {
                Extent::Nothing | Extent::All => order == Ordering::Greater,
                Extent::Major => version.numbers[0] > own.numbers[0],
                Extent::Minor => version.numbers[..2] > own.numbers[..2],
            },
            Operator::Less => order == Ordering::Less,
            Operator::GreaterOrEqual => order != Ordering::Less,
            Operator::LessOrEqual => match self.extent {
                Extent::All => order != Ordering::Greater,
                Extent::Major => version.numbers[0] <= own.numbers[0],
                Extent::Nothing | Extent::Minor => version.numbers[..2] <= own.numbers[..2],
            },
            Operator::Caret => self.caret(version),
        }
    }

    fn differs(&self, version: &Version) -> bool {
        let (theirs, own) = (&version.numbers, &self.version.numbers);
        match self.extent {
            Extent::All => version.precedence(&self.version) != Ordering::Equal,
            Extent::Nothing => theirs != own || version.precedence(&self.version) != Ordering::Equal,
            Extent::Major => theirs[0] != own[0],
            Extent::Minor => {
                theirs[..2] != own[..2]
                    || (!version.pre.is_empty() || !self.version.pre.is_empty())
                        && compare_pre(&version.pre, &self.version.pre) != Ordering::Equal
            }
        }
    }

    fn tilde(&self, version: &Version) -> bool {
        let (theirs, own) = (&version.numbers, &self.version.numbers);
        if version.precedence(&self.version) == Ordering::Less {
            return false;
        }
        if *own == [0; 3] && matches!(self.extent, Extent::Nothing | Extent::All) {
            return true;
        }
        theirs[0] == own[0] && (theirs[1] == own[1] || self.extent == Extent::Major)
    }

    fn caret(&self, version: &Version) -> bool {
        let (theirs, own) = (&version.numbers, &self.version.numbers);
        if version.precedence(&self.version) == Ordering::Less {
            return false;
        }
        if own[0] > 0 || self.extent == Extent::Major {
            return theirs[0] == own[0];
        }
        if theirs[0] > 0 {
            return false;
        }
        if own[1] > 0 || self.extent == Extent::Minor {
            return theirs[1] == own[1];
        }
        theirs[1] == 0 && own[2] == theirs[2]
    }
}
