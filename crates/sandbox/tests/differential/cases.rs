//! Small cases, each a rule that the two servers once told apart: requests in order, in a namespace of their own.

use crate::normal::differences;
use crate::operation::{APPLY, JSON, MERGE_PATCH, Operation, TABLE};
use crate::run::Run;
use serde_json::Value;

/// A line is a method, a path within the namespace's part of the API or from the root, and the body. `APPLY` is a patch that is
/// applied, `TABLE` a get as a table.
const CASES: &[(&str, &str)] = &[
    (
        "a name, a label and a finalizer have a form",
        r#"
        POST /api/v1/namespaces/@ns@/configmaps {"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"Bad_Name"}}
        POST /api/v1/namespaces/@ns@/configmaps {"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a","labels":{"a b":"c d"}}}
        POST /api/v1/namespaces/@ns@/configmaps {"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a","annotations":{"x/y/z":""}}}
        POST /api/v1/namespaces/@ns@/configmaps {"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a","finalizers":["mine"]}}
        POST /api/v1/namespaces {"apiVersion":"v1","kind":"Namespace","metadata":{"name":"Bad.Name"}}"#,
    ),
    (
        "an unknown field is dropped, told or refused, as was asked",
        r#"
        POST /api/v1/namespaces/@ns@/configmaps {"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a","colour":1},"date":{}}
        POST /apis/apps/v1/namespaces/@ns@/deployments?fieldValidation=Strict {"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"a"},"spec":{"replica":1}}
        POST /api/v1/namespaces/@ns@/configmaps?fieldValidation=Ignore {"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"b"},"date":{}}"#,
    ),
    (
        "what cannot be read is told in the decoder's words",
        r#"
        POST /api/v1/namespaces/@ns@/secrets {"apiVersion":"v1","kind":"Secret","metadata":{"name":"a"},"data":{"a":"other"}}
        POST /api/v1/namespaces/@ns@/secrets {"apiVersion":"v1","kind":"Secret","metadata":{"name":"a"},"data":{"a":1}}
        POST /api/v1/namespaces/@ns@/configmaps {"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a","labels":{"a":1}}}
        POST /apis/coordination.k8s.io/v1/namespaces/@ns@/leases {"apiVersion":"coordination.k8s.io/v1","kind":"Lease","metadata":{"name":"a"},"spec":{"renewTime":"Bad_Value!"}}"#,
    ),
    (
        "a binding's role stays what it was",
        r#"
        POST /apis/rbac.authorization.k8s.io/v1/namespaces/@ns@/rolebindings {"apiVersion":"rbac.authorization.k8s.io/v1","kind":"RoleBinding","metadata":{"name":"a"},"roleRef":{"apiGroup":"rbac.authorization.k8s.io","kind":"Role","name":"a"}}
        PATCH /apis/rbac.authorization.k8s.io/v1/namespaces/@ns@/rolebindings/a {"roleRef":{"name":"b"}}"#,
    ),
    (
        "an ingress needs a backend, and a backend a port",
        r#"
        POST /apis/networking.k8s.io/v1/namespaces/@ns@/ingresses {"apiVersion":"networking.k8s.io/v1","kind":"Ingress","metadata":{"name":"a"},"spec":{}}
        POST /apis/networking.k8s.io/v1/namespaces/@ns@/ingresses {"apiVersion":"networking.k8s.io/v1","kind":"Ingress","metadata":{"name":"a"},"spec":{"defaultBackend":{"service":{"name":"a","port":{}}}}}"#,
    ),
    (
        "an empty list of rules is owned, and none when it is read again",
        r#"
        POST /apis/rbac.authorization.k8s.io/v1/namespaces/@ns@/roles {"apiVersion":"rbac.authorization.k8s.io/v1","kind":"Role","metadata":{"name":"a"},"rules":[]}
        GET /apis/rbac.authorization.k8s.io/v1/namespaces/@ns@/roles/a"#,
    ),
    (
        "annotations of a deployment count as a change of what it wants",
        r#"
        APPLY /apis/apps/v1/namespaces/@ns@/deployments/a?fieldManager=one {"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"a"},"spec":{"selector":{"matchLabels":{"a":"b"}},"template":{"metadata":{"labels":{"a":"b"}},"spec":{"containers":[{"name":"a","image":"a"}]}}}}
        PATCH /apis/apps/v1/namespaces/@ns@/deployments/a {"metadata":{"annotations":{"a":"b"}}}"#,
    ),
    (
        "events, volumes and nodes say in a table what they are",
        r#"
        POST /api/v1/namespaces/@ns@/events {"apiVersion":"v1","kind":"Event","metadata":{"name":"a"},"involvedObject":{"kind":"Pod","name":"a","namespace":"@ns@"},"reason":"Started","message":"Yes","type":"Normal"}
        TABLE /api/v1/namespaces/@ns@/events
        POST /api/v1/namespaces/@ns@/persistentvolumeclaims {"apiVersion":"v1","kind":"PersistentVolumeClaim","metadata":{"name":"a"},"spec":{"accessModes":["ReadWriteOnce"],"resources":{"requests":{"storage":"1Gi"}}}}
        TABLE /api/v1/namespaces/@ns@/persistentvolumeclaims/a"#,
    ),
    (
        "a uid that was asked for is missed where nothing is",
        r#"
        PUT /apis/rbac.authorization.k8s.io/v1/namespaces/@ns@/roles/a {"apiVersion":"rbac.authorization.k8s.io/v1","kind":"Role","metadata":{"name":"a","uid":"00000000-0000-4000-8000-000000000000"},"rules":[]}"#,
    ),
    (
        "what is mounted is there, and no container comes twice",
        r#"
        POST /api/v1/namespaces/@ns@/pods {"apiVersion":"v1","kind":"Pod","metadata":{"name":"a"},"spec":{"containers":[{"name":"a","image":"a","volumeMounts":[{"name":"x","mountPath":"/x"}]},{"name":"a","image":"a"}]}}"#,
    ),
];

fn operation(line: &str) -> Operation {
    let (word, rest) = line.split_once(' ').unwrap();
    let (path, body) = rest.split_once(' ').unwrap_or((rest, ""));
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let (method, accept, media_type) = match word {
        "POST" => ("POST", JSON, JSON),
        "PUT" => ("PUT", JSON, JSON),
        "GET" => ("GET", JSON, JSON),
        "TABLE" => ("GET", TABLE, JSON),
        "PATCH" => ("PATCH", JSON, MERGE_PATCH),
        "APPLY" => ("PATCH", JSON, APPLY),
        other => panic!("no such word: {other}"),
    };
    let query = query.split('&').filter_map(|pair| pair.split_once('='));
    Operation {
        method,
        path: path.to_owned(),
        query: query.map(|(key, value)| (key.to_owned(), value.to_owned())).collect(),
        accept,
        media_type,
        body: (!body.is_empty()).then(|| serde_json::from_str::<Value>(body).unwrap()),
    }
}

#[test]
fn rules_that_were_told_apart_once_are_told_alike() {
    let run = Run::start();
    let mut wrong = Vec::new();
    for (rule, lines) in CASES {
        let sequence: Vec<Operation> = lines.trim().lines().map(|line| operation(line.trim())).collect();
        let answers = run.answers(&sequence);
        for (operation, [real, ours]) in sequence.iter().zip(&answers) {
            let lines = differences(real, ours);
            if !lines.is_empty() {
                wrong.push(format!("{rule}: {operation}\n    {}", lines.join("\n    ")));
            }
        }
    }
    assert!(wrong.is_empty(), "the sandbox answers differently:\n{}", wrong.join("\n\n"));
}
