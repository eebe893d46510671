//! What a user with few rights is told, by both servers.

use crate::normal::{Names, differences};
use crate::operation::{Filled, JSON, MERGE_PATCH};
use crate::servers::{Ours, Real};
use serde_json::{Value, json};
use trueup_sandbox::authorize::Authorization;

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
    let (group, base) = ("rbac.authorization.k8s.io", "/apis/rbac.authorization.k8s.io/v1");
    let rules = json!([{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list"]}]);
    let wide = json!([{"apiGroups": [""], "resources": ["nodes"], "verbs": ["get"], "resourceNames": ["one"]},
        {"apiGroups": ["apps"], "resources": ["*/status"], "verbs": ["*"]}]);
    let binding = |kind: &str, subjects: Value| {
        json!({"metadata": {"name": "reader"}, "subjects": subjects,
            "roleRef": {"apiGroup": group, "kind": kind, "name": "reader"}})
    };
    let user = json!([{"kind": "User", "name": "jane", "apiGroup": group}]);
    let everybody = json!([{"kind": "Group", "name": "system:authenticated", "apiGroup": group}]);
    for (plural, object) in [
        ("clusterroles", json!({"metadata": {"name": "reader"}, "rules": wide})),
        ("clusterrolebindings", binding("ClusterRole", everybody)),
        ("namespaces/default/roles", json!({"metadata": {"name": "reader"}, "rules": rules})),
        ("namespaces/default/rolebindings", binding("Role", user)),
    ] {
        let request = request("POST", &format!("{base}/{plural}"), "", Some(&object));
        assert_eq!((real.send(&request).0, ours.send(&request).0), (201, 201), "{plural}");
    }
    ours.sandbox.authorize(Authorization::Roles);
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
        ("GET", "/api/v1/nodes/one", None),
        ("GET", "/api/v1/nodes/two", None),
        ("POST", "/api/v1/namespaces/default/configmaps", Some(&map)),
        ("PATCH", "/api/v1/namespaces/default/configmaps/a", Some(&map)),
        ("PUT", "/api/v1/namespaces/default/configmaps/a", Some(&map)),
        ("DELETE", "/api/v1/namespaces/default/configmaps/a", None),
        ("DELETE", "/api/v1/namespaces/default/configmaps", None),
        ("PATCH", "/apis/apps/v1/namespaces/default/deployments/a/scale", Some(&map)),
        ("GET", "/apis/apps/v1/namespaces/default/deployments/a/status", None),
        ("GET", "/apis/apps/v1/namespaces/default/deployments/a/scale", None),
    ] {
        let request = request(method, path, "jane", body);
        let [real, ours] = [real.send(&request), ours.send(&request)]
            .map(|(code, body)| json!({"code": code, "body": Names::default().normal(&body)}));
        let found = differences(&real, &ours);
        assert!(found.is_empty(), "{method} {path}\n{}", found.join("\n"));
    }
}
