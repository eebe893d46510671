//! Quantities (`1500m`, `1Gi`) as the API server writes them back.
//!
//! Source: `resource.Quantity` of k8s.io/apimachinery, whose canonical form has the largest suffix of the same family with which
//! no fraction is left.

use std::cmp::Ordering;
use std::fmt;

const BINARY: [&str; 7] = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
const DECIMAL: [(&str, i32); 10] =
    [("n", -9), ("u", -6), ("m", -3), ("", 0), ("k", 3), ("M", 6), ("G", 9), ("T", 12), ("P", 15), ("E", 18)];

/// Which suffixes a quantity is written with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Family {
    Binary,
    Decimal,
    Exponent,
}

/// One as it is counted here.
const ONE: i128 = 1_000_000_000;

/// An amount of something, and the suffixes that it is written with. Compared by its value alone.
#[derive(Clone, Copy, Debug)]
pub struct Quantity {
    billionths: i128,
    family: Family,
}

impl Quantity {
    /// Nothing.
    pub const ZERO: Self = Self { billionths: 0, family: Family::Decimal };

    /// So many.
    pub fn of(count: usize) -> Self {
        Self {
            billionths: i128::try_from(count).map_or(i128::MAX, |count| count * ONE),
            family: Family::Decimal,
        }
    }

    /// Reads a quantity; `None` where the text is none, or one too large or fine to be sure.
    pub fn parse(text: &str) -> Option<Self> {
        parse(text)
    }

    /// Both together, written as the first is, unless that is nothing.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        let family = if self.billionths == 0 { other.family } else { self.family };
        Self { billionths: self.billionths.saturating_add(other.billionths), family }
    }

    /// What is left.
    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        self.plus(Self { billionths: -other.billionths, ..other })
    }

    /// In whole units, of which what is begun counts.
    pub fn units(self) -> i128 {
        self.in_parts_of(ONE)
    }

    /// In thousandths, of which what is begun counts.
    pub fn thousandths(self) -> i128 {
        self.in_parts_of(ONE / 1000)
    }

    /// The same with nothing but whole units.
    #[must_use]
    pub fn rounded_up(self) -> Self {
        Self { billionths: self.units().saturating_mul(ONE), ..self }
    }

    fn in_parts_of(self, unit: i128) -> i128 {
        self.billionths.div_euclid(unit) + i128::from(self.billionths.rem_euclid(unit) != 0)
    }
}

impl PartialEq for Quantity {
    fn eq(&self, other: &Self) -> bool {
        self.billionths == other.billionths
    }
}

impl Eq for Quantity {}

impl PartialOrd for Quantity {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Quantity {
    fn cmp(&self, other: &Self) -> Ordering {
        self.billionths.cmp(&other.billionths)
    }
}

/// As the API server writes it.
impl fmt::Display for Quantity {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { billionths, family } = *self;
        // Below 1024, and where a fraction is left, binary suffixes give way to decimal ones.
        if family == Family::Binary && billionths.abs() >= 1024 * ONE && billionths % ONE == 0 {
            let (mut number, mut suffix) = (billionths / ONE, 0);
            while number % 1024 == 0 && suffix + 1 < BINARY.len() {
                (number, suffix) = (number / 1024, suffix + 1);
            }
            return write!(out, "{number}{}", BINARY[suffix]);
        }
        let fits = |power: i32| {
            let unit = 10i128.checked_pow(u32::try_from(power + 9).ok()?)?;
            (billionths % unit == 0).then_some(billionths / unit)
        };
        let found = DECIMAL.iter().rev().find_map(|(suffix, power)| Some((fits(*power)?, suffix, power)));
        match found.filter(|_| billionths != 0) {
            Some((number, _, power)) if family == Family::Exponent && *power != 0 => {
                write!(out, "{number}e{power}")
            }
            Some((number, suffix, _)) => write!(out, "{number}{suffix}"),
            None => out.write_str("0"),
        }
    }
}

/// The quantity as the API server writes it; `None` where the text is none, or one too large or fine to be sure.
pub fn canonical(text: &str) -> Option<String> {
    let quantity = parse(text)?;
    match quantity.family {
        Family::Binary | Family::Decimal => Some(quantity.to_string()),
        // Rare, and written in ways of its own.
        Family::Exponent => None,
    }
}

/// Whether both are quantities, and the same one.
pub fn equal(one: &str, other: &str) -> bool {
    match (parse(one), parse(other)) {
        (Some(one), Some(other)) => one.billionths == other.billionths,
        (_, _) => false,
    }
}

fn parse(text: &str) -> Option<Quantity> {
    let (sign, rest) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
    let (number, suffix) = rest.split_at(end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let is_number = !whole.is_empty() || !fraction.is_empty();
    (is_number && !fraction.contains('.')).then_some(())?;
    let digits: i128 = format!("0{whole}{fraction}").parse().ok()?;
    let places = i32::try_from(fraction.len()).ok()?;
    let (numerator, power, family) = unit(suffix)?;
    let scaled = digits.checked_mul(numerator)?;
    // In billionths; what is finer is rounded by the server and left alone here.
    let power = power - places + 9;
    let billionths = if power >= 0 {
        scaled.checked_mul(10i128.checked_pow(u32::try_from(power).ok()?)?)?
    } else {
        let unit = 10i128.checked_pow(u32::try_from(-power).ok()?)?;
        (scaled % unit == 0).then_some(scaled / unit)?
    };
    Some(Quantity { billionths: sign * billionths, family })
}

/// What a suffix multiplies by: a number and a power of ten.
fn unit(suffix: &str) -> Option<(i128, i32, Family)> {
    if let Some((_, power)) = DECIMAL.iter().find(|(known, _)| *known == suffix) {
        return Some((1, *power, Family::Decimal));
    }
    if let Some(place) = BINARY.iter().position(|known| *known == suffix) {
        return Some((1024i128.pow(u32::try_from(place).ok()?), 0, Family::Binary));
    }
    let exponent = suffix.strip_prefix(['e', 'E'])?;
    Some((1, exponent.parse().ok().filter(|power: &i32| power.abs() <= 18)?, Family::Exponent))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantity_is_written_as_the_api_server_writes_it() {
        for (text, expected) in [
            ("1", "1"),
            ("1000m", "1"),
            ("0.5", "500m"),
            ("1.5", "1500m"),
            ("0.1", "100m"),
            (".5", "500m"),
            ("1024Mi", "1Gi"),
            ("0.5Gi", "512Mi"),
            ("1.5Gi", "1536Mi"),
            ("64M", "64M"),
            ("1000M", "1G"),
            ("1000", "1k"),
            ("1024", "1024"),
            ("1024Ki", "1Mi"),
            ("1Ki", "1Ki"),
            ("0", "0"),
            ("0Mi", "0"),
            ("-500m", "-500m"),
            ("100000u", "100m"),
            ("0.5Ki", "512"),
        ] {
            assert_eq!(canonical(text).as_deref(), Some(expected), "{text}");
        }
        for none in ["", "m", "1x", "1.2.3", "1e3", "1 Gi", "0.0000000001", "abc", "."] {
            assert_eq!(canonical(none), None, "{none}");
        }
    }

    #[test]
    fn a_sum_is_written_as_its_first_part_unless_that_is_nothing() {
        let sum = |one: &str, other: &str| Some(parse(one)?.plus(parse(other)?).to_string());
        // 512,000,000 is 500,000 times 1,024.
        assert_eq!(sum("1Gi", "512M").as_deref(), Some("1548576Ki"));
        assert_eq!(sum("1Gi", "1").as_deref(), Some("1073741825"));
        assert_eq!(sum("1Gi", "1Gi").as_deref(), Some("2Gi"));
        assert_eq!(sum("0", "1Gi").as_deref(), Some("1Gi"));
        assert_eq!(sum("100m", "1").as_deref(), Some("1100m"));
        assert_eq!(sum("1e3", "1").as_deref(), Some("1001"));
        assert_eq!(sum("1e3", "1k").as_deref(), Some("2e3"));
        let left = parse("1").unwrap().minus(parse("1500m").unwrap());
        assert_eq!((left.to_string().as_str(), left.units(), left.thousandths()), ("-500m", 0, -500));
        assert_eq!(parse("1500m").unwrap().rounded_up().to_string(), "2");
    }

    #[test]
    fn quantities_are_equal_by_value() {
        assert!(equal("1000m", "1") && equal("1Gi", "1024Mi") && equal("1e3", "1k"));
        assert!(!equal("1", "2") && !equal("a", "a") && !equal("1G", "1Gi"));
    }
}
