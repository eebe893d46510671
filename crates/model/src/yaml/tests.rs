use super::*;
use expect_test::{Expect, expect};
use std::path::PathBuf;

fn conformance() -> PathBuf {
    std::env::var_os("TRUEUP_CONFORMANCE").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/conformance")),
        PathBuf::from,
    )
}

#[derive(serde::Deserialize)]
struct Case {
    name: String,
    input: String,
    documents: Vec<Outcome>,
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct Outcome {
    #[serde(default)]
    json: Value,
    error: Option<String>,
    strict_error: Option<String>,
}

#[test]
fn every_case_is_read_as_kubernetes_reads_it() {
    let path = conformance().join("yaml/cases.json");
    let Ok(text) = std::fs::read_to_string(&path) else {
        println!("the conformance cases are missing: no {}", path.display());
        return;
    };
    let cases: Vec<Case> = serde_json::from_str(&text).unwrap();
    let wrong: Vec<String> = cases.iter().filter_map(judge).collect();
    assert!(!cases.is_empty() && wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What is wrong with our reading of a case. Duplicate keys are refused where no merge key stands.
fn judge(case: &Case) -> Option<String> {
    let strict = !case.input.contains("<<");
    let refused = case.documents.iter().any(|d| d.error.is_some() || (strict && d.strict_error.is_some()));
    let read = documents(&case.input).map(|d| d.into_iter().map(|d| d.value).collect::<Vec<_>>());
    let expected: Vec<&Value> = case.documents.iter().map(|d| &d.json).filter(|v| !v.is_null()).collect();
    match &read {
        Ok(values) if !refused && values.iter().collect::<Vec<_>>() == expected => None,
        Err(error) if refused && error.at.line > 0 => None,
        _ => Some(format!("{}: refused: {refused}, expected {expected:?}, got {read:?}", case.name)),
    }
}

fn refuses(text: &str, expected: Expect) {
    expected.assert_eq(&parse(text).unwrap_err().to_string());
}

#[test]
fn an_error_says_where_and_what() {
    refuses(
        "a: 1\nb:\n  c: 1\n  c: 2\n",
        expect![[r#"line 4, column 3: the key "c" is already set in this mapping"#]],
    );
    refuses("a: .inf\n", expect!["line 1, column 4: .inf cannot be written as JSON, put it in quotes"]);
    refuses("a: !!int x\n", expect![[r#"line 1, column 10: "x" is not a !!int"#]]);
    refuses("? [a]\n: b\n", expect!["line 1, column 3: a list or a mapping cannot be a key"]);
    refuses("a: 1\n--- b\n", expect!["line 2, column 4: nothing but a comment may follow `---` on its line"]);
    refuses("a: &a [*a]\n", expect!["line 1, column 8: this alias stands inside of what it repeats"]);
    refuses("a: *b\n", expect!["line 1, column 4: while parsing node, found unknown anchor"]);
    refuses("<<: 1\n", expect!["line 1, column 5: a merge key needs a mapping or a list of mappings"]);
}
