//! Paths as kustomize writes them: `spec/template/metadata/labels` in field specs,
//! `spec.containers.[name=web].image` in replacements and vars.

/// Splits at `delimiter`; one that follows a backslash belongs to the part. A leading delimiter is dropped.
pub(crate) fn split(path: &str, delimiter: char) -> Vec<String> {
    let mut pieces = path.split(delimiter).peekable();
    let mut parts: Vec<String> = Vec::new();
    let mut first = pieces.next().unwrap_or_default();
    if first.is_empty()
        && let Some(next) = pieces.next()
    {
        first = next;
    }
    parts.push(first.to_owned());
    for piece in pieces {
        match parts.last_mut() {
            Some(last) if last.ends_with('\\') => {
                last.pop();
                last.push(delimiter);
                last.push_str(piece);
            }
            Some(_) | None => parts.push(piece.to_owned()),
        }
    }
    parts
}

/// Splits at `.`, keeping `[name=a.b]` together and reading `[a.b]` without `=` as one field name.
pub(crate) fn split_fields(path: &str) -> Vec<String> {
    let pieces = split(path, '.');
    let mut parts = Vec::with_capacity(pieces.len());
    let mut index = 0;
    while index < pieces.len() {
        let piece = &pieces[index];
        index += 1;
        if !piece.starts_with('[') || piece.ends_with(']') {
            parts.push(piece.clone());
            continue;
        }
        let mut bracketed = piece.clone();
        while index < pieces.len() {
            bracketed.push('.');
            bracketed.push_str(&pieces[index]);
            index += 1;
            if bracketed.ends_with(']') {
                break;
            }
        }
        if bracketed.contains('=') {
            parts.push(bracketed);
        } else {
            parts.push(bracketed.trim_matches(|c| c == '[' || c == ']').to_owned());
        }
    }
    parts
}

/// `[name=web]` as its field and value; the field is empty in `[=value]`. `None` when it is no such part.
pub(crate) fn list_key(part: &str) -> Option<(&str, &str)> {
    part.strip_prefix('[')?.strip_suffix(']')?.split_once('=')
}

/// True for `[...]`, whatever stands in it.
pub(crate) fn is_bracketed(part: &str) -> bool {
    part.starts_with('[') && part.ends_with(']')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_escaped_delimiter_belongs_to_the_name() {
        assert_eq!(split(r"metadata/annotations/a.b\/c", '/'), ["metadata", "annotations", "a.b/c"]);
        assert_eq!(split("/spec/x", '/'), ["spec", "x"]);
        assert_eq!(split_fields(r"metadata.annotations.a\.b"), ["metadata", "annotations", "a.b"]);
    }

    #[test]
    fn brackets_hold_a_name_together() {
        assert_eq!(split_fields("spec.[name=a.b].x"), ["spec", "[name=a.b]", "x"]);
        assert_eq!(split_fields("metadata.annotations.[a.b/c]"), ["metadata", "annotations", "a.b/c"]);
        assert_eq!(list_key("[name=web=1]"), Some(("name", "web=1")));
        assert_eq!(list_key("[=x]"), Some(("", "x")));
        assert_eq!(list_key("name"), None);
    }
}
