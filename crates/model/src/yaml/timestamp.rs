//! Which texts go-yaml v2 takes for a timestamp. They stay strings, but are printed in quotes.

/// Whether `text` is a date, or a date and a time, in one of the four layouts that go-yaml v2 tries.
///
/// Source: `parseTimestamp` of go.yaml.in/yaml/v2 and Go's `time.Parse`: one or two digits for all but
/// the year, a fraction after `.` or `,`, days checked against the calendar.
pub(super) fn is_timestamp(text: &str) -> bool {
    let year_digits = text.bytes().take_while(u8::is_ascii_digit).count();
    if year_digits != 4 || text.as_bytes().get(4) != Some(&b'-') {
        return false;
    }
    let mut rest = Rest(&text[5..]);
    let year = text[..4].parse().unwrap_or(0);
    rest.date(year).is_some() && rest.time().is_some() && rest.0.is_empty()
}

/// What of the text is still to be read.
struct Rest<'a>(&'a str);

impl Rest<'_> {
    fn date(&mut self, year: u32) -> Option<()> {
        let month = self.number(1, 12)?;
        self.literal('-')?;
        let day = self.number(1, 31)?;
        let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
        let days = match month {
            2 if leap => 29,
            2 => 28,
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        };
        (day <= days).then_some(())
    }

    /// The time behind the date, if there is one: with a zone after `T` or `t`, without one after a space.
    fn time(&mut self) -> Option<()> {
        if self.0.is_empty() {
            return Some(());
        }
        let zoned = !self.0.starts_with(' ');
        if zoned {
            self.0 = self.0.strip_prefix(['T', 't'])?;
        } else {
            self.0 = self.0.trim_start_matches(' ');
        }
        self.number(0, 23)?;
        self.literal(':')?;
        self.number(0, 59)?;
        self.literal(':')?;
        self.number(0, 59)?;
        self.fraction();
        if zoned { self.zone() } else { Some(()) }
    }

    fn fraction(&mut self) {
        if let Some(rest) = self.0.strip_prefix(['.', ','])
            && rest.starts_with(|c: char| c.is_ascii_digit())
        {
            self.0 = rest.trim_start_matches(|c: char| c.is_ascii_digit());
        }
    }

    fn zone(&mut self) -> Option<()> {
        if let Some(rest) = self.0.strip_prefix('Z') {
            self.0 = rest;
            return Some(());
        }
        let zone = self.0.strip_prefix(['+', '-'])?;
        let (hours, minutes) = zone.split_once(':')?;
        let two = |text: &str, max: u32| {
            let digits = text.len() == 2 && text.bytes().all(|b| b.is_ascii_digit());
            digits && text.parse().is_ok_and(|number: u32| number <= max)
        };
        self.0 = "";
        (two(hours, 24) && two(minutes, 60)).then_some(())
    }

    /// One or two digits.
    fn number(&mut self, min: u32, max: u32) -> Option<u32> {
        let digits = self.0.bytes().take(2).take_while(u8::is_ascii_digit).count();
        let (number, rest) = self.0.split_at(digits);
        self.0 = rest;
        number.parse().ok().filter(|number| (min..=max).contains(number))
    }

    fn literal(&mut self, expected: char) -> Option<()> {
        self.0 = self.0.strip_prefix(expected)?;
        Some(())
    }
}

/// The timestamp as go-yaml v3 and Go's JSON hand it on: RFC 3339, no trailing zeros; `None` for another text.
pub(super) fn as_instant(text: &str) -> Option<String> {
    if !is_timestamp(text) {
        return None;
    }
    let (date, time) =
        text.find(['T', 't', ' ']).map_or((text, ""), |at| (&text[..at], text[at + 1..].trim_start()));
    let (clock, zone) = time.find(['Z', '+', '-']).map_or((time, "Z"), |at| time.split_at(at));
    let (clock, fraction) = clock.split_once(['.', ',']).unwrap_or((clock, ""));
    let padded = |parts: &str, separator: char, count: usize| {
        let mut parts: Vec<String> = parts.split(separator).map(|part| format!("{part:0>2}")).collect();
        parts.resize(count, "00".to_owned());
        parts
    };
    let date = padded(date, '-', 3).join("-");
    let clock = padded(clock, ':', 3).join(":");
    let fraction = fraction[..fraction.len().min(9)].trim_end_matches('0');
    let point = if fraction.is_empty() { "" } else { "." };
    let zone = if matches!(zone, "+00:00" | "-00:00") { "Z" } else { zone };
    Some(format!("{date}T{clock}{point}{fraction}{zone}"))
}
