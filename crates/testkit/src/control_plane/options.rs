//! What a control plane is made of.

/// How to start a control plane. The default runs every component, with one administrator and no audit log.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Which components run.
    pub components: Components,
    /// Whether requests can be counted.
    pub audit: Audit,
    /// Further users, for tests of what a limited token sees. They start without any right: bind roles to them.
    pub users: Vec<User>,
    /// Further flags of kube-apiserver.
    pub api_server_flags: Vec<String>,
}

/// Which components of a control plane run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Components {
    /// All of them, with two nodes that kwok plays: workloads roll out, jobs complete, namespaces go.
    #[default]
    Full,
    /// etcd and kube-apiserver. Cheaper; but nothing rolls out, a deleted namespace stays in `Terminating`, nothing is garbage
    /// collected, and the aggregated roles (`view`, `edit`, `admin`) are empty.
    ApiOnly,
}

/// Whether the API server notes each request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Audit {
    /// It does not.
    #[default]
    Off,
    /// It does, for [`crate::ControlPlane::requests_since`].
    Requests,
}

/// A user known by a bearer token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// The user's name, as RBAC sees it.
    pub name: String,
    /// The token, without commas and quotes.
    pub token: String,
    /// The user's groups.
    pub groups: Vec<String>,
}

impl User {
    /// A user in no group, whose token follows from the name.
    pub fn named(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            token: format!("token-of-{}", name.replace(':', "-")),
            groups: Vec::new(),
        }
    }
}
