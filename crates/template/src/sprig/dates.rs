//! Dates, by a clock and a time zone that the host brings. Layouts are Go's.

use super::{Entry, layout, timestamps};
use crate::error::Failure;
use crate::function::{Arguments, Function, Functions, InvalidSignature};
use crate::text::Text;
use crate::value::{Int, Object, Value};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, Zoned};
use std::any::Any;
use std::rc::Rc;

/// Tells the time.
pub type Now = Rc<dyn Fn() -> Timestamp>;

/// The names of what [`date_functions`] makes.
pub const DATES: [&str; 16] = [
    "ago",
    "date",
    "dateInZone",
    "dateModify",
    "date_in_zone",
    "date_modify",
    "duration",
    "durationRound",
    "htmlDate",
    "htmlDateInZone",
    "mustDateModify",
    "mustToDate",
    "must_date_modify",
    "now",
    "toDate",
    "unixEpoch",
];

/// Sprig's functions on dates: `now`, `date`, `dateInZone`, `htmlDate`, `htmlDateInZone`, `dateModify`, `mustDateModify`,
/// `ago`, `duration`, `durationRound`, `unixEpoch`, `toDate`, `mustToDate`. `local` is the zone of those that ask for none.
///
/// ```
/// use jiff::{Timestamp, tz::TimeZone};
/// use std::rc::Rc;
/// use trueup_template::{Limits, Templates, Value, sprig};
///
/// let now: sprig::Now = Rc::new(|| Timestamp::UNIX_EPOCH);
/// let mut templates = Templates::new("all").with_functions(sprig::date_functions(&now, &TimeZone::UTC)?);
/// templates.parse("main", "{{ now | dateModify `26h` | date `Mon Jan _2 15:04 2006` }}")?;
/// assert_eq!(templates.execute("main", Value::Nil, &Limits::default())?, b"Fri Jan  2 02:00 1970");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn date_functions(now: &Now, local: &TimeZone) -> Result<Functions, InvalidSignature> {
    let mut functions = Functions::new();
    let (clock, zone) = (Rc::clone(now), local.clone());
    functions.insert("now", Function::new("func() time.Time", move |_, _| Ok(time(&clock(), &zone)))?);
    let (clock, zone) = (Rc::clone(now), local.clone());
    functions.insert(
        "date",
        Function::new("func(string, interface {}) string", move |_, arguments| {
            Ok(layout::format(&moment(arguments.any(1), &clock)?.to_zoned(zone.clone()), arguments.text(0)?)
                .into())
        })?,
    );
    let (clock, zone) = (Rc::clone(now), local.clone());
    functions.insert(
        "htmlDate",
        Function::new("func(interface {}) string", move |_, arguments| {
            Ok(layout::format(&moment(arguments.any(0), &clock)?.to_zoned(zone.clone()), b"2006-01-02")
                .into())
        })?,
    );
    let (clock, zone) = (Rc::clone(now), local.clone());
    functions.insert(
        "htmlDateInZone",
        Function::new("func(interface {}, string) string", move |_, arguments| {
            let zone = named(arguments.text(1)?, &zone);
            Ok(layout::format(&moment(arguments.any(0), &clock)?.to_zoned(zone), b"2006-01-02").into())
        })?,
    );
    for name in ["dateInZone", "date_in_zone"] {
        let (clock, zone) = (Rc::clone(now), local.clone());
        functions.insert(
            name,
            Function::new("func(string, interface {}, string) string", move |_, arguments| {
                let zone = named(arguments.text(2)?, &zone);
                Ok(layout::format(&moment(arguments.any(1), &clock)?.to_zoned(zone), arguments.text(0)?)
                    .into())
            })?,
        );
    }
    let clock = Rc::clone(now);
    functions.insert(
        "ago",
        Function::new("func(interface {}) string", move |_, arguments| {
            let value = arguments.any(0);
            let then =
                if matches!(value, Value::Int(Int::Int32, _)) { clock() } else { moment(value, &clock)? };
            Ok(layout::duration(rounded(clock().duration_since(then))).into())
        })?,
    );
    let clock = Rc::clone(now);
    functions.insert(
        "durationRound",
        Function::new("func(interface {}) string", move |_, arguments| {
            Ok(coarse(arguments.any(0), &clock)?.into())
        })?,
    );
    let zone = local.clone();
    functions.insert(
        "toDate",
        Function::new("func(string, string) time.Time", move |_, arguments| {
            Ok(timestamps::parse(arguments.text(0)?, arguments.text(1)?, &zone)
                .map_or_else(|_| zero(), |read| Value::Object(Rc::new(Time(read)))))
        })?,
    );
    let zone = local.clone();
    functions.insert(
        "mustToDate",
        Function::new("func(string, string) (time.Time, error)", move |_, arguments| {
            let read = timestamps::parse(arguments.text(0)?, arguments.text(1)?, &zone);
            Ok(Value::Object(Rc::new(Time(read.map_err(Failure::new)?))))
        })?,
    );
    for (names, signature, body) in TABLE {
        for name in *names {
            functions.insert(*name, Function::new(signature, body)?);
        }
    }
    Ok(functions)
}

const TABLE: &[Entry] = &[
    (&["dateModify", "date_modify"], "func(string, time.Time) time.Time", |_, arguments| {
        let Ok(by) = layout::parse_duration(arguments.text(0)?) else { return Ok(arguments.any(1).clone()) };
        modified(arguments, by)
    }),
    (
        &["mustDateModify", "must_date_modify"],
        "func(string, time.Time) (time.Time, error)",
        |_, arguments| {
            let by = layout::parse_duration(arguments.text(0)?).map_err(Failure::new)?;
            modified(arguments, by)
        },
    ),
    (&["duration"], "func(interface {}) string", |_, arguments| {
        let seconds = match arguments.any(0) {
            Value::Text(text) => decimal(text),
            Value::Int(Int::Int64, seconds) => *seconds,
            _ => 0,
        };
        Ok(layout::duration(seconds.wrapping_mul(1_000_000_000)).into())
    }),
    (&["unixEpoch"], "func(time.Time) string", |_, arguments| {
        Ok(since_epoch(&zoned(arguments, 0)?, 1_000_000_000).to_string().into())
    }),
];

/// Go's `ParseInt`: what does not fit is the nearest that does.
fn decimal(text: &[u8]) -> i64 {
    let text = String::from_utf8_lossy(text);
    let digits = text.strip_prefix(['+', '-']).unwrap_or(&text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return 0;
    }
    text.parse().unwrap_or(if text.starts_with('-') { i64::MIN } else { i64::MAX })
}

/// The zone of that name; one that is not known is UTC.
fn named(name: &Text, local: &TimeZone) -> TimeZone {
    match &name[..] {
        b"Local" => local.clone(),
        b"" | b"UTC" => TimeZone::UTC,
        name => {
            std::str::from_utf8(name).ok().and_then(|name| TimeZone::get(name).ok()).unwrap_or(TimeZone::UTC)
        }
    }
}

/// The time that a value stands for; for what is none it is now.
fn moment(value: &Value, now: &Now) -> Result<Timestamp, Failure> {
    match value {
        Value::Int(Int::Int | Int::Int32 | Int::Int64, seconds) => {
            Timestamp::from_second(*seconds).map_err(|_| "the time is out of range".into())
        }
        Value::Object(object) => match object.as_any().and_then(|any| any.downcast_ref::<Zoned>()) {
            Some(zoned) => Ok(zoned.timestamp()),
            None => Ok(now()),
        },
        _ => Ok(now()),
    }
}

/// Whole seconds, or other parts, since 1970; those before it are counted down.
fn since_epoch(time: &Zoned, nanoseconds: i128) -> i64 {
    i64::try_from(time.timestamp().as_nanosecond().div_euclid(nanoseconds)).unwrap_or(i64::MAX)
}

fn zoned(arguments: &Arguments, index: usize) -> Result<Zoned, Failure> {
    let object = arguments.object(index)?;
    object.as_any().and_then(|any| any.downcast_ref::<Zoned>()).cloned().ok_or_else(|| "no time".into())
}

fn modified(arguments: &Arguments, by: i64) -> Result<Value, Failure> {
    let then = zoned(arguments, 1)?;
    let moved = then.checked_add(SignedDuration::from_nanos(by)).map_err(|_| "the time is out of range")?;
    Ok(Value::Object(Rc::new(Time(moved))))
}

/// A time as templates have it, for data.
pub fn time(timestamp: &Timestamp, zone: &TimeZone) -> Value {
    Value::Object(Rc::new(Time(timestamp.to_zoned(zone.clone()))))
}

/// Go's zero time: the first of January of the year 1.
fn zero() -> Value {
    let first = jiff::civil::Date::constant(1, 1, 1).to_zoned(TimeZone::UTC);
    first.map_or(Value::Nil, |first| Value::Object(Rc::new(Time(first))))
}

fn nanoseconds(duration: SignedDuration) -> i64 {
    let wide = duration.as_nanos();
    i64::try_from(wide).unwrap_or(if wide < 0 { i64::MIN } else { i64::MAX })
}

/// To whole seconds, halves away from zero.
fn rounded(duration: SignedDuration) -> i64 {
    const SECOND: i64 = 1_000_000_000;
    let nanoseconds = nanoseconds(duration);
    let rest = nanoseconds % SECOND;
    match nanoseconds.checked_sub(rest) {
        Some(whole) if rest * 2 >= SECOND => whole.saturating_add(SECOND),
        Some(whole) if rest * 2 <= -SECOND => whole.saturating_sub(SECOND),
        Some(whole) => whole,
        None => nanoseconds,
    }
}

/// A duration in its largest unit alone.
fn coarse(value: &Value, now: &Now) -> Result<String, Failure> {
    const UNITS: [(u64, &str); 6] =
        [(365 * 86_400, "y"), (30 * 86_400, "mo"), (86_400, "d"), (3600, "h"), (60, "m"), (1, "s")];
    let duration = match value {
        Value::Text(text) => layout::parse_duration(text).unwrap_or(0),
        Value::Int(Int::Int64, nanoseconds) => *nanoseconds,
        Value::Object(_) => nanoseconds(now().duration_since(moment(value, now)?)),
        _ => 0,
    };
    let magnitude = duration.unsigned_abs();
    let found = UNITS
        .iter()
        .map(|(seconds, name)| (seconds * 1_000_000_000, name))
        .find(|(unit, _)| magnitude > *unit);
    Ok(found.map_or_else(|| "0s".to_owned(), |(unit, name)| format!("{}{name}", magnitude / unit)))
}

struct Time(Zoned);

impl Object for Time {
    fn type_name(&self) -> Rc<str> {
        "time.Time".into()
    }

    fn to_text(&self) -> Option<Text> {
        Some(layout::format(&self.0, b"2006-01-02 15:04:05.999999999 -0700 MST").into())
    }

    fn to_go_text(&self) -> Option<Text> {
        let place = match self.0.time_zone().iana_name() {
            Some("UTC") => "time.UTC".to_owned(),
            name => format!("time.Location({:?})", name.unwrap_or_default()),
        };
        let month = String::from_utf8_lossy(&layout::format(&self.0, b"January")).into_owned();
        let (time, nanosecond) = (&self.0, self.0.subsec_nanosecond());
        let (year, day, hour, minute, second) =
            (time.year(), time.day(), time.hour(), time.minute(), time.second());
        Some(
            format!(
                "time.Date({year}, time.{month}, {day}, {hour}, {minute}, {second}, {nanosecond}, {place})"
            )
            .into(),
        )
    }

    fn to_json_text(&self) -> Option<Text> {
        Some(layout::format(&self.0, b"2006-01-02T15:04:05.999999999Z07:00").into())
    }

    fn equals(&self, other: &dyn Object) -> bool {
        other.as_any().and_then(|any| any.downcast_ref::<Zoned>()).is_some_and(|other| *other == self.0)
    }

    fn as_any(&self) -> Option<&dyn Any> {
        Some(&self.0)
    }

    fn method(&self, name: &str) -> Option<Function> {
        let time = self.0.clone();
        let number = |number: i64| Function::new("func() int", move |_, _| Ok(Value::int(number)));
        let wide = |number: i64| Function::new("func() int64", move |_, _| Ok(Value::int64(number)));
        let zone = |zone: TimeZone| {
            let moved = time.with_time_zone(zone);
            Function::new("func() time.Time", move |_, _| Ok(Value::Object(Rc::new(Time(moved.clone())))))
        };
        let method = match name {
            "Year" => number(time.year().into()),
            "Day" => number(time.day().into()),
            "Hour" => number(time.hour().into()),
            "Minute" => number(time.minute().into()),
            "Second" => number(time.second().into()),
            "Nanosecond" => number(time.subsec_nanosecond().into()),
            "YearDay" => number(time.day_of_year().into()),
            "Unix" => wide(since_epoch(&time, 1_000_000_000)),
            "UnixMilli" => wide(since_epoch(&time, 1_000_000)),
            "UnixMicro" => wide(since_epoch(&time, 1_000)),
            "UTC" => zone(TimeZone::UTC),
            "Format" => Function::new("func(string) string", move |_, arguments| {
                Ok(layout::format(&time, arguments.text(0)?).into())
            }),
            "String" => Function::new("func() string", move |_, _| {
                Ok(layout::format(&time, b"2006-01-02 15:04:05.999999999 -0700 MST").into())
            }),
            _ => return None,
        };
        method.ok()
    }
}
