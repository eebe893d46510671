//! What is too large is refused, in the same words by both servers.

use crate::normal::{Names, differences};
use crate::operation::{Filled, JSON, MERGE_PATCH};
use crate::servers::{Ours, Real};
use serde_json::{Value, json};

const KIB: usize = 1024;

fn request(method: &'static str, path: &str, body: &Value) -> Filled {
    Filled {
        method,
        path: path.to_owned(),
        query: String::new(),
        accept: JSON,
        media_type: if method == "PATCH" { MERGE_PATCH } else { JSON },
        user: "",
        body: body.to_string().into_bytes(),
    }
}

/// A text of so many bytes.
fn long(size: usize) -> String {
    "x".repeat(size)
}

#[test]
fn what_is_too_large_is_refused_in_the_words_of_the_real_server() {
    let (real, mut ours) = (Real::start(), Ours::start());
    let core = "/api/v1/namespaces/default";
    let (maps, secrets) = (format!("{core}/configmaps"), format!("{core}/secrets"));
    let map = |name: &str, more: Value| {
        let mut object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}});
        json_patch::merge(&mut object, &more);
        object
    };
    let secret = |size: usize| json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}, "stringData": {"a": long(size)}});
    for (method, path, body) in [
        ("POST", maps.clone(), map("fits", json!({"data": {"a": long(1024 * KIB)}}))),
        ("POST", maps.clone(), map("a", json!({"data": {"a": long(1024 * KIB), "b": "1"}}))),
        ("PATCH", format!("{maps}/fits"), json!({"data": {"b": "1"}})),
        ("PATCH", format!("{maps}/fits"), json!({"metadata": {"labels": {"a": "b"}}})),
        ("POST", secrets.clone(), secret(1024 * KIB + 1)),
        ("POST", maps.clone(), map("a", json!({"metadata": {"annotations": {"a/b": long(256 * KIB - 3)}}}))),
        ("POST", maps.clone(), map("b", json!({"metadata": {"annotations": {"a/b": long(256 * KIB - 2)}}}))),
        // What is annotated counts for itself.
        ("POST", "/api/v1/namespaces".to_owned(), {
            let names = json!({"a/b": long(256 * KIB)});
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "a", "annotations": names}})
        }),
        ("POST", "/apis/apps/v1/namespaces/default/controllerrevisions".to_owned(), {
            let data = json!({"a": long(1600 * KIB)});
            json!({"apiVersion": "apps/v1", "kind": "ControllerRevision", "metadata": {"name": "a"},
                "revision": 1, "data": data})
        }),
    ] {
        let request = request(method, &path, &body);
        let [real, ours] = [real.send(&request), ours.send(&request)]
            .map(|(code, body)| json!({"code": code, "body": Names::default().normal(&body)}));
        let found = differences(&real, &ours);
        assert!(
            found.is_empty(),
            "{method} {path}\n{}",
            found.join("\n").chars().take(2000).collect::<String>()
        );
    }
}
