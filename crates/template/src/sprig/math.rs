//! Arithmetic on whatever can be read as a number.

use super::Entry;
use super::convert::{text, to_float64, to_int64};
use super::lists::numbers;
use crate::context::Context;
use crate::error::Failure;
use crate::function::Arguments;
use crate::number::parse_int;
use crate::value::Value;

const FOLD_INT: &str = "func(interface {}, ...interface {}) int64";
const FOLD_FLOAT: &str = "func(interface {}, ...interface {}) float64";
const BOTH_INT: &str = "func(interface {}, interface {}) int64";

pub(super) const TABLE: &[Entry] = &[
    (&["int"], "func(interface {}) int", |_, arguments| Ok(Value::int(to_int64(arguments.any(0))))),
    (&["int64"], "func(interface {}) int64", |_, arguments| Ok(Value::int64(to_int64(arguments.any(0))))),
    (&["float64"], "func(interface {}) float64", |_, arguments| {
        Ok(Value::float(to_float64(arguments.any(0))))
    }),
    (&["atoi"], "func(string) int", |_, arguments| {
        Ok(Value::int(decimal(&arguments.text(0)?.to_string_lossy())))
    }),
    (&["toDecimal"], "func(interface {}) int64", |_, arguments| {
        let digits = text(arguments.any(0))?.to_string_lossy();
        Ok(Value::int64(i64::from_str_radix(&digits, 8).unwrap_or(0)))
    }),
    (&["add"], "func(...interface {}) int64", |_, arguments| {
        Ok(Value::int64(arguments.rest(0).iter().map(to_int64).fold(0, i64::wrapping_add)))
    }),
    (&["add1"], "func(interface {}) int64", |_, arguments| {
        Ok(Value::int64(to_int64(arguments.any(0)).wrapping_add(1)))
    }),
    (&["sub"], BOTH_INT, |_, arguments| Ok(both(arguments, i64::wrapping_sub))),
    (&["mul"], FOLD_INT, |_, arguments| Ok(fold(arguments, i64::wrapping_mul))),
    (&["div"], BOTH_INT, |_, arguments| divided(arguments, i64::wrapping_div)),
    (&["mod"], BOTH_INT, |_, arguments| divided(arguments, i64::wrapping_rem)),
    (&["max", "biggest"], FOLD_INT, |_, arguments| Ok(fold(arguments, i64::max))),
    (&["min"], FOLD_INT, |_, arguments| Ok(fold(arguments, i64::min))),
    (&["maxf"], FOLD_FLOAT, |_, arguments| {
        Ok(fold_float(arguments, |a, b| if a > b || a.is_nan() { a } else { b }))
    }),
    (&["minf"], FOLD_FLOAT, |_, arguments| {
        Ok(fold_float(arguments, |a, b| if a < b || a.is_nan() { a } else { b }))
    }),
    (&["floor"], "func(interface {}) float64", |_, arguments| {
        Ok(Value::float(to_float64(arguments.any(0)).floor()))
    }),
    (&["ceil"], "func(interface {}) float64", |_, arguments| {
        Ok(Value::float(to_float64(arguments.any(0)).ceil()))
    }),
    (&["round"], "func(interface {}, int, ...float64) float64", |_, arguments| round(arguments)),
    (&["seq"], "func(...int) string", seq),
];

fn decimal(text: &str) -> i64 {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let decimal = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    if !decimal {
        return 0;
    }
    // Without its leading zeros it is not taken for octal; what does not fit is the nearest that does.
    let (negative, digits) = (text.starts_with('-'), digits.trim_start_matches('0'));
    let signed =
        format!("{}{}", if negative { "-" } else { "" }, if digits.is_empty() { "0" } else { digits });
    parse_int(&signed).unwrap_or(if negative { i64::MIN } else { i64::MAX })
}

fn both(arguments: &Arguments, operation: fn(i64, i64) -> i64) -> Value {
    Value::int64(operation(to_int64(arguments.any(0)), to_int64(arguments.any(1))))
}

fn divided(arguments: &Arguments, operation: fn(i64, i64) -> i64) -> Result<Value, Failure> {
    if to_int64(arguments.any(1)) == 0 {
        return Err("runtime error: integer divide by zero".into());
    }
    Ok(both(arguments, operation))
}

fn fold(arguments: &Arguments, operation: fn(i64, i64) -> i64) -> Value {
    let first = to_int64(arguments.any(0));
    Value::int64(arguments.rest(1).iter().map(to_int64).fold(first, operation))
}

fn fold_float(arguments: &Arguments, operation: fn(f64, f64) -> f64) -> Value {
    let first = to_float64(arguments.any(0));
    Value::float(arguments.rest(1).iter().map(to_float64).fold(first, operation))
}

fn round(arguments: &Arguments) -> Result<Value, Failure> {
    let on = if arguments.len() > 2 { arguments.float(2)? } else { 0.5 };
    let places = i32::try_from(arguments.int(1)?.clamp(-400, 400)).unwrap_or(0);
    // As correctly rounded as Go's power of ten.
    let power: f64 = format!("1e{places}").parse().unwrap_or(f64::INFINITY);
    let digit = power * to_float64(arguments.any(0));
    let rounded = if digit.fract() >= on { digit.ceil() } else { digit.floor() };
    Ok(Value::float(rounded / power))
}

fn seq(context: &mut Context<'_>, arguments: &Arguments) -> Result<Value, Failure> {
    let toward = |start: i64, end: i64| if end < start { -1 } else { 1 };
    let (start, step, end) = match arguments.len() {
        1 => (1, toward(1, arguments.int(0)?), arguments.int(0)?),
        2 => (arguments.int(0)?, toward(arguments.int(0)?, arguments.int(1)?), arguments.int(1)?),
        3 => (arguments.int(0)?, arguments.int(1)?, arguments.int(2)?),
        _ => return Ok("".into()),
    };
    if end < start && step > 0 {
        return Ok("".into());
    }
    let numbers = numbers(context, start, end.wrapping_add(toward(start, end)), step)?;
    context.write(numbers.len() * 4)?;
    Ok(numbers.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ").into())
}
