//! Bodies in protobuf: what the real server writes of each sample means the same to the sandbox as the same in JSON.

use crate::normal::differences;
use crate::objects::samples;
use crate::operation::{Filled, JSON};
use crate::servers::{Ours, Real};
use jiff::Timestamp;
use serde_json::{Value, json};
use trueup_sandbox::kinds::Kinds;

const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";

fn request(
    method: &'static str,
    path: &str,
    accept: &'static str,
    media_type: &'static str,
    body: &[u8],
) -> Filled {
    let (path, query, body) = (path.to_owned(), String::new(), body.to_owned());
    Filled { method, path, query, accept, media_type, user: "", body }
}

#[test]
fn what_a_typed_client_sends_means_what_the_same_means_in_json() {
    let (real, kinds) = (Real::start(), Kinds::built_in());
    let now = Timestamp::now();
    let mut compared = 0;
    for sample in samples() {
        let (group, version) = sample.api_version.split_once('/').unwrap_or(("", &sample.api_version));
        let kind =
            kinds.iter().find(|kind| kind.is_in(&sample.api_version) && kind.kind == sample.kind).unwrap();
        let root = if group.is_empty() { "/api".to_owned() } else { format!("/apis/{group}") };
        let namespace = if kind.namespaced { "namespaces/default/" } else { "" };
        let collection = format!("{root}/{version}/{namespace}{}", kind.plural);
        for object in &sample.objects {
            let mut object = object.clone();
            if sample.kind != "CustomResourceDefinition" {
                object["metadata"]["name"] = format!("in-protobuf-{compared}").into();
            }
            let text = object.to_string().replace("@ns@", "default");
            let (code, made) = real.send(&request("POST", &collection, JSON, JSON, text.as_bytes()));
            assert_eq!(code, 201, "{made}");
            let path = format!("{collection}/{}", made["metadata"]["name"].as_str().unwrap());
            let told = |accept| real.bytes(&request("GET", &path, accept, JSON, b""));
            // Something inside the server may write it meanwhile, such as a definition's status.
            let (bytes, text) = loop {
                let (before, bytes, after) = (told(JSON), told(PROTOBUF), told(JSON));
                if before == after {
                    break (bytes, after);
                }
            };
            let [binary, plain] = [(PROTOBUF, bytes), (JSON, text)].map(|(media_type, body)| {
                let (code, body) =
                    Ours::begun(now).send(&request("POST", &collection, JSON, media_type, &body));
                json!({"code": code, "body": body})
            });
            let found = differences(&plain, &binary);
            assert!(found.is_empty(), "{path} (real is JSON here)\n{}", found.join("\n"));
            assert_eq!(plain["code"], 201, "{plain}");
            compared += 1;
        }
    }
    assert!(compared > 60, "{compared}");
    let (code, refused) = Ours::begun(now).send(&request(
        "POST",
        "/api/v1/namespaces/default/configmaps",
        JSON,
        PROTOBUF,
        b"{}",
    ));
    let sent = request("POST", "/api/v1/namespaces/default/configmaps", JSON, PROTOBUF, b"{}");
    let expected: (u16, Value) = real.send(&sent);
    assert_eq!((code, refused), expected);
}
