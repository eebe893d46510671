//! Versions and ranges of them as Masterminds/semver (v3.5, Helm's) reads and compares them.

use crate::error::Failure;
use crate::quote::quote;
use crate::text::Text;
use regex::Regex;
use std::cmp::Ordering;
use std::fmt;
use std::sync::LazyLock;
use thiserror::Error;

const LONGEST_VERSION: usize = 256;
const LONGEST_RANGE: usize = 512;
const MOST_ALTERNATIVES: usize = 32;

const VERSION: &str = r"v?([0-9]+)(\.[0-9]+)?(\.[0-9]+)?(-([0-9A-Za-z\-]+(\.[0-9A-Za-z\-]+)*))?(\+([0-9A-Za-z\-]+(\.[0-9A-Za-z\-]+)*))?";
const WANTED: &str = r"v?([0-9|x|X|\*]+)(\.[0-9|x|X|\*]+)?(\.[0-9|x|X|\*]+)?(-([0-9A-Za-z\-]+(\.[0-9A-Za-z\-]+)*))?(\+([0-9A-Za-z\-]+(\.[0-9A-Za-z\-]+)*))?";
const OPERATORS: &str = r"=||!=|>|<|>=|=>|<=|=<|~|~>|\^";
const SPACE: &str = r"[\t\n\f\r ]";

/// A pattern of this module's; none where the library should refuse it.
type Pattern = LazyLock<Option<Regex>>;

static VERSIONS: Pattern = LazyLock::new(|| Regex::new(&format!("^{VERSION}$")).ok());
static ONE: Pattern =
    LazyLock::new(|| Regex::new(&format!("^{SPACE}*({OPERATORS}){SPACE}*({WANTED}){SPACE}*$")).ok());
static RANGE: Pattern =
    LazyLock::new(|| Regex::new(&format!("{SPACE}*({WANTED}){SPACE}+-{SPACE}+({WANTED}){SPACE}*")).ok());
static FIND: Pattern = LazyLock::new(|| Regex::new(&format!("({OPERATORS}){SPACE}*({WANTED})")).ok());
static VALID: Pattern = LazyLock::new(|| {
    let one = format!("({OPERATORS}){SPACE}*({WANTED}){SPACE}*");
    Regex::new(&format!("^({SPACE}*{one})((?:{SPACE}+|,{SPACE}*){one})*$")).ok()
});

fn pattern(lazy: &'static Pattern) -> Result<&'static Regex, Error> {
    lazy.as_ref().ok_or_else(|| Error("a pattern for versions is not supported".into()))
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
        let parts = pattern(&VERSIONS)?.captures(text).ok_or("invalid semantic version")?;
        let part = |index| parts.get(index).map_or("", |found| found.as_str());
        let mut numbers = [0; 3];
        for (number, index) in numbers.iter_mut().zip(1..) {
            let digits = part(index).trim_start_matches('.');
            if !digits.is_empty() {
                *number = digits.parse().map_err(|_| {
                    let cause = format!("strconv.ParseUint: parsing \"{digits}\": value out of range");
                    Error(format!("error parsing version segment: {cause}").into())
                })?;
            }
        }
        let numeric = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if part(5).split('.').any(|part| numeric(part) && part.len() > 1 && part.starts_with('0')) {
            return Err("version segment starts with 0".into());
        }
        Ok(Self { numbers, pre: part(5).into(), metadata: part(8).into(), original: text.into() })
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
enum Written {
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
    written: Written,
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
        let rewritten = without_ranges(text)?;
        if rewritten.split("||").count() > MOST_ALTERNATIVES {
            return Err("too many constraint groups (max 32)".into());
        }
        let mut alternatives = Vec::new();
        for alternative in rewritten.split("||") {
            if !pattern(&VALID)?.is_match(alternative) {
                return Err(improper(alternative));
            }
            let found = pattern(&FIND)?.find_iter(alternative).map(|found| Constraint::parse(found.as_str()));
            alternatives.push(found.collect::<Result<Vec<_>, _>>()?);
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

/// `1.2 - 1.4` becomes `>= 1.2, <= 1.4`.
fn without_ranges(text: &str) -> Result<String, Error> {
    let mut out = text.to_owned();
    for range in pattern(&RANGE)?.captures_iter(text) {
        let part = |index| range.get(index).map_or("", |found| found.as_str());
        out = out.replacen(part(0), &format!(">= {}, <= {} ", part(1), part(11)), 1);
    }
    Ok(out)
}

impl Constraint {
    fn parse(text: &str) -> Result<Self, Error> {
        let parts = pattern(&ONE)?.captures(text).ok_or_else(|| improper(text))?;
        let part = |index| parts.get(index).map_or("", |found| found.as_str());
        let open = |index| matches!(part(index).trim_start_matches('.'), "" | "x" | "*" | "X");
        let (written, version) = if open(3) {
            (Written::Nothing, format!("0.0.0{}", part(6)))
        } else if open(4) {
            (Written::Major, format!("{}.0.0{}", part(3), part(6)))
        } else if open(5) {
            (Written::Minor, format!("{}{}.0{}", part(3), part(4), part(6)))
        } else {
            (Written::All, part(2).to_owned())
        };
        let operator = match part(1) {
            "!=" => Operator::NotEqual,
            ">" => Operator::Greater,
            "<" => Operator::Less,
            ">=" | "=>" => Operator::GreaterOrEqual,
            "<=" | "=<" => Operator::LessOrEqual,
            "~" | "~>" => Operator::Tilde,
            "^" => Operator::Caret,
            _ => Operator::Equal,
        };
        let version = Version::parse(&version).map_err(|_| "constraint parser error")?;
        Ok(Self { operator, version, written })
    }

    fn check(&self, version: &Version) -> bool {
        let own = &self.version;
        let whole = self.written == Written::All;
        let order = version.precedence(own);
        match self.operator {
            Operator::Equal if whole => order == Ordering::Equal,
            Operator::Equal | Operator::Tilde => self.tilde(version),
            Operator::NotEqual => self.differs(version),
            Operator::Greater => match self.written {
                Written::Nothing | Written::All => order == Ordering::Greater,
                Written::Major => version.numbers[0] > own.numbers[0],
                Written::Minor => version.numbers[..2] > own.numbers[..2],
            },
            Operator::Less => order == Ordering::Less,
            Operator::GreaterOrEqual => order != Ordering::Less,
            Operator::LessOrEqual => match self.written {
                Written::All => order != Ordering::Greater,
                Written::Major => version.numbers[0] <= own.numbers[0],
                Written::Nothing | Written::Minor => version.numbers[..2] <= own.numbers[..2],
            },
            Operator::Caret => self.caret(version),
        }
    }

    fn differs(&self, version: &Version) -> bool {
        let (theirs, own) = (&version.numbers, &self.version.numbers);
        match self.written {
            Written::All => version.precedence(&self.version) != Ordering::Equal,
            Written::Nothing => theirs != own || version.precedence(&self.version) != Ordering::Equal,
            Written::Major => theirs[0] != own[0],
            Written::Minor => {
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
        if *own == [0; 3] && matches!(self.written, Written::Nothing | Written::All) {
            return true;
        }
        theirs[0] == own[0] && (theirs[1] == own[1] || self.written == Written::Major)
    }

    fn caret(&self, version: &Version) -> bool {
        let (theirs, own) = (&version.numbers, &self.version.numbers);
        if version.precedence(&self.version) == Ordering::Less {
            return false;
        }
        if own[0] > 0 || self.written == Written::Major {
            return theirs[0] == own[0];
        }
        if theirs[0] > 0 {
            return false;
        }
        if own[1] > 0 || self.written == Written::Minor {
            return theirs[1] == own[1];
        }
        theirs[1] == 0 && own[2] == theirs[2]
    }
}
