use super::*;
use crate::yaml;
use serde_json::json;

fn read(text: &str) -> (Value, Provenance) {
    let node = yaml::parse(text).unwrap().remove(0);
    (node.to_value(), Provenance::of_node(&node, &"a.yaml".into()))
}

/// `path line by` of each leaf, after a step of the name `step` at line 100 made `after` of the text.
fn after_step(text: &str, after: &Value) -> Vec<String> {
    let (before, provenance) = read(text);
    let file = "k.yaml".into();
    let followed = provenance.follow(&before, after, &mut |_| Source::written(&file, 100));
    followed
        .leaves()
        .into_iter()
        .map(|(path, source)| format!("{} {}:{}", pointer(&path), source.file, source.line))
        .collect()
}

#[test]
fn every_leaf_knows_its_line_and_empty_lists_and_mappings_are_leaves() {
    let (_, provenance) = read("a: 1\nb:\n- x\n- {}\nc: []\nd/e:\n  text: |\n    one\n    two\n");
    let leaves: Vec<String> =
        provenance.leaves().iter().map(|(path, source)| format!("{} {source}", pointer(path))).collect();
    assert_eq!(
        leaves,
        ["/a a.yaml:1", "/b/0 a.yaml:3", "/b/1 a.yaml:4", "/c a.yaml:5", "/d~1e/text a.yaml:7"]
    );
}

#[test]
fn a_step_takes_over_what_it_changed_and_nothing_else() {
    assert_eq!(
        after_step("a: 1\nb: {c: 2, d: 3}\n", &json!({"a": 1, "b": {"c": 5, "e": [7]}, "f": {}})),
        ["/a a.yaml:1", "/b/c k.yaml:100", "/b/e/0 k.yaml:100", "/f k.yaml:100"]
    );
}

#[test]
fn items_of_lists_take_their_lines_along_by_value_by_name_or_by_place() {
    let text = "l:\n- name: a\n  v: 1\n- name: b\n  v: 2\n";
    assert_eq!(
        after_step(text, &json!({"l": [{"name": "new"}, {"name": "b", "v": 3}, {"name": "a", "v": 1}]})),
        [
            "/l/0/name k.yaml:100",
            "/l/1/name a.yaml:4",
            "/l/1/v k.yaml:100",
            "/l/2/name a.yaml:2",
            "/l/2/v a.yaml:3"
        ]
    );
    assert_eq!(
        after_step("l:\n- x\n- y\n- z\n", &json!({"l": ["z", "x", "w"]})),
        ["/l/0 a.yaml:4", "/l/1 a.yaml:2", "/l/2 k.yaml:100"]
    );
    assert_eq!(
        after_step("l:\n- {a: 1, b: 2}\n", &json!({"l": [{"a": 1, "b": 3}]})),
        ["/l/0/a a.yaml:2", "/l/0/b k.yaml:100"]
    );
}

#[test]
fn what_changes_its_shape_is_the_steps() {
    assert_eq!(after_step("a: {b: 1}\n", &json!({"a": "x"})), ["/a k.yaml:100"]);
    assert_eq!(after_step("a: x\n", &json!({"a": {"b": ["x"]}})), ["/a/b/0 k.yaml:100"]);
    assert_eq!(after_step("a: {b: 1}\n", &json!({"a": {}})), ["/a k.yaml:100"]);
}

#[test]
fn the_printed_sources_stand_in_a_column_and_are_comments() {
    let long = "a text of words that is long enough to be wrapped where the eightieth column is: really so";
    let value = json!({
        "a": 1,
        "block": "one\n# two\n",
        "empty": {},
        "items": [{"name": "x", "v": "| "}, "y |", "two\nlines\n"],
        "long": long,
    });
    let file = "a.yaml".into();
    let mut line = 0;
    let provenance = Provenance::of_value(&value, &mut |_| {
        line += 1;
        Source::written(&file, line)
    });
    let printed = annotated(&value, &provenance);
    assert_eq!(
        printed,
        "a: 1              # a.yaml:1
block: |          # a.yaml:2
  one
  # two
empty: {}         # a.yaml:3
items:
- name: x         # a.yaml:4
  v: '| '         # a.yaml:5
- y |             # a.yaml:6
- |               # a.yaml:7
  two
  lines
long: 'a text of words that is long enough to be wrapped where the eightieth column
  is: really so'  # a.yaml:8
"
    );
    assert_eq!(yaml::parse(&printed).unwrap()[0].to_value(), value);
}
