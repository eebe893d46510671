//! What go-yaml says of a text that it cannot read: templates see it in the `Error` that `fromYaml` gives.
//!
//! In comes what our own reader says, with its place; out comes the sentence of go-yaml for the usual mistakes, with the line as go-yaml counts
//! it. What it has no sentence for keeps ours.
//!
//! Source: `scannerc.go`, `parserc.go` and `fail` in `decode.go` of go.yaml.in/yaml/v2 2.4. Its parser counts lines from 0, its scanner
//! from 1, and the first line is not named by either.

use trueup_model::yaml::YamlError;

/// Whose sentence it is.
#[derive(Clone, Copy)]
enum Teller {
    /// It names the line where it stands.
    Scanner,
    /// It names the line before.
    Parser,
    /// It names no line.
    Decoder,
}

/// Where it is noticed.
#[derive(Clone, Copy)]
enum Noticed {
    Here,
    /// At the next thing that stands in a line below.
    Below,
    /// At the end of the text.
    AtEnd,
    /// There, on a line of its own.
    BehindEnd,
}

/// What is said of a character that nothing begins with.
pub(super) const NO_START: &str = "found character that cannot start any token";
const NO_CONTENT: &str = "did not find expected node content";
const NO_KEY: &str = "did not find expected key";

/// Sentences by what ours ends with.
const SENTENCES: [(&str, &str, Teller, Noticed); 23] = {
    use Noticed::{AtEnd, Below, Here};
    use Teller::{Decoder, Parser, Scanner};
    const VALUES: &str = "mapping values are not allowed in this context";
    const ESCAPE: &str = "found unknown escape character";
    const DASH: &str = "did not find expected '-' indicator";
    const AFTER: &str = "did not find expected comment or line break";
    const NAME: &str = "did not find expected alphabetic or numeric character";
    const ANGLE: &str = "did not find the expected '>'";
    const TAB: &str = "found a tab character that violates indentation";
    const TAB_FIRST: &str = "found a tab character where an indentation space is expected";
    const MERGE: &str = "map merge requires map or sequence of maps as the value";
    [
        (VALUES, VALUES, Scanner, Here),
        ("tabs disallowed within this context (block indentation)", NO_START, Scanner, Here),
        ("unclosed quote", "found unexpected end of stream", Scanner, AtEnd),
        (DASH, DASH, Parser, Here),
        ("simple key expected ':'", "could not find expected ':'", Scanner, Below),
        (ESCAPE, ESCAPE, Scanner, Here),
        (
            "did not find expected hexadecimal number",
            "did not find expected hexdecimal number",
            Scanner,
            Here,
        ),
        (NO_KEY, NO_KEY, Parser, Here),
        ("invalid trailing content after single-quoted scalar", NO_KEY, Parser, Here),
        ("invalid trailing content after double-quoted scalar", NO_KEY, Parser, Here),
        ("wrongly indented line in block scalar", NO_KEY, Parser, Here),
        ("misplaced bracket", NO_CONTENT, Parser, Here),
        (AFTER, AFTER, Scanner, Here),
        (NAME, NAME, Scanner, Here),
        (ANGLE, ANGLE, Scanner, Here),
        ("a merge key needs a mapping or a list of mappings", MERGE, Decoder, Here),
        ("a !!binary value has to be base64", "!!binary value contains invalid base64 data", Decoder, Here),
        ("unexpected EOF while parsing an implicit flow mapping", NO_CONTENT, Parser, Here),
        ("unexpected EOF while parsing a block mapping", NO_CONTENT, Parser, Here),
        ("unexpected EOF while parsing a block sequence", NO_CONTENT, Parser, Here),
        ("did not find expected ',' or '}'", "did not find expected ',' or '}'", Parser, Here),
        ("while scanning a plain scalar, found a tab", TAB, Scanner, Below),
        ("a block scalar content cannot start with a tab", TAB_FIRST, Scanner, Below),
    ]
};

/// What go-yaml says of it.
pub(super) fn told(error: &YamlError, text: &str) -> String {
    let message = error.message.as_str();
    let (sentence, teller, noticed) = if let Some(bracket) = message.strip_prefix("unclosed bracket ") {
        (unclosed(bracket, text), Teller::Parser, Noticed::BehindEnd)
    } else if let Some(found) = message.strip_prefix("unexpected character: ") {
        if found.contains("u{") {
            ("control characters are not allowed".to_owned(), Teller::Decoder, Noticed::Here)
        } else {
            (NO_START.to_owned(), Teller::Scanner, Noticed::Here)
        }
    } else if message == "this alias stands inside of what it repeats" {
        (format!("anchor '{}' value contains itself", anchor(error, text)), Teller::Decoder, Noticed::Here)
    } else if message.ends_with("found unknown anchor") {
        (format!("unknown anchor '{}' referenced", anchor(error, text)), Teller::Decoder, Noticed::Here)
    } else if let Some((found, kind)) =
        message.strip_prefix('"').and_then(|rest| rest.split_once("\" is not a "))
    {
        (format!("cannot decode !!str `{found}` as a {kind}"), Teller::Decoder, Noticed::Here)
    } else if let Some((_, sentence, teller, noticed)) =
        SENTENCES.iter().find(|(ours, ..)| message.ends_with(ours))
    {
        ((*sentence).to_owned(), *teller, *noticed)
    } else {
        (message.to_owned(), Teller::Scanner, Noticed::Here)
    };
    match named(teller, line(noticed, error.at.line, text)) {
        None => format!("yaml: {sentence}"),
        Some(line) => format!("yaml: line {line}: {sentence}"),
    }
}

/// The line where it is noticed, from 1.
fn line(noticed: Noticed, at: usize, text: &str) -> usize {
    let last = 1 + text.matches('\n').count();
    // Where the last line has no end, one is thought of.
    let behind = last + usize::from(!text.is_empty() && !text.ends_with('\n'));
    match noticed {
        Noticed::Here => at,
        Noticed::AtEnd => last,
        Noticed::BehindEnd => behind,
        Noticed::Below => {
            let says = |line: &&str| !matches!(line.trim_start().as_bytes().first(), None | Some(b'#'));
            let blank = text.lines().skip(at).take_while(|line| !says(line)).count();
            (at + blank + 1).min(behind)
        }
    }
}

/// The number that is told of a line, if one is.
fn named(teller: Teller, line: usize) -> Option<usize> {
    match teller {
        Teller::Scanner => Some(line).filter(|line| *line > 1),
        Teller::Parser => line.checked_sub(1).filter(|line| *line > 0),
        Teller::Decoder => None,
    }
}

/// What is missed where a bracket is not closed: what closes it, or what would stand in it.
fn unclosed(bracket: &str, text: &str) -> String {
    let is_open = text.trim_end().ends_with(['[', '{', ',']);
    match bracket {
        _ if is_open => NO_CONTENT.to_owned(),
        "'['" => "did not find expected ',' or ']'".to_owned(),
        _ => "did not find expected ',' or '}'".to_owned(),
    }
}

/// The name of an anchor that is asked for.
fn anchor<'t>(error: &YamlError, text: &'t str) -> &'t str {
    let line = text.lines().nth(error.at.line.saturating_sub(1)).unwrap_or_default();
    let at = line.char_indices().nth(error.at.column.saturating_sub(1)).map_or(0, |(at, _)| at);
    let behind = line[at..].find('*').map_or("", |star| &line[at + star + 1..]);
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    behind.split(|c| !is_name(c)).next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use crate::values::READING;
    use trueup_model::yaml;

    #[test]
    fn the_usual_mistakes_are_told_as_go_yaml_tells_them() {
        for (text, wanted) in [
            ("a: b: c", "yaml: mapping values are not allowed in this context"),
            ("a: 1\n  b: 2", "yaml: line 2: mapping values are not allowed in this context"),
            ("a:\n\tb: 1", "yaml: line 2: found character that cannot start any token"),
            ("a: @b", "yaml: found character that cannot start any token"),
            ("a: 'b\n\nc", "yaml: line 3: found unexpected end of stream"),
            ("a: [1, 2", "yaml: line 1: did not find expected ',' or ']'"),
            ("{", "yaml: line 1: did not find expected node content"),
            ("a:\n  - b\n  c: d", "yaml: line 2: did not find expected '-' indicator"),
            ("a: 1\nkey", "yaml: line 3: could not find expected ':'"),
            ("a: 1\nkey\n\n# c\nb: 1\n", "yaml: line 5: could not find expected ':'"),
            ("a:\n  b: 1\n c: 2", "yaml: line 2: did not find expected key"),
            ("a: 'it's'", "yaml: did not find expected key"),
            ("a: \"\\z\"", "yaml: found unknown escape character"),
            ("é: *x", "yaml: unknown anchor 'x' referenced"),
            ("a: &a [*a]", "yaml: anchor 'a' value contains itself"),
            ("a:\n  - x\n\t- y", "yaml: line 3: found a tab character that violates indentation"),
            ("a: !!int x", "yaml: cannot decode !!str `x` as a !!int"),
            ("a: \u{1}", "yaml: control characters are not allowed"),
        ] {
            let told = yaml::documents_as(text, READING).map_err(|error| super::told(&error, text));
            assert_eq!(told.map(|_| ()), Err(wanted.to_owned()), "{text:?}");
        }
    }
}
