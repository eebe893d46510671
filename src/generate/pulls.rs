//! Which pull requests there are Apps for, and what is known of each of them.
//!
//! Enters: the open requests of a repository, what is remembered of them, and the time. Leaves: the parameters of those that count, and in words why others do not.
//! Everything that somebody wrote who opened a request is hostile: it becomes a slug, or a text that is no part of anything. Absent: asking the forge.

use super::Parameters;
use crate::config::PullRequests;
use crate::source::forge::{PullRequest, Pushers};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Characters of a slug, so that something fits beside it in a name.
const SLUG: usize = 50;
/// Characters of a text that somebody wrote.
const TEXT: usize = 200;

/// What the parameters are called that are texts as somebody wrote them.
pub(super) const WRITTEN: [&str; 5] =
    ["pull.title", "pull.branch", "pull.target_branch", "pull.labels", "pull.author"];

/// Open pull requests of one repository.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// Those that are open, by number.
    pub open: BTreeMap<u64, PullRequest>,
    /// Those among the remembered ones that are known to be closed or merged.
    pub closed: BTreeSet<u64>,
}

/// What is remembered of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seen {
    /// The commit that it was at last.
    pub head: String,
    /// Since when, as far as anybody knows.
    pub since: Timestamp,
    /// The Apps that there are for it.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub apps: BTreeSet<String>,
}

/// What is remembered of requests, by `repository#number`.
pub type Remembered = BTreeMap<String, Seen>;

/// What a request is remembered under.
pub fn key(repository: &str, number: u64) -> String {
    format!("{repository}#{number}")
}

/// The numbers that are remembered of a repository.
pub fn numbers(remembered: &Remembered, repository: &str) -> BTreeSet<u64> {
    let number = |key: &String| key.strip_prefix(repository)?.strip_prefix('#')?.parse().ok();
    remembered.keys().filter_map(number).collect()
}

/// What came of looking at the requests of one repository.
#[derive(Default)]
pub(super) struct Chosen {
    /// Of each request that there are Apps for.
    pub(super) elements: Vec<Parameters>,
    /// Of each request that could have Apps.
    pub(super) seen: Remembered,
    /// Requests that have no Apps any more, or none yet, and of which that is known: not because a filter does not mean them.
    pub(super) gone: BTreeSet<String>,
    /// Why requests have no Apps.
    pub(super) notes: Vec<String>,
}

/// Which requests count.
pub(super) fn choose(
    spec: &PullRequests,
    repository: &str,
    listing: &Listing,
    remembered: &Remembered,
    now: Timestamp,
) -> Chosen {
    let mut chosen = Chosen::default();
    chosen.gone.extend(listing.closed.iter().map(|number| key(repository, *number)));
    let (mut foreign, mut old, mut waiting) = (Vec::new(), Vec::new(), Vec::new());
    for (number, request) in &listing.open {
        if !spec.labels.iter().all(|label| request.labels.contains(label)) {
            continue;
        }
        if request.pushed_by == Pushers::Others && !spec.forks {
            foreign.push(*number);
            continue;
        }
        let Some(head) = &request.head else { continue };
        let key = key(repository, *number);
        let before = remembered.get(&key);
        let since = match before.filter(|before| before.head == *head) {
            Some(before) => before.since,
            None => request.updated.map_or(now, |updated| updated.min(now)),
        };
        let apps = before.map(|before| before.apps.clone()).unwrap_or_default();
        chosen.seen.insert(key.clone(), Seen { head: head.clone(), since, apps });
        let age = Duration::try_from(now.duration_since(since)).unwrap_or_default();
        if spec.time_to_live.is_some_and(|most| age >= most) {
            old.push(*number);
            chosen.gone.insert(key);
        } else if spec
            .quota
            .is_some_and(|most| chosen.elements.len() >= usize::try_from(most.get()).unwrap_or(usize::MAX))
        {
            waiting.push(*number);
            chosen.gone.insert(key);
        } else {
            chosen.elements.push(parameters(repository, request, head));
        }
    }
    let mut note = |numbers: Vec<u64>, why: String| {
        if !numbers.is_empty() {
            chosen.notes.push(format!("{} {why}", listed(&numbers)));
        }
    };
    let quota = spec.quota.map(std::num::NonZeroU32::get).unwrap_or_default();
    note(waiting, format!("over the quota of {quota}: waiting until others are closed"));
    let most = spec.time_to_live.unwrap_or_default();
    note(old, format!("without a push for {}", humantime::format_duration(most)));
    note(foreign, "from forks, which `forks: true` would allow".to_owned());
    chosen
}

/// `#1, #2 and 3 more`.
fn listed(numbers: &[u64]) -> String {
    const SHOWN: usize = 10;
    let mut shown: Vec<String> = numbers.iter().take(SHOWN).map(|number| format!("#{number}")).collect();
    let more = numbers.len().saturating_sub(SHOWN);
    shown.extend((more > 0).then(|| format!("{more} more")));
    shown.join(", ")
}

fn parameters(repository: &str, request: &PullRequest, head: &str) -> Parameters {
    let mut parameters = Parameters::new();
    let mut add = |name: &str, value: Value| drop(parameters.insert(format!("pull.{name}"), value));
    add("repository", repository.into());
    add("number", request.number.into());
    add("branch_slug", slug(&request.branch).into());
    add("target_branch_slug", slug(&request.target_branch).into());
    add("author_slug", slug(&request.author).into());
    add("head_sha", head.into());
    add("head_short_sha", head[..8.min(head.len())].into());
    add("head_short_sha_7", head[..7.min(head.len())].into());
    add("title", plain(&request.title).into());
    add("branch", plain(&request.branch).into());
    add("target_branch", plain(&request.target_branch).into());
    add("labels", plain(&request.labels.join(",")).into());
    add("author", plain(&request.author).into());
    parameters
}

/// What may be a part of a name: lower-case letters and digits, and single `-` between them, 50 characters at most.
fn slug(text: &str) -> String {
    let mut slug = String::new();
    for c in text.chars().flat_map(char::to_lowercase) {
        if c.is_ascii_lowercase() || c.is_ascii_digit() {
            slug.push(c);
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
        if slug.len() >= SLUG {
            break;
        }
    }
    slug.trim_end_matches('-').to_owned()
}

/// A text on one line that no template takes for its own.
fn plain(text: &str) -> String {
    let one_line: String =
        text.chars().take(TEXT).map(|c| if c.is_control() || is_break(c) { ' ' } else { c }).collect();
    let mut plain = String::with_capacity(one_line.len());
    for c in one_line.chars() {
        let opens =
            matches!((plain.chars().last(), c), (Some('{'), '{') | (Some('}'), '}') | (Some('$'), '{' | '('));
        if opens {
            plain.push(' ');
        }
        plain.push(c);
    }
    plain
}

/// Line breaks of YAML and Unicode that are no control characters, and what turns the direction of writing.
fn is_break(c: char) -> bool {
    matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests;
