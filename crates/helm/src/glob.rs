//! Patterns for paths over several folders: gobwas/glob as `.Files.Glob` uses it.

use crate::path_pattern::InvalidPattern;
use regex::bytes::{Regex, RegexBuilder};
use std::iter::Peekable;
use std::str::Chars;

/// As a [`PathPattern`](crate::path_pattern::PathPattern), with `**` for any depth, `{a,b}` for alternatives, and `!` instead of `^` in
/// classes.
pub(crate) fn glob(pattern: &str) -> Result<Regex, InvalidPattern> {
    Translator { pattern, chars: pattern.chars().peekable(), out: String::new() }.whole()
}

struct Translator<'p> {
    pattern: &'p str,
    chars: Peekable<Chars<'p>>,
    out: String,
}

impl Translator<'_> {
    fn whole(mut self) -> Result<Regex, InvalidPattern> {
        let mut open = 0;
        while let Some(c) = self.chars.next() {
            match c {
                '*' => self.star(),
                '?' => self.out.push_str("[^/]"),
                '[' => self.class()?,
                '\\' => {
                    let next = self.chars.next().ok_or_else(|| self.invalid())?;
                    self.literal(next);
                }
                '{' => {
                    open += 1;
                    self.out.push_str("(?:");
                }
                '}' if open > 0 => {
                    open -= 1;
                    self.out.push(')');
                }
                ',' if open > 0 => self.out.push('|'),
                c => self.literal(c),
            }
        }
        if open > 0 {
            return Err(self.invalid());
        }
        RegexBuilder::new(&format!("^(?:{})$", self.out))
            .dot_matches_new_line(true)
            .size_limit(1 << 20)
            .build()
            .map_err(|_| self.invalid())
    }

    fn star(&mut self) {
        let mut stars = 1;
        while self.chars.next_if_eq(&'*').is_some() {
            stars += 1;
        }
        self.out.push_str(if stars > 1 { ".*" } else { "[^/]*" });
    }

    fn class(&mut self) -> Result<(), InvalidPattern> {
        let negated = self.chars.next_if_eq(&'!').is_some();
        let mut items = String::new();
        loop {
            let low = match self.chars.next() {
                Some(']') if !items.is_empty() => break,
                Some('\\') => self.chars.next(),
                other => other,
            };
            let low = low.ok_or_else(|| self.invalid())?;
            items.push_str(&regex::escape(&low.to_string()));
            if self.chars.next_if_eq(&'-').is_some() {
                let high = match self.chars.next() {
                    Some('\\') => self.chars.next(),
                    Some(']') | None => None,
                    other => other,
                };
                let high = high.ok_or_else(|| self.invalid())?;
                items.push('-');
                items.push_str(&regex::escape(&high.to_string()));
            }
        }
        self.out.push_str(if negated { "[^" } else { "[" });
        self.out.push_str(&items);
        self.out.push(']');
        Ok(())
    }

    fn literal(&mut self, c: char) {
        self.out.push_str(&regex::escape(&c.to_string()));
    }

    fn invalid(&self) -> InvalidPattern {
        InvalidPattern(self.pattern.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matching<'n>(pattern: &Regex, names: &[&'n str]) -> Vec<&'n str> {
        names.iter().copied().filter(|name| pattern.is_match(name.as_bytes())).collect()
    }

    #[test]
    fn one_star_stays_in_its_folder_and_two_do_not() {
        let names = ["a.yaml", "conf/a.yaml", "conf/sub/b.yaml", "conf/c.txt"];
        assert_eq!(matching(&glob("conf/*.yaml").unwrap(), &names), ["conf/a.yaml"]);
        assert_eq!(matching(&glob("conf/**").unwrap(), &names), names[1..]);
        assert_eq!(matching(&glob("**.{yaml,txt}").unwrap(), &names), names);
        assert_eq!(matching(&glob("conf/[!a].*").unwrap(), &names), ["conf/c.txt"]);
    }

    #[test]
    fn an_open_class_is_no_pattern() {
        assert!(glob("a[").is_err() && glob("a\\").is_err() && glob("{a").is_err());
    }
}
