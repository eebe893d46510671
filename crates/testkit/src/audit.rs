//! What an API server was asked, read from its audit log: the truth that request budgets are measured against.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::api::USER_AGENT;

/// Logs each request once: at its end, or for a watch at its start (a watch that never ends would never be seen).
pub(crate) const POLICY: &str = "apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
  - level: Metadata
";

/// A moment between two requests.
#[derive(Debug, Clone, Copy)]
pub struct Mark {
    /// How long the record was: in bytes for a control plane's log.
    pub offset: u64,
}

/// One request that an API server answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The Kubernetes verb: `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`; for paths that are
    /// no resources the HTTP method in lower case.
    pub verb: String,
    /// `configmaps`, `deployments/status`; empty for paths that are no resources (discovery, OpenAPI).
    pub resource: String,
    /// The object's namespace, or empty.
    pub namespace: String,
    /// The object's name, or empty.
    pub name: String,
    /// The user who asked.
    pub user: String,
    /// The client that asked.
    pub user_agent: String,
    /// Path and query as asked.
    pub uri: String,
    /// The HTTP status of the answer.
    pub status: u16,
    /// From when to when the server had it, in RFC 3339; empty where nobody wrote that down.
    pub between: [String; 2],
}

impl Request {
    /// Whether it asked for a change that was to stay.
    pub fn is_write(&self) -> bool {
        let changes =
            matches!(self.verb.as_str(), "create" | "update" | "patch" | "delete" | "deletecollection");
        changes && !self.uri.contains("dryRun=")
    }
}

/// The log's length now.
pub(crate) fn end_of(log: &Path) -> Result<Mark> {
    let offset = log.metadata().with_context(|| format!("cannot read {}", log.display()))?.len();
    Ok(Mark { offset })
}

/// The whole lines of the log after `mark`: the server may be in the midst of writing the next one.
pub(crate) fn lines_since(log: &Path, mark: Mark) -> Result<String> {
    let mut file = File::open(log).with_context(|| format!("cannot read {}", log.display()))?;
    ensure!(
        end_of(log)?.offset >= mark.offset,
        "{} was begun anew: what was asked is not known",
        log.display()
    );
    file.seek(SeekFrom::Start(mark.offset))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    let whole = bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |last| last + 1);
    bytes.truncate(whole);
    String::from_utf8(bytes).with_context(|| format!("{} is no text", log.display()))
}

/// The requests in a piece of log, without those of this crate's own client.
pub(crate) fn requests(text: &str) -> Result<Vec<Request>> {
    let mut found = Vec::new();
    for line in text.lines() {
        let event: Value =
            serde_json::from_str(line).with_context(|| format!("not an audit event: {line}"))?;
        let request = request(&event);
        let watch = request.verb == "watch";
        let counted = match event["stage"].as_str() {
            Some("ResponseComplete") => !watch,
            Some("ResponseStarted") => watch,
            _ => false,
        };
        if counted && !request.user_agent.starts_with(USER_AGENT) {
            found.push(request);
        }
    }
    Ok(found)
}

fn request(event: &Value) -> Request {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let target = &event["objectRef"];
    let mut resource = text(&target["resource"]);
    if let Some(subresource) = target["subresource"].as_str() {
        resource = format!("{resource}/{subresource}");
    }
    Request {
        verb: text(&event["verb"]),
        resource,
        namespace: text(&target["namespace"]),
        name: text(&target["name"]),
        user: text(&event["user"]["username"]),
        user_agent: text(&event["userAgent"]),
        uri: text(&event["requestURI"]),
        status: event["responseStatus"]["code"]
            .as_u64()
            .and_then(|code| u16::try_from(code).ok())
            .unwrap_or_default(),
        between: ["requestReceivedTimestamp", "stageTimestamp"].map(|time| text(&event[time])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_is_still_being_written_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("audit.log");
        std::fs::write(&log, "{\"verb\":\"list\",\"stage\":\"ResponseComplete\"}\n{\"verb\":\"get\",\"st")
            .unwrap();
        let lines = lines_since(&log, Mark { offset: 0 }).unwrap();
        let verbs: Vec<String> = requests(&lines).unwrap().into_iter().map(|request| request.verb).collect();
        assert_eq!(verbs, ["list"]);
        assert_eq!(lines_since(&log, Mark { offset: lines.len() as u64 }).unwrap(), "");
    }
}
