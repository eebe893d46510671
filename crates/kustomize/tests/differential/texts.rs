//! Short random texts, through the reader here and through sigs.k8s.io/yaml: the same values, or refused by both.
//!
//! Kubernetes has two readers: the strict one refuses doubled keys, and takes a merge key for one where it overlaps with a
//! written field. Here a written key that is doubled is refused, and a merge key merges; [`Readings::agree`] says which of the
//! two answers must hold when.

use crate::grow::Numbers;
use crate::grow::words::FLAT_WORDS;
use crate::number;
use crate::oracle::Oracle;
use serde_json::Value;
use trueup_model::yaml;

/// One to three entries, words in every spelling as keys and as values.
fn text(numbers: &mut Numbers) -> String {
    (0..=numbers.below(3)).map(|index| entry(numbers, index)).collect()
}

fn entry(numbers: &mut Numbers, index: usize) -> String {
    let (first, second) = (numbers.pick(FLAT_WORDS), numbers.pick(FLAT_WORDS));
    match numbers.below(9) {
        0 => format!("k{index}:\n- {first}\n- a: {second}\n"),
        1 | 2 => format!("{first}: {index}\n"),
        3 => format!("k{index}: &a {first}\nl{index}: *a\n"),
        4 => format!("k{index}: {{x: 1, <<: {{x: 2, y: {first}}}}}\n"),
        5 => format!("k{}: {first}\n", numbers.below(2)),
        6 => merge(numbers, index, first),
        7 => format!("k{index}: {{{first}: 1, {second}: 2}}\n"),
        _ => format!("k{index}: {first}\n"),
    }
}

/// A mapping, and another that takes it over in one of the ways that there are.
fn merge(numbers: &mut Numbers, index: usize, word: &str) -> String {
    let merged = numbers.pick(&[
        "*m",
        "[*m, {x: 5, z: 6}]",
        "[{x: 5}, *m]",
        "[]",
        "{}",
        "x",
        "[x]",
        "~",
        "[*m, [*m]]",
    ]);
    let key = numbers.pick(&["<<", "<<", "<<", "'<<'", "!!merge <<", "!!str <<"]);
    let before = numbers.pick(&["", "  x: 1\n", "  w: 1\n", "  x: 1\n  x: 2\n"]);
    let after = numbers.pick(&["", "  x: 3\n", "  y: 4\n  y: 5\n", "  <<: {v: 7}\n"]);
    format!("k{index}: &m {{x: {word}, y: 2}}\nj{index}:\n{before}  {key}: {merged}\n{after}")
}

/// What the readers make of one text.
struct Readings {
    ours: Result<Value, String>,
    strict: Result<Value, String>,
    lenient: Result<Value, String>,
}

impl Readings {
    fn of(text: &str, oracle: &mut Oracle) -> Self {
        let ours = yaml::documents(text).map_err(|error| error.to_string());
        let first = |documents: Vec<yaml::Document>| documents.into_iter().next().map(|one| one.value);
        Self {
            ours: ours.map(|documents| first(documents).unwrap_or(Value::Null)),
            strict: oracle.read_yaml(text, "strict"),
            lenient: oracle.read_yaml(text, "lenient"),
        }
    }

    fn agree(&self, text: &str) -> bool {
        let doubled = |error: &str| error.contains("is already set in this mapping");
        match (&self.ours, &self.strict, &self.lenient) {
            (Ok(ours), Ok(strict), _) => ours == strict,
            // The strict reader refuses a merge key beside a field that it brings; the other merges.
            (Ok(ours), Err(error), Ok(lenient)) => {
                error.contains("already set in map") && text.contains("<<") && ours == lenient
            }
            (Err(_), Err(_), Err(_)) => true,
            // No merge brings a key of the text itself, so that it is written twice.
            (Err(error), Err(refused), Ok(_)) => doubled(error) || refused.contains("key \"k"),
            // Behind a word with a comment the rest of the document is not read there; here that is no document.
            (Err(error), Ok(Value::String(_)), _) if error.contains("comment intercepting") => true,
            // Keys that are spelled in two ways but print as one: of their values any may come out there.
            (Err(error), Ok(_), _) => doubled(error) && is_no_text(error),
            (Ok(_), Err(_), Err(_)) => false,
        }
    }
}

/// Whether the key that an error names may have been a number or a boolean.
fn is_no_text(error: &str) -> bool {
    let key = error.split('"').nth(1).unwrap_or_default();
    key == "true" || key == "false" || key.parse::<f64>().is_ok()
}

#[test]
fn random_yaml_is_read_or_refused_as_kubernetes_does() {
    let mut oracle = Oracle::start();
    let mut different = Vec::new();
    for seed in 0..number("TRUEUP_FUZZ_TEXTS", 3000) {
        let text = text(&mut Numbers::new(seed));
        let readings = Readings::of(&text, &mut oracle);
        if !readings.agree(&text) {
            let Readings { ours, strict, lenient } = readings;
            different
                .push(format!("{text:?}\n  ours    {ours:?}\n  strict  {strict:?}\n  lenient {lenient:?}"));
        }
    }
    let shown = different.len().min(12);
    assert!(different.is_empty(), "{} differ:\n{}", different.len(), different[..shown].join("\n"));
}
