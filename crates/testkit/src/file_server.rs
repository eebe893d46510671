//! A server of files over HTTP, such as a chart repository: with tags that say whether a file changed.

use std::path::Path;

use anyhow::Result;

use crate::git_server::{Access, Content, GitRequest, GitServer, Transport};

/// A running server; it ends with the value.
#[derive(Debug)]
pub struct FileServer(GitServer);

impl FileServer {
    /// Serves the files in the folder `root`.
    pub fn start(root: &Path, access: Access, transport: Transport) -> Result<Self> {
        GitServer::start_with(root, Content::Files, access, transport).map(Self)
    }

    /// The URL of a path in the root.
    pub fn url(&self, path: &str) -> String {
        self.0.url(path)
    }

    /// The certificate to trust, PEM, where the server speaks TLS.
    pub fn authority(&self) -> Option<&str> {
        self.0.authority()
    }

    /// Changes who may use the server from now on.
    pub fn set_access(&self, access: Access) {
        self.0.set_access(access);
    }

    /// All requests so far, in the order of their answers.
    pub fn requests(&self) -> Vec<GitRequest> {
        self.0.requests()
    }

    /// Goes away: connections are refused.
    pub fn pause(&self) -> Result<()> {
        self.0.pause()
    }
}
