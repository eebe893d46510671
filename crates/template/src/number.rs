//! Numbers as Go's strconv reads and writes them.

use std::num::IntErrorKind;

/// Why a text is no number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unreadable {
    /// It is not written as one.
    Syntax,
    /// It does not fit.
    Range,
}

/// Whether each underscore stands between digits, or between a base's prefix and a digit.
fn underscores_separate(text: &str) -> bool {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text).to_ascii_lowercase();
    let hex = digits.starts_with("0x");
    let prefixed = hex || digits.starts_with("0b") || digits.starts_with("0o");
    let (mut saw, rest) = if prefixed { (b'0', &digits[2..]) } else { (b'^', &digits[..]) };
    for &byte in rest.as_bytes() {
        let digit = byte.is_ascii_digit() || hex && byte.is_ascii_hexdigit();
        saw = match byte {
            _ if digit => b'0',
            b'_' if saw != b'0' => return false,
            b'_' => b'_',
            _ if saw == b'_' => return false,
            _ => b'!',
        };
    }
    saw != b'_'
}

/// The digits of an integer literal, without prefix and underscores, and their base.
fn literal(text: &str) -> Result<(String, u32), Unreadable> {
    let (base, digits) = match text.as_bytes() {
        [b'0', b'x' | b'X', _, ..] => (16, &text[2..]),
        [b'0', b'o' | b'O', _, ..] => (8, &text[2..]),
        [b'0', b'b' | b'B', _, ..] => (2, &text[2..]),
        [b'0', _, ..] => (8, &text[1..]),
        _ => (10, text),
    };
    if text.contains('_') && !underscores_separate(text) {
        return Err(Unreadable::Syntax);
    }
    Ok((digits.replace('_', ""), base))
}

/// An unsigned integer, its base told by its prefix.
pub(crate) fn parse_uint(text: &str) -> Result<u64, Unreadable> {
    let (digits, base) = literal(text)?;
    if digits.starts_with(['+', '-']) {
        return Err(Unreadable::Syntax);
    }
    u64::from_str_radix(&digits, base).map_err(|error| match error.kind() {
        IntErrorKind::PosOverflow => Unreadable::Range,
        _ => Unreadable::Syntax,
    })
}

/// A signed integer, its base told by its prefix.
pub(crate) fn parse_int(text: &str) -> Result<i64, Unreadable> {
    let negative = text.starts_with('-');
    let magnitude = parse_uint(text.strip_prefix(['+', '-']).unwrap_or(text))?;
    let signed = if negative { -i128::from(magnitude) } else { i128::from(magnitude) };
    i64::try_from(signed).map_err(|_| Unreadable::Range)
}

/// A float as Go's `strconv.ParseFloat` reads it; `None` where it is none, or too large for 64 bits.
pub fn float_of(text: &str) -> Option<f64> {
    parse_float(text).ok()
}

/// A float: decimal or hexadecimal, with underscores between digits, infinite and not a number too.
pub(crate) fn parse_float(text: &str) -> Result<f64, Unreadable> {
    let (negative, unsigned) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    let lower = unsigned.to_ascii_lowercase();
    let magnitude = match lower.as_str() {
        "inf" | "infinity" => f64::INFINITY,
        "nan" => return if text.len() == 3 { Ok(f64::NAN) } else { Err(Unreadable::Syntax) },
        _ => {
            if text.contains('_') && !underscores_separate(text) {
                return Err(Unreadable::Syntax);
            }
            let digits = lower.replace('_', "");
            let value = match digits.strip_prefix("0x") {
                Some(hex) => parse_hex_float(hex)?,
                None => parse_decimal(&digits)?,
            };
            if value.is_infinite() {
                return Err(Unreadable::Range);
            }
            value
        }
    };
    Ok(if negative { -magnitude } else { magnitude })
}

fn parse_decimal(digits: &str) -> Result<f64, Unreadable> {
    let shaped = digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'.' | b'e' | b'+' | b'-'))
        && digits.starts_with(|c: char| c.is_ascii_digit() || c == '.');
    if shaped { digits.parse().map_err(|_| Unreadable::Syntax) } else { Err(Unreadable::Syntax) }
}

/// What follows `0x`: hexadecimal digits with a point, and an exponent of two that cannot be left out.
fn parse_hex_float(text: &str) -> Result<f64, Unreadable> {
    let (mantissa, exponent) = text.split_once('p').ok_or(Unreadable::Syntax)?;
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
    if whole.len() + fraction.len() == 0
        || digits.is_empty()
        || !digits.bytes().all(|byte| byte.is_ascii_digit())
    {
        return Err(Unreadable::Syntax);
    }
    let power = digits.parse::<i64>().unwrap_or(100_000).min(100_000);
    let mut power = if exponent.starts_with('-') { -power } else { power };
    power -= 4 * i64::try_from(fraction.len()).map_err(|_| Unreadable::Range)?;
    let (mut bits, mut sticky) = (0_u64, false);
    for c in whole.chars().chain(fraction.chars()) {
        let digit = u64::from(c.to_digit(16).ok_or(Unreadable::Syntax)?);
        if bits >> 58 == 0 {
            bits = bits << 4 | digit;
        } else {
            sticky |= digit != 0;
            power += 4;
        }
    }
    Ok(scaled(bits, power, sticky))
}

/// `bits` times two to the `power`, rounded once, to even.
fn scaled(bits: u64, power: i64, sticky: bool) -> f64 {
    if bits == 0 {
        return 0.0;
    }
    let top = 63 - i64::from(bits.leading_zeros()) + power;
    if top > 1023 {
        return f64::INFINITY;
    }
    // The weight of the last bit that is kept: 52 below the top, or that of the smallest subnormal.
    let last = (top - 52).max(-1074);
    let drop = last - power;
    let kept = if drop <= 0 {
        bits << (-drop).min(63)
    } else if drop > 63 {
        0
    } else {
        let (kept, rest, half) = (bits >> drop, bits & ((1 << drop) - 1), 1_u64 << (drop - 1));
        kept + u64::from(rest > half || rest == half && (sticky || kept & 1 == 1))
    };
    let biased = if kept >> 52 == 0 { 0 } else { (last + 1075).unsigned_abs() };
    // A carry out of the fraction raises the exponent by itself.
    f64::from_bits(if biased == 0 { kept } else { ((biased - 1) << 52) + kept })
}

/// The form of a float: Go's format letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FloatForm {
    /// `%e`
    Exponent,
    /// `%f`
    Fixed,
    /// `%g`
    Shorter,
    /// `%x`
    Hex,
    /// `%b`
    Binary,
}

/// A float in Go's way; without a precision, in as few digits as tell it from all others. Exponents are in lower case.
pub(crate) fn format_float(value: f64, form: FloatForm, precision: Option<usize>) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    match form {
        FloatForm::Exponent => exponent(value, precision),
        FloatForm::Fixed => match precision {
            Some(precision) => format!("{value:.precision$}"),
            None => format!("{value}"),
        },
        FloatForm::Shorter => shorter(value, precision),
        FloatForm::Hex => hex(value, precision),
        FloatForm::Binary => binary(value),
    }
}

/// As [`format_float`], for a `float32`.
pub(crate) fn format_float32(value: f32, form: FloatForm, precision: Option<usize>) -> String {
    let wide = f64::from(value);
    if form == FloatForm::Binary && value.is_finite() {
        return binary32(value);
    }
    if precision.is_some() || !value.is_finite() || form == FloatForm::Hex {
        return format_float(wide, form, precision);
    }
    // The shortest digits of the narrow number, read as a wide one, print as themselves.
    let short = format!("{value:e}").parse().unwrap_or(wide);
    format_float(short, form, None)
}

/// Rust's exponent form has no sign and no leading zero in its exponent; Go's has both.
fn exponent(value: f64, precision: Option<usize>) -> String {
    let written = match precision {
        Some(precision) => format!("{value:.precision$e}"),
        None => format!("{value:e}"),
    };
    let (mantissa, power) = written.split_once('e').unwrap_or((&written, "0"));
    let (sign, digits) = match power.strip_prefix('-') {
        Some(digits) => ('-', digits),
        None => ('+', power),
    };
    format!("{mantissa}e{sign}{digits:0>2}")
}

/// `%g`: the exponent form where the exponent is below -4 or at least the number of digits, else the plain one. Without a
/// precision six digits are the measure.
fn shorter(value: f64, precision: Option<usize>) -> String {
    let digits = precision.map(|precision| precision.max(1));
    let written = exponent(value, digits.map(|digits| digits - 1));
    let (mantissa, power) = written.split_once('e').unwrap_or((&written, "0"));
    let power: i32 = power.parse().unwrap_or(0);
    let mantissa =
        if mantissa.contains('.') { mantissa.trim_end_matches('0').trim_end_matches('.') } else { mantissa };
    let count = mantissa.bytes().filter(u8::is_ascii_digit).count();
    let limit = match digits {
        // More digits than there are do not keep the plain form, unless the number has that many before its point.
        Some(digits) if digits > count && i32::try_from(count).is_ok_and(|count| count > power) => {
            i32::try_from(count).unwrap_or(i32::MAX)
        }
        Some(digits) => i32::try_from(digits).unwrap_or(i32::MAX),
        None => 6,
    };
    if power < -4 || power >= limit {
        return format!("{mantissa}e{}{:0>2}", if power < 0 { '-' } else { '+' }, power.unsigned_abs());
    }
    let decimals = i32::try_from(count).unwrap_or(0) - 1 - power;
    match usize::try_from(decimals) {
        Ok(decimals) if decimals > 0 => format!("{value:.decimals$}"),
        _ => whole(mantissa, power),
    }
}

/// A mantissa's digits before the point, with the zeros that its exponent adds.
fn whole(mantissa: &str, power: i32) -> String {
    let (sign, digits) = match mantissa.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", mantissa),
    };
    let width = usize::try_from(power + 1).unwrap_or(1);
    format!("{sign}{:0<width$}", digits.replace('.', ""))
}

/// Sign, fraction with its leading bit, exponent.
fn parts(value: f64) -> (bool, u64, i64) {
    let bits = value.to_bits();
    let exponent = i64::try_from(bits >> 52 & 0x7ff).unwrap_or(0);
    let fraction = bits & ((1 << 52) - 1);
    match exponent {
        0 => (value.is_sign_negative(), fraction, -1074),
        _ => (value.is_sign_negative(), fraction | 1 << 52, exponent - 1075),
    }
}

fn binary(value: f64) -> String {
    let (negative, bits, power) = parts(value);
    written_binary(negative, bits, power)
}

fn binary32(value: f32) -> String {
    let bits = value.to_bits();
    let (exponent, fraction) = (i64::from(bits >> 23 & 0xff), u64::from(bits & ((1 << 23) - 1)));
    match exponent {
        0 => written_binary(value.is_sign_negative(), fraction, -149),
        _ => written_binary(value.is_sign_negative(), fraction | 1 << 23, exponent - 150),
    }
}

fn written_binary(negative: bool, bits: u64, power: i64) -> String {
    format!(
        "{}{bits}p{}{}",
        if negative { "-" } else { "" },
        if power < 0 { '-' } else { '+' },
        power.unsigned_abs()
    )
}

fn hex(value: f64, precision: Option<usize>) -> String {
    let (negative, mut bits, mut power) = parts(value);
    if bits == 0 {
        power = 0;
    } else {
        // The leading bit goes to place 60: 15 digits follow it.
        let shift = i64::from(bits.leading_zeros()) - 3;
        bits <<= shift;
        power += 60 - shift;
    }
    if let Some(precision) = precision.filter(|&precision| precision < 15) {
        let shift = precision * 4;
        let extra = bits << shift & ((1 << 60) - 1);
        bits >>= 60 - shift;
        bits += u64::from(extra | (bits & 1) > 1 << 59);
        bits <<= 60 - shift;
        if bits >> 61 != 0 {
            bits >>= 1;
            power += 1;
        }
    }
    let mut fraction = format!("{:015x}", bits & ((1 << 60) - 1));
    match precision {
        Some(precision) if precision >= 15 => fraction.push_str(&"0".repeat(precision - 15)),
        Some(precision) => fraction.truncate(precision),
        None => fraction.truncate(fraction.trim_end_matches('0').len()),
    }
    let point = if fraction.is_empty() { "" } else { "." };
    let sign = if negative { "-" } else { "" };
    let direction = if power < 0 { '-' } else { '+' };
    format!("{sign}0x{}{point}{fraction}p{direction}{:02}", bits >> 60, power.unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_read_in_the_base_of_their_prefix() {
        let read = ["0", "07", "0x_1F", "0b101", "0o17", "1_000", "18446744073709551615"].map(parse_uint);
        assert_eq!(read, [0, 7, 31, 5, 15, 1000, u64::MAX].map(Ok));
        assert_eq!(["", "08", "1__0", "_1", "+1", "0x"].map(parse_uint), [Err(Unreadable::Syntax); 6]);
        assert_eq!(["-5", "+5", "-9223372036854775808"].map(parse_int), [-5, 5, i64::MIN].map(Ok));
        assert_eq!(parse_int("9223372036854775808"), Err(Unreadable::Range));
    }

    #[test]
    fn floats_print_as_go_prints_them() {
        let shortest = |value| format_float(value, FloatForm::Shorter, None);
        let written = [1e6, 1e20, 1e21, 123_456_789.0, 0.000_01, 0.0001, -0.0, 1.5, 100.0].map(shortest);
        let expected = ["1e+06", "1e+20", "1e+21", "1.23456789e+08", "1e-05", "0.0001", "-0", "1.5", "100"];
        assert_eq!(written.each_ref().map(String::as_str), expected);
    }

    #[test]
    fn hexadecimal_floats_round_once() {
        assert_eq!(parse_float("0x1.8p1"), Ok(3.0));
        assert_eq!(parse_float("0x1p-1074"), Ok(5e-324));
        assert_eq!(parse_float("0x1.fffffffffffff8p0"), Ok(2.0));
        assert_eq!(parse_float("0x1p1024"), Err(Unreadable::Range));
        assert_eq!(format_float(3.0, FloatForm::Hex, None), "0x1.8p+01");
        assert_eq!(format_float(1.0, FloatForm::Binary, None), "4503599627370496p-52");
    }
}
