//! `addf` and its kin: they compute with decimals of any length, so that 0.1 and 0.2 are 0.3, and give the nearest float.

use super::Entry;
use super::convert::to_float64;
use crate::context::Context;
use crate::error::Failure;
use crate::function::Arguments;
use crate::number::{FloatForm, format_float};
use crate::value::Value;
use std::cmp::Ordering;

const FOLD: &str = "func(interface {}, ...interface {}) float64";

pub(super) const TABLE: &[Entry] = &[
    (&["add1f"], "func(interface {}) float64", |_, arguments| {
        Decimal::of(to_float64(arguments.any(0)))?.plus(&Decimal::of(1.0)?).to_float()
    }),
    (&["addf"], "func(...interface {}) float64", |context, arguments| {
        fold(context, Decimal::default(), arguments.rest(0), |left, right| Ok(left.plus(right)))
    }),
    (&["subf"], FOLD, |context, arguments| {
        fold(context, first(arguments)?, arguments.rest(1), |left, right| Ok(left.plus(&right.negated())))
    }),
    (&["mulf"], FOLD, |context, arguments| {
        fold(context, first(arguments)?, arguments.rest(1), |left, right| Ok(left.times(right)))
    }),
    (&["divf"], FOLD, |context, arguments| {
        fold(context, first(arguments)?, arguments.rest(1), Decimal::divided_by)
    }),
];

fn first(arguments: &Arguments) -> Result<Decimal, Failure> {
    Decimal::of(to_float64(arguments.any(0)))
}

fn fold(
    context: &mut Context<'_>,
    first: Decimal,
    others: &[Value],
    operation: fn(&Decimal, &Decimal) -> Result<Decimal, Failure>,
) -> Result<Value, Failure> {
    let mut result = first;
    for other in others {
        let other = Decimal::of(to_float64(other))?;
        context.spend(((result.digits.len() + 1) * (other.digits.len() + 1)) as u64)?;
        result = operation(&result, &other)?;
    }
    result.to_float()
}

/// Digits times ten to the power of an exponent. Zero has no digits.
#[derive(Debug, Clone, Default)]
struct Decimal {
    negative: bool,
    /// The first one is the most significant, and not zero.
    digits: Vec<u8>,
    exponent: i64,
}

/// A quotient has so many places behind its point.
const PLACES: i64 = 16;

impl Decimal {
    /// The shortest decimal that is read as that float.
    fn of(float: f64) -> Result<Self, Failure> {
        if !float.is_finite() {
            let shown = format_float(float, FloatForm::Shorter, None);
            return Err(format!("Cannot create a Decimal from {shown}").into());
        }
        let written = format!("{:e}", float.abs());
        let (mantissa, exponent) = written.split_once('e').unwrap_or((&written, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits = whole.bytes().chain(fraction.bytes()).map(|digit| digit - b'0').collect();
        let places = i64::try_from(fraction.len()).unwrap_or(0);
        let exponent = exponent.parse::<i64>().unwrap_or(0) - places;
        Ok(Self { negative: float < 0.0, digits: without_leading_zeros(digits), exponent })
    }

    fn to_float(&self) -> Result<Value, Failure> {
        let digits: String = self.digits.iter().map(|&digit| char::from(b'0' + digit)).collect();
        let sign = if self.negative && !digits.is_empty() { "-" } else { "" };
        let digits = if digits.is_empty() { "0" } else { &digits };
        let text = format!("{sign}{digits}e{}", self.exponent);
        text.parse().map(Value::float).map_err(|_| Failure::new("no number"))
    }

    fn negated(&self) -> Self {
        Self { negative: !self.negative, ..self.clone() }
    }

    /// The digits where the exponent is that smaller one.
    fn at(&self, exponent: i64) -> Vec<u8> {
        let zeros = usize::try_from(self.exponent - exponent).unwrap_or(0);
        let mut digits = self.digits.clone();
        if !digits.is_empty() {
            digits.resize(digits.len() + zeros, 0);
        }
        digits
    }

    fn plus(&self, other: &Self) -> Self {
        let exponent = self.exponent.min(other.exponent);
        let (left, right) = (self.at(exponent), other.at(exponent));
        if self.negative == other.negative {
            return Self { negative: self.negative, digits: sum(&left, &right), exponent };
        }
        match compare(&left, &right) {
            Ordering::Equal => Self::default(),
            Ordering::Greater => {
                Self { negative: self.negative, digits: difference(&left, &right), exponent }
            }
            Ordering::Less => Self { negative: other.negative, digits: difference(&right, &left), exponent },
        }
    }

    fn times(&self, other: &Self) -> Self {
        let mut product = vec![0_u32; self.digits.len() + other.digits.len()];
        for (left_place, &left) in self.digits.iter().rev().enumerate() {
            let mut carry = 0;
            for (right_place, &right) in other.digits.iter().rev().enumerate() {
                let place = &mut product[left_place + right_place];
                let total = *place + u32::from(left) * u32::from(right) + carry;
                *place = total % 10;
                carry = total / 10;
            }
            product[left_place + other.digits.len()] += carry;
        }
        let digits = product.into_iter().rev().map(|digit| digit.to_le_bytes()[0]).collect();
        Self {
            negative: self.negative != other.negative,
            digits: without_leading_zeros(digits),
            exponent: self.exponent + other.exponent,
        }
    }

    /// The quotient, rounded to [`PLACES`], halves away from zero.
    fn divided_by(&self, other: &Self) -> Result<Self, Failure> {
        if other.digits.is_empty() {
            return Err("decimal division by 0".into());
        }
        if self.digits.is_empty() {
            return Ok(Self::default());
        }
        let shift = self.exponent - other.exponent + PLACES;
        let zeros = |count: i64| vec![0; usize::try_from(count).unwrap_or(0)];
        let numerator = [&self.digits[..], &zeros(shift)].concat();
        let denominator = [&other.digits[..], &zeros(-shift)].concat();
        let (mut quotient, mut rest) = (Vec::with_capacity(numerator.len()), Vec::new());
        for digit in numerator {
            rest.push(digit);
            rest = without_leading_zeros(rest);
            let mut times = 0;
            while compare(&rest, &denominator) != Ordering::Less {
                rest = difference(&rest, &denominator);
                times += 1;
            }
            quotient.push(times);
        }
        let mut quotient = without_leading_zeros(quotient);
        if compare(&sum(&rest, &rest), &denominator) != Ordering::Less {
            quotient = sum(&quotient, &[1]);
        }
        Ok(Self { negative: self.negative != other.negative, digits: quotient, exponent: -PLACES })
    }
}

fn without_leading_zeros(mut digits: Vec<u8>) -> Vec<u8> {
    let zeros = digits.iter().take_while(|&&digit| digit == 0).count();
    digits.drain(..zeros);
    digits
}

fn compare(left: &[u8], right: &[u8]) -> Ordering {
    left.len().cmp(&right.len()).then_with(|| left.cmp(right))
}

fn sum(left: &[u8], right: &[u8]) -> Vec<u8> {
    let mut reversed = Vec::with_capacity(left.len().max(right.len()) + 1);
    let (mut left, mut right) = (left.iter().rev(), right.iter().rev());
    let mut carry = 0;
    loop {
        let (one, other) = (left.next(), right.next());
        if one.is_none() && other.is_none() && carry == 0 {
            break;
        }
        let total = one.unwrap_or(&0) + other.unwrap_or(&0) + carry;
        reversed.push(total % 10);
        carry = total / 10;
    }
    reversed.reverse();
    reversed
}

/// What is left of the larger one.
fn difference(larger: &[u8], smaller: &[u8]) -> Vec<u8> {
    let mut reversed = Vec::with_capacity(larger.len());
    let mut smaller = smaller.iter().rev();
    let mut borrow = 0;
    for &digit in larger.iter().rev() {
        let take = smaller.next().unwrap_or(&0) + borrow;
        borrow = u8::from(digit < take);
        reversed.push(digit + 10 * borrow - take);
    }
    reversed.reverse();
    without_leading_zeros(reversed)
}
