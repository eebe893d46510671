//! Number constants: one text that can be an integer, an unsigned integer and a float at once.

use crate::number::{parse_float, parse_int, parse_uint};
use crate::quote::{quote, unquote_char};

/// A constant as all the numbers that it can stand for.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Number {
    pub(crate) text: String,
    pub(crate) int: Option<i64>,
    pub(crate) uint: Option<u64>,
    pub(crate) float: Option<f64>,
}

impl Number {
    /// A number's literal; the error is Go's, but for imaginary ones, which are refused here.
    pub(crate) fn parse(text: &[u8]) -> Result<Self, Vec<u8>> {
        let cited = || quote(text);
        let written = String::from_utf8_lossy(text).into_owned();
        if written.ends_with('i') {
            return Err([b"imaginary constants are not supported: ", &cited()[..]].concat());
        }
        let mut number =
            Self { uint: parse_uint(&written).ok(), int: parse_int(&written).ok(), ..Self::default() };
        if number.int == Some(0) {
            number.uint = Some(0);
        }
        number.float = match (number.int, number.uint) {
            #[allow(clippy::cast_precision_loss, reason = "Go converts as it does")]
            (Some(int), _) => Some(int as f64),
            #[allow(clippy::cast_precision_loss, reason = "Go converts as it does")]
            (None, Some(uint)) => Some(uint as f64),
            (None, None) => parse_float(&written).ok(),
        };
        if let (None, None, Some(float)) = (number.int, number.uint, number.float) {
            if !written.contains(['.', 'e', 'E', 'p', 'P']) {
                return Err([b"integer overflow: ", &cited()[..]].concat());
            }
            number.int = whole_int(float);
            number.uint = whole_uint(float);
        }
        if number.float.is_none() {
            return Err([b"illegal number syntax: ", &cited()[..]].concat());
        }
        number.text = written;
        Ok(number)
    }

    /// A character between single quotes.
    pub(crate) fn parse_char(text: &[u8]) -> Result<Self, Vec<u8>> {
        let invalid = || b"invalid syntax".to_vec();
        let (value, tail) = unquote_char(text.get(1..).unwrap_or_default(), b'\'').map_err(|_| invalid())?;
        if tail != b"'" {
            return Err([b"malformed character constant: ", text].concat());
        }
        let code = value.code();
        Ok(Self {
            text: String::from_utf8_lossy(text).into_owned(),
            int: Some(code.into()),
            uint: Some(code.into()),
            float: Some(code.into()),
        })
    }

    /// Whether it is a float where nothing tells what it should be.
    pub(crate) fn is_ideal_float(&self) -> bool {
        let lower = self.text.to_ascii_lowercase();
        let hex_int = lower.len() > 2 && lower.starts_with("0x") && !lower.contains('p');
        self.float.is_some() && !hex_int && !lower.starts_with('\'') && lower.contains(['.', 'e', 'p'])
    }
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::float_cmp,
    reason = "checked by the way back"
)]
fn whole_int(float: f64) -> Option<i64> {
    // Two to the 63rd is no int64, though the cast back would say so.
    (float < 9_223_372_036_854_775_808.0 && float as i64 as f64 == float).then_some(float as i64)
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::float_cmp,
    clippy::cast_precision_loss,
    reason = "checked by the way back"
)]
fn whole_uint(float: f64) -> Option<u64> {
    (float < 18_446_744_073_709_551_616.0 && float as u64 as f64 == float).then_some(float as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_constant_is_every_number_that_it_can_be() {
        let one = Number::parse(b"1e3").unwrap();
        assert_eq!(
            (one.int, one.uint, one.float, one.is_ideal_float()),
            (Some(1000), Some(1000), Some(1000.0), true)
        );
        let minus = Number::parse(b"-5").unwrap();
        assert_eq!((minus.int, minus.uint, minus.float), (Some(-5), None, Some(-5.0)));
        let large = Number::parse(b"18446744073709551615").unwrap();
        assert_eq!((large.int, large.uint), (None, Some(u64::MAX)));
        assert!(!Number::parse(b"0x1e").unwrap().is_ideal_float());
        assert_eq!(Number::parse_char(b"'\\n'").unwrap().int, Some(10));
    }

    #[test]
    fn what_is_no_number_is_refused_in_words() {
        let refused = |text: &[u8]| String::from_utf8(Number::parse(text).unwrap_err()).unwrap();
        assert_eq!(refused(b"99999999999999999999"), "integer overflow: \"99999999999999999999\"");
        assert_eq!(refused(b"1__0"), "illegal number syntax: \"1__0\"");
        assert_eq!(refused(b"1i"), "imaginary constants are not supported: \"1i\"");
    }
}
