//! Which known word somebody meant.

/// The known words that are nearest to what was written, if any is near enough for a typo.
pub(super) fn nearest<'k>(written: &str, known: impl IntoIterator<Item = &'k str>) -> Vec<&'k str> {
    let lower = written.to_lowercase();
    let allowed = 1 + written.chars().count() / 5;
    let mut best = allowed + 1;
    let mut words = Vec::new();
    for word in known {
        let distance = strsim::osa_distance(&lower, &word.to_lowercase());
        if distance < best {
            best = distance;
            words.clear();
        }
        if distance == best && best <= allowed {
            words.push(word);
        }
    }
    words
}

/// The few names that are nearest to what was written, for lists that are too long to show: those that are within a typo, else
/// those that share most with it from the beginning on.
pub(crate) fn few<'k>(
    written: &str,
    known: impl IntoIterator<Item = &'k str> + Clone,
    most: usize,
) -> Vec<&'k str> {
    let near = nearest(written, known.clone());
    if !near.is_empty() {
        return near.into_iter().take(most).collect();
    }
    let lower = written.to_lowercase();
    let rank = |name: &str| {
        let name = name.to_lowercase();
        let shared = name.chars().zip(lower.chars()).take_while(|(a, b)| a == b).count();
        (std::cmp::Reverse(shared), strsim::osa_distance(&lower, &name))
    };
    let mut all: Vec<&str> = known.into_iter().collect();
    all.sort_by_cached_key(|name| rank(name));
    all.truncate(most);
    all
}

/// The end of a sentence: which word was probably meant, or all that are known.
pub(crate) fn suggestion<'k>(
    written: &str,
    known: impl IntoIterator<Item = &'k str> + Clone,
    none: &str,
) -> String {
    let quote = |words: &[&str], last: &str| {
        let quoted: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
        match quoted.split_last() {
            Some((end, rest)) if !rest.is_empty() => format!("{}{last}{end}", rest.join(", ")),
            _ => quoted.concat(),
        }
    };
    let near = nearest(written, known.clone());
    let all: Vec<&str> = known.into_iter().collect();
    if !near.is_empty() {
        format!(", did you mean {}?", quote(&near, " or "))
    } else if all.is_empty() {
        format!(", {none}")
    } else {
        format!(", known: {}", quote(&all, ", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typo_names_what_is_near_and_else_what_is_known() {
        let known = ["interval", "url", "timeout", "labels", "label"];
        assert_eq!(suggestion("intervall", known, ""), ", did you mean `interval`?");
        assert_eq!(suggestion("ulr", known, ""), ", did you mean `url`?");
        assert_eq!(suggestion("labelz", known, ""), ", did you mean `labels` or `label`?");
        assert_eq!(suggestion("xyzzy", ["a", "b"], ""), ", known: `a`, `b`");
        assert_eq!(suggestion("x", [], "there is none"), ", there is none");
    }

    #[test]
    fn of_a_long_list_the_nearest_few_are_named() {
        let known: Vec<String> = (0..500).map(|n| format!("app-{n}@production")).collect();
        let known: Vec<&str> = known.iter().map(String::as_str).chain(["web@staging", "web@test"]).collect();
        let few = |written: &str| few(written, known.iter().copied(), 3);
        assert_eq!(few("web@stagin"), ["web@staging"]);
        assert_eq!(few("web@live"), ["web@test", "web@staging", "app-0@production"]);
        assert_eq!(few("zzz").len(), 3);
    }
}
