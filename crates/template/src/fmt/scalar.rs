//! Numbers and texts with the flags of their verb.

use super::{Flags, Printer};
use crate::number::{FloatForm, format_float, format_float32};
use crate::quote::{Charset, can_backquote, quoted, quoted_char};
use crate::unicode::{self, REPLACEMENT};
use crate::value::{Float, Value};

const LOWER: &[u8; 17] = b"0123456789abcdefx";
const UPPER: &[u8; 17] = b"0123456789ABCDEFX";

impl Printer {
    fn padding(&mut self, count: usize) {
        if self.out.len().saturating_add(count) > self.room {
            self.refused.get_or_insert("the output is larger than allowed");
            return;
        }
        let fill = if self.flags.zero && !self.flags.minus { b'0' } else { b' ' };
        self.out.resize(self.out.len() + count, fill);
    }

    /// `bytes`, filled up to the width that is asked for.
    pub(super) fn pad(&mut self, bytes: &[u8]) {
        let missing = self.flags.width.map_or(0, |width| width.saturating_sub(unicode::count(bytes)));
        if self.flags.minus {
            self.write(bytes);
            self.padding(missing);
        } else {
            self.padding(missing);
            self.write(bytes);
        }
    }

    fn pad_with_spaces(&mut self, bytes: &[u8]) {
        let zero = std::mem::replace(&mut self.flags.zero, false);
        self.pad(bytes);
        self.flags.zero = zero;
    }

    pub(super) fn string(&mut self, text: &[u8]) {
        self.pad(truncated(text, self.flags));
    }

    pub(super) fn quoted(&mut self, text: &[u8]) {
        let text = truncated(text, self.flags);
        if self.flags.sharp && can_backquote(text) {
            return self.pad(&[b"`", text, b"`"].concat());
        }
        self.pad(&quoted(text, self.charset()));
    }

    fn charset(&self) -> Charset {
        if self.flags.plus { Charset::Ascii } else { Charset::Printable }
    }

    /// The bytes of a text in hexadecimal digits.
    pub(super) fn hex_bytes(&mut self, bytes: &[u8], digits: &[u8; 17]) {
        let Flags { sharp, space, precision, .. } = self.flags;
        let bytes = &bytes[..precision.unwrap_or(bytes.len()).min(bytes.len())];
        let mut written = Vec::with_capacity(bytes.len() * 2 + 2);
        for (index, byte) in bytes.iter().enumerate() {
            if space && index > 0 {
                written.push(b' ');
            }
            if sharp && (space || index == 0) {
                written.extend_from_slice(&[b'0', digits[16]]);
            }
            written.extend_from_slice(&[digits[usize::from(byte >> 4)], digits[usize::from(byte & 15)]]);
        }
        self.pad(&written);
    }

    pub(super) fn int(&mut self, value: &Value, number: i64, verb: char) {
        match verb {
            'v' => self.integer(number.unsigned_abs(), number < 0, 10, verb),
            'c' | 'q' | 'U' => self.character(number.cast_unsigned(), verb),
            _ => self.based(value, number.unsigned_abs(), number < 0, verb),
        }
    }

    pub(super) fn uint(&mut self, value: &Value, number: u64, verb: char) {
        match verb {
            'v' if self.flags.sharp_v => self.hex_uint(number),
            'v' => self.integer(number, false, 10, verb),
            'c' | 'q' | 'U' => self.character(number, verb),
            _ => self.based(value, number, false, verb),
        }
    }

    /// `0x…`, whatever the flags.
    pub(super) fn hex_uint(&mut self, number: u64) {
        let sharp = std::mem::replace(&mut self.flags.sharp, true);
        self.integer(number, false, 16, 'v');
        self.flags.sharp = sharp;
    }

    fn based(&mut self, value: &Value, magnitude: u64, negative: bool, verb: char) {
        let base = match verb {
            'd' => 10,
            'b' => 2,
            'o' | 'O' => 8,
            'x' | 'X' => 16,
            _ => return self.wrong_verb(value, verb),
        };
        self.integer(magnitude, negative, base, verb);
    }

    fn character(&mut self, number: u64, verb: char) {
        let c = u32::try_from(number).ok().and_then(char::from_u32);
        match verb {
            'c' => self.pad(c.unwrap_or(REPLACEMENT).encode_utf8(&mut [0; 4]).as_bytes()),
            'q' => self.pad(&quoted_char(c.unwrap_or(REPLACEMENT), self.charset())),
            _ => self.code_point(number, c),
        }
    }

    /// `U+0078`, and with `#` the character too.
    fn code_point(&mut self, number: u64, c: Option<char>) {
        let digits = self.flags.precision.unwrap_or(4).max(4);
        let mut written = format!("U+{number:0>digits$X}");
        if let Some(c) = c.filter(|&c| self.flags.sharp && unicode::is_print(c)) {
            written.extend([' ', '\'', c, '\'']);
        }
        self.pad_with_spaces(written.as_bytes());
    }

    pub(super) fn integer(&mut self, magnitude: u64, negative: bool, base: u64, verb: char) {
        let Flags { width, precision, minus, plus, sharp, space, zero, .. } = self.flags;
        let signed = negative || plus || space;
        let least = match precision {
            Some(0) if magnitude == 0 => return self.pad_with_spaces(b""),
            Some(precision) => precision,
            None if zero && !minus => width.map_or(0, |width| width.saturating_sub(signed.into())),
            None => 0,
        };
        if least > self.room {
            self.refused.get_or_insert("the output is larger than allowed");
            return;
        }
        let table = if verb == 'X' { UPPER } else { LOWER };
        let mut reversed = Vec::with_capacity(least.max(24));
        let mut rest = magnitude;
        loop {
            reversed.push(table[usize::try_from(rest % base).unwrap_or(0)]);
            rest /= base;
            if rest == 0 {
                break;
            }
        }
        if reversed.len() < least {
            reversed.resize(least, b'0');
        }
        if sharp {
            match base {
                2 => reversed.extend_from_slice(b"b0"),
                8 if reversed.last() != Some(&b'0') => reversed.push(b'0'),
                16 => reversed.extend_from_slice(&[table[16], b'0']),
                _ => {}
            }
        }
        if verb == 'O' {
            reversed.extend_from_slice(b"o0");
        }
        match (negative, plus, space) {
            (true, _, _) => reversed.push(b'-'),
            (false, true, _) => reversed.push(b'+'),
            (false, false, true) => reversed.push(b' '),
            (false, false, false) => {}
        }
        reversed.reverse();
        self.pad_with_spaces(&reversed);
    }

    pub(super) fn float(&mut self, value: &Value, kind: Float, number: f64, verb: char) {
        let (form, default) = match verb {
            'v' | 'g' | 'G' => (FloatForm::Shorter, None),
            'x' | 'X' => (FloatForm::Hex, None),
            'b' => (FloatForm::Binary, None),
            'e' | 'E' => (FloatForm::Exponent, Some(6)),
            'f' | 'F' => (FloatForm::Fixed, Some(6)),
            _ => return self.wrong_verb(value, verb),
        };
        let precision = self.flags.precision.or(default);
        if precision.is_some_and(|precision| precision > self.room) {
            self.refused.get_or_insert("the output is larger than allowed");
            return;
        }
        #[allow(clippy::cast_possible_truncation, reason = "it was a float32 before it was widened")]
        let mut written = match kind {
            Float::Float32 => format_float32(number as f32, form, precision),
            Float::Float64 => format_float(number, form, precision),
        };
        if matches!(verb, 'E' | 'G' | 'X') && number.is_finite() {
            written.make_ascii_uppercase();
        }
        self.signed_float(&written, verb, precision);
    }

    fn signed_float(&mut self, written: &str, verb: char, precision: Option<usize>) {
        let Flags { width, minus, plus, sharp, space, zero, .. } = self.flags;
        let (negative, digits) = match written.as_bytes() {
            [b'-', digits @ ..] => (true, digits),
            [b'+', digits @ ..] | digits => (false, digits),
        };
        let sign: &[u8] = match (negative, plus, space) {
            (true, _, _) => b"-",
            (false, true, _) => b"+",
            (false, false, true) => b" ",
            (false, false, false) => b"",
        };
        if matches!(digits.first(), Some(b'I' | b'N')) {
            // An infinity has a sign though none is asked for.
            let sign = if sign.is_empty() && digits.starts_with(b"I") { b"+" } else { sign };
            return self.pad_with_spaces(&[sign, digits].concat());
        }
        let sharpened;
        let digits = if sharp && verb != 'b' {
            sharpened = with_point(digits, verb, precision);
            &sharpened[..]
        } else {
            digits
        };
        let length = sign.len() + digits.len();
        match width {
            Some(width) if zero && !minus && !sign.is_empty() && width > length => {
                self.write(sign);
                self.padding(width - length);
                self.write(digits);
            }
            _ => self.pad(&[sign, digits].concat()),
        }
    }
}

/// A float with the point and the zeros that `#` keeps.
fn with_point(number: &[u8], verb: char, precision: Option<usize>) -> Vec<u8> {
    let mut missing = match verb {
        'v' | 'g' | 'G' | 'x' => precision.unwrap_or(6),
        _ => 0,
    };
    let exponent = number.iter().position(|byte| match byte {
        b'p' | b'P' => true,
        b'e' | b'E' => !matches!(verb, 'x' | 'X'),
        _ => false,
    });
    let (digits, tail) = number.split_at(exponent.unwrap_or(number.len()));
    let significant = digits.iter().filter(|&&byte| byte != b'.').skip_while(|&&byte| byte == b'0').count();
    missing = missing.saturating_sub(significant);
    let mut out = digits.to_vec();
    if !digits.contains(&b'.') {
        if digits == b"0" {
            missing = missing.saturating_sub(1);
        }
        out.push(b'.');
    }
    out.resize(out.len() + missing, b'0');
    out.extend_from_slice(tail);
    out
}

/// A text cut to as many characters as the precision says.
fn truncated(text: &[u8], flags: Flags) -> &[u8] {
    let end = flags.precision.and_then(|precision| unicode::chars(text).nth(precision));
    end.map_or(text, |(at, _, _)| &text[..at])
}
