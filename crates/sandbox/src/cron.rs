//! Schedules as `CronJob`s have them, and when they come next.
//!
//! Enters: a schedule, a time zone, a time. Leaves: the first time after it. Absent: seconds, and `TZ=` within a schedule, which the
//! API server refuses.
//!
//! Source: `ParseStandard` and `SpecSchedule` of github.com/robfig/cron v3, which kube-controller-manager uses.

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan as _};

const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const DAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];
/// A schedule that does not come within so many years never does: the 31st of February.
const YEARS: i16 = 5;

/// When something is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Schedule {
    /// At the minutes that all five fields mean.
    At(Box<Fields>),
    /// Again after so long.
    Every(SignedDuration),
}

/// The numbers that each field means, a bit each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fields {
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    weekdays: u64,
    /// Whether the days of the month, or those of the week, are all: then the other field alone decides.
    is_any_day: bool,
}

impl Schedule {
    /// Reads a schedule, or says in the server's words why it is none.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if let Some(every) = text.strip_prefix("@every ") {
            let every = duration(every.trim()).ok_or_else(|| format!("failed to parse duration {text}"))?;
            // Finer than a second is not counted.
            return Ok(Self::Every(SignedDuration::from_secs(every.as_secs().max(1))));
        }
        let fields = match text {
            "" => return Err("empty spec string".to_owned()),
            "@yearly" | "@annually" => "0 0 1 1 *",
            "@monthly" => "0 0 1 * *",
            "@weekly" => "0 0 * * 0",
            "@daily" | "@midnight" => "0 0 * * *",
            "@hourly" => "0 * * * *",
            other if other.starts_with('@') => return Err(format!("unrecognized descriptor: {other}")),
            other => other,
        };
        let parts: Vec<&str> = fields.split_whitespace().collect();
        let [minutes, hours, days, months, weekdays] = parts.as_slice() else {
            let (count, shown) = (parts.len(), parts.join(" "));
            return Err(format!("expected exactly 5 fields, found {count}: [{shown}]"));
        };
        let minutes = field(minutes, 0, 59, &[])?.0;
        let hours = field(hours, 0, 23, &[])?.0;
        let (days, any_day) = field(days, 1, 31, &[])?;
        let months = field(months, 1, 12, &MONTHS)?.0;
        let (weekdays, any_weekday) = field(weekdays, 0, 6, &DAYS)?;
        let is_any_day = any_day || any_weekday;
        Ok(Self::At(Box::new(Fields { minutes, hours, days, months, weekdays, is_any_day })))
    }

    /// The first time after another; `None` where there is none.
    pub(crate) fn next(&self, after: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        match self {
            Self::Every(every) => Timestamp::from_second((after + *every).as_second()).ok(),
            Self::At(fields) => fields.next(after, zone),
        }
    }
}

fn has(bits: u64, number: i8) -> bool {
    u32::try_from(number).is_ok_and(|number| bits & (1 << number) != 0)
}

impl Fields {
    fn next(&self, after: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let local = zone.to_datetime(after);
        let begin = DateTime::from_parts(local.date(), jiff::civil::time(local.hour(), local.minute(), 0, 0));
        let begin = begin.checked_add(1.minute()).ok()?;
        let mut date = begin.date();
        let end = date.year().checked_add(YEARS)?;
        while date.year() <= end {
            if !has(self.months, date.month()) {
                date = date.last_of_month().tomorrow().ok()?;
                continue;
            }
            if self.is_meant(date)
                && let Some(found) = self.on(date, begin, after, zone)
            {
                return Some(found);
            }
            date = date.tomorrow().ok()?;
        }
        None
    }

    fn is_meant(&self, date: Date) -> bool {
        let (day, weekday) =
            (has(self.days, date.day()), has(self.weekdays, date.weekday().to_sunday_zero_offset()));
        if self.is_any_day { day && weekday } else { day || weekday }
    }

    /// The first time on a day, not before `begin`.
    fn on(&self, date: Date, begin: DateTime, after: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let hours = (0..24).filter(|hour| has(self.hours, *hour));
        let times = hours.flat_map(|hour| {
            let minutes = (0..60).filter(|minute| has(self.minutes, *minute));
            minutes.map(move |minute| date.at(hour, minute, 0, 0))
        });
        times.filter(|time| *time >= begin).find_map(|time| {
            let found = zone.to_timestamp(time).ok()?;
            // An hour that the clock jumps over does not come.
            (found > after && zone.to_datetime(found) == time).then_some(found)
        })
    }
}

/// The numbers of a field, and whether they are all there are.
fn field(text: &str, lowest: u32, highest: u32, names: &[&str]) -> Result<(u64, bool), String> {
    let (mut bits, mut is_any) = (0, false);
    for part in text.split(',').filter(|part| !part.is_empty()) {
        let (range, step) = part.split_once('/').map_or((part, None), |(range, step)| (range, Some(step)));
        let (first, last) = range.split_once('-').map_or((range, None), |(first, last)| (first, Some(last)));
        let is_all = matches!(first, "*" | "?");
        let (first, last) = match last {
            _ if is_all => (lowest, highest),
            Some(last) if last.contains('-') => return Err(format!("too many hyphens: {part}")),
            Some(last) => (number(first, names)?, number(last, names)?),
            // From one number with a step it goes on to the end.
            None if step.is_some() => (number(first, names)?, highest),
            None => (number(first, names)?, number(first, names)?),
        };
        let step = match step {
            None => 1,
            Some(step) if step.contains('/') => return Err(format!("too many slashes: {part}")),
            Some(step) => number(step, &[])?,
        };
        if first < lowest {
            return Err(format!("beginning of range ({first}) below minimum ({lowest}): {part}"));
        }
        if last > highest {
            return Err(format!("end of range ({last}) above maximum ({highest}): {part}"));
        }
        if first > last {
            return Err(format!("beginning of range ({first}) beyond end of range ({last}): {part}"));
        }
        if step == 0 {
            return Err(format!("step of range should be a positive number: {part}"));
        }
        is_any |= is_all && step == 1;
        for number in (first..=last).step_by(usize::try_from(step).unwrap_or(usize::MAX)) {
            bits |= 1 << number;
        }
    }
    Ok((bits, is_any))
}

fn number(text: &str, names: &[&str]) -> Result<u32, String> {
    let lower = text.to_lowercase();
    let Some(place) = names.iter().position(|name| *name == lower) else {
        let unread =
            |_| format!("failed to parse int from {text}: strconv.Atoi: parsing {text:?}: invalid syntax");
        return text.parse().map_err(unread);
    };
    // Months are counted from one, days from Sunday.
    let place = if names.len() == 12 { place + 1 } else { place };
    Ok(u32::try_from(place).unwrap_or(u32::MAX))
}

/// `1h30m`, as Go writes durations.
fn duration(text: &str) -> Option<SignedDuration> {
    let (mut rest, mut sum) = (text, SignedDuration::ZERO);
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, tail) = rest.split_at(end);
        let end = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(end);
        let seconds = match unit {
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 0.001,
            "us" | "µs" => 0.000_001,
            "ns" => 0.000_000_001,
            _ => return None,
        };
        let number: f64 = number.parse().ok()?;
        sum = sum.checked_add(SignedDuration::try_from_secs_f64(number * seconds).ok()?)?;
        rest = tail;
    }
    (!text.is_empty()).then_some(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(schedule: &str, zone: &str, after: &str, expected: &[&str]) {
        let zone = TimeZone::get(zone).unwrap();
        let schedule = Schedule::parse(schedule).unwrap();
        let mut at: Timestamp = after.parse().unwrap();
        let mut found = Vec::new();
        for _ in expected {
            at = schedule.next(at, &zone).unwrap();
            found.push(at.to_string());
        }
        assert_eq!(found, expected);
    }

    #[test]
    fn a_schedule_comes_at_the_minutes_that_it_means() {
        check(
            "*/15 * * * *",
            "UTC",
            "2026-01-01T00:07:30Z",
            &["2026-01-01T00:15:00Z", "2026-01-01T00:30:00Z"],
        );
        check("@hourly", "UTC", "2026-01-01T00:00:00Z", &["2026-01-01T01:00:00Z"]);
        check(
            "30 6-16/4 * * 1-5",
            "UTC",
            "2026-01-02T14:31:00Z",
            &["2026-01-05T06:30:00Z", "2026-01-05T10:30:00Z"],
        );
        check("0 0 1 jan *", "UTC", "2026-01-01T00:00:00Z", &["2027-01-01T00:00:00Z"]);
        check(
            "59 23 31 * *",
            "UTC",
            "2026-02-01T00:00:00Z",
            &["2026-03-31T23:59:00Z", "2026-05-31T23:59:00Z"],
        );
        check(
            "5/20 * * * ?",
            "UTC",
            "2026-01-01T00:06:00Z",
            &["2026-01-01T00:25:00Z", "2026-01-01T00:45:00Z"],
        );
        check("@every 1h30m", "UTC", "2026-01-01T00:10:00Z", &["2026-01-01T01:40:00Z"]);
    }

    #[test]
    fn days_of_the_month_and_of_the_week_are_alternatives_where_both_are_given() {
        check(
            "0 0 13 * fri",
            "UTC",
            "2026-02-01T00:00:00Z",
            &["2026-02-06T00:00:00Z", "2026-02-13T00:00:00Z"],
        );
        check("0 0 13 * *", "UTC", "2026-02-01T00:00:00Z", &["2026-02-13T00:00:00Z"]);
    }

    #[test]
    fn a_time_zone_moves_a_schedule_and_an_hour_that_is_jumped_over_does_not_come() {
        check("0 8 * * *", "Europe/Berlin", "2026-06-01T00:00:00Z", &["2026-06-01T06:00:00Z"]);
        check("30 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", &["2026-03-30T00:30:00Z"]);
    }

    #[test]
    fn what_is_no_schedule_is_none_and_what_never_comes_never_does() {
        for (text, why) in [
            ("", "empty spec string"),
            ("* * * *", "expected exactly 5 fields, found 4: [* * * *]"),
            ("60 * * * *", "end of range (60) above maximum (59): 60"),
            ("* * * * 7", "end of range (7) above maximum (6): 7"),
            ("* * 0 * *", "beginning of range (0) below minimum (1): 0"),
            ("a * * * *", "failed to parse int from a: strconv.Atoi: parsing \"a\": invalid syntax"),
            ("*/0 * * * *", "step of range should be a positive number: */0"),
            ("5-3 * * * *", "beginning of range (5) beyond end of range (3): 5-3"),
            ("1-2-3 * * * *", "too many hyphens: 1-2-3"),
            ("@often", "unrecognized descriptor: @often"),
        ] {
            assert_eq!(Schedule::parse(text), Err(why.to_owned()), "{text}");
        }
        let never = Schedule::parse("0 0 31 2 *").unwrap();
        assert_eq!(never.next(Timestamp::UNIX_EPOCH, &TimeZone::UTC), None);
    }
}
