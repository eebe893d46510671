//! Patterns for paths: Go's `filepath.Match` as `.helmignore` uses it, and gobwas/glob as `.Files.Glob` uses it.

use regex::bytes::{Regex, RegexBuilder};
use std::iter::Peekable;
use std::str::Chars;

/// A pattern that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}: no pattern for paths")]
pub(crate) struct InvalidPattern(String);

/// `*` and `?` stay between two slashes, `[a-z]` and `[^a-z]` are classes, `\` takes what follows as it is.
pub(crate) fn path_match(pattern: &str) -> Result<Regex, InvalidPattern> {
    Translator { pattern, chars: pattern.chars().peekable(), out: String::new() }.whole(Dialect::Go)
}

/// As [`path_match`], with `**` for any depth, `{a,b}` for alternatives, and `!` instead of `^` in classes.
pub(crate) fn glob(pattern: &str) -> Result<Regex, InvalidPattern> {
    Translator { pattern, chars: pattern.chars().peekable(), out: String::new() }.whole(Dialect::Glob)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Dialect {
    Go,
    Glob,
}

struct Translator<'p> {
    pattern: &'p str,
    chars: Peekable<Chars<'p>>,
    out: String,
}

impl Translator<'_> {
    fn whole(mut self, dialect: Dialect) -> Result<Regex, InvalidPattern> {
        let mut open = 0;
        while let Some(c) = self.chars.next() {
            match (c, dialect) {
                ('*', _) => self.star(dialect),
                ('?', _) => self.out.push_str("[^/]"),
                ('[', _) => self.class(dialect)?,
                ('\\', _) => {
                    let next = self.chars.next().ok_or_else(|| self.invalid())?;
                    self.literal(next);
                }
                ('{', Dialect::Glob) => {
                    open += 1;
                    self.out.push_str("(?:");
                }
                ('}', Dialect::Glob) if open > 0 => {
                    open -= 1;
                    self.out.push(')');
                }
                (',', Dialect::Glob) if open > 0 => self.out.push('|'),
                (c, _) => self.literal(c),
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

    fn star(&mut self, dialect: Dialect) {
        let mut stars = 1;
        while self.chars.next_if_eq(&'*').is_some() {
            stars += 1;
        }
        self.out.push_str(if dialect == Dialect::Glob && stars > 1 { ".*" } else { "[^/]*" });
    }

    fn class(&mut self, dialect: Dialect) -> Result<(), InvalidPattern> {
        let not = if dialect == Dialect::Go { '^' } else { '!' };
        let negated = self.chars.next_if_eq(&not).is_some();
        let mut items = String::new();
        loop {
            let low = match self.chars.next() {
                Some(']') if !items.is_empty() => break,
                Some(']' | '-') if dialect == Dialect::Go => return Err(self.invalid()),
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
        assert_eq!(matching(&path_match("conf/[a-c].*").unwrap(), &names), ["conf/a.yaml", "conf/c.txt"]);
    }

    #[test]
    fn an_open_class_is_no_pattern() {
        assert!(path_match("a[").is_err() && path_match("a\\").is_err() && glob("{a").is_err());
    }
}
