//! What the containers of pods wrote: what an annotation says, as nothing runs here.
//!
//! Enters: a question for a pod's log. Leaves: its text. Absent: logs that are followed, earlier containers' and times of lines.
//!
//! Source: k8s.io/kubernetes `pkg/registry/core/pod/strategy.go` (`LogLocation`) and `pkg/kubelet` (`validateContainerLogStatus`).

use crate::Sandbox;
use crate::answer::{Answer, Refusal};
use crate::request::{Request, Target};
use serde_json::Value;

/// What all containers of a pod wrote.
const LOG: &str = "sandbox.trueup.dev/log";

impl Sandbox {
    pub(crate) fn log(&self, request: &Request<'_>, target: &Target) -> Result<Answer, Refusal> {
        let pod = self.found(target)?;
        let container = asked(request, target, pod)?;
        // A pod that is on no node has written nothing, which nobody minds.
        if pod["spec"]["nodeName"].as_str().is_none_or(str::is_empty) {
            return Ok(Answer::text(String::new()));
        }
        let mut statuses = ["containerStatuses", "initContainerStatuses"]
            .into_iter()
            .flat_map(|list| pod["status"][list].as_array().into_iter().flatten());
        let waits = |status: &Value| status["state"]["waiting"]["reason"].as_str().map(str::to_owned);
        if let Some(reason) = statuses.find(|one| one["name"] == *container).and_then(waits) {
            let why = match reason.as_str() {
                "ImagePullBackOff" | "ErrImagePull" => "trying and failing to pull image",
                "CrashLoopBackOff" => "",
                other => other,
            };
            if !why.is_empty() {
                let name = target.name.as_deref().unwrap_or_default();
                return Err(Refusal::bad_request(format!(
                    "container {container:?} in pod {name:?} is waiting to start: {why}"
                )));
            }
        }
        let text = pod["metadata"]["annotations"][LOG].as_str().unwrap_or_default();
        let number = |name: &str| request.option(name).and_then(|text| text.parse::<usize>().ok());
        let mut text = tail(text, number("tailLines")).to_owned();
        if let Some(most) = number("limitBytes") {
            let end = (0..=most.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
            text.truncate(end.unwrap_or_default());
        }
        Ok(Answer::text(text))
    }
}

/// The container that is meant: the one that is named, or the only one.
fn asked(request: &Request<'_>, target: &Target, pod: &Value) -> Result<String, Refusal> {
    let names = |list: &str| -> Vec<String> {
        let all = pod["spec"][list].as_array().into_iter().flatten();
        all.filter_map(|one| one["name"].as_str()).map(str::to_owned).collect()
    };
    let (own, first) = (names("containers"), names("initContainers"));
    let name = target.name.as_deref().unwrap_or_default();
    match request.option("container").filter(|container| !container.is_empty()) {
        Some(container) if own.contains(&container) || first.contains(&container) => Ok(container),
        Some(container) => {
            Err(Refusal::bad_request(format!("container {container} is not valid for pod {name}")))
        }
        None if own.len() == 1 && first.is_empty() => Ok(own[0].clone()),
        None => {
            let mut why = format!(
                "a container name must be specified for pod {name}, choose one of: [{}]",
                own.join(" ")
            );
            if !first.is_empty() {
                why += " or one of the init containers: [";
                why += &first.join(" ");
                why += "]";
            }
            Err(Refusal::bad_request(why))
        }
    }
}

/// The last lines of a text.
fn tail(text: &str, lines: Option<usize>) -> &str {
    let Some(lines) = lines else { return text };
    let mut ends = text.trim_end_matches('\n').rmatch_indices('\n').map(|(at, _)| at + 1);
    match lines {
        0 => "",
        lines => ends.nth(lines - 1).map_or(text, |from| &text[from..]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::ask;
    use jiff::Timestamp;
    use serde_json::json;

    fn log(sandbox: &mut Sandbox, query: &str) -> String {
        let request = Request {
            method: "GET",
            path: "/api/v1/namespaces/default/pods/a/log",
            query,
            accept: "application/json",
            content_type: "",
            user_agent: "test",
            user: "",
            body: b"",
        };
        match sandbox.handle(Timestamp::UNIX_EPOCH, &request) {
            Answer::Json { body, .. } => {
                body.as_str().or(body["message"].as_str()).unwrap_or_default().to_owned()
            }
            Answer::Watch(_) => String::new(),
        }
    }

    #[test]
    fn a_pod_wrote_what_its_annotation_says_once_it_runs() {
        let mut sandbox = Sandbox::new(Timestamp::UNIX_EPOCH);
        let pod = json!({"metadata": {"name": "a", "annotations": {LOG: "one\ntwo\nthree\n"}},
            "spec": {"containers": [{"name": "main", "image": "x"}], "nodeSelector": {"no": "such"}}});
        ask(&mut sandbox, "POST", "/api/v1/namespaces/default/pods", &pod);
        assert_eq!(log(&mut sandbox, ""), "", "it is on no node");
        ask(&mut sandbox, "DELETE", "/api/v1/namespaces/default/pods/a", &Value::Null);
        let mut pod = pod;
        pod["spec"]["nodeSelector"] = Value::Null;
        ask(&mut sandbox, "POST", "/api/v1/namespaces/default/pods", &pod);
        assert_eq!(log(&mut sandbox, ""), "one\ntwo\nthree\n");
        assert_eq!(log(&mut sandbox, "tailLines=2&container=main"), "two\nthree\n");
        assert_eq!(log(&mut sandbox, "tailLines=9&limitBytes=5"), "one\nt");
        assert_eq!(log(&mut sandbox, "container=other"), "container other is not valid for pod a");
    }
}
