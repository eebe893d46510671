//! Base64, base32, checksums.

use super::Entry;
use crate::value::Value;
use sha1::Sha1;
use sha2::{Digest as _, Sha256, Sha512};

const ONE: &str = "func(string) string";
const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

pub(super) const TABLE: &[Entry] = &[
    (&["b64enc"], ONE, |_, arguments| Ok(base64(arguments.text(0)?).into())),
    (&["b32enc"], ONE, |_, arguments| Ok(encode(arguments.text(0)?, BASE32, 5, 8).into())),
    // What cannot be decoded gives the error's text.
    (&["b64dec"], ONE, |_, arguments| {
        Ok(decode64(arguments.text(0)?).unwrap_or_else(|at| corrupt("base64", at)).into())
    }),
    (&["b32dec"], ONE, |_, arguments| {
        Ok(decode32(arguments.text(0)?).unwrap_or_else(|at| corrupt("base32", at)).into())
    }),
    (&["sha1sum"], ONE, |_, arguments| Ok(hex(&Sha1::digest(arguments.text(0)?)).into())),
    (&["sha256sum"], ONE, |_, arguments| Ok(hex(&Sha256::digest(arguments.text(0)?)).into())),
    (&["sha512sum"], ONE, |_, arguments| Ok(hex(&Sha512::digest(arguments.text(0)?)).into())),
    (&["adler32sum"], ONE, |_, arguments| {
        let (mut low, mut high) = (1_u32, 0_u32);
        for &byte in arguments.text(0)?.iter() {
            low = (low + u32::from(byte)) % 65521;
            high = (high + low) % 65521;
        }
        Ok(Value::text((high << 16 | low).to_string()))
    }),
];

fn corrupt(name: &str, at: usize) -> Vec<u8> {
    format!("illegal {name} data at input byte {at}").into_bytes()
}

pub(super) fn hex(bytes: &[u8]) -> String {
    let digit = |value: u8| char::from(b"0123456789abcdef"[usize::from(value)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

pub(super) fn base64(bytes: &[u8]) -> Vec<u8> {
    encode(bytes, BASE64, 6, 4)
}

/// Digits of `width` bits, filled up to whole groups.
fn encode(bytes: &[u8], alphabet: &[u8], width: u32, group: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len() * 2 + group);
    let (mut held, mut bits) = (0_u32, 0);
    for &byte in bytes {
        held = held << 8 | u32::from(byte);
        bits += 8;
        while bits >= width {
            bits -= width;
            out.push(alphabet[(held >> bits) as usize & (alphabet.len() - 1)]);
        }
        held &= (1 << bits) - 1;
    }
    if bits > 0 {
        out.push(alphabet[(held << (width - bits)) as usize & (alphabet.len() - 1)]);
    }
    out.resize(out.len().next_multiple_of(group), b'=');
    out
}

/// The bytes of digits of `width` bits; bits that make no whole byte are dropped.
fn bytes_of(digits: &[u8], width: u32, out: &mut Vec<u8>) {
    let (mut held, mut bits) = (0_u32, 0);
    for &digit in digits {
        held = held << width | u32::from(digit);
        bits += width;
        if bits >= 8 {
            bits -= 8;
            out.push((held >> bits).to_le_bytes()[0]);
        }
    }
}

fn digit(alphabet: &[u8], byte: u8) -> Option<u8> {
    alphabet.iter().position(|&known| known == byte).and_then(|at| u8::try_from(at).ok())
}

fn is_newline(byte: u8) -> bool {
    matches!(byte, b'\n' | b'\r')
}

/// The bytes, or the place of what is wrong.
pub(super) fn decode64(text: &[u8]) -> Result<Vec<u8>, usize> {
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    let mut digits = Vec::with_capacity(4);
    while let Some(&byte) = text.get(at) {
        at += 1;
        if is_newline(byte) {
            continue;
        }
        if let Some(digit) = digit(BASE64, byte) {
            digits.push(digit);
            if digits.len() == 4 {
                bytes_of(&digits, 6, &mut out);
                digits.clear();
            }
            continue;
        }
        if byte != b'=' || digits.len() < 2 {
            return Err(at - 1);
        }
        let skip = |mut at: usize| {
            while text.get(at).is_some_and(|&byte| is_newline(byte)) {
                at += 1;
            }
            at
        };
        if digits.len() == 2 {
            at = skip(at);
            match text.get(at) {
                None => return Err(text.len()),
                Some(b'=') => at += 1,
                Some(_) => return Err(at - 1),
            }
        }
        at = skip(at);
        if at < text.len() {
            return Err(at);
        }
        bytes_of(&digits, 6, &mut out);
        digits.clear();
    }
    if digits.is_empty() { Ok(out) } else { Err(text.len() - digits.len()) }
}

fn decode32(text: &[u8]) -> Result<Vec<u8>, usize> {
    let text: Vec<u8> = text.iter().copied().filter(|&byte| !is_newline(byte)).collect();
    let mut out = Vec::with_capacity(text.len());
    let mut digits = Vec::with_capacity(8);
    for (at, &byte) in text.iter().enumerate() {
        let rest = &text[at + 1..];
        if byte == b'=' && digits.len() >= 2 && rest.len() < 8 {
            if rest.len() + digits.len() < 7 {
                return Err(text.len());
            }
            let padding = rest.iter().take(7 - digits.len());
            if let Some(wrong) = padding.clone().position(|&byte| byte != b'=') {
                return Err(text.len() - rest.len() + wrong - 1);
            }
            if matches!(digits.len(), 1 | 3 | 6) {
                return Err(text.len() - rest.len() - 1);
            }
            bytes_of(&digits, 5, &mut out);
            return Ok(out);
        }
        digits.push(digit(BASE32, byte).ok_or(at)?);
        if digits.len() == 8 {
            bytes_of(&digits, 5, &mut out);
            digits.clear();
        }
    }
    if digits.is_empty() { Ok(out) } else { Err(text.len() - digits.len()) }
}
