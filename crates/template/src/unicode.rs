//! What Go calls a letter, a digit and printable, and how it reads UTF-8 that may be broken.

use crate::unicode_tables::{DIGIT, LETTER, PRINT};
use std::cmp::Ordering;

/// What stands for a byte that is no UTF-8.
pub(crate) const REPLACEMENT: char = '\u{fffd}';

fn within(table: &[(u32, u32)], c: char) -> bool {
    let code = u32::from(c);
    let found = table.binary_search_by(|&(first, last)| match (first > code, last < code) {
        (true, _) => Ordering::Greater,
        (_, true) => Ordering::Less,
        (false, false) => Ordering::Equal,
    });
    found.is_ok()
}

pub(crate) fn is_letter(c: char) -> bool {
    if c.is_ascii() { c.is_ascii_alphabetic() } else { within(&LETTER, c) }
}

pub(crate) fn is_digit(c: char) -> bool {
    if c.is_ascii() { c.is_ascii_digit() } else { within(&DIGIT, c) }
}

pub(crate) fn is_print(c: char) -> bool {
    if c.is_ascii() { (' '..='~').contains(&c) } else { within(&PRINT, c) }
}

/// The first character of `bytes` and its width. A byte that begins no character is [`REPLACEMENT`] of width 1; nothing
/// is [`REPLACEMENT`] of width 0.
pub(crate) fn first(bytes: &[u8]) -> (char, usize) {
    let Some(&lead) = bytes.first() else { return (REPLACEMENT, 0) };
    let width = match lead {
        0..=0x7f => return (char::from(lead), 1),
        0xc2..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf4 => 4,
        _ => return (REPLACEMENT, 1),
    };
    let read = bytes.get(..width).and_then(|encoded| std::str::from_utf8(encoded).ok());
    read.and_then(|text| text.chars().next()).map_or((REPLACEMENT, 1), |c| (c, width))
}

/// The last character of `bytes` and its width, as [`first`].
pub(crate) fn last(bytes: &[u8]) -> (char, usize) {
    for width in 1..=bytes.len().min(4) {
        let (c, read) = first(&bytes[bytes.len() - width..]);
        if read == width && (width > 1 || c != REPLACEMENT) {
            return (c, width);
        }
    }
    (REPLACEMENT, bytes.len().min(1))
}

/// Each character of `bytes` with where it begins and how wide it is.
pub(crate) fn chars(bytes: &[u8]) -> impl Iterator<Item = (usize, char, usize)> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let (c, width) = first(&bytes[at..]);
        at += width;
        (width > 0).then_some((at - width, c, width))
    })
}

pub(crate) fn count(bytes: &[u8]) -> usize {
    chars(bytes).count()
}

pub(crate) fn push(out: &mut Vec<u8>, c: char) {
    out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_byte_is_a_character_of_its_own() {
        let widths: Vec<usize> = chars(b"a\xffb\xe2\x82\xac\xe2\x82").map(|(_, _, width)| width).collect();
        assert_eq!(widths, [1, 1, 1, 3, 1, 1]);
        assert_eq!(last("a€".as_bytes()), ('€', 3));
        assert_eq!(last(b"a\x82"), (REPLACEMENT, 1));
        assert_eq!(last(b""), (REPLACEMENT, 0));
    }

    #[test]
    fn letters_are_those_of_all_scripts() {
        assert!(is_letter('é') && is_letter('世') && !is_letter('५') && !is_letter('_'));
        assert!(is_digit('५') && !is_digit('½'));
        assert!(is_print('é') && !is_print('\u{ad}') && !is_print('\u{a0}') && !is_print('\u{7f}'));
    }
}
