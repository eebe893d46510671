//! What can go wrong between a Repository and its commit, in words that say what to do.
//!
//! No text in here ever holds a credential: locations print themselves without user information, and
//! causes come without the URL that they were asked for.

use std::time::Duration;

/// The kind of a [`SourceError`], for status, metrics and the choice of when to try again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorClass {
    /// The server could not be reached, or answered that it cannot serve now.
    Unreachable,
    /// The server wants other credentials.
    Authentication,
    /// The ssh host key is unknown or changed.
    HostKey,
    /// The branch, tag or range names nothing (any more).
    RefMissing,
    /// There is no such repository, folder or commit.
    NotFound,
    /// Objects are missing or broken.
    Damaged,
    /// An action took longer than its bound.
    Timeout,
    /// The server's certificate is not trusted.
    TlsCa,
    /// The description of the source cannot work as it is written.
    Invalid,
    /// The file system refused.
    Io,
}

/// Why a source gave no commit.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// No connection, or the server says it cannot serve now.
    #[error("cannot reach {location}: {cause}; check the URL and that the server is up")]
    Unreachable {
        /// The repository, without user information.
        location: String,
        /// What the network or the server said.
        cause: String,
    },
    /// Wrong, missing or insufficient credentials.
    #[error("{location} refuses the credentials: {cause}; check the repository's secret")]
    Authentication {
        /// The repository, without user information.
        location: String,
        /// What the server said.
        cause: String,
    },
    /// Host key checking failed. It is always on.
    #[error(
        "the ssh host key of {location} is not trusted: {cause}; check known_hosts of the repository's secret"
    )]
    HostKey {
        /// The repository, without user information.
        location: String,
        /// Unknown or changed.
        cause: String,
    },
    /// The reference names nothing on the server.
    #[error("{location} has no {wanted}{}", near_text(.near))]
    RefMissing {
        /// The repository, without user information.
        location: String,
        /// Such as `branch main` or `tag in the range ^1.2`.
        wanted: String,
        /// Names that are close to the one asked for.
        near: Vec<String>,
    },
    /// The server or file system knows no repository there.
    #[error("there is no Git repository at {location}: {cause}")]
    NotFound {
        /// The repository, without user information.
        location: String,
        /// What was found instead, and what to do.
        cause: String,
    },
    /// The commit is not, or no longer, in the repository.
    #[error("{location} has no commit {revision}; it may have been removed by a force push")]
    CommitMissing {
        /// The repository, without user information.
        location: String,
        /// The commit asked for.
        revision: String,
    },
    /// Objects are missing or broken, and cloning anew did not help or is not ours to do.
    #[error("the repository data of {location} is damaged: {cause}")]
    Damaged {
        /// The repository, without user information.
        location: String,
        /// What is broken.
        cause: String,
    },
    /// An action took longer than its bound.
    #[error("{location}: {doing} took longer than {}; raise the repository's timeout if the server is only slow", humantime::format_duration(*.after))]
    Timeout {
        /// The repository, without user information.
        location: String,
        /// Asking, or fetching.
        doing: &'static str,
        /// The bound.
        after: Duration,
    },
    /// The server's certificate is not signed by a known authority, or not for this host.
    #[error(
        "the certificate of {location} is not trusted: {cause}; add its authority to the repository's secret (ca.crt)"
    )]
    TlsCa {
        /// The repository, without user information.
        location: String,
        /// What TLS said.
        cause: String,
    },
    /// The source cannot work as it is written.
    #[error("{location}: {cause}")]
    Invalid {
        /// The repository, without user information.
        location: String,
        /// What is wrong with it.
        cause: String,
    },
    /// The file system refused.
    #[error("cannot {doing} {path}")]
    Io {
        /// Such as `create`.
        doing: &'static str,
        /// The file or folder.
        path: String,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
}

impl SourceError {
    /// The kind of error.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Unreachable { .. } => ErrorClass::Unreachable,
            Self::Authentication { .. } => ErrorClass::Authentication,
            Self::HostKey { .. } => ErrorClass::HostKey,
            Self::RefMissing { .. } => ErrorClass::RefMissing,
            Self::NotFound { .. } | Self::CommitMissing { .. } => ErrorClass::NotFound,
            Self::Damaged { .. } => ErrorClass::Damaged,
            Self::Timeout { .. } => ErrorClass::Timeout,
            Self::TlsCa { .. } => ErrorClass::TlsCa,
            Self::Invalid { .. } => ErrorClass::Invalid,
            Self::Io { .. } => ErrorClass::Io,
        }
    }

    pub(super) fn io(doing: &'static str, path: &std::path::Path, source: std::io::Error) -> Self {
        Self::Io { doing, path: path.display().to_string(), source }
    }
}

fn near_text(near: &[String]) -> String {
    if near.is_empty() { String::new() } else { format!("; near matches: {}", near.join(", ")) }
}

/// An error with its causes in one line, for causes that come from below.
pub(super) fn one_line(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !more.is_empty() && !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        cause = error.source();
    }
    text.replace('\n', " ")
}
