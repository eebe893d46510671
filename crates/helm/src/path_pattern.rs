//! Patterns for paths as Go's `filepath.Match` has them.
//!
//! In comes a pattern as `.helmignore` and `--show-only` have it; out comes whether a path fits. Absent: patterns that go over
//! several folders, which are in [`crate::glob`].

use std::iter::Peekable;
use std::str::Chars;

/// A pattern that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}: no pattern for paths")]
pub(crate) struct InvalidPattern(pub(crate) String);

/// `*` and `?` stay between two slashes, `[a-z]` and `[^a-z]` are classes, `\` takes what follows as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PathPattern(Vec<Piece>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    /// Any number of characters but slashes.
    Star,
    /// Any character but a slash.
    Any,
    Literal(char),
    Class(Class),
}

/// Characters: those in the ranges, or all others.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Class {
    negated: bool,
    ranges: Vec<(char, char)>,
}

impl PathPattern {
    /// Reads a pattern.
    pub(crate) fn new(pattern: &str) -> Result<Self, InvalidPattern> {
        let invalid = || InvalidPattern(pattern.to_owned());
        let mut chars = pattern.chars().peekable();
        let mut pieces = Vec::new();
        while let Some(c) = chars.next() {
            pieces.push(match c {
                '*' if pieces.last() == Some(&Piece::Star) => continue,
                '*' => Piece::Star,
                '?' => Piece::Any,
                '[' => Piece::Class(class(&mut chars).ok_or_else(invalid)?),
                '\\' => Piece::Literal(chars.next().ok_or_else(invalid)?),
                c => Piece::Literal(c),
            });
        }
        Ok(Self(pieces))
    }

    /// Whether all of a path is as the pattern says.
    pub(crate) fn matches(&self, path: &str) -> bool {
        let (mut pieces, mut rest) = (&self.0[..], path.chars());
        // Where the last star stands, and what it has not taken yet. An earlier one need not take more: what is behind it fits
        // where it was found first, and neither goes over a slash.
        let mut star = None;
        loop {
            match pieces.split_first() {
                Some((Piece::Star, after)) => {
                    star = Some((after, rest.clone()));
                    pieces = after;
                    continue;
                }
                Some((piece, after)) => {
                    let mut ahead = rest.clone();
                    if ahead.next().is_some_and(|c| piece.is(c)) {
                        (pieces, rest) = (after, ahead);
                        continue;
                    }
                }
                None if rest.as_str().is_empty() => return true,
                None => {}
            }
            let Some((after, mut untaken)) = star else { return false };
            match untaken.next() {
                None | Some('/') => return false,
                Some(_) => (pieces, rest, star) = (after, untaken.clone(), Some((after, untaken))),
            }
        }
    }
}

impl Piece {
    fn is(&self, c: char) -> bool {
        match self {
            Self::Star => false,
            Self::Any => c != '/',
            Self::Literal(literal) => *literal == c,
            Self::Class(class) => {
                class.ranges.iter().any(|(low, high)| (low..=high).contains(&&c)) != class.negated
            }
        }
    }
}

/// What follows an opening bracket, up to the closing one.
fn class(chars: &mut Peekable<Chars<'_>>) -> Option<Class> {
    let negated = chars.next_if_eq(&'^').is_some();
    let mut ranges = Vec::new();
    loop {
        if !ranges.is_empty() && chars.next_if_eq(&']').is_some() {
            return Some(Class { negated, ranges });
        }
        let low = member(chars)?;
        let high = if chars.next_if_eq(&'-').is_some() { member(chars)? } else { low };
        ranges.push((low, high));
    }
}

fn member(chars: &mut Peekable<Chars<'_>>) -> Option<char> {
    match chars.next()? {
        ']' | '-' => None,
        '\\' => chars.next(),
        c => Some(c),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_fit_what_go_says() {
        // Of Go's own tests of path/filepath, and some with slashes.
        for (pattern, path, fits) in [
            ("abc", "abc", true),
            ("*", "abc", true),
            ("*c", "abc", true),
            ("a*", "ab/c", false),
            ("a*/b", "abc/b", true),
            ("a*/b", "a/c/b", false),
            ("a*b*c*d*e*/f", "axbxcxdxe/f", true),
            ("a*b*c*d*e*/f", "axbxcxdxexxx/f", true),
            ("a*b*c*d*e*/f", "axbxcxdxe/xxx/f", false),
            ("a*b*c*d*e*/f", "axbxcxdxexxx/fff", false),
            ("a*b?c*x", "abxbbxdbxebxczzx", true),
            ("a*b?c*x", "abxbbxdbxebxczzy", false),
            ("ab[c]", "abc", true),
            ("ab[b-d]", "abc", true),
            ("ab[e-g]", "abc", false),
            ("ab[^c]", "abc", false),
            ("ab[^e-g]", "abc", true),
            ("a\\*b", "a*b", true),
            ("a\\*b", "ab", false),
            ("a?b", "a☺b", true),
            ("a[^a]b", "a☺b", true),
            ("a???b", "a☺b", false),
            ("[a-ζ]*", "α", true),
            ("*[a-ζ]", "A", false),
            ("a?b", "a/b", false),
            ("a*b", "a/b", false),
            ("[\\]a]", "]", true),
            ("[\\-x]", "-", true),
            ("[x\\-]", "z", false),
            ("[z-a]", "m", false),
            ("*x", "xxx", true),
            ("*x/*y", "x/x/y", false),
            ("", "", true),
            ("", "a", false),
            ("**", "a", true),
        ] {
            assert_eq!(PathPattern::new(pattern).unwrap().matches(path), fits, "{pattern} {path}");
        }
        for pattern in ["[]a]", "[-]", "[x-]", "[-x]", "[a-b-c]", "[", "[^", "[^bc", "a[", "a\\"] {
            assert!(PathPattern::new(pattern).is_err(), "{pattern}");
        }
    }

    #[test]
    fn a_long_pattern_of_stars_takes_no_longer_than_its_length_times_the_path() {
        let (pattern, path) = ("a*".repeat(2000) + "b", "a".repeat(4000));
        assert!(!PathPattern::new(&pattern).unwrap().matches(&path));
    }
}
