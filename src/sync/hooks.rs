//! Which deliveries of a forge's webhooks concern which Repository, and what is passed on of them.
//!
//! Enters: the configured Repositories with the secrets of their webhooks. Leaves: [`Hint`]s, which make a Repository be asked
//! sooner. A hint carries no truth: what the repository holds is found out by asking it.

use crate::source::{Reference, Secret};
use serde::{Deserialize, Serialize};
use std::fmt;

/// A Repository as webhooks see it.
#[derive(Clone, Debug)]
pub struct Hook {
    /// The Repository's name.
    pub repository: String,
    /// Where it is: its own URL, and the one that the forge knows it by where that is another one.
    pub urls: Vec<String>,
    /// What of it is followed.
    pub reference: Reference,
    /// What a delivery has to prove that it knows.
    pub key: HookKey,
}

/// The secret that a Repository's webhook shares with the forge.
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
