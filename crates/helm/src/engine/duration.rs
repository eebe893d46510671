//! Helm's functions on durations. A duration is Go's: nanoseconds in 64 bits, printed as `1h2m3s`.

use std::any::Any;
use std::rc::Rc;
use trueup_template::{Failure, Function, Functions, InvalidSignature, Object, Text, Value, float_of};

const SECOND: i64 = 1_000_000_000;

/// A `time.Duration`.
struct Duration(i64);

impl Object for Duration {
    fn type_name(&self) -> Rc<str> {
        "time.Duration".into()
    }

    fn method(&self, name: &str) -> Option<Function> {
        let own = self.0;
        let of = |signature: &str, value: Value| Function::new(signature, move |_, _| Ok(value.clone())).ok();
        match name {
            "Hours" => of("func() float64", Value::float(in_units(own, 3600 * SECOND))),
            "Minutes" => of("func() float64", Value::float(in_units(own, 60 * SECOND))),
            "Seconds" => of("func() float64", Value::float(in_units(own, SECOND))),
            "Milliseconds" => of("func() int64", Value::int64(own / 1_000_000)),
            "Microseconds" => of("func() int64", Value::int64(own / 1000)),
            "Nanoseconds" => of("func() int64", Value::int64(own)),
            "String" => of("func() string", shown(own).into()),
            _ => None,
        }
    }

    fn to_text(&self) -> Option<Text> {
        Some(shown(self.0).into())
    }

    fn to_json_text(&self) -> Option<Text> {
        None
    }

    fn equals(&self, other: &dyn Object) -> bool {
        other.as_any().and_then(|other| other.downcast_ref::<Self>()).is_some_and(|other| other.0 == self.0)
    }

    fn underlying(&self) -> Option<Value> {
        Some(Value::int64(self.0))
    }

    fn as_any(&self) -> Option<&dyn Any> {
        Some(self)
    }
}

fn duration(nanoseconds: i64) -> Value {
    Value::Object(Rc::new(Duration(nanoseconds)))
}

/// Adds them to the functions that templates have.
pub(super) fn add(functions: &mut Functions) -> Result<(), InvalidSignature> {
    functions.insert(
        "mustToDuration",
        Function::new("func(interface {}) time.Duration", |_, given| {
            Ok(duration(read(given.any(0)).map_err(Failure::new)?))
        })?,
    );
    let floats =
        [("durationSeconds", SECOND), ("durationMinutes", 60 * SECOND), ("durationHours", 3600 * SECOND)];
    for (name, unit) in floats {
        let body = move |given: &Value| Value::float(read(given).map_or(0.0, |own| in_units(own, unit)));
        functions.insert(
            name,
            Function::new("func(interface {}) float64", move |_, given| Ok(body(given.any(0))))?,
        );
    }
    for (name, hours) in [("durationDays", [24.0].as_slice()), ("durationWeeks", &[24.0, 7.0])] {
        let body = move |given: &Value| {
            let own = read(given).map_or(0.0, |own| in_units(own, 3600 * SECOND));
            Value::float(hours.iter().fold(own, |own, divisor| own / divisor))
        };
        functions.insert(
            name,
            Function::new("func(interface {}) float64", move |_, given| Ok(body(given.any(0))))?,
        );
    }
    let ints =
        [("durationMilliseconds", 1_000_000), ("durationMicroseconds", 1000), ("durationNanoseconds", 1)];
    for (name, unit) in ints {
        functions.insert(
            name,
            Function::new("func(interface {}) int64", move |_, given| {
                Ok(Value::int64(read(given.any(0)).unwrap_or(0) / unit))
            })?,
        );
    }
    for (name, change) in
        [("durationRoundTo", rounded as fn(i64, i64) -> i64), ("durationTruncateTo", truncated)]
    {
        functions.insert(
            name,
            Function::new("func(interface {}, interface {}) time.Duration", move |_, given| {
                Ok(duration(match (read(given.any(0)), read(given.any(1))) {
                    (Err(_), _) => 0,
                    (Ok(own), Err(_)) => own,
                    (Ok(own), Ok(unit)) => change(own, unit),
                }))
            })?,
        );
    }
    Ok(())
}

/// As Go divides: whole units, and the rest as a fraction.
#[expect(clippy::cast_precision_loss, reason = "as Go's conversion loses it")]
fn in_units(own: i64, unit: i64) -> f64 {
    (own / unit) as f64 + (own % unit) as f64 / unit as f64
}

fn truncated(own: i64, unit: i64) -> i64 {
    if unit <= 0 { own } else { own - own % unit }
}

/// To the nearest multiple, halves away from zero.
fn rounded(own: i64, unit: i64) -> i64 {
    if unit <= 0 {
        return own;
    }
    let rest = own % unit;
    let half_reached = rest.unsigned_abs() >= unit.unsigned_abs() - rest.unsigned_abs();
    let down = own - rest;
    match (half_reached, own < 0) {
        (false, _) => down,
        (true, false) => down.checked_add(unit).unwrap_or(i64::MAX),
        (true, true) => down.checked_sub(unit).unwrap_or(i64::MIN),
    }
}

/// A duration, a text of one, or a number of seconds.
fn read(value: &Value) -> Result<i64, String> {
    match value {
        Value::Object(object) => match object.as_any().and_then(|own| own.downcast_ref::<Duration>()) {
            Some(own) => Ok(own.0),
            None => match (&*object.type_name(), object.underlying()) {
                ("time.Duration", Some(Value::Int(_, own))) => Ok(own),
                (name, _) => Err(format!("unsupported duration type {name}")),
            },
        },
        Value::Nil => Err("invalid duration".into()),
        Value::Text(text) => {
            let shown = text.to_string_lossy();
            let text = shown.trim();
            if text.is_empty() {
                return Err("empty duration".into());
            }
            if let Some(own) = parsed(text) {
                return Ok(own);
            }
            match float_of(text) {
                Some(seconds) => of_seconds(seconds),
                None => Err(format!("could not parse duration {shown:?}")),
            }
        }
        Value::Int(_, seconds) => {
            seconds.checked_mul(SECOND).ok_or_else(|| format!("duration seconds overflow: {seconds}"))
        }
        Value::Uint(_, seconds) => i64::try_from(*seconds)
            .ok()
            .and_then(|seconds| seconds.checked_mul(SECOND))
            .ok_or_else(|| format!("duration seconds overflow: {seconds}")),
        Value::Float(_, seconds) => of_seconds(*seconds),
        other => {
            let name = other.type_of().map_or_else(String::new, |own| own.to_string());
            Err(format!("unsupported duration type {name}"))
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "as Go converts; bounds are checked"
)]
fn of_seconds(seconds: f64) -> Result<i64, String> {
    if !seconds.is_finite() {
        return Err(format!("invalid duration seconds: {seconds}"));
    }
    let nanoseconds = seconds * SECOND as f64;
    if nanoseconds.abs() > i64::MAX as f64 {
        return Err(format!("duration seconds overflow: {seconds}"));
    }
    Ok(nanoseconds as i64)
}

/// Go's `ParseDuration`: signed numbers with units, one after another.
fn parsed(text: &str) -> Option<i64> {
    let (negative, mut rest) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    if rest == "0" {
        return Some(0);
    }
    if rest.is_empty() {
        return None;
    }
    let mut sum: u64 = 0;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, behind) = rest.split_at(end);
        let end = behind.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(behind.len());
        let (unit, behind) = behind.split_at(end);
        let unit: u64 = match unit {
            "ns" => 1,
            "us" | "µs" | "μs" => 1000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            _ => return None,
        };
        sum = sum.checked_add(part(number, unit)?)?;
        rest = behind;
    }
    if negative { 0_i64.checked_sub_unsigned(sum) } else { i64::try_from(sum).ok() }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "a fraction of a unit"
)]
fn part(number: &str, unit: u64) -> Option<u64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
        return None;
    }
    let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let mut value = whole.checked_mul(unit)?;
    if !fraction.is_empty() {
        let digits: String = fraction.chars().take(18).collect();
        let scale = 10_f64.powi(i32::try_from(digits.len()).ok()?);
        value = value.checked_add((digits.parse::<u64>().ok()? as f64 * (unit as f64 / scale)) as u64)?;
    }
    Some(value)
}

/// `1h2m3.5s`, `1.5ms`, `0s`.
fn shown(own: i64) -> String {
    let size = own.unsigned_abs();
    let sign = if own < 0 { "-" } else { "" };
    let fraction = |value: u64, unit: u64| {
        let digits = unit.to_string().len() - 1;
        let text = format!("{}.{:0digits$}", value / unit, value % unit);
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    };
    match size {
        0 => "0s".to_owned(),
        1..1000 => format!("{sign}{size}ns"),
        1000..1_000_000 => format!("{sign}{}µs", fraction(size, 1000)),
        1_000_000..1_000_000_000 => format!("{sign}{}ms", fraction(size, 1_000_000)),
        _ => {
            let seconds = size / 1_000_000_000;
            let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
            let rest = fraction(size % 60_000_000_000, 1_000_000_000);
            match (hours, minutes) {
                (0, 0) => format!("{sign}{rest}s"),
                (0, minutes) => format!("{sign}{minutes}m{rest}s"),
                (hours, minutes) => format!("{sign}{hours}h{minutes}m{rest}s"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_and_shown_as_go_does() {
        for (text, nanoseconds, again) in [
            ("1h2m3s", 3_723 * SECOND, "1h2m3s"),
            ("1.5ms", 1_500_000, "1.5ms"),
            ("-90", -90 * SECOND, "-1m30s"),
            ("2.5", 2_500_000_000, "2.5s"),
            ("100h", 360_000 * SECOND, "100h0m0s"),
            ("0", 0, "0s"),
        ] {
            assert_eq!(read(&Value::text(text)), Ok(nanoseconds), "{text}");
            assert_eq!(shown(nanoseconds), again);
        }
        assert!(read(&Value::text("1x")).is_err() && read(&Value::Nil).is_err());
    }

    #[test]
    fn rounding_goes_away_from_zero() {
        assert_eq!(rounded(150 * SECOND, 60 * SECOND), 180 * SECOND);
        assert_eq!(rounded(-150 * SECOND, 60 * SECOND), -180 * SECOND);
        assert_eq!(truncated(-150 * SECOND, 60 * SECOND), -120 * SECOND);
    }
}
