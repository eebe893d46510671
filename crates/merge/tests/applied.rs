//! Objects as they were applied with the field manager `trueup`, and as kube-apiserver 1.36.3 answered.

#![allow(clippy::unwrap_used, reason = "a test that cannot read its own cases has to fail")]

use trueup_merge::extract::covered;
use trueup_merge::fields::{FieldSet, has_keys};
use trueup_merge::managed::applied_by;
use trueup_merge::token::token;
use trueup_model::{FieldPath, Segment, Value};

fn applied() -> Vec<(Value, Value)> {
    let pairs: Vec<Value> = serde_json::from_str(include_str!("applied.json")).unwrap();
    pairs.into_iter().map(|mut pair| (pair["desired"].take(), pair["live"].take())).collect()
}

fn owned_paths(live: &Value) -> Vec<FieldPath> {
    FieldSet::parse(&applied_by(live, "trueup").unwrap()["fieldsV1"]).unwrap().leaves()
}

fn at<'v>(value: &'v mut Value, step: &Segment) -> Option<&'v mut Value> {
    match step {
        Segment::Field(name) => value.get_mut(name),
        Segment::Key(keys) => value.as_array_mut()?.iter_mut().find(|item| has_keys(item, keys)),
        Segment::Value(wanted) => value.as_array_mut()?.iter_mut().find(|item| *item == wanted),
        Segment::Index(index) => value.get_mut(index),
    }
}

#[test]
fn a_fresh_apply_is_proven_to_need_no_other_unless_the_server_put_in_defaults_of_its_own() {
    let unproven: Vec<String> = applied()
        .iter()
        .filter(|(desired, live)| !covered(desired, live, "trueup"))
        .map(|(desired, _)| desired["kind"].to_string())
        .collect();
    // Its rules are an atomic list, and the server puts protocols into them.
    assert_eq!(unproven, ["\"NetworkPolicy\""]);
}

#[test]
fn any_change_of_any_field_that_we_own_changes_the_token_and_ends_the_proof() {
    let mut fields = 0;
    for (desired, live) in applied() {
        for path in owned_paths(&live) {
            let mut drifted = live.clone();
            let value = path.0.iter().try_fold(&mut drifted, |value, step| at(value, step)).unwrap();
            *value = Value::from("drifted");
            assert_ne!(token(&drifted, "trueup"), token(&live, "trueup"), "{} {path}", desired["kind"]);
            assert!(!covered(&desired, &drifted, "trueup"), "{} {path}", desired["kind"]);
            fields += 1;
        }
    }
    assert!(fields > 100, "only {fields} fields");
}

#[test]
fn what_the_server_and_others_write_changes_neither() {
    for (desired, live) in applied() {
        let mut touched = live.clone();
        touched["metadata"]["resourceVersion"] = Value::from("999");
        touched["metadata"]["generation"] = Value::from(999);
        touched["metadata"]["annotations"]["example.com/theirs"] = Value::from("x");
        touched["status"] = serde_json::json!({"observedGeneration": 999});
        assert_eq!(token(&touched, "trueup"), token(&live, "trueup"), "{}", desired["kind"]);
        assert_eq!(covered(&desired, &touched, "trueup"), covered(&desired, &live, "trueup"));
    }
}
