//! Objects as the tables that `kubectl get` shows.
//!
//! Source: `meta.k8s.io/v1` Table; the columns of built-in kinds are in `tables/fields.json`, their cells as
//! k8s.io/kubernetes `pkg/printers/internalversion` has them; `additionalPrinterColumns` of `apiextensions.k8s.io/v1`.

use crate::Sandbox;
use crate::answer::Refusal;
use crate::autoscaler_versions;
use crate::kinds::Kind;
use crate::read::versioned;
use crate::request::{Request, Target};
use crate::scale::selector;
use jiff::Timestamp;
use serde_json::{Value, json};

const AGE: &str = "CustomResourceDefinition";

/// The status of a definition is the one endpoint that makes no tables.
pub(crate) fn check(request: &Request<'_>, target: &Target) -> Result<(), Refusal> {
    let is_status = target.kind.kind == "CustomResourceDefinition" && target.subresource == "status";
    let is_nothing_else = request.accept.split(',').all(|form| form.contains("as=Table"));
    if is_status && is_nothing_else { Err(Refusal::not_acceptable()) } else { Ok(()) }
}

impl Sandbox {
    /// An object or a list as a table.
    pub(crate) fn table(&self, kind: &Kind, body: &Value) -> Value {
        let columns = columns(kind);
        let one = [body.clone()];
        let objects = body["items"].as_array().map_or(one.as_slice(), Vec::as_slice);
        let rows: Vec<Value> = objects
            .iter()
            .map(|object| {
                let as_stored = autoscaler_versions::stored(kind).map(|stored| {
                    // What is in a list does not say what it is.
                    let mut object = object.clone();
                    object["apiVersion"] = kind.api_version().into();
                    versioned(&object, stored)
                });
                let shown = as_stored.as_ref().unwrap_or(object);
                let cells: Vec<Value> = columns.iter().map(|column| self.cell(kind, column, shown)).collect();
                let partial = json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": as_told(kind, &shown["metadata"])});
                let mut row = json!({"cells": cells, "object": partial});
                if let Some(ended) = ended(kind, object) {
                    row["conditions"] = json!([ended]);
                }
                row
            })
            .collect();
        // The server's plainest tables have no list of rows when there is none.
        let is_plain = columns.iter().any(|column| column["name"] == "Created At");
        let rows = if rows.is_empty() && is_plain { Value::Null } else { rows.into() };
        let shown: Vec<Value> = columns.iter().map(shown).collect();
        let mut metadata = json!({"resourceVersion": body["metadata"]["resourceVersion"]});
        for field in ["continue", "remainingItemCount"] {
            if let Some(value) = body["metadata"].get(field).filter(|value| **value != "") {
                metadata[field] = value.clone();
            }
        }
        json!({"kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": metadata, "columnDefinitions": shown, "rows": rows})
    }

    /// A scale as a table.
    pub(crate) fn scale_table(&self, kind: &Kind, body: &Value) -> Value {
        let name = columns_of("ConfigMap", &["Name", "Age"]);
        let column = |name: &str, own: &str, built_in: &str| {
            let description = if kind.custom.is_some() { own } else { built_in };
            json!({"name": name, "type": "integer", "format": "", "description": description, "priority": 0})
        };
        let (first, last) =
            (name.first().cloned().unwrap_or_default(), name.last().cloned().unwrap_or_default());
        let (mut first, mut last) = (shown(&first), shown(&last));
        if kind.custom.is_some() {
            last["type"] = "date".into();
        } else {
            first["format"] = "".into();
        }
        let columns = [
            first,
            column(
                "Desired",
                "Number of desired replicas",
                "replicas is the desired number of instances for the scaled object.",
            ),
            column(
                "Available",
                "Number of actual replicas",
                "replicas is the actual number of observed instances of the scaled object.",
            ),
            last,
        ];
        let age = self.age(body["metadata"]["creationTimestamp"].as_str().unwrap_or_default());
        let cells = json!([
            body["metadata"]["name"],
            if kind.custom.is_some() && body["spec"]["replicas"].is_null() {
                Value::Null
            } else {
                number(body, "/spec/replicas").into()
            },
            number(body, "/status/replicas"),
            age
        ]);
        let partial = json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": body["metadata"]});
        json!({"kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": {"resourceVersion": body["metadata"]["resourceVersion"]},
            "columnDefinitions": columns, "rows": [{"cells": cells, "object": partial}]})
    }

    fn cell(&self, kind: &Kind, column: &Value, object: &Value) -> Value {
        let name = column["name"].as_str().unwrap_or_default();
        if name == "Name" {
            return object["metadata"]["name"].clone();
        }
        if let Some(path) = column["jsonPath"].as_str() {
            let Some(value) = object.pointer(&path.replace('.', "/")) else { return Value::Null };
            return match (column["type"].as_str(), value) {
                (Some("date"), Value::String(time)) => self.age(time).into(),
                (Some("integer"), Value::Number(number)) => {
                    // A fraction is cut off.
                    let whole =
                        number.to_string().split('.').next().and_then(|whole| whole.parse::<i64>().ok());
                    whole.map_or(Value::Null, Value::from)
                }
                (Some("boolean"), Value::Bool(_))
                | (Some("number"), Value::Number(_))
                | (Some("string"), Value::String(_)) => value.clone(),
                (Some("string"), Value::Null) => "<no value>".into(),
                (Some("string"), value) => value.to_string().into(),
                (_, _) => Value::Null,
            };
        }
        match name {
            "Age" => self.age(object["metadata"]["creationTimestamp"].as_str().unwrap_or_default()).into(),
            "Created At" => object["metadata"]["creationTimestamp"].clone(),
            "Last Seen" | "First Seen" => self.seen(name, object),
            "Last Schedule" if object["status"]["lastScheduleTime"].is_string() => {
                self.age(&text(object, "/status/lastScheduleTime")).into()
            }
            "Duration" if kind.kind == "Job" => self.duration(&object["status"]).into(),
            _ => match crate::cells::of(&kind.kind, name, object) {
                Value::Null => built_in(kind, name, object),
                cell => cell,
            },
        }
    }

    /// When an event was first or last seen.
    fn seen(&self, column: &str, event: &Value) -> Value {
        let first = ["firstTimestamp", "deprecatedFirstTimestamp"];
        let own = if column == "Last Seen" {
            ["lastTimestamp", "deprecatedLastTimestamp", first[0], first[1]]
        } else {
            [first[0], first[1], first[0], first[1]]
        };
        let time = own.into_iter().chain(["eventTime"]).find_map(|field| event[field].as_str());
        self.age(time.unwrap_or_default()).into()
    }

    /// How long ago a time was, as kubectl words it.
    fn age(&self, time: &str) -> String {
        let Ok(time) = time.parse::<Timestamp>() else { return "<unknown>".to_owned() };
        lasting((self.now.as_second() - time.as_second()).max(0))
    }

    /// How long a Job took, or has taken so far.
    fn duration(&self, status: &Value) -> String {
        let time = |field: &str| status[field].as_str().and_then(|time| time.parse::<Timestamp>().ok());
        let Some(began) = time("startTime") else { return String::new() };
        let ended = time("completionTime").unwrap_or(self.now);
        lasting((ended.as_second() - began.as_second()).max(0))
    }
}

/// So many seconds, as kubectl words them.
fn lasting(seconds: i64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    let two = |first: i64, word: &str, second: i64, other: &str| {
        if second == 0 { format!("{first}{word}") } else { format!("{first}{word}{second}{other}") }
    };
    match seconds {
        0..120 => format!("{seconds}s"),
        120..600 => two(minutes, "m", seconds % 60, "s"),
        600..10_800 => format!("{minutes}m"),
        10_800..28_800 => two(hours, "h", minutes % 60, "m"),
        28_800..172_800 => format!("{hours}h"),
        172_800..691_200 => two(days, "d", hours % 24, "h"),
        _ if days < 730 => format!("{days}d"),
        _ => two(days / 365, "y", days % 365, "d"),
    }
}

/// The columns of a kind.
fn columns(kind: &Kind) -> Vec<Value> {
    let Some(custom) = &kind.custom else {
        let known = crate::fields::start(kind)["columns"].as_array().cloned();
        return known.unwrap_or_else(|| columns_of("ConfigMap", &["Name", "Age"]));
    };
    let mut columns = columns_of("ConfigMap", &["Name"]);
    if let Some(own) = custom.version["additionalPrinterColumns"].as_array() {
        columns.extend(own.iter().cloned());
    } else {
        let mut age = columns_of(AGE, &["Created At"]).pop().unwrap_or_default();
        age["name"] = "Age".into();
        age["type"] = "date".into();
        age["jsonPath"] = ".metadata.creationTimestamp".into();
        columns.push(age);
    }
    columns
}

/// Columns of a kind that every kind has.
fn columns_of(kind: &str, names: &[&str]) -> Vec<Value> {
    let group = if kind == AGE { "apiextensions.k8s.io" } else { "" };
    let all = crate::shapes::start_of(group, kind)["columns"].as_array().cloned().unwrap_or_default();
    all.into_iter().filter(|column| names.iter().any(|name| column["name"] == *name)).collect()
}

fn shown(column: &Value) -> Value {
    let text = |name: &str| column[name].as_str().unwrap_or_default().to_owned();
    let path = text("jsonPath");
    let description = if column["description"].is_null() && !path.is_empty() {
        format!("Custom resource definition column (in JSONPath format): {path}")
    } else {
        text("description")
    };
    json!({"name": text("name"), "type": text("type"), "format": text("format"), "description": description,
        "priority": column["priority"].as_i64().unwrap_or(0)})
}

fn count(value: &Value) -> i64 {
    let length = value.as_object().map_or_else(|| value.as_array().map_or(0, Vec::len), serde_json::Map::len);
    i64::try_from(length).unwrap_or(i64::MAX)
}

pub(crate) fn number(object: &Value, pointer: &str) -> i64 {
    object.pointer(pointer).and_then(Value::as_i64).unwrap_or(0)
}

pub(crate) fn text(object: &Value, pointer: &str) -> String {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
}

pub(crate) fn or_none(text: String) -> Value {
    if text.is_empty() { "<none>".into() } else { text.into() }
}

/// The cell of a built-in kind's column; null for those of kinds that few look at.
fn built_in(kind: &Kind, column: &str, object: &Value) -> Value {
    let template = match kind.kind.as_str() {
        "CronJob" => "/spec/jobTemplate/spec/template",
        "PodTemplate" => "/template",
        _ => "/spec/template",
    };
    let containers = object.pointer(&format!("{template}/spec/containers")).and_then(Value::as_array);
    let each = |field: &str| {
        let all = containers.into_iter().flatten().filter_map(|one| one[field].as_str());
        Value::from(all.collect::<Vec<_>>().join(","))
    };
    match column {
        "Containers" => return each("name"),
        "Images" => return each("image"),
        "Pod Labels" => return or_none(selector(&object["template"]["metadata"]["labels"])),
        "Selector" => return or_none(selector(&object["spec"]["selector"])),
        _ => {}
    }
    match (kind.kind.as_str(), column) {
        ("ConfigMap", "Data") => (count(&object["data"]) + count(&object["binaryData"])).into(),
        ("Secret", "Data") => count(&object["data"]).into(),
        ("Secret", "Type") => object["type"].clone(),
        ("ServiceAccount", "Secrets") => count(&object["secrets"]).into(),
        ("Namespace", "Status") => object["status"]["phase"].clone(),
        ("Service", "Type") => object["spec"]["type"].clone(),
        ("Service", "Cluster-IP") => or_none(text(object, "/spec/clusterIP")),
        ("Service", "External-IP") if object["spec"]["type"] == "ExternalName" => {
            object["spec"]["externalName"].clone()
        }
        ("Service", "External-IP") if object["spec"]["type"] == "LoadBalancer" => "<pending>".into(),
        ("Service", "External-IP") | ("CronJob", "Last Schedule") | ("IngressClass", "Parameters") => {
            "<none>".into()
        }
        ("Service", "Port(s)") => or_none(service_ports(object)),
        ("Ingress", "Class") => or_none(text(object, "/spec/ingressClassName")),
        ("Ingress", "Hosts") => {
            let rules = object["spec"]["rules"].as_array().into_iter().flatten();
            let hosts: Vec<&str> = rules.filter_map(|rule| rule["host"].as_str()).collect();
            Value::from(if hosts.is_empty() { "*".to_owned() } else { hosts.join(",") })
        }
        ("Ingress", "Address") => "".into(),
        ("Ingress", "Ports") => Value::from(if object["spec"]["tls"].is_array() { "80, 443" } else { "80" }),
        ("IngressClass", "Controller") => object["spec"]["controller"].clone(),
        ("NetworkPolicy", "Pod-Selector") => or_none(selector(&object["spec"]["podSelector"])),
        ("Lease", "Holder") => text(object, "/spec/holderIdentity").into(),
        ("RoleBinding" | "ClusterRoleBinding", "Role") => {
            format!("{}/{}", text(object, "/roleRef/kind"), text(object, "/roleRef/name")).into()
        }
        ("RoleBinding" | "ClusterRoleBinding", "Users") => subjects(object, "User"),
        ("RoleBinding" | "ClusterRoleBinding", "Groups") => subjects(object, "Group"),
        ("RoleBinding" | "ClusterRoleBinding", "ServiceAccounts") => subjects(object, "ServiceAccount"),
        ("PodDisruptionBudget", "Min Available") => bound(object, "minAvailable"),
        ("PodDisruptionBudget", "Max Unavailable") => bound(object, "maxUnavailable"),
        ("PodDisruptionBudget", "Allowed Disruptions") => number(object, "/status/disruptionsAllowed").into(),
        ("RuntimeClass", "Handler") => object["handler"].clone(),
        ("PriorityClass", "Value") => object["value"].clone(),
        ("PriorityClass", "Global-Default") => (object["globalDefault"] == true).into(),
        ("PriorityClass", "PreemptionPolicy") => object["preemptionPolicy"].clone(),
        ("ValidatingWebhookConfiguration" | "MutatingWebhookConfiguration", "Webhooks") => {
            count(&object["webhooks"]).into()
        }
        ("Pod", column) => pod(column, object),
        ("VolumeAttachment", "Attacher") => object["spec"]["attacher"].clone(),
        ("VolumeAttachment", "PV") => text(object, "/spec/source/persistentVolumeName").into(),
        ("VolumeAttachment", "Node") => object["spec"]["nodeName"].clone(),
        ("VolumeAttachment", "Attached") => (object["status"]["attached"] == true).into(),
        ("ValidatingAdmissionPolicyBinding", "PolicyName") => object["spec"]["policyName"].clone(),
        ("ValidatingAdmissionPolicyBinding", "ParamRef") => "<unset>".into(),
        ("Endpoints", "Endpoints") => or_none(endpoints(object)),
        ("ControllerRevision", "Revision") => number(object, "/revision").into(),
        (_, _) => workload(kind, column, object),
    }
}

/// The cell of a workload's column.
fn workload(kind: &Kind, column: &str, object: &Value) -> Value {
    let ratio = |ready: &str, wanted: &str| {
        Value::from(format!("{}/{}", number(object, ready), number(object, wanted)))
    };
    match (kind.kind.as_str(), column) {
        ("Deployment" | "StatefulSet", "Ready") => ratio("/status/readyReplicas", "/spec/replicas"),
        ("Deployment", "Up-to-date") => number(object, "/status/updatedReplicas").into(),
        ("Deployment", "Available") => number(object, "/status/availableReplicas").into(),
        ("ReplicaSet" | "ReplicationController", "Desired") => number(object, "/spec/replicas").into(),
        ("ReplicaSet" | "ReplicationController", "Current") => number(object, "/status/replicas").into(),
        ("ReplicaSet" | "ReplicationController", "Ready") => number(object, "/status/readyReplicas").into(),
        ("DaemonSet", "Desired") => number(object, "/status/desiredNumberScheduled").into(),
        ("DaemonSet", "Current") => number(object, "/status/currentNumberScheduled").into(),
        ("DaemonSet", "Ready") => number(object, "/status/numberReady").into(),
        ("DaemonSet", "Up-to-date") => number(object, "/status/updatedNumberScheduled").into(),
        ("DaemonSet", "Available") => number(object, "/status/numberAvailable").into(),
        ("DaemonSet", "Node Selector") => {
            or_none(selector(object.pointer("/spec/template/spec/nodeSelector").unwrap_or(&Value::Null)))
        }
        ("Job", "Completions") if object["spec"]["completions"].is_null() => {
            let (succeeded, at_once) =
                (number(object, "/status/succeeded"), number(object, "/spec/parallelism"));
            let of = if at_once > 1 { format!(" of {at_once}") } else { String::new() };
            format!("{succeeded}/1{of}").into()
        }
        ("Job", "Completions") => ratio("/status/succeeded", "/spec/completions"),
        ("Job", "Status") => job(object).into(),
        ("CronJob", "Schedule") => object["spec"]["schedule"].clone(),
        ("CronJob", "Timezone") => or_none(text(object, "/spec/timeZone")),
        ("CronJob", "Suspend") => {
            Value::from(if object["spec"]["suspend"] == true { "True" } else { "False" })
        }
        ("CronJob", "Active") => count(&object["status"]["active"]).into(),
        (_, _) => Value::Null,
    }
}

/// In one word, how a Job is.
fn job(object: &Value) -> &'static str {
    let holds = |name: &str| {
        let conditions = object["status"]["conditions"].as_array().into_iter().flatten();
        conditions.into_iter().any(|one| one["type"] == name && one["status"] == "True")
    };
    let is_ending = object["metadata"]["deletionTimestamp"].is_string();
    let words = ["Complete", "Failed", "Suspended", "FailureTarget", "SuccessCriteriaMet"];
    match words.into_iter().find(|word| holds(word)) {
        Some(word @ ("Complete" | "Failed")) => word,
        _ if is_ending => "Terminating",
        Some(word) => word,
        None => "Running",
    }
}

/// What the row of a pod says that has ended.
fn ended(kind: &Kind, object: &Value) -> Option<Value> {
    let (reason, message) = match object["status"]["phase"].as_str().filter(|_| kind.kind == "Pod")? {
        "Succeeded" => ("Succeeded", "The pod has completed successfully."),
        "Failed" => ("Failed", "The pod failed."),
        _ => return None,
    };
    Some(json!({"type": "Completed", "status": "True", "reason": reason, "message": message}))
}

fn pod(column: &str, object: &Value) -> Value {
    let statuses = object["status"]["containerStatuses"].as_array().map(Vec::as_slice).unwrap_or_default();
    let reason = |one: &Value| {
        let reasons = ["/state/waiting/reason", "/state/terminated/reason"].map(|at| text(one, at));
        reasons.into_iter().find(|reason| !reason.is_empty())
    };
    let is_running = |one: &Value| one["ready"] == true && one["state"]["running"].is_object();
    match column {
        "Ready" => {
            let ready = statuses.iter().filter(|one| one["ready"] == true).count();
            format!("{ready}/{}", count(&object["spec"]["containers"])).into()
        }
        "Status" if object["metadata"]["deletionTimestamp"].is_string() => "Terminating".into(),
        "Status" => match statuses.iter().find_map(reason) {
            // One of its containers has ended, and others go on.
            Some(said) if said == "Completed" && statuses.iter().any(is_running) => {
                let conditions = object["status"]["conditions"].as_array().into_iter().flatten();
                let mut ready = conditions.filter(|one| one["type"] == "Ready" && one["status"] == "True");
                if ready.next().is_some() { "Running".into() } else { "NotReady".into() }
            }
            Some(said) => said.into(),
            None => object["status"]["phase"].clone(),
        },
        "Restarts" => {
            let restarts: i64 = statuses.iter().filter_map(|one| one["restartCount"].as_i64()).sum();
            restarts.to_string().into()
        }
        "IP" => or_none(text(object, "/status/podIP")),
        "Node" => or_none(text(object, "/spec/nodeName")),
        "Nominated Node" => or_none(text(object, "/status/nominatedNodeName")),
        "Readiness Gates" => "<none>".into(),
        _ => Value::Null,
    }
}

fn bound(object: &Value, field: &str) -> Value {
    match &object["spec"][field] {
        Value::Null => "N/A".into(),
        Value::String(text) => text.clone().into(),
        value => value.to_string().into(),
    }
}

/// How many addresses a table shows of Endpoints.
const ENDPOINTS: usize = 3;

fn endpoints(object: &Value) -> String {
    let mut all = Vec::new();
    for subset in object["subsets"].as_array().into_iter().flatten() {
        if subset["ports"].as_array().is_none_or(Vec::is_empty) {
            let addresses = subset["addresses"].as_array().into_iter().flatten();
            all.extend(addresses.filter_map(|address| address["ip"].as_str()).map(str::to_owned));
        }
        for port in subset["ports"].as_array().into_iter().flatten() {
            for address in subset["addresses"].as_array().into_iter().flatten() {
                all.push(format!("{}:{}", address["ip"].as_str().unwrap_or_default(), port["port"]));
            }
        }
    }
    let more = all.len().saturating_sub(ENDPOINTS);
    all.truncate(ENDPOINTS);
    let shown = all.join(",");
    if more > 0 { format!("{shown} + {more} more...") } else { shown }
}

fn service_ports(object: &Value) -> String {
    let ports = object["spec"]["ports"].as_array().into_iter().flatten();
    let all: Vec<String> = ports
        .map(|port| {
            let node = port["nodePort"].as_i64().map(|node| format!(":{node}")).unwrap_or_default();
            format!("{}{node}/{}", port["port"], port["protocol"].as_str().unwrap_or_default())
        })
        .collect();
    all.join(",")
}

fn subjects(object: &Value, kind: &str) -> Value {
    let all = object["subjects"].as_array().into_iter().flatten().filter(|one| one["kind"] == kind);
    let names: Vec<String> = all
        .map(|one| match one["namespace"].as_str() {
            Some(namespace) if kind == "ServiceAccount" => format!("{namespace}/{}", text(one, "/name")),
            Some(_) | None => text(one, "/name"),
        })
        .collect();
    names.join(", ").into()
}
/// The metadata of an object as tables have it: without what only the form has that objects are sent in.
fn as_told(kind: &Kind, metadata: &Value) -> Value {
    let mut metadata = metadata.clone();
    if kind.group == "apps"
        && kind.kind == "DaemonSet"
        && let Some(fields) = metadata.as_object_mut()
        && let Some(annotations) = fields.get_mut("annotations").and_then(Value::as_object_mut)
    {
        annotations.remove(crate::depends::GENERATION);
        if annotations.is_empty() {
            fields.remove("annotations");
        }
    }
    metadata
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_and_what_starts_them_tell_how_they_are_and_since_when() {
        let sandbox = Sandbox::api_only(Timestamp::from_second(3_600).unwrap());
        let seen = |plural: &str, column: &str, object: &Value| {
            let kind = sandbox.kinds.resource("batch", "v1", plural).unwrap();
            sandbox.cell(&kind, &json!({"name": column}), object)
        };
        let mut job = json!({"status": {"startTime": "1970-01-01T00:50:00Z"}});
        assert_eq!(
            (seen("jobs", "Status", &job), seen("jobs", "Duration", &job)),
            (json!("Running"), json!("10m"))
        );
        job["status"]["completionTime"] = "1970-01-01T00:50:07Z".into();
        job["status"]["conditions"] =
            json!([{"type": "SuccessCriteriaMet", "status": "True"}, {"type": "Complete", "status": "True"}]);
        assert_eq!(
            (seen("jobs", "Status", &job), seen("jobs", "Duration", &job)),
            (json!("Complete"), json!("7s"))
        );
        let mut cron = json!({"status": {}});
        assert_eq!(seen("cronjobs", "Last Schedule", &cron), "<none>");
        cron["status"]["lastScheduleTime"] = "1970-01-01T00:59:30Z".into();
        assert_eq!(seen("cronjobs", "Last Schedule", &cron), "30s");
    }
}
