//! What the deliveries of each forge say: pure, from headers and body to what moved where.
//!
//! Absent: whether a delivery may be believed, and all of its content that a later look at the repository tells better.

use crate::sync::hooks::Promise;
use axum::http::HeaderMap;
use jiff::Timestamp;
use serde::Deserialize;

/// Who sends deliveries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Forge {
    GitHub,
    GitLab,
    /// Gitea and Forgejo.
    Gitea,
    /// Bitbucket Cloud and Bitbucket Data Center.
    Bitbucket,
    AzureDevOps,
    /// Anything that can send a small JSON document, such as a pipeline or a hook of a bare repository.
    Generic,
}

impl Forge {
    pub(super) fn named(name: &str) -> Option<Self> {
        let all =
            [Self::GitHub, Self::GitLab, Self::Gitea, Self::Bitbucket, Self::AzureDevOps, Self::Generic];
        all.into_iter().find(|forge| forge.as_str() == name)
    }

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::GitHub => "github",
            Self::GitLab => "gitlab",
            Self::Gitea => "gitea",
            Self::Bitbucket => "bitbucket",
            Self::AzureDevOps => "azure-devops",
            Self::Generic => "generic",
        }
    }
}

/// A delivery, read.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Delivery {
    pub(super) event: Event,
    /// The URLs of the repository that it is about.
    pub(super) urls: Vec<String>,
    /// Project and repository, where that is all that is told.
    pub(super) slug: Option<(String, String)>,
    /// The repository's default branch, where it is told.
    pub(super) default_branch: Option<String>,
}

impl Delivery {
    /// Whether it says which repository it is about.
    pub(super) fn names_a_repository(&self) -> bool {
        !self.urls.is_empty() || self.slug.is_some()
    }
}

#[derive(Debug, Default, PartialEq, Eq)]
pub(super) enum Event {
    /// References moved.
    Push(Vec<Moved>),
    /// A pull request was opened, pushed to, closed, labelled, or changed in another way.
    PullRequest(Promise),
    /// The forge tries whether somebody answers.
    #[default]
    Ping,
    /// Something that does not concern us.
    Other(String),
}

/// A reference that moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Moved {
    /// In full: `refs/heads/main`. Empty where it is not told.
    pub(super) reference: String,
    /// The object that it names now; none where it is gone or not told.
    pub(super) to: Option<String>,
}

impl Moved {
    fn new(reference: &str, to: Option<&str>) -> Self {
        let exists = |id: &&str| matches!(id.len(), 40 | 64) && id.bytes().any(|digit| digit != b'0');
        Self { reference: reference.to_owned(), to: to.filter(exists).map(str::to_owned) }
    }
}

/// Reads a delivery.
///
/// # Errors
/// The body is not what the forge sends: what is missing.
pub(super) fn read(forge: Forge, headers: &HeaderMap, body: &[u8]) -> Result<Delivery, String> {
    let event = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    match forge {
        Forge::GitHub => hub(event("x-github-event"), body),
        Forge::Gitea => hub(first([event("x-gitea-event"), event("x-forgejo-event")]), body),
        Forge::GitLab => gitlab(body),
        Forge::Bitbucket => bitbucket(event("x-event-key"), body),
        Forge::AzureDevOps => azure(body),
        Forge::Generic => generic(body),
    }
}

fn first<const N: usize>(texts: [&str; N]) -> &str {
    texts.into_iter().find(|text| !text.is_empty()).unwrap_or_default()
}

fn parse<'b, T: Deserialize<'b>>(body: &'b [u8]) -> Result<T, String> {
    serde_json::from_slice(body).map_err(|error| format!("the body cannot be read: {error}"))
}

// GitHub's "Webhook events and payloads"; Gitea and Forgejo send the same shape.
#[derive(Deserialize)]
struct Hub {
    #[serde(rename = "ref")]
    reference: Option<String>,
    after: Option<String>,
    repository: Option<HubRepository>,
}

#[derive(Deserialize)]
struct HubRepository {
    clone_url: Option<String>,
    html_url: Option<String>,
    ssh_url: Option<String>,
    default_branch: Option<String>,
}

// GitHub's `pull_request`, and Gitea's, which is like it.
#[derive(Deserialize)]
struct HubPull {
    pull_request: HubRequest,
}

#[derive(Deserialize)]
struct HubRequest {
    number: u64,
    state: String,
    head: Option<HubHead>,
    updated_at: Option<String>,
}

#[derive(Deserialize)]
struct HubHead {
    sha: Option<String>,
}

fn hub_pull(body: &[u8]) -> Result<Promise, String> {
    let HubPull { pull_request: HubRequest { number, state, head, updated_at } } = parse(body)?;
    let head = head.and_then(|head| head.sha).filter(|sha| !sha.is_empty());
    Ok(Promise { number, open: state == "open", head, updated: time(updated_at) })
}

/// When something changed. GitLab has written `2026-11-21 10:00:00 UTC` as well.
fn time(written: Option<String>) -> Option<Timestamp> {
    written?.replace(" UTC", "Z").parse().ok()
}

fn hub(event: &str, body: &[u8]) -> Result<Delivery, String> {
    let hub: Hub = parse(body)?;
    let repository = hub.repository;
    let mut delivery = Delivery::default();
    if let Some(HubRepository { clone_url, html_url, ssh_url, default_branch }) = repository {
        delivery.urls = [clone_url, html_url, ssh_url].into_iter().flatten().collect();
        delivery.default_branch = default_branch;
    }
    delivery.event = match (event, hub.reference) {
        ("push", Some(reference)) => Event::Push(vec![Moved::new(&reference, hub.after.as_deref())]),
        ("push", None) => return Err("the push names no ref".to_owned()),
        ("ping", _) => Event::Ping,
        // Gitea and Forgejo have called some of them by names of their own.
        ("pull_request" | "pull_request_sync" | "pull_request_label", _) => {
            Event::PullRequest(hub_pull(body)?)
        }
        ("", _) => return Err("no header says which event this is".to_owned()),
        (other, _) => Event::Other(other.to_owned()),
    };
    Ok(delivery)
}

// "Webhook events" and "System hooks" of GitLab.
#[derive(Deserialize)]
struct GitLab {
    object_kind: Option<String>,
    event_name: Option<String>,
    #[serde(rename = "ref")]
    reference: Option<String>,
    after: Option<String>,
    project: Option<GitLabProject>,
    object_attributes: Option<serde_json::Value>,
}

#[derive(Deserialize)]
struct GitLabProject {
    id: Option<u64>,
    path_with_namespace: Option<String>,
    git_http_url: Option<String>,
    git_ssh_url: Option<String>,
    web_url: Option<String>,
    default_branch: Option<String>,
}

// The `object_attributes` of a "Merge request event".
#[derive(Deserialize)]
struct GitLabMerge {
    iid: u64,
    state: Option<String>,
    last_commit: Option<GitLabCommit>,
    updated_at: Option<String>,
}

#[derive(Deserialize)]
struct GitLabCommit {
    id: Option<String>,
}

fn gitlab_merge(attributes: Option<serde_json::Value>) -> Result<Promise, String> {
    let attributes = attributes.ok_or("the event says of no merge request")?;
    let merge = serde_json::from_value(attributes).map_err(|error| format!("object_attributes: {error}"))?;
    let GitLabMerge { iid, state, last_commit, updated_at } = merge;
    let head = last_commit.and_then(|commit| commit.id);
    Ok(Promise { number: iid, open: state.as_deref() == Some("opened"), head, updated: time(updated_at) })
}

/// The URL of a project by its number, which leads to the one by its name.
fn by_number(project: &GitLabProject) -> Option<String> {
    let server = project.web_url.as_deref()?.strip_suffix(project.path_with_namespace.as_deref()?)?;
    Some(format!("{server}projects/{}", project.id?))
}

fn gitlab(body: &[u8]) -> Result<Delivery, String> {
    let push: GitLab = parse(body)?;
    let mut delivery = Delivery::default();
    if let Some(project) = push.project {
        let by_number = by_number(&project);
        let GitLabProject { git_http_url, git_ssh_url, web_url, default_branch, .. } = project;
        delivery.urls = [git_http_url, git_ssh_url, web_url, by_number].into_iter().flatten().collect();
        delivery.default_branch = default_branch;
    }
    let kind = push.object_kind.or(push.event_name).unwrap_or_default();
    delivery.event = match (kind.as_str(), push.reference) {
        ("push" | "tag_push", Some(reference)) => {
            Event::Push(vec![Moved::new(&reference, push.after.as_deref())])
        }
        ("push" | "tag_push", None) => return Err("the push names no ref".to_owned()),
        ("merge_request", _) => Event::PullRequest(gitlab_merge(push.object_attributes)?),
        ("", _) => return Err("the body does not say which event this is".to_owned()),
        (other, _) => Event::Other(other.to_owned()),
    };
    Ok(delivery)
}

// "Event payloads" of Bitbucket Cloud (`push.changes`) and of Bitbucket Data Center (`changes`).
#[derive(Deserialize)]
struct Bitbucket {
    push: Option<CloudPush>,
    changes: Option<Vec<DataCenterChange>>,
    repository: Option<BitbucketRepository>,
}

#[derive(Deserialize)]
struct CloudPush {
    changes: Vec<CloudChange>,
}

#[derive(Deserialize)]
struct CloudChange {
    new: Option<CloudReference>,
    old: Option<CloudReference>,
}

#[derive(Deserialize)]
struct CloudReference {
    #[serde(rename = "type")]
    kind: String,
    name: String,
    target: Option<CloudTarget>,
}

#[derive(Deserialize)]
struct CloudTarget {
    hash: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct DataCenterChange {
    #[serde(rename = "ref")]
    reference: DataCenterReference,
    to_hash: Option<String>,
}

#[derive(Deserialize)]
struct DataCenterReference {
    id: String,
}

#[derive(Deserialize)]
struct BitbucketRepository {
    links: Option<BitbucketLinks>,
    slug: Option<String>,
    project: Option<BitbucketProject>,
}

#[derive(Deserialize)]
struct BitbucketLinks {
    html: Option<Link>,
    #[serde(default)]
    clone: Vec<Link>,
}

#[derive(Deserialize)]
struct Link {
    href: String,
}

#[derive(Deserialize)]
struct BitbucketProject {
    key: Option<String>,
}

fn bitbucket(event: &str, body: &[u8]) -> Result<Delivery, String> {
    let Bitbucket { push, changes, repository } = parse(body)?;
    let mut delivery = Delivery::default();
    if let Some(BitbucketRepository { links, slug, project }) = repository {
        let links = links.into_iter().flat_map(|links| links.clone.into_iter().chain(links.html));
        delivery.urls = links.map(|link| link.href).collect();
        if delivery.urls.is_empty() {
            delivery.slug = project.and_then(|project| project.key).zip(slug);
        }
    }
    let moved: Vec<Moved> = match (push, changes) {
        (Some(push), _) => push.changes.iter().filter_map(cloud_moved).collect(),
        (None, Some(changes)) => {
            changes.iter().map(|change| Moved::new(&change.reference.id, change.to_hash.as_deref())).collect()
        }
        (None, None) => Vec::new(),
    };
    delivery.event = match event {
        "repo:push" | "repo:refs_changed" if moved.is_empty() => {
            return Err("the push names no change".to_owned());
        }
        "repo:push" | "repo:refs_changed" => Event::Push(moved),
        "diagnostics:ping" => Event::Ping,
        "" => return Err("no header says which event this is".to_owned()),
        other => Event::Other(other.to_owned()),
    };
    Ok(delivery)
}

fn cloud_moved(change: &CloudChange) -> Option<Moved> {
    let named = change.new.as_ref().or(change.old.as_ref())?;
    let folder = if named.kind == "tag" { "refs/tags" } else { "refs/heads" };
    let to = change.new.as_ref().and_then(|new| new.target.as_ref()?.hash.as_deref());
    Some(Moved::new(&format!("{folder}/{}", named.name), to))
}

// "Service hooks events" of Azure DevOps: `git.push`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Azure {
    event_type: String,
    resource: Option<AzureResource>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AzureResource {
    #[serde(default)]
    ref_updates: Vec<AzureUpdate>,
    repository: Option<AzureRepository>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AzureUpdate {
    name: String,
    new_object_id: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AzureRepository {
    remote_url: Option<String>,
    default_branch: Option<String>,
}

fn azure(body: &[u8]) -> Result<Delivery, String> {
    let Azure { event_type, resource } = parse(body)?;
    if event_type != "git.push" {
        return Ok(Delivery { event: Event::Other(event_type), ..Delivery::default() });
    }
    let AzureResource { ref_updates, repository } = resource.ok_or("the push has no resource")?;
    let repository = repository.ok_or("the push names no repository")?;
    let moved =
        ref_updates.iter().map(|update| Moved::new(&update.name, update.new_object_id.as_deref())).collect();
    Ok(Delivery {
        event: Event::Push(moved),
        urls: repository.remote_url.into_iter().collect(),
        default_branch: repository
            .default_branch
            .map(|branch| branch.strip_prefix("refs/heads/").unwrap_or(&branch).to_owned()),
        ..Delivery::default()
    })
}

// Ours: `{"repository": "https://…", "ref": "refs/heads/main", "after": "<commit>"}`; the last two may be left out.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Generic {
    repository: String,
    #[serde(rename = "ref")]
    reference: Option<String>,
    after: Option<String>,
}

fn generic(body: &[u8]) -> Result<Delivery, String> {
    let Generic { repository, reference, after } = parse(body)?;
    let reference = reference.unwrap_or_default();
    // Who writes this by hand may mean a branch.
    let full = reference.is_empty() || reference.starts_with("refs/");
    let reference = if full { reference } else { format!("refs/heads/{reference}") };
    let event = Event::Push(vec![Moved::new(&reference, after.as_deref())]);
    Ok(Delivery { event, urls: vec![repository], ..Delivery::default() })
}
