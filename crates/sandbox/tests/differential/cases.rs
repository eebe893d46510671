//! Small cases, each a rule that the two servers once told apart: requests in order, in a namespace of their own.

use crate::normal::differences;
use crate::operation::{APPLY, JSON, JSON_PATCH, MERGE_PATCH, Operation, STRATEGIC, TABLE};
use crate::run::Run;

/// A line is a method, a path within the namespace's part of the API or from the root, and the body. `APPLY` is a patch that is
/// applied, `JSON` one of operations, `STRATEGIC` a strategic merge patch, `TABLE` a get as a table, `RAW` a post whose body goes out as it is written.
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
        "two volumes of a pod have two names",
        r#"
        POST /api/v1/namespaces/@ns@/pods {"apiVersion":"v1","kind":"Pod","metadata":{"name":"a"},"spec":{"containers":[{"name":"main","image":"web:1","volumeMounts":[{"name":"v","mountPath":"/v"}]}],"volumes":[{"name":"v","emptyDir":{}},{"name":"w","emptyDir":{}},{"name":"v","configMap":{"name":"a"}}]}}
        POST /apis/apps/v1/namespaces/@ns@/deployments {"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"a"},"spec":{"selector":{"matchLabels":{"a":"b"}},"template":{"metadata":{"labels":{"a":"b"}},"spec":{"containers":[{"name":"main","image":"web:1"}],"volumes":[{"name":"v","emptyDir":{}},{"name":"v","emptyDir":{}}]}}}}"#,
    ),
    (
        "what is in an environment comes from one place",
        r#"
        POST /api/v1/namespaces/@ns@/pods {"apiVersion":"v1","kind":"Pod","metadata":{"name":"a"},"spec":{"containers":[{"name":"main","image":"web:1","env":[{"name":"A","value":"1","valueFrom":{"fieldRef":{"fieldPath":"metadata.name"}}}]}]}}
        POST /api/v1/namespaces/@ns@/pods {"apiVersion":"v1","kind":"Pod","metadata":{"name":"a"},"spec":{"containers":[{"name":"main","image":"web:1","env":[{"name":"A","valueFrom":{"fieldRef":{"fieldPath":"metadata.name"},"secretKeyRef":{"name":"a","key":"b"}}},{"name":"B","valueFrom":{}}]}]}}
        POST /api/v1/namespaces/@ns@/pods {"apiVersion":"v1","kind":"Pod","metadata":{"name":"a"},"spec":{"containers":[{"name":"main","image":"web:1","envFrom":[{"prefix":"A_"},{"configMapRef":{"name":"a"},"secretRef":{"name":"a"}}]}]}}
        POST /api/v1/namespaces/@ns@/pods {"apiVersion":"v1","kind":"Pod","metadata":{"name":"a"},"spec":{"containers":[{"name":"main","image":"web:1","envFrom":[{"configMapRef":{}},{"secretRef":{"optional":true}}]}]}}"#,
    ),
    (
        "the last port of a range comes after its first",
        r#"
        POST /apis/networking.k8s.io/v1/namespaces/@ns@/networkpolicies {"apiVersion":"networking.k8s.io/v1","kind":"NetworkPolicy","metadata":{"name":"a"},"spec":{"podSelector":{},"ingress":[{"ports":[{"endPort":90}]}]}}
        POST /apis/networking.k8s.io/v1/namespaces/@ns@/networkpolicies {"apiVersion":"networking.k8s.io/v1","kind":"NetworkPolicy","metadata":{"name":"a"},"spec":{"podSelector":{},"egress":[{"ports":[{"port":100,"endPort":90},{"port":"web","endPort":90}]}]}}
        POST /apis/networking.k8s.io/v1/namespaces/@ns@/networkpolicies {"apiVersion":"networking.k8s.io/v1","kind":"NetworkPolicy","metadata":{"name":"a"},"spec":{"podSelector":{},"egress":[{"ports":[{"port":80,"endPort":90},{"port":80,"endPort":80}]}]}}"#,
    ),
    (
        "a pod whose containers have ended says how in a table",
        r#"
        POST /api/v1/namespaces/@ns@/pods {"apiVersion":"v1","kind":"Pod","metadata":{"name":"a"},"spec":{"containers":[{"name":"main","image":"web:1"},{"name":"side","image":"web:1"}]}}
        PATCH /api/v1/namespaces/@ns@/pods/a/status {"status":{"phase":"Succeeded","containerStatuses":[{"name":"main","image":"web:1","imageID":"","ready":false,"restartCount":0,"lastState":{},"state":{"terminated":{"exitCode":0,"reason":"Completed","startedAt":"2026-01-01T00:00:00Z","finishedAt":"2026-01-01T00:00:00Z"}}}]}}
        TABLE /api/v1/namespaces/@ns@/pods/a
        PATCH /api/v1/namespaces/@ns@/pods/a/status {"status":{"phase":"Running","containerStatuses":[{"name":"main","image":"web:1","imageID":"","ready":false,"restartCount":0,"lastState":{},"state":{"terminated":{"exitCode":0,"reason":"Completed","startedAt":"2026-01-01T00:00:00Z","finishedAt":"2026-01-01T00:00:00Z"}}},{"name":"side","image":"web:1","imageID":"","ready":true,"restartCount":0,"lastState":{},"state":{"running":{"startedAt":"2026-01-01T00:00:00Z"}}}]}}
        TABLE /api/v1/namespaces/@ns@/pods/a"#,
    ),
    (
        "endpoints show three addresses, and how many there are besides",
        r#"
        POST /api/v1/namespaces/@ns@/endpoints {"apiVersion":"v1","kind":"Endpoints","metadata":{"name":"a"},"subsets":[{"addresses":[{"ip":"10.1.2.3"},{"ip":"10.1.2.4"},{"ip":"10.1.2.5"},{"ip":"10.1.2.6"},{"ip":"10.1.2.7"}],"ports":[{"port":80}]}]}
        TABLE /api/v1/namespaces/@ns@/endpoints/a
        POST /api/v1/namespaces/@ns@/endpoints {"apiVersion":"v1","kind":"Endpoints","metadata":{"name":"b"},"subsets":[{"addresses":[{"ip":"10.1.2.3"}]}]}
        TABLE /api/v1/namespaces/@ns@/endpoints/b"#,
    ),
    (
        "a volume that is wrong is none that could be mounted",
        r#"
        POST /api/v1/namespaces/@ns@/pods {"apiVersion":"v1","kind":"Pod","metadata":{"name":"a"},"spec":{"containers":[{"name":"main","image":"web:1","volumeMounts":[{"name":"v","mountPath":"/v"}]}],"volumes":[{"name":"v","configMap":{}}]}}"#,
    ),
    (
        "a pod that is deleted once more while it ends is no generation further",
        r#"
        POST /api/v1/namespaces/@ns@/pods {"apiVersion":"v1","kind":"Pod","metadata":{"name":"a"},"spec":{"containers":[{"name":"main","image":"web:1"}]}}
        DELETE /api/v1/namespaces/@ns@/pods/a {"apiVersion":"v1","kind":"DeleteOptions","propagationPolicy":"Orphan"}
        DELETE /api/v1/namespaces/@ns@/pods/a {"apiVersion":"v1","kind":"DeleteOptions","propagationPolicy":"Background"}"#,
    ),
    (
        "a set without a patch strategy is replaced by a patch",
        r#"
        POST /apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings {"apiVersion":"admissionregistration.k8s.io/v1","kind":"ValidatingAdmissionPolicyBinding","metadata":{"name":"@ns@-a"},"spec":{"policyName":"none","validationActions":["Audit"]}}
        STRATEGIC /apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings/@ns@-a {"spec":{"validationActions":["Deny"]}}
        STRATEGIC /apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings/@ns@-a {"spec":{"validationActions":[]}}
        POST /api/v1/namespaces/@ns@/pods {"apiVersion":"v1","kind":"Pod","metadata":{"name":"a","finalizers":["example.com/a"]},"spec":{"containers":[{"name":"main","image":"web:1"}]}}
        STRATEGIC /api/v1/namespaces/@ns@/pods/a {"metadata":{"finalizers":["example.com/b"]}}"#,
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
        "a LimitRange fills in what its namespace's pods leave out, and refuses what goes beyond it",
        r#"
        POST /api/v1/namespaces/@ns@/limitranges {"apiVersion":"v1","kind":"LimitRange","metadata":{"name":"l"},"spec":{"limits":[{"type":"Container","max":{"cpu":"2","memory":"1Gi"},"min":{"cpu":"10m"},"default":{"cpu":"500m","memory":"256Mi"},"defaultRequest":{"cpu":"100m"},"maxLimitRequestRatio":{"cpu":"10"}},{"type":"Pod","max":{"cpu":"3"}},{"type":"PersistentVolumeClaim","min":{"storage":"1Gi"},"max":{"storage":"2Gi"}}]}}
        POST /api/v1/namespaces/@ns@/pods {"apiVersion":"v1","kind":"Pod","metadata":{"name":"a"},"spec":{"containers":[{"name":"main","image":"web:1"},{"name":"side","image":"web:1","resources":{"limits":{"cpu":"1"}}}],"initContainers":[{"name":"first","image":"web:1"}]}}
        POST /api/v1/namespaces/@ns@/pods {"apiVersion":"v1","kind":"Pod","metadata":{"name":"b"},"spec":{"containers":[{"name":"main","image":"web:1","resources":{"requests":{"cpu":"1m"}}}]}}
        POST /api/v1/namespaces/@ns@/pods {"apiVersion":"v1","kind":"Pod","metadata":{"name":"b"},"spec":{"containers":[{"name":"main","image":"web:1","resources":{"requests":{"cpu":"100m"},"limits":{"cpu":"1500m","memory":"2Gi"}}}]}}
        POST /api/v1/namespaces/@ns@/pods {"apiVersion":"v1","kind":"Pod","metadata":{"generateName":"b-"},"spec":{"containers":[{"name":"main","image":"web:1","resources":{"limits":{"cpu":"2"}}},{"name":"side","image":"web:1","resources":{"limits":{"cpu":"2"}}}]}}
        APPLY /api/v1/namespaces/@ns@/pods/c?fieldManager=one {"apiVersion":"v1","kind":"Pod","metadata":{"name":"c"},"spec":{"containers":[{"name":"main","image":"web:1"}]}}
        POST /api/v1/namespaces/@ns@/persistentvolumeclaims {"apiVersion":"v1","kind":"PersistentVolumeClaim","metadata":{"name":"a"},"spec":{"accessModes":["ReadWriteOnce"],"resources":{"requests":{"storage":"3Gi"}}}}
        POST /api/v1/namespaces/@ns@/persistentvolumeclaims {"apiVersion":"v1","kind":"PersistentVolumeClaim","metadata":{"name":"a"},"spec":{"accessModes":["ReadWriteOnce"],"resources":{"requests":{"storage":"1500Mi"}}}}"#,
    ),
    (
        "a quota that no controller has looked at limits nothing, and one whose status it has refuses",
        r#"
        POST /api/v1/namespaces/@ns@/resourcequotas {"apiVersion":"v1","kind":"ResourceQuota","metadata":{"name":"q"},"spec":{"hard":{"configmaps":"2","count/secrets":"1"}}}
        POST /api/v1/namespaces/@ns@/configmaps {"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"}}
        PATCH /api/v1/namespaces/@ns@/resourcequotas/q/status {"status":{"hard":{"configmaps":"2","count/secrets":"1"},"used":{"configmaps":"1","count/secrets":"0"}}}
        POST /api/v1/namespaces/@ns@/configmaps?dryRun=All {"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"b"}}
        POST /api/v1/namespaces/@ns@/configmaps {"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"b"}}
        GET /api/v1/namespaces/@ns@/resourcequotas/q
        POST /api/v1/namespaces/@ns@/configmaps {"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"c"}}
        APPLY /api/v1/namespaces/@ns@/configmaps/d?fieldManager=one {"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"d"}}
        APPLY /api/v1/namespaces/@ns@/configmaps/a?fieldManager=one {"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"},"data":{"a":"b"}}
        POST /api/v1/namespaces/@ns@/secrets {"apiVersion":"v1","kind":"Secret","metadata":{"name":"a"}}
        POST /api/v1/namespaces/@ns@/secrets {"apiVersion":"v1","kind":"Secret","metadata":{"name":"a"}}
        TABLE /api/v1/namespaces/@ns@/resourcequotas/q"#,
    ),
    (
        "a quota of what pods ask for asks pods to say it",
        r#"
        POST /api/v1/namespaces/@ns@/resourcequotas {"apiVersion":"v1","kind":"ResourceQuota","metadata":{"name":"q"},"spec":{"hard":{"requests.cpu":"1","limits.memory":"1Gi","pods":"9"}}}
        PATCH /api/v1/namespaces/@ns@/resourcequotas/q/status {"status":{"hard":{"requests.cpu":"1","limits.memory":"1Gi","pods":"9"},"used":{"requests.cpu":"0","limits.memory":"0","pods":"0"}}}
        POST /api/v1/namespaces/@ns@/pods {"apiVersion":"v1","kind":"Pod","metadata":{"name":"a"},"spec":{"containers":[{"name":"main","image":"web:1"},{"name":"side","image":"web:1","resources":{"requests":{"cpu":"1"}}}]}}
        POST /api/v1/namespaces/@ns@/pods {"apiVersion":"v1","kind":"Pod","metadata":{"name":"a"},"spec":{"containers":[{"name":"main","image":"web:1","resources":{"limits":{"cpu":"500m","memory":"512Mi"}}}]}}
        POST /api/v1/namespaces/@ns@/pods {"apiVersion":"v1","kind":"Pod","metadata":{"name":"b"},"spec":{"containers":[{"name":"main","image":"web:1","resources":{"limits":{"cpu":"600m","memory":"600Mi"}}}]}}
        GET /api/v1/namespaces/@ns@/resourcequotas/q"#,
    ),
    (
        "a service that becomes another counts for what it becomes",
        r#"
        POST /api/v1/namespaces/@ns@/resourcequotas {"apiVersion":"v1","kind":"ResourceQuota","metadata":{"name":"q"},"spec":{"hard":{"services.nodeports":"1","services":"5"}}}
        PATCH /api/v1/namespaces/@ns@/resourcequotas/q/status {"status":{"hard":{"services.nodeports":"1","services":"5"},"used":{"services.nodeports":"0"}}}
        POST /api/v1/namespaces/@ns@/services {"apiVersion":"v1","kind":"Service","metadata":{"name":"a"},"spec":{"ports":[{"port":80}]}}
        PATCH /api/v1/namespaces/@ns@/resourcequotas/q/status {"status":{"used":{"services":"0"}}}
        POST /api/v1/namespaces/@ns@/services {"apiVersion":"v1","kind":"Service","metadata":{"name":"a"},"spec":{"ports":[{"port":80}]}}
        PATCH /api/v1/namespaces/@ns@/services/a {"spec":{"type":"NodePort"}}
        POST /api/v1/namespaces/@ns@/services {"apiVersion":"v1","kind":"Service","metadata":{"name":"b"},"spec":{"type":"LoadBalancer","ports":[{"port":80}]}}
        GET /api/v1/namespaces/@ns@/resourcequotas/q"#,
    ),
    (
        "the amounts of a limit go together, and so do the scopes of a quota and what it limits",
        r#"
        POST /api/v1/namespaces/@ns@/limitranges {"apiVersion":"v1","kind":"LimitRange","metadata":{"name":"l"},"spec":{"limits":[{"type":"Container","min":{"cpu":"2"},"max":{"cpu":"1"}},{"type":"Pod","default":{"cpu":"1"}},{"type":"PersistentVolumeClaim"}]}}
        POST /api/v1/namespaces/@ns@/limitranges {"apiVersion":"v1","kind":"LimitRange","metadata":{"name":"l"},"spec":{"limits":[{"type":"Pod","max":{"apples":"1"}}]}}
        POST /api/v1/namespaces/@ns@/resourcequotas {"apiVersion":"v1","kind":"ResourceQuota","metadata":{"name":"q"},"spec":{"hard":{"apples":"1","pods":"1500m"}}}
        POST /api/v1/namespaces/@ns@/resourcequotas {"apiVersion":"v1","kind":"ResourceQuota","metadata":{"name":"q"},"spec":{"hard":{"secrets":"1"},"scopes":["BestEffort","NotBestEffort"]}}
        POST /api/v1/namespaces/@ns@/resourcequotas {"apiVersion":"v1","kind":"ResourceQuota","metadata":{"name":"q"},"spec":{"hard":{"pods":"1"},"scopeSelector":{"matchExpressions":[{"scopeName":"PriorityClass","operator":"In"},{"scopeName":"Terminating","operator":"In","values":["a"]}]}}}"#,
    ),
    (
        "a key that comes twice is told or refused, as was asked, and the last one counts",
        r#"
        RAW /api/v1/namespaces/@ns@/configmaps {"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a","name":"a"},"data":{"x":"1","x":"2"}}
        RAW /api/v1/namespaces/@ns@/configmaps?fieldValidation=Strict {"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"b"},"data":{"x":"1","x":"2"}}
        RAW /api/v1/namespaces/@ns@/pods?dryRun=All {"apiVersion":"v1","kind":"Pod","metadata":{"name":"a"},"spec":{"containers":[{"name":"a","image":"a","image":"b"}]}}
        RAW /api/v1/namespaces/@ns@/configmaps?fieldValidation=Ignore {"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"b"},"data":{"x":"1","x":"2"}}"#,
    ),
    (
        "what is mounted is there, and no container comes twice",
        r#"
        POST /api/v1/namespaces/@ns@/pods {"apiVersion":"v1","kind":"Pod","metadata":{"name":"a"},"spec":{"containers":[{"name":"a","image":"a","volumeMounts":[{"name":"x","mountPath":"/x"}]},{"name":"a","image":"a"}]}}"#,
    ),
    (
        "the items of a patch come in its order, new ones before those that only the server has",
        r#"
        POST /apis/apps/v1/namespaces/@ns@/deployments {"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"a","finalizers":["t.dev/a","t.dev/b"]},"spec":{"selector":{"matchLabels":{"a":"b"}},"template":{"metadata":{"labels":{"a":"b"}},"spec":{"containers":[{"name":"a","image":"a"},{"name":"b","image":"b"},{"name":"c","image":"c"}]}}}}
        STRATEGIC /apis/apps/v1/namespaces/@ns@/deployments/a {"spec":{"template":{"spec":{"containers":[{"name":"d","image":"d"},{"name":"b","image":"b2"}]}}}}
        STRATEGIC /apis/apps/v1/namespaces/@ns@/deployments/a {"spec":{"template":{"spec":{"containers":[{"name":"c","image":"c2"},{"name":"a","image":"a2"}]}}}}
        STRATEGIC /apis/apps/v1/namespaces/@ns@/deployments/a {"spec":{"template":{"spec":{"containers":[{"name":"a","$patch":"delete"},{"name":"e","image":"e"}]}}}}
        STRATEGIC /apis/apps/v1/namespaces/@ns@/deployments/a {"metadata":{"finalizers":["t.dev/c","t.dev/a"]}}"#,
    ),
    (
        "a patch in JSON replaces a field that is not there, and takes away only what is",
        r#"
        POST /api/v1/namespaces/@ns@/configmaps {"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a","finalizers":["t.dev/a","t.dev/b"]},"data":{"a":"1"}}
        JSON /api/v1/namespaces/@ns@/configmaps/a [{"op":"replace","path":"/data/b","value":"2"},{"op":"add","path":"/metadata/finalizers/-1","value":"t.dev/c"}]
        JSON /api/v1/namespaces/@ns@/configmaps/a [{"op":"replace","path":"/binaryData/b","value":"MQ=="}]
        JSON /api/v1/namespaces/@ns@/configmaps/a [{"op":"remove","path":"/data/c"}]
        JSON /api/v1/namespaces/@ns@/configmaps/a [{"op":"copy","from":"/data/a","path":"/data/c"},{"op":"move","from":"/data/b","path":"/data/d"},{"op":"test","path":"/data/e","value":null}]"#,
    ),
    (
        "a job that runs keeps its template, one that waits may go elsewhere, and a job has its selector",
        r#"
        POST /apis/batch/v1/namespaces/@ns@/jobs {"apiVersion":"batch/v1","kind":"Job","metadata":{"name":"a"},"spec":{"suspend":true,"template":{"spec":{"containers":[{"name":"a","image":"a:1"}],"restartPolicy":"Never"}}}}
        PATCH /apis/batch/v1/namespaces/@ns@/jobs/a {"spec":{"template":{"spec":{"nodeSelector":{"zone":"x"}}}}}
        PATCH /apis/batch/v1/namespaces/@ns@/jobs/a {"spec":{"completions":2}}
        POST /apis/batch/v1/namespaces/@ns@/jobs {"apiVersion":"batch/v1","kind":"Job","metadata":{"name":"b"},"spec":{"completionMode":"Indexed","parallelism":2,"template":{"spec":{"containers":[{"name":"a","image":"a:1"}],"restartPolicy":"Never"}}}}
        POST /apis/batch/v1/namespaces/@ns@/jobs {"apiVersion":"batch/v1","kind":"Job","metadata":{"generateName":"c-"},"spec":{"template":{"metadata":{"labels":{"app":"job"}},"spec":{"containers":[{"name":"a","image":"a:1"}],"restartPolicy":"Never"}}}}"#,
    ),
    (
        "a schedule, a time zone, an address and a time are refused in the words of what reads them",
        r#"
        POST /apis/batch/v1/namespaces/@ns@/cronjobs {"apiVersion":"batch/v1","kind":"CronJob","metadata":{"name":"a"},"spec":{"schedule":"@DAILY","timeZone":"Europe/Berlinx","jobTemplate":{"spec":{"template":{"spec":{"containers":[{"name":"a","image":"a:1"}],"restartPolicy":"Never"}}}}}}
        POST /apis/batch/v1/namespaces/@ns@/cronjobs {"apiVersion":"batch/v1","kind":"CronJob","metadata":{"name":"a"},"spec":{"schedule":"*/5 * * 13 x","jobTemplate":{"spec":{"template":{"spec":{"containers":[{"name":"a","image":"a:1"}],"restartPolicy":"Never"}}}}}}
        POST /api/v1/namespaces/@ns@/endpoints {"apiVersion":"v1","kind":"Endpoints","metadata":{"name":"a"},"subsets":[{"addresses":[{"ip":"other"}]}]}
        POST /apis/networking.k8s.io/v1/namespaces/@ns@/networkpolicies {"apiVersion":"networking.k8s.io/v1","kind":"NetworkPolicy","metadata":{"name":"a"},"spec":{"podSelector":{},"ingress":[{"from":[{"ipBlock":{"cidr":"10.0.0.0/8","except":["10.1.0.0/16x"]}}]}]}}
        APPLY /apis/coordination.k8s.io/v1/namespaces/@ns@/leases/a?fieldManager=one {"apiVersion":"coordination.k8s.io/v1","kind":"Lease","metadata":{"name":"a"},"spec":{"renewTime":"2026-01-01T00:00:00.000000Zx"}}
        APPLY /api/v1/namespaces/@ns@/secrets/a?fieldManager=one {"apiVersion":"v1","kind":"Secret","metadata":{"name":"a"},"data":{"a":"other"}}"#,
    ),
    (
        "one owner controls, and a pod's deadline does not go away",
        r#"
        POST /api/v1/namespaces/@ns@/configmaps {"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a","ownerReferences":[{"apiVersion":"v1","kind":"Node","name":"x","uid":"00000000-0000-4000-8000-000000000000","controller":true},{"apiVersion":"v1","kind":"Node","name":"y","uid":"00000000-0000-4000-8000-000000000000","controller":true}]}}
        POST /api/v1/namespaces/@ns@/pods {"apiVersion":"v1","kind":"Pod","metadata":{"name":"a"},"spec":{"activeDeadlineSeconds":60,"containers":[{"name":"a","image":"Bad_Value!"}]}}
        PATCH /api/v1/namespaces/@ns@/pods/a {"spec":{"activeDeadlineSeconds":61}}
        PATCH /api/v1/namespaces/@ns@/pods/a {"spec":{"activeDeadlineSeconds":null}}"#,
    ),
    (
        "what an object shows of itself was nobody's before the first apply",
        r#"
        POST /apis/coordination.k8s.io/v1/namespaces/@ns@/leases {"apiVersion":"coordination.k8s.io/v1","kind":"Lease","metadata":{"name":"a"}}
        APPLY /apis/coordination.k8s.io/v1/namespaces/@ns@/leases/a?fieldManager=one {"apiVersion":"coordination.k8s.io/v1","kind":"Lease","metadata":{"name":"a"},"spec":{"holderIdentity":"one"}}"#,
    ),
    (
        "who scales to what there is takes the replicas apart, and the last entry of a manager counts",
        r#"
        POST /apis/apps/v1/namespaces/@ns@/replicasets?fieldManager=one {"apiVersion":"apps/v1","kind":"ReplicaSet","metadata":{"name":"a"},"spec":{"replicas":3,"selector":{"matchLabels":{"app":"web"}},"template":{"metadata":{"labels":{"app":"web"}},"spec":{"containers":[{"image":"nginx","name":"main"}]}}}}
        PATCH /apis/apps/v1/namespaces/@ns@/replicasets/a/scale {"spec":{"replicas":3}}
        PATCH /apis/apps/v1/namespaces/@ns@/replicasets/a/scale {"spec":{"replicas":3}}
        GET /apis/apps/v1/namespaces/@ns@/replicasets/a
        PATCH /apis/apps/v1/namespaces/@ns@/replicasets/a/scale {"spec":{"replicas":4}}
        GET /apis/apps/v1/namespaces/@ns@/replicasets/a"#,
    ),
    (
        "what is wrong in the metadata of a change is told as often as its kind looks",
        r#"
        POST /api/v1/namespaces/@ns@/configmaps {"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"}}
        PATCH /api/v1/namespaces/@ns@/configmaps/a {"metadata":{"labels":{"a":"b c"}}}
        POST /apis/discovery.k8s.io/v1/namespaces/@ns@/endpointslices {"apiVersion":"discovery.k8s.io/v1","kind":"EndpointSlice","metadata":{"name":"a"},"addressType":"IPv4","endpoints":[]}
        PATCH /apis/discovery.k8s.io/v1/namespaces/@ns@/endpointslices/a {"metadata":{"labels":{"a":"b c"}}}
        POST /apis/policy/v1/namespaces/@ns@/poddisruptionbudgets {"apiVersion":"policy/v1","kind":"PodDisruptionBudget","metadata":{"name":"a"},"spec":{"minAvailable":1,"selector":{"matchLabels":{"a":"b"}}}}
        PATCH /apis/policy/v1/namespaces/@ns@/poddisruptionbudgets/a {"metadata":{"labels":{"a":"b c"}}}
        STRATEGIC /apis/policy/v1/namespaces/@ns@/poddisruptionbudgets/a {"spec":{"selector":{"matchLabels":{"app":null}}}}
        POST /api/v1/namespaces/@ns@/services {"apiVersion":"v1","kind":"Service","metadata":{"name":"a"},"spec":{"ports":[{"port":80}]}}
        PATCH /api/v1/namespaces/@ns@/services/a {"metadata":{"labels":{"a":"b c"}}}
        POST /api/v1/namespaces/@ns@/configmaps {"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"c","ownerReferences":[{"apiVersion":"v1","kind":"Event","name":"x","uid":"00000000-0000-4000-8000-000000000000"},{"apiVersion":"","kind":"","name":"","uid":""}]}}"#,
    ),
    (
        "selectors that are none, and those that are missing",
        r#"
        POST /apis/apps/v1/namespaces/@ns@/statefulsets {"apiVersion":"apps/v1","kind":"StatefulSet","metadata":{"name":"a"},"spec":{"selector":{"matchLabels":{"a":"b c"}},"template":{"metadata":{"labels":{"app":"web"}},"spec":{"containers":[{"image":"nginx","name":"main"}]}}}}
        POST /apis/apps/v1/namespaces/@ns@/deployments {"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"a"},"spec":{"template":{"metadata":{"labels":{"app":"web"}},"spec":{"containers":[{"image":"nginx","name":"main"}]}}}}
        POST /api/v1/namespaces/@ns@/replicationcontrollers {"apiVersion":"v1","kind":"ReplicationController","metadata":{"name":"a"},"spec":{"template":{"metadata":{},"spec":{"containers":[{"image":"nginx","name":"main"}]}}}}
        POST /api/v1/namespaces/@ns@/podtemplates {"apiVersion":"v1","kind":"PodTemplate","metadata":{"name":"a"},"template":{"metadata":{"labels":{"app":"b c"}},"spec":{"dnsPolicy":"None","containers":[{"image":"nginx","name":"main"}]}}}"#,
    ),
    (
        "a patch says in which order items come, also those that it does not bring",
        r#"
        POST /apis/apps/v1/namespaces/@ns@/deployments {"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"a","finalizers":["t.dev/a","t.dev/b"]},"spec":{"selector":{"matchLabels":{"a":"b"}},"template":{"metadata":{"labels":{"a":"b"}},"spec":{"containers":[{"name":"a","image":"a"},{"name":"b","image":"b"},{"name":"c","image":"c"}]}}}}
        STRATEGIC /apis/apps/v1/namespaces/@ns@/deployments/a {"spec":{"template":{"spec":{"$setElementOrder/containers":[{"name":"c"},{"name":"a"}]}}}}
        STRATEGIC /apis/apps/v1/namespaces/@ns@/deployments/a {"spec":{"template":{"spec":{"$setElementOrder/containers":[{"name":"b"},{"name":"d"},{"name":"c"},{"name":"a"}],"containers":[{"name":"d","image":"d"}]}}}}
        STRATEGIC /apis/apps/v1/namespaces/@ns@/deployments/a {"spec":{"template":{"spec":{"$setElementOrder/containers":[{"name":"a"},{"name":"b"}],"containers":[{"name":"c","$patch":"delete"},{"name":"b","image":"b2"}]}}}}
        STRATEGIC /apis/apps/v1/namespaces/@ns@/deployments/a {"spec":{"template":{"spec":{"$setElementOrder/containers":[{"name":"a"},{"name":"b"}],"containers":[{"name":"b","image":"b3"},{"name":"a","image":"a3"}]}}}}
        STRATEGIC /apis/apps/v1/namespaces/@ns@/deployments/a {"spec":{"template":{"spec":{"$setElementOrder/containers":{"name":"a"}}}}}
        STRATEGIC /apis/apps/v1/namespaces/@ns@/deployments/a {"spec":{"template":{"spec":{"$setElementOrder/volumes":[{"name":"v"},{"name":"u"}],"volumes":[{"name":"v","emptyDir":{}},{"name":"u","emptyDir":{}}]}}}}
        STRATEGIC /apis/apps/v1/namespaces/@ns@/deployments/a {"metadata":{"$setElementOrder/finalizers":["t.dev/b","t.dev/c","t.dev/a"],"finalizers":["t.dev/c"]}}
        STRATEGIC /apis/apps/v1/namespaces/@ns@/deployments/a {"metadata":{"$deleteFromPrimitiveList/finalizers":["t.dev/a"],"$setElementOrder/finalizers":["t.dev/c","t.dev/b"]}}"#,
    ),
    (
        "a patch says what goes and what stays",
        r#"
        POST /apis/apps/v1/namespaces/@ns@/deployments {"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"a","finalizers":["t.dev/a","t.dev/b"]},"spec":{"selector":{"matchLabels":{"a":"b"}},"template":{"metadata":{"labels":{"a":"b"}},"spec":{"containers":[{"name":"a","image":"a","env":[{"name":"x","value":"1"},{"name":"y","value":"2"}]}]}}}}
        STRATEGIC /apis/apps/v1/namespaces/@ns@/deployments/a {"spec":{"template":{"spec":{"containers":[{"$patch":"replace"},{"name":"z","image":"z","env":[{"name":"q","value":"1"}]}]}}}}
        STRATEGIC /apis/apps/v1/namespaces/@ns@/deployments/a {"spec":{"template":{"spec":{"containers":[{"$patch":"merge"},{"name":"z","image":"z"}]}}}}
        STRATEGIC /apis/apps/v1/namespaces/@ns@/deployments/a {"spec":{"template":{"spec":{"containers":[{"$patch":"other","name":"z"}]}}}}
        STRATEGIC /apis/apps/v1/namespaces/@ns@/deployments/a {"spec":{"template":{"spec":{"containers":[{"image":"z"}]}}}}
        STRATEGIC /apis/apps/v1/namespaces/@ns@/deployments/a {"spec":{"template":{"spec":{"containers":[{"$patch":"delete","image":"z"}]}}}}
        STRATEGIC /apis/apps/v1/namespaces/@ns@/deployments/a {"spec":{"template":{"spec":{"securityContext":{"runAsUser":1,"runAsGroup":2}}}}}
        STRATEGIC /apis/apps/v1/namespaces/@ns@/deployments/a {"spec":{"template":{"spec":{"securityContext":{"$patch":"replace","runAsUser":3}}}}}
        STRATEGIC /apis/apps/v1/namespaces/@ns@/deployments/a {"spec":{"template":{"spec":{"securityContext":{"$patch":"delete"}}}}}
        STRATEGIC /apis/apps/v1/namespaces/@ns@/deployments/a {"spec":{"template":{"spec":{"affinity":{"$patch":"delete"}}}}}
        STRATEGIC /apis/apps/v1/namespaces/@ns@/deployments/a {"spec":{"template":{"spec":{"containers":[{"name":"n","image":"n","env":[{"name":"q","$patch":"delete"},{"name":"r","value":null}]}]}}}}
        STRATEGIC /apis/apps/v1/namespaces/@ns@/deployments/a {"spec":{"strategy":{"$retainKeys":["type"],"type":"Recreate"}}}
        STRATEGIC /apis/apps/v1/namespaces/@ns@/deployments/a {"spec":{"strategy":{"$retainKeys":["type"],"rollingUpdate":{"maxSurge":1}}}}
        STRATEGIC /apis/apps/v1/namespaces/@ns@/deployments/a {"$patch":"other"}
        STRATEGIC /apis/apps/v1/namespaces/@ns@/deployments/a {"metadata":{"labels":{"$patch":"replace","x":"y"}}}"#,
    ),
    (
        "ports are told apart by their number alone, in a patch",
        r#"
        POST /apis/apps/v1/namespaces/@ns@/deployments {"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"a","finalizers":["t.dev/a","t.dev/b"]},"spec":{"selector":{"matchLabels":{"a":"b"}},"template":{"metadata":{"labels":{"a":"b"}},"spec":{"containers":[{"name":"a","image":"a","ports":[{"containerPort":53,"protocol":"TCP","name":"t"}]}]}}}}
        STRATEGIC /apis/apps/v1/namespaces/@ns@/deployments/a {"spec":{"template":{"spec":{"containers":[{"name":"a","ports":[{"containerPort":53,"protocol":"UDP","name":"u"}]}]}}}}
        POST /api/v1/namespaces/@ns@/services {"apiVersion":"v1","kind":"Service","metadata":{"name":"s"},"spec":{"ports":[{"name":"a","port":80},{"name":"b","port":81}]}}
        STRATEGIC /api/v1/namespaces/@ns@/services/s {"spec":{"$setElementOrder/ports":[{"port":82},{"port":81}],"ports":[{"port":80,"$patch":"delete"},{"name":"c","port":82}]}}"#,
    ),
    (
        "a strategy of no known type is refused, whatever it says of its steps",
        r#"
        POST /apis/apps/v1/namespaces/@ns@/deployments {"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"a"},"spec":{"selector":{"matchLabels":{"a":"b"}},"strategy":{"type":"Other","rollingUpdate":{"maxUnavailable":0}},"template":{"metadata":{"labels":{"a":"b"}},"spec":{"containers":[{"name":"main","image":"web:1"}]}}}}
        POST /apis/apps/v1/namespaces/@ns@/daemonsets {"apiVersion":"apps/v1","kind":"DaemonSet","metadata":{"name":"a"},"spec":{"selector":{"matchLabels":{"a":"b"}},"updateStrategy":{"type":"Other","rollingUpdate":{"maxUnavailable":"10%"}},"template":{"metadata":{"labels":{"a":"b"}},"spec":{"containers":[{"name":"main","image":"web:1"}]}}}}
        POST /apis/apps/v1/namespaces/@ns@/daemonsets {"apiVersion":"apps/v1","kind":"DaemonSet","metadata":{"name":"a"},"spec":{"selector":{"matchLabels":{"a":"b"}},"updateStrategy":{"type":"Other"},"template":{"metadata":{"labels":{"a":"b"}},"spec":{"containers":[{"name":"main","image":"web:1"}]}}}}
        POST /apis/apps/v1/namespaces/@ns@/daemonsets {"apiVersion":"apps/v1","kind":"DaemonSet","metadata":{"name":"b"},"spec":{"selector":{"matchLabels":{"a":"b"}},"updateStrategy":{"type":"OnDelete"},"template":{"metadata":{"labels":{"a":"b"}},"spec":{"containers":[{"name":"main","image":"web:1"}]}}}}
        POST /apis/apps/v1/namespaces/@ns@/daemonsets {"apiVersion":"apps/v1","kind":"DaemonSet","metadata":{"name":"c"},"spec":{"selector":{"matchLabels":{"a":"b"}},"updateStrategy":{},"template":{"metadata":{"labels":{"a":"b"}},"spec":{"containers":[{"name":"main","image":"web:1"}]}}}}"#,
    ),
    (
        "a rollout's deadline is told once to be too short",
        r#"
        POST /apis/apps/v1/namespaces/@ns@/deployments {"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"a"},"spec":{"minReadySeconds":5,"progressDeadlineSeconds":-1,"selector":{"matchLabels":{"a":"b"}},"template":{"metadata":{"labels":{"a":"b"}},"spec":{"containers":[{"name":"main","image":"web:1"}]}}}}
        POST /apis/apps/v1/namespaces/@ns@/deployments {"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"a"},"spec":{"minReadySeconds":5,"progressDeadlineSeconds":5,"selector":{"matchLabels":{"a":"b"}},"template":{"metadata":{"labels":{"a":"b"}},"spec":{"containers":[{"name":"main","image":"web:1"}]}}}}"#,
    ),
    (
        "the labels of a StatefulSet's pods have a length",
        r#"
        POST /apis/apps/v1/namespaces/@ns@/statefulsets {"apiVersion":"apps/v1","kind":"StatefulSet","metadata":{"name":"a"},"spec":{"serviceName":"a","selector":{"matchLabels":{"a":"b"}},"template":{"metadata":{"labels":{"a":"b","c":"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"}},"spec":{"containers":[{"name":"main","image":"web:1"}]}}}}"#,
    ),
    (
        "a Service that its status makes has its addresses written in both ways",
        r#"
        PUT /api/v1/namespaces/@ns@/services/a/status {"apiVersion":"v1","kind":"Service","metadata":{"name":"a"},"spec":{"clusterIP":"None","ports":[{"port":80}],"selector":{"app":"web"}},"status":{}}
        POST /api/v1/namespaces/@ns@/services {"apiVersion":"v1","kind":"Service","metadata":{"name":"a"},"spec":{"clusterIP":"None","ports":[{"port":80}],"selector":{"app":"web"}}}"#,
    ),
    (
        "a Job without completions is over when one pod ended well, of those that run at once",
        r#"
        POST /apis/batch/v1/namespaces/@ns@/jobs {"apiVersion":"batch/v1","kind":"Job","metadata":{"name":"a"},"spec":{"parallelism":2,"template":{"spec":{"containers":[{"image":"job:1","name":"main"}],"restartPolicy":"Never"}}}}
        TABLE /apis/batch/v1/namespaces/@ns@/jobs/a
        POST /apis/batch/v1/namespaces/@ns@/jobs {"apiVersion":"batch/v1","kind":"Job","metadata":{"name":"b"},"spec":{"template":{"spec":{"containers":[{"image":"job:1","name":"main"}],"restartPolicy":"Never"}}}}
        TABLE /apis/batch/v1/namespaces/@ns@/jobs/b"#,
    ),
    (
        "a claim that is gone is shown once more",
        r#"
        POST /api/v1/namespaces/@ns@/persistentvolumeclaims {"apiVersion":"v1","kind":"PersistentVolumeClaim","metadata":{"name":"a"},"spec":{"accessModes":["ReadWriteOnce"],"resources":{"requests":{"storage":"1Gi"}}}}
        PATCH /api/v1/namespaces/@ns@/persistentvolumeclaims/a {"metadata":{"finalizers":null}}
        DELETE /api/v1/namespaces/@ns@/persistentvolumeclaims/a"#,
    ),
    (
        "the ports of a slice have names of their own",
        r#"
        POST /apis/discovery.k8s.io/v1/namespaces/@ns@/endpointslices {"apiVersion":"discovery.k8s.io/v1","kind":"EndpointSlice","metadata":{"name":"a"},"addressType":"IPv4","endpoints":[],"ports":[{"name":"http","port":80},{"name":"http","port":81}]}
        POST /apis/discovery.k8s.io/v1/namespaces/@ns@/endpointslices {"apiVersion":"discovery.k8s.io/v1","kind":"EndpointSlice","metadata":{"name":"a"},"addressType":"IPv4","endpoints":[],"ports":[{"port":80},{"port":81}]}"#,
    ),
    (
        "an apply for an object of some uid or version creates none with another, and goes over none",
        r#"
        APPLY /api/v1/namespaces/@ns@/configmaps/a?fieldManager=one&force=true {"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a","uid":"00000000-0000-4000-8000-000000000000"}}
        APPLY /api/v1/namespaces/@ns@/configmaps/a?fieldManager=one&force=true {"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a","resourceVersion":"1"}}
        APPLY /api/v1/namespaces/@ns@/configmaps/a?fieldManager=one&force=true {"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a","resourceVersion":"1"},"data":{"a":"b"}}"#,
    ),
    (
        "a definition says of a status that there is one",
        r#"
        POST /apis/apiextensions.k8s.io/v1/customresourcedefinitions?dryRun=All {"apiVersion":"apiextensions.k8s.io/v1","kind":"CustomResourceDefinition","metadata":{"name":"things.x.@ns@.example.com"},"spec":{"group":"x.@ns@.example.com","names":{"kind":"Thing","plural":"things"},"scope":"Namespaced","versions":[{"name":"v1","served":true,"storage":true,"schema":{"openAPIV3Schema":{"type":"object"}},"subresources":{"status":{"colour":1}}}]}}"#,
    ),
    (
        "a definition's finalizers are nobody's in particular",
        r#"
        POST /apis/apiextensions.k8s.io/v1/customresourcedefinitions?dryRun=All {"apiVersion":"apiextensions.k8s.io/v1","kind":"CustomResourceDefinition","metadata":{"finalizers":["customresourcecleanup.apiextensions.k8s.io"],"name":"things.x.@ns@.example.com"},"spec":{"group":"x.@ns@.example.com","names":{"kind":"Thing","plural":"things"},"scope":"Namespaced","versions":[{"name":"v1","served":true,"storage":true,"schema":{"openAPIV3Schema":{"type":"object"}},"subresources":{"status":{}}}]}}
        POST /apis/apiextensions.k8s.io/v1/customresourcedefinitions?dryRun=All {"apiVersion":"apiextensions.k8s.io/v1","kind":"CustomResourceDefinition","metadata":{"finalizers":["plain","customresourcecleanup.apiextensions.k8s.io","Not a name"],"name":"things.x.@ns@.example.com"},"spec":{"group":"x.@ns@.example.com","names":{"kind":"Thing","plural":"things"},"scope":"Namespaced","versions":[{"name":"v1","served":true,"storage":true,"schema":{"openAPIV3Schema":{"type":"object"}},"subresources":{"status":{}}}]}}"#,
    ),
    (
        "an autoscaler of the first version is kept as one of the second",
        r#"
        POST /apis/autoscaling/v1/namespaces/@ns@/horizontalpodautoscalers {"apiVersion":"autoscaling/v1","kind":"HorizontalPodAutoscaler","metadata":{"name":"a"},"spec":{"scaleTargetRef":{"apiVersion":"apps/v1","kind":"Deployment","name":"web"},"maxReplicas":5}}
        POST /apis/autoscaling/v1/namespaces/@ns@/horizontalpodautoscalers {"apiVersion":"autoscaling/v1","kind":"HorizontalPodAutoscaler","metadata":{"name":"b"},"spec":{"scaleTargetRef":{"apiVersion":"apps/v1","kind":"Deployment","name":"web"},"minReplicas":2,"maxReplicas":5,"targetCPUUtilizationPercentage":65}}
        GET /apis/autoscaling/v2/namespaces/@ns@/horizontalpodautoscalers/a
        GET /apis/autoscaling/v2/namespaces/@ns@/horizontalpodautoscalers/b
        TABLE /apis/autoscaling/v1/namespaces/@ns@/horizontalpodautoscalers/b
        TABLE /apis/autoscaling/v1/namespaces/@ns@/horizontalpodautoscalers
        GET /apis/autoscaling/v1/namespaces/@ns@/horizontalpodautoscalers?limit=1
        PATCH /apis/autoscaling/v1/namespaces/@ns@/horizontalpodautoscalers/a {"spec":{"maxReplicas":7}}
        PATCH /apis/autoscaling/v2/namespaces/@ns@/horizontalpodautoscalers/a {"spec":{"minReplicas":2}}
        STRATEGIC /apis/autoscaling/v1/namespaces/@ns@/horizontalpodautoscalers/a {"spec":{"targetCPUUtilizationPercentage":50}}
        GET /apis/autoscaling/v2/namespaces/@ns@/horizontalpodautoscalers/a
        GET /apis/autoscaling/v1/namespaces/@ns@/horizontalpodautoscalers/a
        DELETE /apis/autoscaling/v1/namespaces/@ns@/horizontalpodautoscalers/a {}"#,
    ),
    (
        "what the first version of an autoscaler has no field for is in its annotations",
        r#"
        POST /apis/autoscaling/v2/namespaces/@ns@/horizontalpodautoscalers {"apiVersion":"autoscaling/v2","kind":"HorizontalPodAutoscaler","metadata":{"name":"a","annotations":{"note":"x"}},"spec":{"scaleTargetRef":{"apiVersion":"apps/v1","kind":"Deployment","name":"web"},"maxReplicas":5,"metrics":[{"type":"Pods","pods":{"metric":{"name":"rps","selector":{"matchLabels":{"type":"x","app":"<a>"},"matchExpressions":[{"key":"b","operator":"Exists"}]}},"target":{"type":"AverageValue","averageValue":"1500m"}}},{"type":"Resource","resource":{"name":"cpu","target":{"type":"Utilization","averageUtilization":60}}},{"type":"Resource","resource":{"name":"memory","target":{"type":"AverageValue","averageValue":"1024Mi"}}},{"type":"Object","object":{"describedObject":{"apiVersion":"networking.k8s.io/v1","kind":"Ingress","name":"web"},"metric":{"name":"hits"},"target":{"type":"Value","value":"10k"}}},{"type":"Object","object":{"describedObject":{"kind":"Service","name":"web"},"metric":{"name":"hits"},"target":{"type":"AverageValue","averageValue":"10"}}},{"type":"External","external":{"metric":{"name":"queue"},"target":{"type":"AverageValue","averageValue":"30"}}},{"type":"ContainerResource","containerResource":{"name":"cpu","container":"main","target":{"type":"Utilization","averageUtilization":70}}}],"behavior":{"scaleDown":{"stabilizationWindowSeconds":60,"policies":[{"type":"Pods","value":1,"periodSeconds":15}]}}}}
        GET /apis/autoscaling/v1/namespaces/@ns@/horizontalpodautoscalers/a
        PATCH /apis/autoscaling/v1/namespaces/@ns@/horizontalpodautoscalers/a {"spec":{"maxReplicas":6}}
        GET /apis/autoscaling/v2/namespaces/@ns@/horizontalpodautoscalers/a
        PATCH /apis/autoscaling/v2/namespaces/@ns@/horizontalpodautoscalers/a/status {"status":{"currentReplicas":2,"desiredReplicas":3,"lastScaleTime":"2026-01-01T00:00:00Z","currentMetrics":[{"type":"Resource","resource":{"name":"cpu","current":{"averageUtilization":55,"averageValue":"110m"}}},{"type":"Pods","pods":{"metric":{"name":"rps"},"current":{"averageValue":"2"}}}],"conditions":[{"type":"AbleToScale","status":"True","lastTransitionTime":"2026-01-01T00:00:00Z","reason":"ReadyForNewScale","message":"a <b> & c"}]}}
        GET /apis/autoscaling/v1/namespaces/@ns@/horizontalpodautoscalers/a
        TABLE /apis/autoscaling/v1/namespaces/@ns@/horizontalpodautoscalers/a
        GET /apis/autoscaling/v1/namespaces/@ns@/horizontalpodautoscalers/a/status
        PATCH /apis/autoscaling/v1/namespaces/@ns@/horizontalpodautoscalers/a/status {"status":{"desiredReplicas":4,"currentCPUUtilizationPercentage":44}}
        GET /apis/autoscaling/v2/namespaces/@ns@/horizontalpodautoscalers/a
        PATCH /apis/autoscaling/v1/namespaces/@ns@/horizontalpodautoscalers/a {"metadata":{"annotations":{"autoscaling.alpha.kubernetes.io/metrics":"not JSON"}}}
        GET /apis/autoscaling/v2/namespaces/@ns@/horizontalpodautoscalers/a
        PATCH /apis/autoscaling/v2/namespaces/@ns@/horizontalpodautoscalers/a {"metadata":{"annotations":{"autoscaling.alpha.kubernetes.io/metrics":"[]"}}}
        GET /apis/autoscaling/v1/namespaces/@ns@/horizontalpodautoscalers/a"#,
    ),
    (
        "an autoscaler may be applied in one version and in another",
        r#"
        APPLY /apis/autoscaling/v1/namespaces/@ns@/horizontalpodautoscalers/a?fieldManager=one {"apiVersion":"autoscaling/v1","kind":"HorizontalPodAutoscaler","metadata":{"name":"a"},"spec":{"scaleTargetRef":{"apiVersion":"apps/v1","kind":"Deployment","name":"web"},"maxReplicas":5,"targetCPUUtilizationPercentage":65}}
        APPLY /apis/autoscaling/v2/namespaces/@ns@/horizontalpodautoscalers/a?fieldManager=two {"apiVersion":"autoscaling/v2","kind":"HorizontalPodAutoscaler","metadata":{"name":"a"},"spec":{"scaleTargetRef":{"apiVersion":"apps/v1","kind":"Deployment","name":"web"},"maxReplicas":6}}
        APPLY /apis/autoscaling/v2/namespaces/@ns@/horizontalpodautoscalers/a?fieldManager=two&force=true {"apiVersion":"autoscaling/v2","kind":"HorizontalPodAutoscaler","metadata":{"name":"a"},"spec":{"scaleTargetRef":{"apiVersion":"apps/v1","kind":"Deployment","name":"web"},"maxReplicas":6}}
        APPLY /apis/autoscaling/v2/namespaces/@ns@/horizontalpodautoscalers/a?fieldManager=one {"apiVersion":"autoscaling/v2","kind":"HorizontalPodAutoscaler","metadata":{"name":"a"},"spec":{"scaleTargetRef":{"apiVersion":"apps/v1","kind":"Deployment","name":"web"},"maxReplicas":6}}
        APPLY /apis/autoscaling/v1/namespaces/@ns@/horizontalpodautoscalers/a?fieldManager=two&force=true {"apiVersion":"autoscaling/v1","kind":"HorizontalPodAutoscaler","metadata":{"name":"a"},"spec":{"scaleTargetRef":{"apiVersion":"apps/v1","kind":"Deployment","name":"web"},"maxReplicas":7,"targetCPUUtilizationPercentage":70}}
        GET /apis/autoscaling/v2/namespaces/@ns@/horizontalpodautoscalers/a
        APPLY /apis/autoscaling/v1/namespaces/@ns@/horizontalpodautoscalers/a?fieldManager=two {"apiVersion":"autoscaling/v1","kind":"HorizontalPodAutoscaler","metadata":{"name":"a"},"spec":{"scaleTargetRef":{"apiVersion":"apps/v1","kind":"Deployment","name":"web"},"maxReplicas":7}}
        GET /apis/autoscaling/v2/namespaces/@ns@/horizontalpodautoscalers/a"#,
    ),
    (
        "what is wrong in an autoscaler of the first version is told as in the second",
        r#"
        POST /apis/autoscaling/v1/namespaces/@ns@/horizontalpodautoscalers {"apiVersion":"autoscaling/v1","kind":"HorizontalPodAutoscaler","metadata":{"name":"a"},"spec":{"scaleTargetRef":{"apiVersion":"apps/v1","kind":"Deployment","name":"web"}}}
        POST /apis/autoscaling/v1/namespaces/@ns@/horizontalpodautoscalers {"apiVersion":"autoscaling/v1","kind":"HorizontalPodAutoscaler","metadata":{"name":"a"},"spec":{"scaleTargetRef":{"apiVersion":"apps/v1","kind":"Deployment","name":"web"},"minReplicas":3,"maxReplicas":2,"targetCPUUtilizationPercentage":-1}}
        POST /apis/autoscaling/v1/namespaces/@ns@/horizontalpodautoscalers {"apiVersion":"autoscaling/v1","kind":"HorizontalPodAutoscaler","metadata":{"name":"a"},"spec":{"scaleTargetRef":{"kind":"Deployment"},"maxReplicas":2}}
        POST /apis/autoscaling/v1/namespaces/@ns@/horizontalpodautoscalers {"apiVersion":"autoscaling/v2","kind":"HorizontalPodAutoscaler","metadata":{"name":"a"},"spec":{"maxReplicas":2}}
        POST /apis/autoscaling/v1/namespaces/@ns@/horizontalpodautoscalers {"apiVersion":"autoscaling/v1","kind":"HorizontalPodAutoscaler","metadata":{"name":"a"},"spec":{"scaleTargetRef":{"apiVersion":"apps/v1","kind":"Deployment","name":"web"},"maxReplicas":2},"status":{"currentReplicas":1,"desiredReplicas":1}}
        PUT /apis/autoscaling/v1/namespaces/@ns@/horizontalpodautoscalers/a {"apiVersion":"autoscaling/v1","kind":"HorizontalPodAutoscaler","metadata":{"name":"a"},"spec":{"scaleTargetRef":{"apiVersion":"apps/v1","kind":"Deployment","name":"web"},"maxReplicas":3}}"#,
    ),
    (
        "values go with some operators of a selector and not with others",
        r#"
        POST /api/v1/namespaces/@ns@/pods {"apiVersion":"v1","kind":"Pod","metadata":{"name":"a0"},"spec":{"affinity":{"nodeAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":{"nodeSelectorTerms":[{"matchExpressions":[{"key":"disk","operator":"Exists"}]}]}}},"containers":[{"name":"main","image":"web:1"}]}}
        POST /api/v1/namespaces/@ns@/pods {"apiVersion":"v1","kind":"Pod","metadata":{"name":"a1"},"spec":{"affinity":{"nodeAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":{"nodeSelectorTerms":[{"matchExpressions":[{"key":"disk","operator":"DoesNotExist"}]}]}}},"containers":[{"name":"main","image":"web:1"}]}}
        POST /api/v1/namespaces/@ns@/pods {"apiVersion":"v1","kind":"Pod","metadata":{"name":"a2"},"spec":{"affinity":{"nodeAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":{"nodeSelectorTerms":[{"matchExpressions":[{"key":"disk","operator":"Exists","values":["a"]}]}]}}},"containers":[{"name":"main","image":"web:1"}]}}
        POST /api/v1/namespaces/@ns@/pods {"apiVersion":"v1","kind":"Pod","metadata":{"name":"a3"},"spec":{"affinity":{"nodeAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":{"nodeSelectorTerms":[{"matchExpressions":[{"key":"disk","operator":"In"}]}]}}},"containers":[{"name":"main","image":"web:1"}]}}
        POST /api/v1/namespaces/@ns@/pods {"apiVersion":"v1","kind":"Pod","metadata":{"name":"a4"},"spec":{"affinity":{"nodeAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":{"nodeSelectorTerms":[{"matchExpressions":[{"key":"disk","operator":"In","values":["a"]}]}]}}},"containers":[{"name":"main","image":"web:1"}]}}
        POST /api/v1/namespaces/@ns@/pods {"apiVersion":"v1","kind":"Pod","metadata":{"name":"a5"},"spec":{"affinity":{"nodeAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":{"nodeSelectorTerms":[{"matchExpressions":[{"key":"disk","operator":"NotIn","values":[]}]}]}}},"containers":[{"name":"main","image":"web:1"}]}}
        POST /api/v1/namespaces/@ns@/pods {"apiVersion":"v1","kind":"Pod","metadata":{"name":"a6"},"spec":{"affinity":{"nodeAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":{"nodeSelectorTerms":[{"matchExpressions":[{"key":"disk","operator":"Gt"}]}]}}},"containers":[{"name":"main","image":"web:1"}]}}
        POST /api/v1/namespaces/@ns@/pods {"apiVersion":"v1","kind":"Pod","metadata":{"name":"a7"},"spec":{"affinity":{"nodeAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":{"nodeSelectorTerms":[{"matchExpressions":[{"key":"disk","operator":"Gt","values":["1"]}]}]}}},"containers":[{"name":"main","image":"web:1"}]}}
        POST /api/v1/namespaces/@ns@/pods {"apiVersion":"v1","kind":"Pod","metadata":{"name":"a8"},"spec":{"affinity":{"nodeAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":{"nodeSelectorTerms":[{"matchExpressions":[{"key":"disk","operator":"Lt","values":["1","2"]}]}]}}},"containers":[{"name":"main","image":"web:1"}]}}
        POST /api/v1/namespaces/@ns@/pods {"apiVersion":"v1","kind":"Pod","metadata":{"name":"a9"},"spec":{"affinity":{"nodeAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":{"nodeSelectorTerms":[{"matchExpressions":[{"key":"disk","operator":"Other","values":["1"]}]}]}}},"containers":[{"name":"main","image":"web:1"}]}}
        POST /api/v1/namespaces/@ns@/pods {"apiVersion":"v1","kind":"Pod","metadata":{"name":"a10"},"spec":{"affinity":{"podAntiAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":[{"topologyKey":"zone","labelSelector":{"matchExpressions":[{"key":"app","operator":"Exists"}]}}]}},"containers":[{"name":"main","image":"web:1"}]}}
        POST /api/v1/namespaces/@ns@/pods {"apiVersion":"v1","kind":"Pod","metadata":{"name":"a11"},"spec":{"affinity":{"podAntiAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":[{"topologyKey":"zone","labelSelector":{"matchExpressions":[{"key":"app","operator":"Exists","values":["a"]}]}}]}},"containers":[{"name":"main","image":"web:1"}]}}
        POST /api/v1/namespaces/@ns@/pods {"apiVersion":"v1","kind":"Pod","metadata":{"name":"a12"},"spec":{"affinity":{"podAntiAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":[{"topologyKey":"zone","labelSelector":{"matchExpressions":[{"key":"app","operator":"In"}]}}]}},"containers":[{"name":"main","image":"web:1"}]}}
        POST /api/v1/namespaces/@ns@/pods {"apiVersion":"v1","kind":"Pod","metadata":{"name":"a13"},"spec":{"affinity":{"podAntiAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":[{"topologyKey":"zone","labelSelector":{"matchExpressions":[{"key":"app","operator":"NotIn","values":["a"]}]}}]}},"containers":[{"name":"main","image":"web:1"}]}}
        POST /api/v1/namespaces/@ns@/pods {"apiVersion":"v1","kind":"Pod","metadata":{"name":"a14"},"spec":{"affinity":{"podAntiAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":[{"topologyKey":"zone","labelSelector":{"matchExpressions":[{"key":"app","operator":"Gt","values":["1"]}]}}]}},"containers":[{"name":"main","image":"web:1"}]}}"#,
    ),
    (
        "what a pod asks of its names need not be servers",
        r#"
        POST /api/v1/namespaces/@ns@/pods {"apiVersion":"v1","kind":"Pod","metadata":{"name":"a"},"spec":{"dnsConfig":{"options":[{"name":"ndots","value":"2"}]},"containers":[{"name":"main","image":"web:1"}]}}
        POST /api/v1/namespaces/@ns@/pods {"apiVersion":"v1","kind":"Pod","metadata":{"name":"b"},"spec":{"dnsPolicy":"None","dnsConfig":{"options":[{"name":"ndots","value":"2"}]},"containers":[{"name":"main","image":"web:1"}]}}
        POST /api/v1/namespaces/@ns@/pods {"apiVersion":"v1","kind":"Pod","metadata":{"name":"c"},"spec":{"dnsPolicy":"None","dnsConfig":{"nameservers":["10.0.0.1"],"searches":["a.example"]},"containers":[{"name":"main","image":"web:1"}]}}
        POST /api/v1/namespaces/@ns@/pods {"apiVersion":"v1","kind":"Pod","metadata":{"name":"d"},"spec":{"dnsPolicy":"None","containers":[{"name":"main","image":"web:1"}]}}"#,
    ),
    (
        "steps of a StatefulSet's updates are filled in where it asks for some",
        r#"
        POST /apis/apps/v1/namespaces/@ns@/statefulsets {"apiVersion":"apps/v1","kind":"StatefulSet","metadata":{"name":"a0"},"spec":{"serviceName":"db","selector":{"matchLabels":{"app":"db"}},"template":{"metadata":{"labels":{"app":"db"}},"spec":{"containers":[{"name":"main","image":"db:1"}]}}}}
        POST /apis/apps/v1/namespaces/@ns@/statefulsets {"apiVersion":"apps/v1","kind":"StatefulSet","metadata":{"name":"a1"},"spec":{"serviceName":"db","selector":{"matchLabels":{"app":"db"}},"template":{"metadata":{"labels":{"app":"db"}},"spec":{"containers":[{"name":"main","image":"db:1"}]}},"updateStrategy":{}}}
        POST /apis/apps/v1/namespaces/@ns@/statefulsets {"apiVersion":"apps/v1","kind":"StatefulSet","metadata":{"name":"a2"},"spec":{"serviceName":"db","selector":{"matchLabels":{"app":"db"}},"template":{"metadata":{"labels":{"app":"db"}},"spec":{"containers":[{"name":"main","image":"db:1"}]}},"updateStrategy":{"type":"RollingUpdate"}}}
        POST /apis/apps/v1/namespaces/@ns@/statefulsets {"apiVersion":"apps/v1","kind":"StatefulSet","metadata":{"name":"a3"},"spec":{"serviceName":"db","selector":{"matchLabels":{"app":"db"}},"template":{"metadata":{"labels":{"app":"db"}},"spec":{"containers":[{"name":"main","image":"db:1"}]}},"updateStrategy":{"type":"RollingUpdate","rollingUpdate":{}}}}
        POST /apis/apps/v1/namespaces/@ns@/statefulsets {"apiVersion":"apps/v1","kind":"StatefulSet","metadata":{"name":"a4"},"spec":{"serviceName":"db","selector":{"matchLabels":{"app":"db"}},"template":{"metadata":{"labels":{"app":"db"}},"spec":{"containers":[{"name":"main","image":"db:1"}]}},"updateStrategy":{"rollingUpdate":{}}}}
        POST /apis/apps/v1/namespaces/@ns@/statefulsets {"apiVersion":"apps/v1","kind":"StatefulSet","metadata":{"name":"a5"},"spec":{"serviceName":"db","selector":{"matchLabels":{"app":"db"}},"template":{"metadata":{"labels":{"app":"db"}},"spec":{"containers":[{"name":"main","image":"db:1"}]}},"updateStrategy":{"type":"OnDelete"}}}
        POST /apis/apps/v1/namespaces/@ns@/statefulsets {"apiVersion":"apps/v1","kind":"StatefulSet","metadata":{"name":"a6"},"spec":{"serviceName":"db","selector":{"matchLabels":{"app":"db"}},"template":{"metadata":{"labels":{"app":"db"}},"spec":{"containers":[{"name":"main","image":"db:1"}]}},"updateStrategy":{"rollingUpdate":{"partition":2}}}}"#,
    ),
    (
        "labels of a Job that were written stay as they are",
        r#"
        POST /apis/batch/v1/namespaces/@ns@/jobs {"apiVersion":"batch/v1","kind":"Job","metadata":{"name":"a","labels":{"app":"x"}},"spec":{"template":{"metadata":{"labels":{"app":"x"}},"spec":{"restartPolicy":"Never","containers":[{"name":"main","image":"web:1"}]}}}}
        POST /apis/batch/v1/namespaces/@ns@/jobs {"apiVersion":"batch/v1","kind":"Job","metadata":{"name":"b"},"spec":{"template":{"metadata":{"labels":{"app":"x"}},"spec":{"restartPolicy":"Never","containers":[{"name":"main","image":"web:1"}]}}}}
        POST /apis/batch/v1/namespaces/@ns@/jobs {"apiVersion":"batch/v1","kind":"Job","metadata":{"name":"c","labels":{"app":"y"}},"spec":{"template":{"metadata":{"labels":{"app":"x"}},"spec":{"restartPolicy":"Never","containers":[{"name":"main","image":"web:1"}]}}}}
        POST /apis/batch/v1/namespaces/@ns@/jobs {"apiVersion":"batch/v1","kind":"Job","metadata":{"name":"d"},"spec":{"template":{"metadata":{},"spec":{"restartPolicy":"Never","containers":[{"name":"main","image":"web:1"}]}}}}
        APPLY /apis/batch/v1/namespaces/@ns@/jobs/e?fieldManager=one {"apiVersion":"batch/v1","kind":"Job","metadata":{"name":"e","labels":{"app":"x"}},"spec":{"template":{"metadata":{"labels":{"app":"x"}},"spec":{"restartPolicy":"Never","containers":[{"name":"main","image":"web:1"}]}}}}
        APPLY /apis/batch/v1/namespaces/@ns@/jobs/f?fieldManager=one {"apiVersion":"batch/v1","kind":"Job","metadata":{"name":"f"},"spec":{"template":{"metadata":{"labels":{"app":"x"}},"spec":{"restartPolicy":"Never","containers":[{"name":"main","image":"web:1"}]}}}}"#,
    ),
    (
        "a balanced Service for local traffic has a port that tells of its health",
        r#"
        POST /api/v1/namespaces/@ns@/services {"apiVersion":"v1","kind":"Service","metadata":{"name":"a"},"spec":{"ports":[{"port":80}],"type":"LoadBalancer","externalTrafficPolicy":"Local"}}
        PATCH /api/v1/namespaces/@ns@/services/a {"spec":{"sessionAffinity":"ClientIP"}}
        PATCH /api/v1/namespaces/@ns@/services/a {"spec":{"healthCheckNodePort":30999}}
        PATCH /api/v1/namespaces/@ns@/services/a {"spec":{"externalTrafficPolicy":"Cluster"}}
        PATCH /api/v1/namespaces/@ns@/services/a {"spec":{"externalTrafficPolicy":"Local"}}
        PATCH /api/v1/namespaces/@ns@/services/a {"spec":{"type":"ClusterIP"}}
        POST /api/v1/namespaces/@ns@/services {"apiVersion":"v1","kind":"Service","metadata":{"name":"b"},"spec":{"ports":[{"port":80}],"type":"NodePort","externalTrafficPolicy":"Local"}}
        POST /api/v1/namespaces/@ns@/services {"apiVersion":"v1","kind":"Service","metadata":{"name":"c"},"spec":{"ports":[{"port":80}],"type":"LoadBalancer","healthCheckNodePort":31001}}
        POST /api/v1/namespaces/@ns@/services {"apiVersion":"v1","kind":"Service","metadata":{"name":"d"},"spec":{"ports":[{"port":80}],"type":"LoadBalancer","externalTrafficPolicy":"Local","allocateLoadBalancerNodePorts":false}}"#,
    ),
    (
        "what an autoscaler looks at, and how fast it goes, has a form",
        r#"
        POST /apis/autoscaling/v2/namespaces/@ns@/horizontalpodautoscalers {"apiVersion":"autoscaling/v2","kind":"HorizontalPodAutoscaler","metadata":{"name":"a0"},"spec":{"scaleTargetRef":{"apiVersion":"apps/v1","kind":"Deployment","name":"web"},"maxReplicas":3,"metrics":[{"type":"Object","object":{"describedObject":{"kind":"Service","name":"a/b","apiVersion":"a/b/c"},"metric":{"name":".."},"target":{"type":"Value"}}}]}}
        POST /apis/autoscaling/v2/namespaces/@ns@/horizontalpodautoscalers {"apiVersion":"autoscaling/v2","kind":"HorizontalPodAutoscaler","metadata":{"name":"a1"},"spec":{"scaleTargetRef":{"apiVersion":"apps/v1","kind":"Deployment","name":"web"},"maxReplicas":3,"metrics":[{"type":"External","external":{"metric":{"name":"q"},"target":{"type":"Value","value":"1","averageValue":"2"}}}]}}
        POST /apis/autoscaling/v2/namespaces/@ns@/horizontalpodautoscalers {"apiVersion":"autoscaling/v2","kind":"HorizontalPodAutoscaler","metadata":{"name":"a2"},"spec":{"scaleTargetRef":{"apiVersion":"apps/v1","kind":"Deployment","name":"web"},"maxReplicas":3,"metrics":[{"type":"External","external":{"metric":{"name":""},"target":{"type":"Value","value":"0"}}}]}}
        POST /apis/autoscaling/v2/namespaces/@ns@/horizontalpodautoscalers {"apiVersion":"autoscaling/v2","kind":"HorizontalPodAutoscaler","metadata":{"name":"a3"},"spec":{"scaleTargetRef":{"apiVersion":"apps/v1","kind":"Deployment","name":"web"},"maxReplicas":3,"metrics":[{"type":"Pods","pods":{"metric":{"name":"q"},"target":{"type":"AverageValue"}}}]}}
        POST /apis/autoscaling/v2/namespaces/@ns@/horizontalpodautoscalers {"apiVersion":"autoscaling/v2","kind":"HorizontalPodAutoscaler","metadata":{"name":"a4"},"spec":{"scaleTargetRef":{"apiVersion":"apps/v1","kind":"Deployment","name":"web"},"maxReplicas":3,"metrics":[{"type":"Pods","resource":{"name":"cpu","target":{"type":"Utilization","averageUtilization":5}}}]}}
        POST /apis/autoscaling/v2/namespaces/@ns@/horizontalpodautoscalers {"apiVersion":"autoscaling/v2","kind":"HorizontalPodAutoscaler","metadata":{"name":"a5"},"spec":{"scaleTargetRef":{"apiVersion":"apps/v1","kind":"Deployment","name":"web"},"maxReplicas":3,"metrics":[{"type":"Resource","resource":{"name":"","target":{"type":"Utilization","averageUtilization":0,"averageValue":"-1"}}}]}}
        POST /apis/autoscaling/v2/namespaces/@ns@/horizontalpodautoscalers {"apiVersion":"autoscaling/v2","kind":"HorizontalPodAutoscaler","metadata":{"name":"a6"},"spec":{"scaleTargetRef":{"apiVersion":"apps/v1","kind":"Deployment","name":"web"},"maxReplicas":3,"metrics":[{"type":"Resource","resource":{"name":"cpu","target":{"type":"Utilization","averageUtilization":5}},"pods":{"metric":{"name":"q"},"target":{"type":"AverageValue","averageValue":"1"}}}]}}
        POST /apis/autoscaling/v2/namespaces/@ns@/horizontalpodautoscalers {"apiVersion":"autoscaling/v2","kind":"HorizontalPodAutoscaler","metadata":{"name":"a7"},"spec":{"scaleTargetRef":{"apiVersion":"apps/v1","kind":"Deployment","name":"web"},"maxReplicas":3,"metrics":[{"type":"ContainerResource","containerResource":{"name":"apples","container":"","target":{"type":"Utilization"}}}]}}
        POST /apis/autoscaling/v2/namespaces/@ns@/horizontalpodautoscalers {"apiVersion":"autoscaling/v2","kind":"HorizontalPodAutoscaler","metadata":{"name":"a8"},"spec":{"scaleTargetRef":{"apiVersion":"apps/v1","kind":"Deployment","name":"web"},"maxReplicas":3,"metrics":[{"type":"ContainerResource"}]}}
        POST /apis/autoscaling/v2/namespaces/@ns@/horizontalpodautoscalers {"apiVersion":"autoscaling/v2","kind":"HorizontalPodAutoscaler","metadata":{"name":"a9"},"spec":{"scaleTargetRef":{"apiVersion":"apps/v1","kind":"Deployment","name":"web"},"maxReplicas":3,"metrics":[{"type":"Other"}]}}
        POST /apis/autoscaling/v2/namespaces/@ns@/horizontalpodautoscalers {"apiVersion":"autoscaling/v2","kind":"HorizontalPodAutoscaler","metadata":{"name":"b"},"spec":{"scaleTargetRef":{"apiVersion":"apps/v1","kind":"Deployment","name":"web"},"maxReplicas":3,"metrics":[{"type":"Resource","resource":{"name":"cpu","target":{"type":"Utilization","averageUtilization":60}}}],"behavior":{"scaleUp":{"stabilizationWindowSeconds":-1,"selectPolicy":"Most","policies":[{"type":"Some","value":0,"periodSeconds":1801}]},"scaleDown":{"stabilizationWindowSeconds":3601}}}}
        POST /apis/autoscaling/v2/namespaces/@ns@/horizontalpodautoscalers {"apiVersion":"autoscaling/v2","kind":"HorizontalPodAutoscaler","metadata":{"name":"c"},"spec":{"scaleTargetRef":{"apiVersion":"apps/v1","kind":"Deployment","name":"web"},"maxReplicas":3,"metrics":[{"type":"Resource","resource":{"name":"cpu","target":{"type":"Utilization","averageUtilization":60}}}],"behavior":{"scaleUp":{"selectPolicy":"Disabled"}}}}
        POST /apis/autoscaling/v2/namespaces/@ns@/horizontalpodautoscalers {"apiVersion":"autoscaling/v2","kind":"HorizontalPodAutoscaler","metadata":{"name":"d"},"spec":{"scaleTargetRef":{"kind":"ReplicationController","name":"web"},"maxReplicas":3,"metrics":[{"type":"Resource","resource":{"name":"cpu","target":{"type":"Utilization","averageUtilization":60}}}]}}
        POST /apis/autoscaling/v2/namespaces/@ns@/horizontalpodautoscalers {"apiVersion":"autoscaling/v2","kind":"HorizontalPodAutoscaler","metadata":{"name":"e"},"spec":{"scaleTargetRef":{"apiVersion":"v1","kind":"Pod","name":"web"},"maxReplicas":3,"metrics":[{"type":"Resource","resource":{"name":"cpu","target":{"type":"Utilization","averageUtilization":60}}}]}}
        POST /apis/autoscaling/v2/namespaces/@ns@/horizontalpodautoscalers {"apiVersion":"autoscaling/v2","kind":"HorizontalPodAutoscaler","metadata":{"name":"f"},"spec":{"scaleTargetRef":{"apiVersion":"apps/v1","kind":"Deployment","name":"web"},"maxReplicas":3,"metrics":[{"type":"Resource","resource":{"name":"cpu","target":{"type":"Utilization","averageUtilization":60}}}],"minReplicas":0}}
        TABLE /apis/autoscaling/v2/namespaces/@ns@/horizontalpodautoscalers"#,
    ),
];

fn operation(line: &str) -> Operation {
    let (word, rest) = line.split_once(' ').unwrap();
    let (path, body) = rest.split_once(' ').unwrap_or((rest, ""));
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let (method, accept, media_type) = match word {
        "POST" | "RAW" => ("POST", JSON, JSON),
        "PUT" => ("PUT", JSON, JSON),
        "DELETE" => ("DELETE", JSON, JSON),
        "GET" => ("GET", JSON, JSON),
        "TABLE" => ("GET", TABLE, JSON),
        "PATCH" => ("PATCH", JSON, MERGE_PATCH),
        "APPLY" => ("PATCH", JSON, APPLY),
        "JSON" => ("PATCH", JSON, JSON_PATCH),
        "STRATEGIC" => ("PATCH", JSON, STRATEGIC),
        other => panic!("no such word: {other}"),
    };
    let query = query.split('&').filter_map(|pair| pair.split_once('='));
    Operation {
        method,
        path: path.to_owned(),
        query: query.map(|(key, value)| (key.to_owned(), value.to_owned())).collect(),
        accept,
        media_type,
        body: match (word, body) {
            (_, "") => None,
            ("RAW", body) => Some(body.into()),
            (_, body) => Some(serde_json::from_str(body).unwrap()),
        },
    }
}

/// How often a case is carried out before a difference counts: where a second ends between the two answers, their times differ, and
/// with them the order of what is sorted by time.
const TIMES: usize = 3;

/// What the two say differently of a sequence.
fn differing(run: &Run, sequence: &[Operation]) -> Vec<String> {
    let answers = run.answers(sequence);
    let pairs = sequence.iter().zip(&answers);
    let differing = pairs.filter_map(|(operation, [real, ours])| {
        let lines = differences(real, ours);
        (!lines.is_empty()).then(|| format!("{operation}\n    {}", lines.join("\n    ")))
    });
    differing.collect()
}

#[test]
fn rules_that_were_told_apart_once_are_told_alike() {
    let run = Run::start();
    let mut wrong = Vec::new();
    for (rule, lines) in CASES {
        let sequence: Vec<Operation> = lines.trim().lines().map(|line| operation(line.trim())).collect();
        let mut found = Vec::new();
        for _ in 0..TIMES {
            found = differing(&run, &sequence);
            if found.is_empty() {
                break;
            }
        }
        wrong.extend(found.into_iter().map(|found| format!("{rule}: {found}")));
    }
    assert!(wrong.is_empty(), "the sandbox answers differently:\n{}", wrong.join("\n\n"));
}
