//! The formats that a structural schema may ask of a text.
//!
//! Source: k8s.io/kube-openapi `pkg/validation/strfmt`; k8s.io/apiextensions-apiserver `pkg/apiserver/validation/formats.go` for which
//! of them count. Absent: credit cards, colours, numbers of books and the like, which are taken as they are.

use crate::rules::matches;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Whether a text has a format; any has one that is not known.
pub(crate) fn has(text: &str, format: &str) -> bool {
    match format.replace('-', "").as_str() {
        "datetime" => text.parse::<jiff::Timestamp>().is_ok(),
        "date" => matches(r"^\d{4}-\d{2}-\d{2}$", text) && text.parse::<jiff::civil::Date>().is_ok(),
        "duration" => is_duration(text),
        "byte" => {
            matches("^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=|[A-Za-z0-9+/]{4})$", text)
        }
        "ipv4" => text.parse::<Ipv4Addr>().is_ok(),
        "ipv6" => text.parse::<Ipv6Addr>().is_ok(),
        "cidr" => is_block(text),
        "mac" => is_hardware_address(text),
        "uuid" => is_uuid(text, "[0-9a-f]", "[0-9a-f]"),
        "uuid3" => is_uuid(text, "3", "[0-9a-f]"),
        "uuid4" => is_uuid(text, "4", "[89ab]"),
        "uuid5" => is_uuid(text, "5", "[89ab]"),
        "uri" => text.starts_with('/') || matches("[A-Za-z][A-Za-z0-9+.-]*:.+", text),
        "hostname" => is_host(text),
        "email" => matches(r"[^@\s]+@[^@\s]+|.*<[^@\s]+@[^@\s]+>", text),
        "k8sshortname" => text.len() <= 63 && matches("^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", text),
        "k8slongname" => {
            let label = "[a-z0-9]([-a-z0-9]*[a-z0-9])?";
            text.len() <= 253 && matches(&format!(r"^{label}(\.{label})*$"), text)
        }
        _ => true,
    }
}

/// As Go reads one, or numbers with the names of their units anywhere in the text.
fn is_duration(text: &str) -> bool {
    const GO: &str = r"^[-+]?(0|((\d+(\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h))+)$";
    const UNITS: &str = r"(?i).*\d\s*(ns|us|µs|ms|s|m|h|hr|d|w|wk)([^A-Za-zµ].*|$)";
    const NAMES: &str = r"(?i).*\d\s*(nano|micro|milli|sec|min|hour|day|week).*";
    matches(GO, text) || matches(UNITS, text) || matches(NAMES, text)
}

fn is_block(text: &str) -> bool {
    let Some((address, bits)) = text.split_once('/') else { return false };
    let most = match address.parse::<IpAddr>() {
        Ok(IpAddr::V4(_)) => 32,
        Ok(IpAddr::V6(_)) => 128,
        Err(_) => return false,
    };
    matches("^[0-9]{1,3}$", bits) && bits.parse::<u8>().is_ok_and(|bits| bits <= most)
}

fn is_hardware_address(text: &str) -> bool {
    const COUNTS: [usize; 3] = [6, 8, 20];
    let is_of = |part: &str, digits: usize| {
        part.len() == digits && part.bytes().all(|digit| digit.is_ascii_hexdigit())
    };
    let by = |sign: char, digits: usize| {
        let parts: Vec<&str> = text.split(sign).collect();
        COUNTS.contains(&(parts.len() * digits / 2)) && parts.iter().all(|part| is_of(part, digits))
    };
    by(':', 2) || by('-', 2) || by('.', 4)
}

fn is_uuid(text: &str, version: &str, variant: &str) -> bool {
    let digits = |count: usize| format!("[0-9a-f]{{{count}}}");
    let (eight, four, three, twelve) = (digits(8), digits(4), digits(3), digits(12));
    matches(&format!("(?i)^{eight}-?{four}-?{version}{three}-?{variant}{three}-?{twelve}$"), text)
}

fn is_host(text: &str) -> bool {
    let labels: Vec<&str> = text.split('.').collect();
    let is_label = |label: &&str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.chars().all(|sign| sign.is_alphanumeric() || sign == '-')
    };
    let last = labels.last().copied().unwrap_or_default();
    let is_end = labels.len() == 1 || last.len() > 1 && last.chars().all(char::is_alphabetic);
    text.len() <= 255 && is_end && labels.iter().all(is_label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_have_formats() {
        for (format, good, bad) in [
            ("date-time", "2026-01-01T00:00:00Z", "2026-01-01"),
            ("datetime", "2026-01-01T00:00:00.5+01:00", "soon"),
            ("date", "2026-02-28", "2026-02-30"),
            ("duration", "1h30m", "abc"),
            ("duration", "-1.5s", "5 parsecs"),
            ("duration", "2 weeks", ""),
            ("byte", "YWJj", "abc"),
            ("ipv4", "10.0.0.1", "::1"),
            ("ipv6", "::1", "10.0.0.1"),
            ("cidr", "10.0.0.0/8", "10.0.0.0/33"),
            ("mac", "00:1b:44:11:3a:b7", "00:1b:44:11:3a"),
            ("uuid", "6BA7B810-9dad-11d1-80b4-00c04fd430c8", "6ba7b810"),
            ("uuid4", "6ba7b810-9dad-41d1-80b4-00c04fd430c8", "6ba7b810-9dad-11d1-80b4-00c04fd430c8"),
            ("uri", "https://a.example/x", "a b"),
            ("hostname", "a.example", "-a"),
            ("email", "a@b.example", "a"),
            ("k8s-short-name", "a-b", "a.b"),
            ("k8s-long-name", "a.b", "A"),
        ] {
            assert!(has(good, format), "{format} {good}");
            assert!(!has(bad, format), "{format} {bad}");
        }
        assert!(has("anything", "of our own"));
    }
}
