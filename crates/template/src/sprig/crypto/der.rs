//! DER: as much of it as keys and certificates need.

pub(super) const INTEGER: u8 = 0x02;
pub(super) const BIT_STRING: u8 = 0x03;
pub(super) const OCTET_STRING: u8 = 0x04;
pub(super) const NULL: u8 = 0x05;
pub(super) const OBJECT_IDENTIFIER: u8 = 0x06;
pub(super) const SEQUENCE: u8 = 0x30;
pub(super) const SET: u8 = 0x31;

/// An element of these contents.
pub(super) fn element(tag: u8, contents: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    let length = contents.len().to_be_bytes();
    let length = &length[length.iter().take_while(|byte| **byte == 0).count()..];
    if contents.len() > 0x7f {
        out.push(0x80 | u8::try_from(length.len()).unwrap_or(0x7f));
    }
    out.extend_from_slice(if length.is_empty() { &[0] } else { length });
    out.extend_from_slice(contents);
    out
}

/// An element of these parts.
pub(super) fn constructed(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    element(tag, &parts.concat())
}

pub(super) fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    constructed(SEQUENCE, parts)
}

/// A number that is not negative, from its bytes, the highest first.
pub(super) fn integer(bytes: &[u8]) -> Vec<u8> {
    let significant = &bytes[bytes.iter().take_while(|byte| **byte == 0).count()..];
    let sign: &[u8] = if significant.first().is_none_or(|byte| *byte >= 0x80) { &[0] } else { &[] };
    element(INTEGER, &[sign, significant].concat())
}

pub(super) fn bit_string(bytes: &[u8]) -> Vec<u8> {
    element(BIT_STRING, &[&[0], bytes].concat())
}

/// Reads one element after the other.
#[derive(Clone, Copy)]
pub(super) struct Reader<'d>(&'d [u8]);

/// An element with its tag, its contents, and both with the length between.
#[derive(Clone, Copy)]
pub(super) struct Element<'d> {
    pub(super) tag: u8,
    pub(super) contents: &'d [u8],
    pub(super) whole: &'d [u8],
}

impl<'d> Reader<'d> {
    pub(super) fn new(bytes: &'d [u8]) -> Self {
        Self(bytes)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The next element, of any tag.
    pub(super) fn any(&mut self) -> Option<Element<'d>> {
        let (&tag, rest) = self.0.split_first()?;
        let (&first, rest) = rest.split_first()?;
        // Tags of more than one byte and lengths without end are no part of what is read here.
        if tag & 0x1f == 0x1f {
            return None;
        }
        let (length, rest) = match first {
            0..=0x7f => (usize::from(first), rest),
            0x81..=0x84 => {
                let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
                let length = bytes.iter().fold(0_usize, |length, byte| length << 8 | usize::from(*byte));
                // The shortest form is the only one.
                if bytes.first() == Some(&0) || length < 0x80 {
                    return None;
                }
                (length, rest)
            }
            _ => return None,
        };
        let (contents, rest) = rest.split_at_checked(length)?;
        let whole = &self.0[..self.0.len() - rest.len()];
        self.0 = rest;
        Some(Element { tag, contents, whole })
    }

    /// The next element, if it has that tag.
    pub(super) fn optional(&mut self, tag: u8) -> Option<Element<'d>> {
        let mut ahead = *self;
        let element = ahead.any().filter(|element| element.tag == tag)?;
        *self = ahead;
        Some(element)
    }

    /// The contents of the next element, which must have that tag.
    pub(super) fn expect(&mut self, tag: u8) -> Option<&'d [u8]> {
        self.optional(tag).map(|element| element.contents)
    }

    pub(super) fn sequence(&mut self) -> Option<Reader<'d>> {
        self.expect(SEQUENCE).map(Reader)
    }

    /// The bytes of a number in the shortest form.
    pub(super) fn integer(&mut self) -> Option<&'d [u8]> {
        match self.expect(INTEGER)? {
            [] => None,
            [0, second, ..] if *second < 0x80 => None,
            [0xff, second, ..] if *second >= 0x80 => None,
            all => Some(all),
        }
    }

    /// The bytes of a bit string of whole bytes.
    pub(super) fn bits(&mut self) -> Option<&'d [u8]> {
        self.expect(BIT_STRING)?.strip_prefix(&[0])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_nothing_longer_than_it_must_be() {
        let long = vec![7; 300];
        let written = sequence(&[&integer(&[0, 0x80]), &integer(&[]), &element(OCTET_STRING, &long)]);
        let mut reader = Reader::new(&written).sequence().unwrap();
        assert_eq!(reader.integer(), Some(&[0, 0x80][..]));
        assert_eq!(reader.integer(), Some(&[0][..]));
        assert_eq!(reader.expect(OCTET_STRING), Some(&long[..]));
        assert!(reader.is_empty());
        for malformed in
            [&[0x02, 0x81, 0x01, 0x05][..], &[0x02, 0x02, 0x00, 0x05], &[0x02, 0x01], &[0x02, 0x80], &[0x02]]
        {
            assert!(Reader::new(malformed).integer().is_none(), "{malformed:x?}");
        }
    }
}
