//! What each forge's answers say: pure, from a body to pull requests.

use super::{Forge, PullRequest, Pushers, State};
use jiff::Timestamp;
use serde::Deserialize;

/// A page of a list.
///
/// # Errors
/// What cannot be read of it.
pub(super) fn list(forge: Forge, body: &[u8]) -> Result<Vec<PullRequest>, String> {
    match forge {
        Forge::GitHub => parse::<Vec<Hub>>(body)?.into_iter().map(hub).collect(),
        Forge::Gitea => parse::<Vec<Hub>>(body)?.into_iter().map(gitea).collect(),
        Forge::GitLab => parse::<Vec<Merge>>(body)?.into_iter().map(gitlab).collect(),
    }
}

/// A single request.
///
/// # Errors
/// What cannot be read of it.
pub(super) fn one(forge: Forge, body: &[u8]) -> Result<PullRequest, String> {
    match forge {
        Forge::GitHub => hub(parse(body)?),
        Forge::Gitea => gitea(parse(body)?),
        Forge::GitLab => gitlab(parse(body)?),
    }
}

fn parse<'b, T: Deserialize<'b>>(body: &'b [u8]) -> Result<T, String> {
    serde_json::from_slice(body).map_err(|error| error.to_string())
}

// GitHub's "Pull Request Simple", and Gitea's `PullRequest`, which is like it.
#[derive(Deserialize)]
struct Hub {
    number: u64,
    title: String,
    state: String,
    head: Side,
    base: Side,
    #[serde(default)]
    labels: Vec<Label>,
    user: Option<User>,
    updated_at: Option<Timestamp>,
}

#[derive(Deserialize)]
struct Side {
    #[serde(rename = "ref")]
    name: String,
    sha: String,
    label: Option<String>,
    /// None where the fork is gone.
    repo: Option<Repository>,
}

#[derive(Deserialize)]
struct Repository {
    id: u64,
}

#[derive(Deserialize)]
struct Label {
    name: String,
}

#[derive(Deserialize)]
struct User {
    login: String,
}

fn hub(hub: Hub) -> Result<PullRequest, String> {
    let is_own = match (&hub.head.repo, &hub.base.repo) {
        (Some(head), Some(base)) => head.id == base.id,
        (_, _) => false,
    };
    Ok(PullRequest {
        number: hub.number,
        title: hub.title,
        branch: hub.head.name,
        target_branch: hub.base.name,
        head: commit(hub.head.sha)?,
        labels: hub.labels.into_iter().map(|label| label.name).collect(),
        author: hub.user.map(|user| user.login).unwrap_or_default(),
        pushed_by: if is_own { Pushers::Own } else { Pushers::Others },
        updated: hub.updated_at,
        state: match hub.state.as_str() {
            "open" => State::Open,
            "closed" => State::Closed,
            other => return Err(format!("request {}: {other:?} is no state", hub.number)),
        },
    })
}

/// Who can read a repository of Gitea can push a request to it that has no branch (`refs/for/main`). It says that it is from the repository itself,
/// and is told by its ref.
fn gitea(request: Hub) -> Result<PullRequest, String> {
    let has_branch = !request.head.name.starts_with("refs/")
        && request.head.label.as_deref().is_none_or(|label| !label.is_empty());
    let request = hub(request)?;
    let pushed_by = if has_branch { request.pushed_by } else { Pushers::Others };
    Ok(PullRequest { pushed_by, ..request })
}

// GitLab's "Merge requests API".
#[derive(Deserialize)]
struct Merge {
    iid: u64,
    title: String,
    state: String,
    source_branch: String,
    target_branch: String,
    /// None while the request is being prepared.
    sha: Option<String>,
    #[serde(default)]
    labels: Vec<String>,
    author: Option<Author>,
    /// None where the fork is gone.
    source_project_id: Option<u64>,
    target_project_id: u64,
    updated_at: Option<Timestamp>,
}

#[derive(Deserialize)]
struct Author {
    username: String,
}

fn gitlab(merge: Merge) -> Result<PullRequest, String> {
    let is_own = merge.source_project_id == Some(merge.target_project_id);
    Ok(PullRequest {
        number: merge.iid,
        title: merge.title,
        branch: merge.source_branch,
        target_branch: merge.target_branch,
        head: merge.sha.map_or(Ok(None), commit)?,
        labels: merge.labels,
        author: merge.author.map(|author| author.username).unwrap_or_default(),
        pushed_by: if is_own { Pushers::Own } else { Pushers::Others },
        updated: merge.updated_at,
        state: match merge.state.as_str() {
            "opened" | "locked" => State::Open,
            "closed" | "merged" => State::Closed,
            other => return Err(format!("request {}: {other:?} is no state", merge.iid)),
        },
    })
}

fn commit(id: String) -> Result<Option<String>, String> {
    if id.is_empty() {
        return Ok(None);
    }
    let fits = matches!(id.len(), 40 | 64) && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    if fits { Ok(Some(id)) } else { Err(format!("{id:?} is no commit")) }
}
