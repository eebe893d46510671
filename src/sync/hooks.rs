//! Which deliveries of a forge's webhooks concern which Repository or generator of pull requests, and what is passed on of them.
//!
//! Enters: the configured Repositories and generators with the secrets of their webhooks. Leaves: [`Hint`]s and [`PullHint`]s, which make a repository or a forge
//! be asked sooner. A hint carries no truth: what there is is found out by asking.

use crate::source::forge::PullRequest;
use crate::source::{Reference, Secret};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// What is followed of a repository, as webhooks see it.
#[derive(Clone, Debug)]
pub struct Hook {
    /// What.
    pub followed: Followed,
    /// Where the repository is: its own URL, and the one that the forge knows it by where that is another one.
    pub urls: Vec<String>,
    /// What a delivery has to prove that it knows.
    pub key: HookKey,
}

/// What is followed.
#[derive(Clone, Debug)]
pub enum Followed {
    /// A reference of a Repository.
    Repository {
        /// The Repository's name.
        name: String,
        /// What of it.
        reference: Reference,
    },
    /// Its pull requests.
    PullRequests {
        /// The AppSet that asks for them.
        app_set: String,
        /// The place of the generator in it.
        place: String,
    },
}

/// The secret that a webhook shares with the forge.
#[derive(Clone)]
pub enum HookKey {
    /// None is configured: deliveries are refused.
    Missing,
    /// It is configured and could not be read: why.
    Unreadable(String),
    /// This one.
    Known(Secret),
}

impl fmt::Debug for HookKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "missing",
            Self::Unreadable(_) => "unreadable",
            Self::Known(_) => "***",
        })
    }
}

/// A reason to ask a repository now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hint {
    /// The Repository's name.
    pub repository: String,
    /// The commit that somebody says it is at now. A forge may announce a push before each of its servers shows it: then
    /// the repository is asked a few times more.
    pub promised: Option<String>,
}

/// A reason to ask for pull requests now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PullHint {
    /// The AppSet that asks for them.
    pub app_set: String,
    /// The place of the generator in it.
    pub place: String,
    /// How somebody says that a request is now. A forge may give its old list right after it told of a change: then it is asked a few times more.
    pub promised: Promise,
}

/// How a pull request is, as somebody says who may be wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Promise {
    /// Its number.
    pub number: u64,
    /// Whether it is open.
    pub open: bool,
    /// The commit that it is at, where that is told.
    pub head: Option<String>,
    /// When it last changed, where that is told.
    pub updated: Option<Timestamp>,
}

impl Promise {
    /// Whether a list is no older than this.
    pub fn is_kept(&self, open: &BTreeMap<u64, PullRequest>) -> bool {
        let Some(shown) = open.get(&self.number) else { return !self.open };
        let has_head = self.head.is_none() || self.head == shown.head;
        match (shown.updated, self.updated) {
            // It changed again, whatever it was at then.
            (Some(shown), Some(told)) if shown > told => true,
            (Some(shown), Some(told)) => self.open && has_head && shown == told,
            (_, _) => self.open && has_head,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::forge::{Pushers, State};

    #[test]
    fn a_promise_is_kept_by_a_list_that_is_no_older() {
        let time = |second: u8| Some(format!("2026-11-21T10:00:{second:02}Z").parse::<Timestamp>().unwrap());
        let shown = |head: &str, updated| {
            let request = PullRequest {
                number: 7,
                title: String::new(),
                branch: String::new(),
                target_branch: String::new(),
                head: Some(head.to_owned()),
                labels: Vec::new(),
                author: String::new(),
                pushed_by: Pushers::Own,
                updated,
                state: State::Open,
            };
            BTreeMap::from([(7, request)])
        };
        let told =
            |open, head: &str, updated| Promise { number: 7, open, head: Some(head.to_owned()), updated };
        for (promise, list, kept) in [
            (told(true, "a", time(5)), shown("a", time(5)), true),
            (told(true, "a", time(5)), shown("a", time(4)), false),
            (told(true, "b", time(5)), shown("a", time(5)), false),
            (told(true, "a", time(5)), shown("b", time(6)), true),
            (told(true, "a", None), shown("a", time(4)), true),
            (told(true, "b", None), shown("a", time(4)), false),
            (told(true, "a", time(5)), BTreeMap::new(), false),
            (told(false, "a", time(5)), BTreeMap::new(), true),
            (told(false, "a", time(5)), shown("a", time(4)), false),
            (told(false, "a", time(5)), shown("a", time(5)), false),
            // Opened again since.
            (told(false, "a", time(5)), shown("a", time(6)), true),
            (told(false, "a", None), shown("a", time(6)), false),
        ] {
            assert_eq!(promise.is_kept(&list), kept, "{promise:?} {list:?}");
        }
    }
}
