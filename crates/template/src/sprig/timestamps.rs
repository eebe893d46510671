//! Times read from text in a layout, as Go's `time.ParseInLocation` does it, with its messages.

use super::layout::{DAYS, Element, MONTHS, cited, next_element};
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::{Offset, TimeZone};
use jiff::{SignedDuration, Span, Timestamp, Zoned};

/// Why an element does not fit what stands at its place.
enum Unfit {
    Unlike,
    OutOfRange(&'static str),
}

/// What was read so far; a part that was not there is none.
#[derive(Default)]
struct Parts {
    year: i16,
    month: Option<u16>,
    day: Option<u16>,
    year_day: Option<u16>,
    hour: u16,
    minute: u16,
    second: u16,
    nanosecond: u32,
    noon: Option<Noon>,
    /// Whether UTC was named: then no offset counts.
    utc: bool,
    /// Seconds east.
    offset: Option<i32>,
    name: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Noon {
    Before,
    After,
}

/// The time that a text stands for in that layout; without an offset it is one of the zone `local`.
pub(super) fn parse(layout: &[u8], text: &[u8], local: &TimeZone) -> Result<Zoned, Vec<u8>> {
    let mut parts = Parts::default();
    let (mut layout_rest, mut rest) = (layout, text);
    loop {
        let (prefix, found) = next_element(layout_rest);
        rest = after_prefix(rest, prefix).map_err(|rest| unlike(layout, text, prefix, rest))?;
        let Some((element, length)) = found else {
            if rest.is_empty() {
                return parts.time(local).map_err(|why| refused(text, &format!(": {why}")));
            }
            return Err([&refused(text, ": extra text: ")[..], &cited(rest)].concat());
        };
        let word = &layout_rest[prefix.len()..prefix.len() + length];
        layout_rest = &layout_rest[prefix.len() + length..];
        rest = match parts.read(element, rest, layout_rest) {
            Ok(rest) => rest,
            Err(Unfit::Unlike) => return Err(unlike(layout, text, word, rest)),
            Err(Unfit::OutOfRange(what)) => return Err(refused(text, &format!(": {what} out of range"))),
        };
    }
}

fn refused(text: &[u8], why: &str) -> Vec<u8> {
    [b"parsing time ", &cited(text)[..], why.as_bytes()].concat()
}

fn unlike(layout: &[u8], text: &[u8], word: &[u8], rest: &[u8]) -> Vec<u8> {
    let (layout, text, word, rest) = (cited(layout), cited(text), cited(word), cited(rest));
    [b"parsing time ", &text[..], b" as ", &layout, b": cannot parse ", &rest, b" as ", &word].concat()
}

/// What follows the words of a layout; a space there stands for any number of them.
fn after_prefix<'t>(mut text: &'t [u8], mut prefix: &[u8]) -> Result<&'t [u8], &'t [u8]> {
    while let Some((first, after)) = prefix.split_first() {
        if *first == b' ' {
            if text.first().is_some_and(|byte| *byte != b' ') {
                return Err(text);
            }
            prefix = without_spaces(prefix);
            text = without_spaces(text);
        } else if text.first() == Some(first) {
            (prefix, text) = (after, &text[1..]);
        } else {
            return Err(text);
        }
    }
    Ok(text)
}

fn without_spaces(text: &[u8]) -> &[u8] {
    &text[text.iter().take_while(|byte| **byte == b' ').count()..]
}

fn digits(text: &[u8]) -> usize {
    text.iter().take_while(|byte| byte.is_ascii_digit()).count()
}

/// The number that so many digits are.
fn value(digits: &[u8]) -> u32 {
    digits.iter().fold(0, |number, digit| number * 10 + u32::from(digit - b'0'))
}

/// How many digits an element is written with.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Width {
    /// As many as the layout has.
    Fixed,
    /// As many as there are, up to that.
    Free,
}

fn number(text: &[u8], most: usize, width: Width) -> Result<(u16, &[u8]), Unfit> {
    let count = digits(text).min(most);
    if count == 0 || width == Width::Fixed && count < most {
        return Err(Unfit::Unlike);
    }
    let number = u16::try_from(value(&text[..count])).map_err(|_| Unfit::Unlike)?;
    Ok((number, &text[count..]))
}

/// A number of two digits that is below `end`, or `end` names what is out of range.
fn below<'t>(text: &'t [u8], width: Width, end: u16, what: &'static str) -> Result<(u16, &'t [u8]), Unfit> {
    let (number, rest) = number(text, 2, width)?;
    if number < end { Ok((number, rest)) } else { Err(Unfit::OutOfRange(what)) }
}

/// Which of these names a text begins with, in any case of letters, and what follows.
fn name<'t>(names: &[&str], length: Option<usize>, text: &'t [u8]) -> Result<(u16, &'t [u8]), Unfit> {
    for (name, index) in names.iter().zip(0..) {
        let name = &name.as_bytes()[..length.unwrap_or(name.len())];
        if text.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name)) {
            return Ok((index, &text[name.len()..]));
        }
    }
    Err(Unfit::Unlike)
}

/// The nanoseconds of a separator and digits; those beyond the ninth say nothing.
fn nanoseconds(text: &[u8]) -> Result<u32, Unfit> {
    let [b'.' | b',', fraction @ ..] = text else { return Err(Unfit::Unlike) };
    let fraction = &fraction[..fraction.len().min(9)];
    // Go reads a sign here too.
    let (negative, plain) = match fraction {
        [b'-', plain @ ..] => (true, plain),
        [b'+', plain @ ..] | plain => (false, plain),
    };
    if digits(plain) != plain.len() || plain.is_empty() && fraction.len() > plain.len() {
        return Err(Unfit::Unlike);
    }
    let number = value(plain);
    if negative && number > 0 {
        return Err(Unfit::OutOfRange("fractional second"));
    }
    Ok((fraction.len()..9).fold(number, |number, _| number * 10))
}

impl Parts {
    /// Reads one element from the beginning of a text; gives what follows.
    fn read<'t>(&mut self, element: Element, text: &'t [u8], layout: &[u8]) -> Result<&'t [u8], Unfit> {
        let rest;
        match element {
            Element::Year | Element::LongYear => return self.read_year(element, text),
            Element::Month | Element::LongMonth => {
                let length = (element == Element::Month).then_some(3);
                let (month, after) = name(&MONTHS, length, text)?;
                (self.month, rest) = (Some(month + 1), after);
            }
            Element::Weekday | Element::LongWeekday => {
                (_, rest) = name(&DAYS, (element == Element::Weekday).then_some(3), text)?;
            }
            Element::NumMonth | Element::ZeroMonth => {
                let width = if element == Element::ZeroMonth { Width::Fixed } else { Width::Free };
                let (month, after) = below(text, width, 13, "month")?;
                if month == 0 {
                    return Err(Unfit::OutOfRange("month"));
                }
                (self.month, rest) = (Some(month), after);
            }
            Element::Day | Element::UnderDay | Element::ZeroDay => {
                let width = if element == Element::ZeroDay { Width::Fixed } else { Width::Free };
                let spaced = element == Element::UnderDay && text.first() == Some(&b' ');
                let (day, after) = number(&text[usize::from(spaced)..], 2, width)?;
                (self.day, rest) = (Some(day), after);
            }
            Element::UnderYearDay | Element::ZeroYearDay => {
                let width = if element == Element::ZeroYearDay { Width::Fixed } else { Width::Free };
                let spaces = text.iter().take(2).take_while(|byte| **byte == b' ').count();
                let spaces = if element == Element::UnderYearDay { spaces } else { 0 };
                let (day, after) = number(&text[spaces..], 3, width)?;
                (self.year_day, rest) = (Some(day), after);
            }
            Element::Hour => (self.hour, rest) = below(text, Width::Free, 24, "hour")?,
            Element::Hour12 => (self.hour, rest) = below(text, Width::Free, 13, "hour")?,
            Element::ZeroHour12 => (self.hour, rest) = below(text, Width::Fixed, 13, "hour")?,
            Element::Minute => (self.minute, rest) = below(text, Width::Free, 60, "minute")?,
            Element::ZeroMinute => (self.minute, rest) = below(text, Width::Fixed, 60, "minute")?,
            Element::Second => return self.read_second(text, Width::Free, layout),
            Element::ZeroSecond => return self.read_second(text, Width::Fixed, layout),
            Element::UpperNoon => (self.noon, rest) = noon(text, [b"AM", b"PM"])?,
            Element::LowerNoon => (self.noon, rest) = noon(text, [b"am", b"pm"])?,
            Element::ZoneName => return self.read_zone_name(text),
            Element::Offset { zulu: true, .. } if text.first() == Some(&b'Z') => {
                self.utc = true;
                rest = &text[1..];
            }
            Element::Offset { colons, parts, .. } => {
                let (seconds, after) = offset(text, parts, colons)?;
                // Go takes one second west for no offset at all.
                self.offset = (seconds != -1).then_some(seconds);
                rest = after;
            }
            Element::Fraction { digits, zeros: true, .. } => {
                let fraction = text.get(..=digits).ok_or(Unfit::Unlike)?;
                (self.nanosecond, rest) = (nanoseconds(fraction)?, &text[1 + digits..]);
            }
            Element::Fraction { zeros: false, .. } => rest = self.read_fraction(text)?,
        }
        Ok(rest)
    }

    fn read_year<'t>(&mut self, element: Element, text: &'t [u8]) -> Result<&'t [u8], Unfit> {
        let length = if element == Element::Year { 2 } else { 4 };
        let (written, rest) = text.split_at_checked(length).ok_or(Unfit::Unlike)?;
        let signed = match written {
            [sign @ (b'+' | b'-'), plain @ ..] if element == Element::Year => Some((*sign, plain)),
            _ => None,
        };
        let plain = signed.map_or(written, |(_, plain)| plain);
        if digits(plain) != plain.len() {
            return Err(Unfit::Unlike);
        }
        let mut year = i16::try_from(value(plain)).map_err(|_| Unfit::Unlike)?;
        if signed.is_some_and(|(sign, _)| sign == b'-') {
            year = -year;
        }
        self.year = match element {
            Element::Year if year >= 69 => year + 1900,
            Element::Year => year + 2000,
            _ => year,
        };
        Ok(rest)
    }

    /// A second, and the fraction behind it where the layout has none.
    fn read_second<'t>(&mut self, text: &'t [u8], width: Width, layout: &[u8]) -> Result<&'t [u8], Unfit> {
        let (second, rest) = below(text, width, 60, "second")?;
        self.second = second;
        let follows = matches!(next_element(layout).1, Some((Element::Fraction { .. }, _)));
        if follows { Ok(rest) } else { self.read_fraction(rest) }
    }

    /// A fraction of any length, or none.
    fn read_fraction<'t>(&mut self, text: &'t [u8]) -> Result<&'t [u8], Unfit> {
        let [b'.' | b',', fraction @ ..] = text else { return Ok(text) };
        let count = digits(fraction);
        if count > 0 {
            self.nanosecond = nanoseconds(&text[..=count])?;
            return Ok(&text[1 + count..]);
        }
        Ok(text)
    }

    fn read_zone_name<'t>(&mut self, text: &'t [u8]) -> Result<&'t [u8], Unfit> {
        if let Some(rest) = text.strip_prefix(b"UTC") {
            self.utc = true;
            return Ok(rest);
        }
        let length = zone_name(text).ok_or(Unfit::Unlike)?;
        self.name = Some(String::from_utf8_lossy(&text[..length]).into_owned());
        Ok(&text[length..])
    }

    /// The day of the month that was read or is counted from the day of the year.
    fn date(&self) -> Result<Date, &'static str> {
        let Some(year_day) = self.year_day else {
            let (month, day) = (self.month.unwrap_or(1), self.day.unwrap_or(1));
            return date(self.year, month, day).ok_or("day out of range");
        };
        let first = date(self.year, 1, 1).ok_or("day-of-year out of range")?;
        let days = if first.in_leap_year() { 366 } else { 365 };
        if !(1..=days).contains(&year_day) {
            return Err("day-of-year out of range");
        }
        let found = first.checked_add(Span::new().days(i64::from(year_day) - 1));
        let found = found.map_err(|_| "day-of-year out of range")?;
        if self.month.is_some_and(|month| i32::from(month) != i32::from(found.month())) {
            return Err("day-of-year does not match month");
        }
        if self.day.is_some_and(|day| i32::from(day) != i32::from(found.day())) {
            return Err("day-of-year does not match day");
        }
        Ok(found)
    }

    fn time(&self, local: &TimeZone) -> Result<Zoned, &'static str> {
        const OUT_OF_RANGE: &str = "day out of range";
        let hour = match self.noon {
            Some(Noon::After) if self.hour < 12 => self.hour + 12,
            Some(Noon::Before) if self.hour == 12 => 0,
            Some(_) | None => self.hour,
        };
        let small = |number: u16| i8::try_from(number).map_err(|_| OUT_OF_RANGE);
        let nanosecond = i32::try_from(self.nanosecond).map_err(|_| OUT_OF_RANGE)?;
        let date = self.date()?;
        let time = Time::new(small(hour)?, small(self.minute)?, small(self.second)?, nanosecond);
        let civil = DateTime::from_parts(date, time.map_err(|_| OUT_OF_RANGE)?);
        let within = |zone: TimeZone| civil.to_zoned(zone).map_err(|_| OUT_OF_RANGE);
        if self.utc {
            return within(TimeZone::UTC);
        }
        match (self.offset, &self.name) {
            (Some(seconds), name) => {
                let written = within(TimeZone::UTC)?.timestamp();
                let moment = written.checked_sub(SignedDuration::from_secs(seconds.into()));
                let moment = moment.map_err(|_| OUT_OF_RANGE)?;
                let info = local.to_offset_info(moment);
                let is_local = info.offset().seconds() == seconds
                    && name.as_ref().is_none_or(|name| name == info.abbreviation());
                let zone = if is_local { local.clone() } else { fixed(name.as_deref(), seconds)? };
                Ok(moment.to_zoned(zone))
            }
            (None, Some(name)) => {
                let written = within(TimeZone::UTC)?.timestamp();
                if offset_of(local, name, written).is_some() {
                    return within(local.clone());
                }
                let hours = name.strip_prefix("GMT").and_then(|hours| hours.parse::<i32>().ok());
                // The time is taken for one of UTC there.
                Ok(written.to_zoned(fixed(Some(name), hours.unwrap_or(0) * 3600)?))
            }
            (None, None) => within(local.clone()),
        }
    }
}

fn date(year: i16, month: u16, day: u16) -> Option<Date> {
    Date::new(year, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()
}

fn noon<'t>(text: &'t [u8], words: [&[u8]; 2]) -> Result<(Option<Noon>, &'t [u8]), Unfit> {
    let (word, rest) = text.split_at_checked(2).ok_or(Unfit::Unlike)?;
    match words.iter().position(|known| *known == word) {
        Some(0) => Ok((Some(Noon::Before), rest)),
        Some(_) => Ok((Some(Noon::After), rest)),
        None => Err(Unfit::Unlike),
    }
}

/// The seconds of a numeric offset of so many parts.
fn offset(text: &[u8], parts: u8, colons: bool) -> Result<(i32, &[u8]), Unfit> {
    let step = if colons { 3 } else { 2 };
    let length = 1 + 2 * usize::from(parts) + if colons { usize::from(parts) - 1 } else { 0 };
    let (written, rest) = text.split_at_checked(length).ok_or(Unfit::Unlike)?;
    if colons && (1..usize::from(parts)).any(|part| written[part * step] != b':') {
        return Err(Unfit::Unlike);
    }
    let mut numbers = [0; 3];
    for (part, number) in numbers.iter_mut().enumerate().take(parts.into()) {
        let at = 1 + part * step;
        let pair = written.get(at..at + 2).ok_or(Unfit::Unlike)?;
        if digits(pair) != 2 {
            return Err(Unfit::Unlike);
        }
        *number = i32::try_from(value(pair)).map_err(|_| Unfit::Unlike)?;
    }
    let bounds =
        [(24, "time zone offset hour"), (60, "time zone offset minute"), (60, "time zone offset second")];
    // The last that is out of range is the one that is named.
    if let Some((_, (_, what))) = numbers.iter().zip(bounds).rev().find(|(number, (most, _))| *number > most)
    {
        return Err(Unfit::OutOfRange(what));
    }
    let [hours, minutes, seconds] = numbers;
    let seconds = (hours * 60 + minutes) * 60 + seconds;
    match written[0] {
        b'+' => Ok((seconds, rest)),
        b'-' => Ok((-seconds, rest)),
        _ => Err(Unfit::Unlike),
    }
}

/// How long the name of a zone is that a text begins with.
fn zone_name(text: &[u8]) -> Option<usize> {
    if text.len() < 3 {
        return None;
    }
    if text.starts_with(b"ChST") || text.starts_with(b"MeST") {
        return Some(4);
    }
    if let Some(rest) = text.strip_prefix(b"GMT") {
        return Some(3 + signed_hours(rest));
    }
    if matches!(text[0], b'+' | b'-') {
        return Some(signed_hours(text)).filter(|length| *length > 0);
    }
    let capitals = text.iter().take(6).take_while(|byte| byte.is_ascii_uppercase()).count();
    match capitals {
        3 => Some(3),
        4 if text[3] == b'T' || text.starts_with(b"WITA") => Some(4),
        5 if text[4] == b'T' => Some(5),
        _ => None,
    }
}

/// How long a sign and hours are; none where they are more than 23.
fn signed_hours(text: &[u8]) -> usize {
    let [b'+' | b'-', rest @ ..] = text else { return 0 };
    let count = digits(rest);
    let significant = rest[..count].iter().skip_while(|digit| **digit == b'0').count();
    if count == 0 || significant > 2 || value(&rest[count - significant..count]) > 23 { 0 } else { 1 + count }
}

/// The offset that a zone has under that name, then or in another part of the year.
fn offset_of(zone: &TimeZone, name: &str, then: Timestamp) -> Option<Offset> {
    [0, 4380, -4380].into_iter().find_map(|hours| {
        let at = then.checked_add(SignedDuration::from_hours(hours)).ok()?;
        let info = zone.to_offset_info(at);
        (info.abbreviation() == name && *zone != TimeZone::UTC).then(|| info.offset())
    })
}

/// A zone of that offset alone. Without a name it is shown by its offset.
fn fixed(name: Option<&str>, seconds: i32) -> Result<TimeZone, &'static str> {
    let magnitude = seconds.unsigned_abs();
    let (hours, minutes, rest) = (magnitude / 3600, magnitude / 60 % 60, magnitude % 60);
    let shown = match name {
        Some(name) => name.to_owned(),
        None => format!("{}{hours:02}{minutes:02}", if seconds < 0 { '-' } else { '+' }),
    };
    // POSIX counts to the west.
    let sign = if seconds < 0 { '+' } else { '-' };
    TimeZone::posix(&format!("<{shown}>{sign}{hours:02}:{minutes:02}:{rest:02}"))
        .or_else(|_| Offset::from_seconds(seconds).map(TimeZone::fixed))
        .map_err(|_| "time zone offset hour out of range")
}
