//! A small Kubernetes API in memory, faithful where trueup looks.
//!
//! Enters: requests ([`Request`]) with the time at which they come. Leaves: answers, and the events of watches. One request is
//! handled at a time and nothing else happens: equal requests give equal answers, so that what was seen can be seen again.
//! Absent: threads, sockets and clocks, which are the caller's; webhooks and aggregated API servers; pods that run anything.
//!
//! | module | subject |
//! |---|---|
//! | [`kinds`] | which kinds there are, and their schemas |
//! | [`request`] | what a request is about |
//! | [`answer`] | answers, and refusals in the API server's words |
//! | [`authorize`] | who may do what |
//! | [`accounts`] | tokens of service accounts, and questions about rights |
//! | `scale`, `table`, `cells` | other forms of objects |
//! | [`select`] | label and field selectors |
//! | [`store`] | the objects, and what happened to them |
//! | [`read`], [`mod@write`], [`delete`], [`patch`] | the verbs |
//! | [`watch`] | what happens, told as it happens |
//! | [`discovery`] | what the API tells of itself |
//! | [`crds`], `definition_rules`, `list_types`, `ending` | kinds that come and go with their definitions, and what those ask for |
//! | `shapes` | what is known of each field of a built-in kind, put together once |
//! | `strict` | fields that a kind does not have |
//! | `decode` | whether an object can be read into its kind's type |
//! | `protobuf` | bodies that typed clients send |
//! | `go_types` | what is known of the types of built-in kinds in Go |
//! | `fields`, `depends` | what the server makes of objects of built-in kinds: its form of them, and defaults |
//! | `metadata`, `rules`, `relations` | what it asks of them |
//! | `limit_ranges`, `limit_rules`, `quota`, `usage`, `amounts` | what a namespace's limits and quotas ask of it |
//! | [`namespaces`] | namespaces' life |
//! | [`workloads`], `jobs`, `cron_jobs`, `cron` | the controllers of workloads, and pods that only seem to run |
//! | `endpoints` | the pods behind Services |
//! | `autoscale` | autoscalers, which read a load that is written down |
//! | `claims` | claims of storage, and volumes |
//! | `tick` | what happens because time passes |
//! | `logs` | what pods wrote |
//! | `services` | addresses and ports of Services, and what follows from their type |
//! | `nodes` | where pods go |
//! | `limits` | how large things may be |
//! | [`restore`] | objects of another cluster, put into this one; the cluster itself, put back to what it was |
//! | [`serve`] | the same over HTTP |

pub mod accounts;
mod amounts;
pub mod answer;
pub mod authorize;
mod autoscale;
mod autoscaler_rules;
mod autoscaler_versions;
mod cel_rules;
mod cells;
mod claims;
pub mod crds;
mod cron;
mod cron_jobs;
mod decode;
mod definition_rules;
pub mod delete;
mod depends;
pub mod discovery;
mod ending;
mod endpoints;
mod fields;
mod formats;
mod garbage;
mod go_types;
mod images;
mod job_rules;
mod jobs;
pub mod kinds;
mod limit_ranges;
mod limit_rules;
mod limits;
mod list_types;
mod logs;
mod metadata;
pub mod namespaces;
mod network_rules;
mod nodes;
pub mod patch;
mod patch_operations;
mod pod_rules;
mod pod_spec_rules;
mod protobuf;
mod quota;
pub mod read;
mod relations;
pub mod request;
pub mod restore;
mod rules;
mod scale;
mod schema_rules;
pub mod select;
pub mod serve;
mod services;
mod settle;
mod shapes;
pub mod store;
mod strategic;
mod strict;
mod table;
#[cfg(test)]
mod testing;
mod tick;
mod usage;
mod volume_rules;
pub mod watch;
mod workload_rules;
pub mod workloads;
pub mod write;

pub use answer::{Answer, Refusal};
pub use request::Request;

use jiff::Timestamp;
use kinds::Kinds;
use request::Target;
use std::collections::BTreeMap;
use store::Store;
use workloads::Fate;

/// Which of a cluster's programs run beside its API server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Programs {
    /// The controllers of workloads and namespaces, and the garbage collector.
    All,
    /// None: nothing rolls out, and what waits for a controller waits for ever.
    None,
}

/// A cluster.
pub struct Sandbox {
    programs: Programs,
    authorization: authorize::Authorization,
    kinds: Kinds,
    store: Store,
    now: Timestamp,
    settled: u64,
    fates: BTreeMap<String, Fate>,
    warnings: Vec<String>,
    tokens: BTreeMap<String, accounts::Token>,
}

impl Sandbox {
    /// An empty cluster, as it is right after its start at `now`.
    pub fn new(now: Timestamp) -> Self {
        Self::with(Programs::All, now)
    }

    /// The same with nothing but its API server: nothing rolls out, nothing is garbage collected, and what waits for a controller
    /// waits for ever.
    pub fn api_only(now: Timestamp) -> Self {
        Self::with(Programs::None, now)
    }

    fn with(programs: Programs, now: Timestamp) -> Self {
        let mut sandbox = Self {
            programs,
            authorization: authorize::Authorization::default(),
            kinds: Kinds::built_in(),
            store: Store::default(),
            now,
            settled: 0,
            fates: BTreeMap::new(),
            warnings: Vec::new(),
            tokens: BTreeMap::new(),
        };
        sandbox.begin();
        sandbox
    }

    /// Answers one request that comes at `now`.
    pub fn handle(&mut self, now: Timestamp, request: &Request<'_>) -> Answer {
        self.now = self.now.max(now);
        self.warnings.clear();
        let answer = self.answer(request).unwrap_or_else(Refusal::into_answer);
        self.settle();
        answer
    }

    fn answer(&mut self, request: &Request<'_>) -> Result<Answer, Refusal> {
        if let Some(answer) = self.discover(request) {
            return Ok(answer);
        }
        let target = Target::of(request, &self.kinds)?;
        self.check_allowed(request, &target)?;
        table::check(request, &target)?;
        let answer = if protobuf::is_meant(request.content_type) && !request.body.is_empty() {
            let body = read_protobuf(request, &target)?;
            self.act(&Request { body: &body, content_type: "application/json", ..*request }, &target)?
        } else {
            self.act(request, &target)?
        };
        Ok(match answer {
            Answer::Json { code, body, media_type }
                if request.accept.contains("as=Table")
                    && body["kind"] != "Status"
                    && matches!(target.subresource.as_str(), "" | "status" | "scale") =>
            {
                let body = if target.subresource == "scale" {
                    self.scale_table(&target.kind, &body)
                } else {
                    self.table(&target.kind, &body)
                };
                Answer::Json { code, body, media_type }
            }
            other @ (Answer::Json { .. } | Answer::Watch(_)) => other,
        })
    }

    fn act(&mut self, request: &Request<'_>, target: &Target) -> Result<Answer, Refusal> {
        if request.method == "POST"
            && let Some(answer) = self.review(request, target)
        {
            return answer;
        }
        match (request.method, target.name.is_some()) {
            ("GET", true) if target.subresource == "log" => self.log(request, target),
            ("GET", _) if request.flag("watch") => self.watch(request, target).map(Answer::Watch),
            ("GET", true) => self.get(target),
            ("GET", false) => self.list(request, target),
            ("POST", _) => self.create(request, target),
            ("PUT", true) => self.replace(request, target),
            ("PATCH", true) => self.patch(request, target),
            ("DELETE", true) => self.delete_one(request, target),
            ("DELETE", false) => self.delete_collection(request, target),
            (_, _) => Err(Refusal::method_not_allowed()),
        }
    }

    /// The time, as objects carry it.
    fn time(&self) -> String {
        self.now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
    }
}

/// The body of a request in protobuf, as JSON.
fn read_protobuf(request: &Request<'_>, target: &Target) -> Result<Vec<u8>, Refusal> {
    if target.kind.custom.is_some() {
        return Err(Refusal::unsupported_media_type("application/json, application/yaml"));
    }
    let body = protobuf::decode(request.body).map_err(|why| {
        let (kind, begins) = (&target.kind.kind, protobuf::summary(request.body));
        let unrecognized = format!("the object provided is unrecognized (must be of type {kind})");
        Refusal::bad_request(format!("{unrecognized}: {why} ({begins})"))
    })?;
    Ok(body.to_string().into_bytes())
}
