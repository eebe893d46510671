//! Times and durations written, and durations read, as Go's time package does it.

use jiff::Zoned;

/// An element of a layout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Element {
    LongMonth,
    Month,
    NumMonth,
    ZeroMonth,
    LongWeekday,
    Weekday,
    Day,
    UnderDay,
    ZeroDay,
    UnderYearDay,
    ZeroYearDay,
    Hour,
    Hour12,
    ZeroHour12,
    Minute,
    ZeroMinute,
    Second,
    ZeroSecond,
    LongYear,
    Year,
    UpperNoon,
    LowerNoon,
    ZoneName,
    /// An offset: with `Z` for none, with colons, and of how many parts.
    Offset {
        zulu: bool,
        colons: bool,
        parts: u8,
    },
    /// A fraction of a second: its separator, its digits, and whether zeros at its end stay.
    Fraction {
        separator: u8,
        digits: usize,
        zeros: bool,
    },
}

/// Longer ones first, where one begins another.
const WORDS: &[(&str, Element)] = &[
    ("January", Element::LongMonth),
    ("Monday", Element::LongWeekday),
    ("MST", Element::ZoneName),
    ("01", Element::ZeroMonth),
    ("02", Element::ZeroDay),
    ("03", Element::ZeroHour12),
    ("04", Element::ZeroMinute),
    ("05", Element::ZeroSecond),
    ("06", Element::Year),
    ("002", Element::ZeroYearDay),
    ("15", Element::Hour),
    ("1", Element::NumMonth),
    ("2006", Element::LongYear),
    ("2", Element::Day),
    ("__2", Element::UnderYearDay),
    ("_2", Element::UnderDay),
    ("3", Element::Hour12),
    ("4", Element::Minute),
    ("5", Element::Second),
    ("PM", Element::UpperNoon),
    ("pm", Element::LowerNoon),
    ("-070000", Element::Offset { zulu: false, colons: false, parts: 3 }),
    ("-07:00:00", Element::Offset { zulu: false, colons: true, parts: 3 }),
    ("-0700", Element::Offset { zulu: false, colons: false, parts: 2 }),
    ("-07:00", Element::Offset { zulu: false, colons: true, parts: 2 }),
    ("-07", Element::Offset { zulu: false, colons: false, parts: 1 }),
    ("Z070000", Element::Offset { zulu: true, colons: false, parts: 3 }),
    ("Z07:00:00", Element::Offset { zulu: true, colons: true, parts: 3 }),
    ("Z0700", Element::Offset { zulu: true, colons: false, parts: 2 }),
    ("Z07:00", Element::Offset { zulu: true, colons: true, parts: 2 }),
    ("Z07", Element::Offset { zulu: true, colons: false, parts: 1 }),
];

/// The element that a layout begins with, and how long it is.
fn element(layout: &[u8]) -> Option<(Element, usize)> {
    for (short, element) in [("Jan", Element::Month), ("Mon", Element::Weekday)] {
        // A word of which this is only the beginning is none, unless it is the long form.
        let rest = layout.strip_prefix(short.as_bytes());
        let long: &[u8] = if element == Element::Month { b"uary" } else { b"day" };
        if let Some(rest) = rest.filter(|rest| !rest.starts_with(long)) {
            return (!rest.first().is_some_and(u8::is_ascii_lowercase)).then_some((element, 3));
        }
    }
    if layout.starts_with(b"_2006") {
        return None;
    }
    if let [separator @ (b'.' | b','), digit @ (b'0' | b'9'), ..] = layout {
        let digits = layout[1..].iter().take_while(|byte| *byte == digit).count();
        if !layout.get(1 + digits).is_some_and(u8::is_ascii_digit) {
            let zeros = *digit == b'0';
            return Some((Element::Fraction { separator: *separator, digits, zeros }, 1 + digits));
        }
    }
    let found = WORDS.iter().find(|(word, _)| layout.starts_with(word.as_bytes()));
    found.map(|(word, element)| (*element, word.len()))
}

/// What stands before the first element of a layout, and that element with its length.
pub(super) fn next_element(layout: &[u8]) -> (&[u8], Option<(Element, usize)>) {
    let found = (0..layout.len()).find_map(|at| element(&layout[at..]).map(|found| (at, found)));
    found.map_or((layout, None), |(at, found)| (&layout[..at], Some(found)))
}

/// A time in that layout.
pub(super) fn format(time: &Zoned, layout: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(layout.len() + 10);
    let mut rest = layout;
    while let Some((&byte, after)) = rest.split_first() {
        if let Some((element, length)) = element(rest) {
            out.extend_from_slice(written(time, element).as_bytes());
            rest = &rest[length..];
        } else {
            out.push(byte);
            rest = after;
        }
    }
    out
}

pub(super) const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
pub(super) const DAYS: [&str; 7] =
    ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

fn written(time: &Zoned, element: Element) -> String {
    let name = |names: &[&'static str], index: i8| {
        usize::try_from(index).ok().and_then(|index| names.get(index)).copied().unwrap_or_default()
    };
    let month = name(&MONTHS, time.month() - 1);
    let weekday = name(&DAYS, time.weekday().to_monday_zero_offset());
    let hour12 = match time.hour() % 12 {
        0 => 12,
        hour => hour,
    };
    match element {
        Element::LongMonth => month.to_owned(),
        Element::Month => month[..3].to_owned(),
        Element::NumMonth => time.month().to_string(),
        Element::ZeroMonth => format!("{:02}", time.month()),
        Element::LongWeekday => weekday.to_owned(),
        Element::Weekday => weekday[..3].to_owned(),
        Element::Day => time.day().to_string(),
        Element::UnderDay => format!("{:2}", time.day()),
        Element::ZeroDay => format!("{:02}", time.day()),
        Element::UnderYearDay => format!("{:3}", time.day_of_year()),
        Element::ZeroYearDay => format!("{:03}", time.day_of_year()),
        Element::Hour => format!("{:02}", time.hour()),
        Element::Hour12 => hour12.to_string(),
        Element::ZeroHour12 => format!("{hour12:02}"),
        Element::Minute => time.minute().to_string(),
        Element::ZeroMinute => format!("{:02}", time.minute()),
        Element::Second => time.second().to_string(),
        Element::ZeroSecond => format!("{:02}", time.second()),
        Element::LongYear if time.year() < 0 => format!("-{:04}", time.year().unsigned_abs()),
        Element::LongYear => format!("{:04}", time.year()),
        Element::Year => format!("{:02}", time.year().unsigned_abs() % 100),
        Element::UpperNoon => if time.hour() >= 12 { "PM" } else { "AM" }.to_owned(),
        Element::LowerNoon => if time.hour() >= 12 { "pm" } else { "am" }.to_owned(),
        Element::ZoneName => time.time_zone().to_offset_info(time.timestamp()).abbreviation().to_owned(),
        Element::Offset { zulu, colons, parts } => offset(time.offset().seconds(), zulu, colons, parts),
        Element::Fraction { separator, digits, zeros } => {
            fraction(time.subsec_nanosecond(), separator, digits, zeros)
        }
    }
}

#[allow(clippy::fn_params_excessive_bools, reason = "they are facts of the layout's element")]
fn offset(seconds: i32, zulu: bool, colons: bool, parts: u8) -> String {
    if zulu && seconds == 0 {
        return "Z".to_owned();
    }
    let minutes = seconds / 60;
    let sign = if minutes < 0 { '-' } else { '+' };
    let colon = if colons { ":" } else { "" };
    let (hours, minutes, rest) = ((minutes / 60).abs(), (minutes % 60).abs(), (seconds % 60).abs());
    match parts {
        1 => format!("{sign}{hours:02}"),
        2 => format!("{sign}{hours:02}{colon}{minutes:02}"),
        _ => format!("{sign}{hours:02}{colon}{minutes:02}{colon}{rest:02}"),
    }
}

fn fraction(nanoseconds: i32, separator: u8, digits: usize, zeros: bool) -> String {
    let all = format!("{nanoseconds:09}");
    let shown = &all[..digits.min(9)];
    let shown = if zeros { shown } else { shown.trim_end_matches('0') };
    if shown.is_empty() { String::new() } else { format!("{}{shown}", char::from(separator)) }
}

/// A duration of so many nanoseconds: `1h15m30.918s`.
pub(super) fn duration(nanoseconds: i64) -> String {
    let magnitude = nanoseconds.unsigned_abs();
    let sign = if nanoseconds < 0 { "-" } else { "" };
    let decimal = |whole: u64, rest: u64, places: usize| {
        let rest = format!("{rest:0places$}");
        let rest = rest.trim_end_matches('0');
        if rest.is_empty() { whole.to_string() } else { format!("{whole}.{rest}") }
    };
    match magnitude {
        0 => return "0s".to_owned(),
        1..1_000 => return format!("{sign}{magnitude}ns"),
        1_000..1_000_000 => return format!("{sign}{}µs", decimal(magnitude / 1_000, magnitude % 1_000, 3)),
        1_000_000..1_000_000_000 => {
            return format!("{sign}{}ms", decimal(magnitude / 1_000_000, magnitude % 1_000_000, 6));
        }
        _ => {}
    }
    let (seconds, rest) = (magnitude / 1_000_000_000, magnitude % 1_000_000_000);
    let last = decimal(seconds % 60, rest, 9);
    match (seconds / 3600, seconds / 60 % 60) {
        (0, 0) => format!("{sign}{last}s"),
        (0, minutes) => format!("{sign}{minutes}m{last}s"),
        (hours, minutes) => format!("{sign}{hours}h{minutes}m{last}s"),
    }
}

/// The nanoseconds of a duration, or Go's message.
pub(super) fn parse_duration(text: &[u8]) -> Result<i64, Vec<u8>> {
    let cited = cited(text);
    let invalid = || [b"time: invalid duration ", &cited[..]].concat();
    let (negative, mut rest) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] | rest => (false, rest),
    };
    if rest == b"0" {
        return Ok(0);
    }
    if rest.is_empty() {
        return Err(invalid());
    }
    let mut total = 0_u64;
    let most = 1_u64 << 63;
    while !rest.is_empty() {
        let whole_length = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (whole, after) = rest.split_at(whole_length);
        let (fraction, after) = match after {
            [b'.', after @ ..] => {
                after.split_at(after.iter().take_while(|byte| byte.is_ascii_digit()).count())
            }
            after => (&[][..], after),
        };
        if whole.is_empty() && fraction.is_empty() {
            return Err(invalid());
        }
        let unit_length = after.iter().take_while(|byte| **byte != b'.' && !byte.is_ascii_digit()).count();
        let (unit, after) = after.split_at(unit_length);
        let number = |digits: &[u8]| {
            digits.iter().try_fold(0_u64, |sum, digit| {
                sum.checked_mul(10)?.checked_add(u64::from(digit - b'0')).filter(|sum| *sum <= most)
            })
        };
        let whole = number(whole).ok_or_else(invalid)?;
        if unit.is_empty() {
            return Err([b"time: missing unit in duration ", &cited[..]].concat());
        }
        let scale: u64 = match unit {
            b"ns" => 1,
            b"us" | b"\xc2\xb5s" | b"\xce\xbcs" => 1_000,
            b"ms" => 1_000_000,
            b"s" => 1_000_000_000,
            b"m" => 60_000_000_000,
            b"h" => 3_600_000_000_000,
            _ => {
                return Err(
                    [b"time: unknown unit ", &self::cited(unit)[..], b" in duration ", &cited].concat()
                );
            }
        };
        let part = whole.checked_mul(scale).filter(|part| *part <= most).ok_or_else(invalid)?;
        let part = part.checked_add(of_fraction(fraction, scale)).ok_or_else(invalid)?;
        total = total.checked_add(part).filter(|total| *total <= most).ok_or_else(invalid)?;
        rest = after;
    }
    let signed = if negative { -i128::from(total) } else { i128::from(total) };
    i64::try_from(signed).map_err(|_| invalid())
}

/// What digits behind a point are of a unit. Go computes with floats, and leaves off digits that do not fit.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "the fraction of a unit fits, and Go computes so"
)]
fn of_fraction(digits: &[u8], unit: u64) -> u64 {
    let (mut number, mut scale) = (0_u64, 1.0_f64);
    for digit in digits {
        if number > ((1 << 63) - 1) / 10 {
            break;
        }
        let next = number * 10 + u64::from(digit - b'0');
        if next > 1 << 63 {
            break;
        }
        number = next;
        scale *= 10.0;
    }
    (number as f64 * (unit as f64 / scale)) as u64
}

/// A text between quotes, in the simple way of the time package: bytes beyond ASCII are escaped.
pub(super) fn cited(text: &[u8]) -> Vec<u8> {
    let mut out = vec![b'"'];
    for &byte in text {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            b' '..=0x7f => out.push(byte),
            _ => out.extend_from_slice(format!("\\x{byte:02x}").as_bytes()),
        }
    }
    out.push(b'"');
    out
}
