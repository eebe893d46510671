use super::*;
use expect_test::{Expect, expect};
use proptest::prelude::*;
use serde_json::json;
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

fn refuses(text: &str, expected: &Expect) {
    expected.assert_eq(&parse(text).unwrap_err().to_string());
}

#[test]
fn an_error_says_where_and_what() {
    refuses(
        "a: 1\nb:\n  c: 1\n  c: 2\n",
        &expect![[r#"line 4, column 3: the key "c" is already set in this mapping"#]],
    );
    refuses("a: .inf\n", &expect!["line 1, column 4: .inf cannot be written as JSON, put it in quotes"]);
    refuses("a: !!int x\n", &expect![[r#"line 1, column 10: "x" is not a !!int"#]]);
    refuses("? [a]\n: b\n", &expect!["line 1, column 3: a list or a mapping cannot be a key"]);
    refuses(
        "a: 1\n--- b\n",
        &expect!["line 2, column 4: nothing but a comment may follow `---` on its line"],
    );
    refuses("a: &a [*a]\n", &expect!["line 1, column 8: this alias stands inside of what it repeats"]);
    refuses("a: *b\n", &expect!["line 1, column 4: while parsing node, found unknown anchor"]);
    refuses("<<: 1\n", &expect!["line 1, column 5: a merge key needs a mapping or a list of mappings"]);
}

/// Text that is likely to be printed wrongly.
fn text() -> impl Strategy<Value = String> {
    let telling = prop::sample::select(vec![
        "",
        " ",
        "\n",
        "\n\n",
        "-",
        "- a",
        "?",
        ": ",
        "a: b",
        "#",
        " #",
        "yes",
        "n",
        "~",
        "null",
        "<<",
        "=",
        "0777",
        "0o7",
        "1_000",
        "1e3",
        ".5",
        "0x1F",
        "-0",
        "12:30:45",
        "2024-01-01",
        ".inf",
        "---",
        "...",
        "'",
        "\"",
        "\\",
        "\t",
        "\r",
        "\u{85}",
        "\u{2028}",
        "\u{feff}",
        "\u{1f600}",
        "é",
        "{",
        "[]",
        "&a",
        "*a",
        "!x",
        "|",
        ">",
        "%",
        "@",
        "`",
        "word",
        "words that fill the line until it has to be broken",
    ]);
    prop_oneof![prop::collection::vec(telling, 0..5).prop_map(|parts| parts.concat()), any::<String>(),]
}

fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        // A whole float is an integer in Kubernetes' JSON: no value of its own.
        any::<f64>().prop_filter("not whole", |f| f.fract() != 0.0).prop_map(Value::from),
        text().prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 48, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(text(), inner, 0..6)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn what_is_printed_is_read_back_as_the_same_value(value in json()) {
        let printed = to_yaml(&value);
        let read: Vec<Value> = documents(&printed).unwrap().into_iter().map(|d| d.value).collect();
        let expected: Vec<Value> = Some(value).into_iter().filter(|v| !v.is_null()).collect();
        prop_assert_eq!(read, expected, "{}", printed);
    }
}

fn prints(value: &Value, expected: &Expect) {
    expected.assert_eq(&to_yaml(value));
}

#[test]
fn a_value_is_printed_as_go_yaml_prints_it() {
    prints(
        &json!({
            "a10": ["x", {"b": 1, "a": [[1], {}, []]}], "a2": null, "Z": true, "9": 1.5, "é": "é",
            "text": "one\ntwo\n", "strip": "one\ntwo", "keep": "one\n\n", "indent": "  one\ntwo",
        }),
        &expect![[r#"
            "9": 1.5
            Z: true
            a2: null
            a10:
            - x
            - a:
              - - 1
              - {}
              - []
              b: 1
            indent: |2-
                one
              two
            keep: |+
              one

            strip: |-
              one
              two
            text: |
              one
              two
            é: é
        "#]],
    );
    prints(
        &json!({
            "bool": "yes", "time": "12:30:45", "day": "2024-01-01", "number": "0777", "null": "~", "empty": "",
            "tab": "a\tb", "colon": "a: b", "dash": "- a", "hash": "a #b", "plain": "a:b#c", "face": "\u{1f600}",
            "small": 0.000_01, "large": 1e21, "million": 1_234_567.5, "whole": 1e6,
            "long": "a sentence that is longer than eighty columns is broken at the first space behind them",
        }),
        &expect![[r#"
            bool: "yes"
            colon: 'a: b'
            dash: '- a'
            day: "2024-01-01"
            empty: ""
            face: "\U0001F600"
            hash: 'a #b'
            large: 1e+21
            long: a sentence that is longer than eighty columns is broken at the first space behind
              them
            million: 1.2345675e+06
            "null": "~"
            number: "0777"
            plain: a:b#c
            small: 1e-05
            tab: "a\tb"
            time: "12:30:45"
            whole: 1000000
        "#]],
    );
}

#[test]
fn a_document_is_known_by_the_line_of_its_first_key() {
    let lines: Vec<usize> =
        documents("# a\n---\n\na: 1\n---\n# none\n---\nb: 1\n").unwrap().iter().map(|d| d.line).collect();
    assert_eq!(lines, [4, 8]);
}

#[test]
fn nesting_is_bounded_with_and_without_aliases() {
    let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    assert!(parse(&nested(200)).is_ok());
    assert!(parse(&nested(100_000)).is_err());
    assert!(parse(&"- ".repeat(100_000)).is_err());
    let through_aliases = format!("a: &a {}\nb: &b {}\n", nested(150), nested(150).replacen("[]", "[*a]", 1));
    assert!(parse(&through_aliases).unwrap_err().message.contains("through aliases"));
}

#[test]
fn the_same_key_is_refused_in_large_mappings_too() {
    let keys = (0..100).fold(String::new(), |keys, n| keys + &format!("key{n}: {n}\n"));
    assert!(parse(&keys).is_ok());
    refuses(
        &format!("{keys}key7: 1\n"),
        &expect![[r#"line 101, column 1: the key "key7" is already set in this mapping"#]],
    );
    let merged = format!("base: &base\n  key7: a\nall:\n  <<: *base\n{}", indent(&keys));
    assert_eq!(documents(&merged).unwrap()[0].value["all"]["key7"], json!(7));
    refuses(
        &format!("{merged}  key7: 1\n"),
        &expect![[r#"line 105, column 3: the key "key7" is already set in this mapping"#]],
    );
}

fn indent(text: &str) -> String {
    format!("  {}\n", text.trim_end().replace('\n', "\n  "))
}

#[test]
fn texts_that_only_kubernetes_reads_are_read() {
    let read = |text: &str| documents(text).unwrap().into_iter().map(|d| d.value).collect::<Vec<_>>();
    assert_eq!(read("---# one\na: 1\n---# two\nb: 2\n"), [json!({"a": 1}), json!({"b": 2})]);
    assert_eq!(read("a:\n  b: \"x\ny\nz\"\n  c: 'x\n\ny'\n"), [json!({"a": {"b": "x y z", "c": "x\ny"}})]);
}

#[test]
fn floats_without_a_fraction_stay_floats_where_that_is_asked_for() {
    let reading = Reading { floats: Floats::Kept, ..Reading::default() };
    for text in ["a: 72445e2\nb: 3\n", "{a: 72445e2, b: 3}\n", "a: 7244500.\nb: 0x3\n"] {
        let value = &documents_as(text, reading).unwrap()[0].value;
        assert!(value["a"].is_f64() && value["b"].is_i64(), "{text}: {value}");
        assert_eq!(documents(text).unwrap()[0].value, json!({"a": 7_244_500, "b": 3}), "{text}");
    }
}

/// Both readings of a text, where the quick one reads it at all.
fn agrees(text: &str) -> Result<bool, String> {
    for (words, dates, keys) in
        [(Words::Yaml11, Dates::AsWritten, Keys::Words), (Words::TrueAndFalse, Dates::Instants, Keys::Texts)]
    {
        for doubled in [Doubled::Refused, Doubled::LastCounts] {
            let reading = Reading { doubled, words, dates, keys, ..Reading::default() };
            let (quick, heads) = (block::read(text, reading), heads(text, &WANTED, reading));
            if quick.is_none() && heads.is_none() {
                return Ok(false);
            }
            let library = compose::compose_events(text, reading);
            if let Some(heads) = heads
                && Ok(&heads) != library.clone().map(heads_of).as_ref()
            {
                return Err(format!("{text:?}\nheads   {heads:?}\nlibrary {library:?}"));
            }
            let Some(quick) = quick else { return Ok(false) };
            if library.as_ref() != Ok(&quick) {
                return Err(format!("{text:?}\nquick   {quick:?}\nlibrary {library:?}"));
            }
        }
    }
    Ok(true)
}

/// The keys that are kept of documents that are read in part.
const WANTED: [&str; 4] = ["a", "b", "kind", "metadata"];

/// What is kept of documents.
fn heads_of(nodes: Vec<Node>) -> Vec<Document> {
    let document = |node: Node| {
        let (line, mut value) = (node.at.line, node.into_value());
        if let Value::Object(fields) = &mut value {
            fields.retain(|key, _| WANTED.contains(&key.as_str()));
        }
        Document { value, line }
    };
    nodes.into_iter().map(document).collect()
}

#[test]
fn of_a_text_that_is_read_in_part_the_rest_is_read_as_well() {
    let reading = Reading { doubled: Doubled::LastCounts, ..Reading::default() };
    let read = |text: &str| heads(text, &["kind", "metadata"], reading).map(|all| all[0].value.clone());
    let text = "kind: A\nspec:\n  a: |\n    b\n  c: [1, {d: e}]\n  f: .5\nmetadata: {name: x}\n";
    assert_eq!(read(text), Some(json!({"kind": "A", "metadata": {"name": "x"}})));
    for wrong in [
        "spec: .nan\n",
        "spec:\n  null: 1\n",
        "spec:\n - a\n  b: c\n",
        "spec: [a\n",
        "spec: *a\n",
        "kind: B\n",
    ] {
        assert_eq!(read(&format!("kind: A\n{wrong}")), None, "{wrong}");
    }
    assert_eq!(read("kind: A\nspec:\n  a: 1\n  a: 2\n"), Some(json!({"kind": "A"})), "the last would count");
    assert_eq!(heads(text, &["kind"], Reading::default()), None, "there, no key may be written twice");
}

#[test]
fn what_is_read_quickly_is_read_as_the_library_reads_it() {
    let telling = [
        "a:\nb: 1\n",
        "a:   # nothing\nb:\n  - x\n  -\n  - c: 1\n    d:\n    - y\n",
        "- - a\n  - b\n-\n  c: 1\n",
        "a: |\n\n  one\n    two\n\n  three  \n\n\nb: |-\n  x\n# end\n",
        "a: {b: c, d: [1, two, \"x\"], e: {}}\nf: []\n",
        "\"a b\": 'c\\d'\n'e': \"f\\n\\\"g\"\n",
        "a: \"one\\n\n  two\\\"\n\n  three\"\nb: 'it''s\n  so''\n  and'\n",
        "# first\n---\na: 1 # one\n--- # two\nb: yes\n---\n---\n",
        "a: b",
        "a:",
        "-",
        "",
    ];
    for text in telling {
        assert_eq!(agrees(text), Ok(true), "{text:?}");
    }
    let json = [
        "{\"a\":\"b\",\"c\":[1,-2.5,true,null,\"\"],\"d\":{},\"e\":{\"f\":[{\"g\":\"h\\n\"}]}}\n",
        "{\n  \"a\": \"b\",\n  \"c\": [\n    1\n  ]\n}\n---\n[{'x':1}]",
        "{\n\"a\":\n{\"b\":[]}\n}",
    ];
    for text in json {
        let (read, library) =
            (block::read(text, Reading::default()), compose::compose_events(text, Reading::default()));
        assert_eq!(read, library.ok(), "{text:?}");
        assert!(read.is_some(), "{text:?}");
        assert!(agrees(text).is_ok(), "{:?}", agrees(text));
    }
}

#[test]
fn every_file_of_the_cases_is_read_the_same_by_both_readers() {
    let mut folders = vec![conformance()];
    let (mut quick, mut all) = (0, 0);
    while let Some(folder) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(&folder) else {
            println!("the conformance cases are missing: no {}", folder.display());
            return;
        };
        for entry in entries {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if let Ok(text) = std::fs::read_to_string(&path) {
                let texts = match serde_json::from_str::<Value>(&text) {
                    Ok(case) => strings(case),
                    Err(_) => vec![text],
                };
                for text in texts {
                    all += text.len();
                    if agrees(&text).unwrap() {
                        quick += text.len();
                    }
                }
            }
        }
    }
    println!("{quick} of {all} bytes are read quickly");
    assert!(quick > all / 3, "{quick} of {all}");
}

/// The texts of several lines in a case, which are the files that it is made of.
fn strings(case: Value) -> Vec<String> {
    match case {
        Value::String(text) if text.contains('\n') => vec![text],
        Value::Array(items) => items.into_iter().flat_map(strings).collect(),
        Value::Object(fields) => fields.into_iter().flat_map(|(_, value)| strings(value)).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
    }
}

/// What lines of random texts say.
#[rustfmt::skip]
const LINES: &[&str] = &[
    "", "a: 1", "b:", "- x", "-", "- c: yes", "d: |", "e: |-", "- |", "- - y", "f: {g: h, i: [j, 2]}",
    "k: []", "\"q\": \"r\"", "'s': 't'", "u: v w # x", "# y", "---", "text", "n: ~", "o: 0777",
    "url: http://x:80/", "- {m: n}", "p: -1", "-p: 1", "a b: c", "x: \"y\\nz\"", "x: 'it''s'", "y: a: b",
    "z: >", "...", "%A", "-- x", "a:b", "<<: {a: b}", "w: &a 1", "w: *a", "1: 2", "on: off", "null: 1",
    "{\"a\":1}", "{\"a\":\"b\",", "\"b\":[1,2]}", "{\"a\":", "\"b\",", "{'a':b}", "{\"a\" :b}", "--- {a: b}", "---,",
    "|", "{", "[a", "\"a", "'", "?", "? a", ": b", "a: -", "a: - b", "a: 'b' c", "a: [b]c", "a: {b}",
    "a: {b:c}", "a: [b, ]", "a: \"b\"#c", "a: | # c", "a: b:", "a: #b", "a:  b  ", "é: ü", "a: é # ö",
    "{é: a}", "a: {\"é\": b, c: d}", "a: \"b", "c\"", "d\"  ", "a: 'b", "c'", "'", "a: b ''c", "a: [b,",
    "c, d]", "]", "a: {", "b: c,", "}", "{}", "a: --x", "a: :b", "- --x=y", "- ---", "a: ^b", "a: \"b\\n",
    "a: '''b", "   ", "a: <<", "a: [--x, $(y)]",
];

/// Texts that look like YAML, line by line, mostly well indented.
fn lines() -> impl Strategy<Value = String> {
    let content = prop::sample::select(LINES);
    let line = (0_usize..5, content).prop_map(|(indent, text)| format!("{}{text}\n", " ".repeat(indent)));
    (prop::collection::vec(line, 0..9), any::<bool>()).prop_map(|(lines, cut)| {
        let text = lines.concat();
        if cut { text.trim_end_matches('\n').to_owned() } else { text }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(5000))]

    #[test]
    fn random_lines_are_read_the_same_by_both_readers(text in lines()) {
        prop_assert!(agrees(&text).is_ok(), "{}", agrees(&text).unwrap_err());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn printed_values_are_read_the_same_by_both_readers(value in json()) {
        let text = to_yaml(&value);
        prop_assert!(agrees(&text).is_ok(), "{}", agrees(&text).unwrap_err());
        for text in [value.to_string(), serde_json::to_string_pretty(&value).unwrap()] {
            prop_assert!(agrees(&text).is_ok(), "{}", agrees(&text).unwrap_err());
        }
    }
}

#[test]
fn a_block_that_the_text_ends_in_has_no_break_that_is_not_there() {
    for (text, value) in [
        ("x: |\n  block", "block"),
        ("x: |+\n  block", "block"),
        ("x: >\n  a\n  b", "a b"),
        ("x: |\n  block\n     ", "block\n   "),
        ("x: |\n  block\n  ", "block\n"),
        ("x: |+\n  block\n\n  ", "block\n\n"),
        ("x: |\n  a\n\n  b\n # c", "a\n\nb\n"),
        ("x: &a |\n  block", "block"),
    ] {
        let documents = documents(text).unwrap();
        assert_eq!(documents[0].value["x"], value, "{text:?}");
    }
}
