//! Tabs at the beginnings of lines within brackets, as JSON has them that stands in YAML: go-yaml passes over them, the parser here does not.

/// The text with a space for each such tab; nothing where there is none. Lines and columns stay, and so does what quotes hold over several lines: blanks
/// at the beginnings of its lines are no part of it.
pub(super) fn spaced(text: &str) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    let (mut depth, mut quote, mut before) = (0_usize, None, '\n');
    // Whether the document is in brackets as a whole.
    let is_all = text.starts_with(['[', '{']);
    let mut found = false;
    for line in text.split_inclusive('\n') {
        let blank = line.len() - line.trim_start_matches([' ', '\t']).len();
        let (blank, rest) = line.split_at(blank);
        // Brackets below a key do not reach a line that stands as far out as can be: what was taken for one is in a block of text.
        if blank.is_empty() && !is_all && !rest.trim().is_empty() {
            (depth, quote, before) = (0, None, '\n');
        }
        if depth > 0 && blank.contains('\t') {
            found = true;
            out.extend(std::iter::repeat_n(' ', blank.len()));
        } else {
            out.push_str(blank);
        }
        out.push_str(rest);
        let mut is_escaped = false;
        let mut behind_space = true;
        for c in rest.chars() {
            match (quote, c) {
                (Some('"'), '\\') if !is_escaped => {
                    is_escaped = true;
                    continue;
                }
                (Some(open), _) => {
                    if c == open && !is_escaped {
                        (quote, before) = (None, c);
                    }
                }
                (None, '#') if behind_space => break,
                (None, '"' | '\'') if begins(before) => quote = Some(c),
                (None, '[' | '{') if begins(before) => depth += 1,
                (None, ']' | '}') => depth = depth.saturating_sub(1),
                (None, _) => {}
            }
            is_escaped = false;
            behind_space = c.is_whitespace();
            if quote.is_none() && (!behind_space || c == '\n') {
                before = c;
            }
        }
        if quote.is_none() && depth == 0 {
            before = '\n';
        }
    }
    found.then_some(out)
}

/// Whether something new may begin behind that character.
fn begins(before: char) -> bool {
    matches!(before, '\n' | ':' | ',' | '[' | '{' | '-' | '?')
}

#[cfg(test)]
mod tests {
    use crate::yaml::documents;
    use serde_json::json;

    #[test]
    fn json_with_tabs_is_read_where_blocks_may_not_have_them() {
        for (text, wanted) in [
            ("{\n\t\"a\": [\n\t\t1,\n\t\t\"x\ty\"\n\t]\n}\n", json!({"a": [1, "x\ty"]})),
            ("a: [ # don't\n\t1]\nb: it's {\n", json!({"a": [1], "b": "it's {"})),
            ("a: {'b':\n\t'c ]\n\td'}\n", json!({"a": {"b": "c ] d"}})),
        ] {
            let read = documents(text).unwrap_or_else(|error| panic!("{text:?}: {error}"));
            assert_eq!(read[0].value, wanted, "{text:?}");
        }
        for text in ["a:\n\tb: 1\n", "a: [1]\nb:\n\tc: 1\n", "a: |\n  [\nb:\n\tc: 1\n"] {
            assert!(documents(text).is_err(), "{text:?}");
        }
    }
}
