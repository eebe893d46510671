//! Versions and constraints on them, as Masterminds semver (v3.3) reads and compares them.

use super::Entry;
use crate::error::Failure;
use crate::function::{Arguments, Function};
use crate::text::Text;
use crate::value::{Object, Uint, Value};
use regex::Regex;
use std::cmp::Ordering;
use std::fmt;
use std::rc::Rc;
use std::sync::LazyLock;

pub(super) const TABLE: &[Entry] = &[
    (&["semver"], "func(string) (*semver.Version, error)", |_, arguments| {
        let version = Version::parse(&arguments.text(0)?.to_string_lossy())?;
        Ok(Value::Object(Rc::new(Shared { version: Rc::new(version), pointer: true })))
    }),
    (&["semverCompare"], "func(string, string) (bool, error)", |_, arguments| {
        let wanted = arguments.text(0)?;
        if std::str::from_utf8(wanted).is_err() {
            return Err(Failure::new([b"improper constraint: ", &wanted[..]].concat()));
        }
        let constraints = Constraints::parse(&wanted.to_string_lossy())?;
        let version = Version::parse(&arguments.text(1)?.to_string_lossy())?;
        Ok(Value::Bool(constraints.check(&version)))
    }),
];

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

fn pattern(lazy: &'static Pattern) -> Result<&'static Regex, Failure> {
    lazy.as_ref().ok_or_else(|| "a pattern for versions is not supported".into())
}

/// A version that may lack its minor and patch parts and may begin with a `v`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Version {
    numbers: [u64; 3],
    pre: String,
    metadata: String,
    original: String,
}

impl Version {
    fn parse(text: &str) -> Result<Self, Failure> {
        let parts = pattern(&VERSIONS)?.captures(text).ok_or("Invalid Semantic Version")?;
        let part = |index| parts.get(index).map_or("", |found| found.as_str());
        let mut numbers = [0; 3];
        for (number, index) in numbers.iter_mut().zip(1..) {
            let digits = part(index).trim_start_matches('.');
            if !digits.is_empty() {
                *number = digits.parse().map_err(|_| {
                    let cause = format!("strconv.ParseUint: parsing \"{digits}\": value out of range");
                    Failure::new(format!("Error parsing version segment: {cause}"))
                })?;
            }
        }
        let numeric = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if part(5).split('.').any(|part| numeric(part) && part.len() > 1 && part.starts_with('0')) {
            return Err("Version segment starts with 0".into());
        }
        Ok(Self { numbers, pre: part(5).into(), metadata: part(8).into(), original: text.into() })
    }

    fn compare(&self, other: &Self) -> Ordering {
        self.numbers.cmp(&other.numbers).then_with(|| match (self.pre.is_empty(), other.pre.is_empty()) {
            (true, true) => Ordering::Equal,
            (true, false) => Ordering::Greater,
            (false, true) => Ordering::Less,
            (false, false) => compare_pre(&self.pre, &other.pre),
        })
    }

    /// The next version in the number at that place.
    fn next(&self, place: usize) -> Self {
        let mut numbers = self.numbers;
        if place < 2 || self.pre.is_empty() {
            numbers[place] = numbers[place].wrapping_add(1);
        }
        numbers[place + 1..].fill(0);
        let mut next = Self { numbers, pre: String::new(), metadata: String::new(), original: String::new() };
        let prefix = if self.original.starts_with('v') { "v" } else { "" };
        next.original = format!("{prefix}{next}");
        next
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

/// Alternatives, of each of which all must hold.
#[derive(Debug)]
struct Constraints(Vec<Vec<Constraint>>);

impl Constraints {
    fn parse(text: &str) -> Result<Self, Failure> {
        let rewritten = without_ranges(text)?;
        let mut alternatives = Vec::new();
        for alternative in rewritten.split("||") {
            if !pattern(&VALID)?.is_match(alternative) {
                return Err(format!("improper constraint: {alternative}").into());
            }
            let found = pattern(&FIND)?.find_iter(alternative).map(|found| Constraint::parse(found.as_str()));
            alternatives.push(found.collect::<Result<Vec<_>, _>>()?);
        }
        Ok(Self(alternatives))
    }

    fn check(&self, version: &Version) -> bool {
        self.0.iter().any(|all| all.iter().all(|constraint| constraint.check(version)))
    }
}

/// `1.2 - 1.4` becomes `>= 1.2, <= 1.4`.
fn without_ranges(text: &str) -> Result<String, Failure> {
    let mut out = text.to_owned();
    for range in pattern(&RANGE)?.captures_iter(text) {
        let part = |index| range.get(index).map_or("", |found| found.as_str());
        out = out.replacen(part(0), &format!(">= {}, <= {} ", part(1), part(11)), 1);
    }
    Ok(out)
}

impl Constraint {
    fn parse(text: &str) -> Result<Self, Failure> {
        let improper = || Failure::new(format!("improper constraint: {text}"));
        let parts = pattern(&ONE)?.captures(text).ok_or_else(improper)?;
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
        let version = Version::parse(&version).map_err(|_| "constraint Parser Error")?;
        Ok(Self { operator, version, written })
    }

    fn check(&self, version: &Version) -> bool {
        let own = &self.version;
        let whole = self.written == Written::All;
        let hidden_pre = !version.pre.is_empty() && own.pre.is_empty();
        if hidden_pre && (self.operator != Operator::NotEqual || !whole) {
            return false;
        }
        let order = version.compare(own);
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
            Written::All => version.compare(&self.version) != Ordering::Equal,
            Written::Nothing => theirs != own || version.compare(&self.version) != Ordering::Equal,
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
        if version.compare(&self.version) == Ordering::Less {
            return false;
        }
        if *own == [0; 3] && matches!(self.written, Written::Nothing | Written::All) {
            return true;
        }
        theirs[0] == own[0] && (theirs[1] == own[1] || self.written == Written::Major)
    }

    fn caret(&self, version: &Version) -> bool {
        let (theirs, own) = (&version.numbers, &self.version.numbers);
        if version.compare(&self.version) == Ordering::Less {
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

/// A version as templates have it.
struct Shared {
    version: Rc<Version>,
    pointer: bool,
}

fn of(arguments: &Arguments) -> Result<Version, Failure> {
    let object = arguments.object(0)?;
    let version = object.as_any().and_then(|any| any.downcast_ref::<Rc<Version>>());
    version.map(|version| Version::clone(version)).ok_or_else(|| "no version".into())
}

impl Object for Shared {
    fn type_name(&self) -> Rc<str> {
        if self.pointer { "*semver.Version" } else { "semver.Version" }.into()
    }

    fn fields(&self) -> Vec<(Text, Value)> {
        let Version { numbers: [major, minor, patch], pre, metadata, original } = &*self.version;
        let number = |value: &u64| Value::Uint(Uint::Uint64, *value);
        vec![
            ("major".into(), number(major)),
            ("minor".into(), number(minor)),
            ("patch".into(), number(patch)),
            ("pre".into(), pre.as_str().into()),
            ("metadata".into(), metadata.as_str().into()),
            ("original".into(), original.as_str().into()),
        ]
    }

    fn to_text(&self) -> Option<Text> {
        Some(self.version.to_string().into())
    }

    fn as_any(&self) -> Option<&dyn std::any::Any> {
        Some(&self.version)
    }

    fn method(&self, name: &str) -> Option<Function> {
        let version = Rc::clone(&self.version);
        let number = |place: usize| {
            let number = self.version.numbers[place];
            Function::new("func() uint64", move |_, _| Ok(Value::Uint(Uint::Uint64, number)))
        };
        let text = |text: String| Function::new("func() string", move |_, _| Ok(text.clone().into()));
        let next = |place: usize| {
            let next = Rc::new(self.version.next(place));
            Function::new("func() semver.Version", move |_, _| {
                Ok(Value::Object(Rc::new(Shared { version: Rc::clone(&next), pointer: false })))
            })
        };
        let compared = |holds: fn(Ordering) -> bool| {
            let version = Rc::clone(&self.version);
            Function::new("func(*semver.Version) bool", move |_, arguments| {
                Ok(Value::Bool(holds(version.compare(&of(arguments)?))))
            })
        };
        let method = match name {
            "Major" => number(0),
            "Minor" => number(1),
            "Patch" => number(2),
            "Prerelease" => text(version.pre.clone()),
            "Metadata" => text(version.metadata.clone()),
            "Original" if self.pointer => text(version.original.clone()),
            "String" => text(version.to_string()),
            "IncMajor" => next(0),
            "IncMinor" => next(1),
            "IncPatch" => next(2),
            "Equal" if self.pointer => compared(Ordering::is_eq),
            "LessThan" if self.pointer => compared(Ordering::is_lt),
            "LessThanEqual" if self.pointer => compared(Ordering::is_le),
            "GreaterThan" if self.pointer => compared(Ordering::is_gt),
            "GreaterThanEqual" if self.pointer => compared(Ordering::is_ge),
            "Compare" if self.pointer => Function::new("func(*semver.Version) int", move |_, arguments| {
                Ok(Value::int(version.compare(&of(arguments)?) as i64))
            }),
            _ => return None,
        };
        method.ok()
    }
}
