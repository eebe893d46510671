//! What a user with few rights is told, by both servers.

use crate::normal::{Names, differences};
use crate::operation::{Filled, JSON, MERGE_PATCH};
use crate::servers::{Ours, Real};
use serde_json::{Value, json};
use trueup_sandbox::authorize::{Allowed, Policy};

fn request(method: &'static str, path: &str, user: &'static str, body: Option<&Value>) -> Filled {
    Filled {
        method,
        path: path.to_owned(),
        query: String::new(),
        accept: JSON,
        media_type: if method == "PATCH" { MERGE_PATCH } else { JSON },
        user,
        body: body.map(Value::to_string).unwrap_or_default().into_bytes(),
    }
}

#[test]
fn a_user_is_refused_in_the_words_of_the_real_authorizer() {
    let (real, mut ours) = (Real::start(), Ours::start());
    let rbac = "/apis/rbac.authorization.k8s.io/v1/namespaces/default";
    let role = json!({"metadata": {"name": "reader"}, "rules": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list"]}]});
    let binding = json!({"metadata": {"name": "reader"}, "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reader"},
        "subjects": [{"kind": "User", "name": "jane", "apiGroup": "rbac.authorization.k8s.io"}]});
    assert_eq!(real.send(&request("POST", &format!("{rbac}/roles"), "", Some(&role))).0, 201);
    assert_eq!(real.send(&request("POST", &format!("{rbac}/rolebindings"), "", Some(&binding))).0, 201);
    ours.sandbox.authorize(Some(Policy {
        allowed: vec![Allowed {
            user: "jane".to_owned(),
            verbs: vec!["get".to_owned(), "list".to_owned()],
            groups: vec![String::new()],
            resources: vec!["configmaps".to_owned()],
            namespace: Some("default".to_owned()),
        }],
    }));
    // The real server learns of the binding from a watch of its own.
    let allowed = request("GET", "/api/v1/namespaces/default/configmaps/none", "jane", None);
    let waits = (0..100).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(50));
        real.send(&allowed).0 == 404
    });
    assert!(waits, "the role is in force");
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}});
    for (method, path, body) in [
        ("GET", "/api/v1/namespaces/default/configmaps/none", None),
        ("GET", "/api/v1/configmaps", None),
        ("GET", "/api/v1/namespaces/kube-system/configmaps", None),
        ("GET", "/api/v1/namespaces/default/secrets/a", None),
        ("GET", "/api/v1/namespaces/default", None),
        ("GET", "/api/v1/nodes", None),
        ("POST", "/api/v1/namespaces/default/configmaps", Some(&map)),
        ("PATCH", "/api/v1/namespaces/default/configmaps/a", Some(&map)),
        ("PUT", "/api/v1/namespaces/default/configmaps/a", Some(&map)),
        ("DELETE", "/api/v1/namespaces/default/configmaps/a", None),
        ("DELETE", "/api/v1/namespaces/default/configmaps", None),
        ("PATCH", "/apis/apps/v1/namespaces/default/deployments/a/scale", Some(&map)),
        ("GET", "/apis/apps/v1/namespaces/default/deployments/a/status", None),
    ] {
        let request = request(method, path, "jane", body);
        let [real, ours] = [real.send(&request), ours.send(&request)]
            .map(|(code, body)| json!({"code": code, "body": Names::default().normal(&body)}));
        let found = differences(&real, &ours);
        assert!(found.is_empty(), "{method} {path}\n{}", found.join("\n"));
    }
}
