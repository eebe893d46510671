//! Who may do what, as a test says it: rules that allow, and refusals in the words of the API server's authorizer.
//!
//! Enters: a [`Policy`], and each request with its user. Absent: groups, roles and their bindings. The objects of
//! `rbac.authorization.k8s.io` are kept and mean nothing here.
//!
//! Source: k8s.io/apiserver `pkg/endpoints/handlers/responsewriters/errors.go`, and the verbs of `pkg/endpoints/request`.

use crate::Sandbox;
use crate::answer::{About, Refusal};
use crate::request::{Request, Target};

/// Who may do what. Users that no rule names may do nothing but ask for what the API itself is.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    /// What is allowed; `"*"` stands for all of a list.
    pub allowed: Vec<Allowed>,
}

/// What one user may do.
#[derive(Clone, Debug)]
pub struct Allowed {
    /// The user's name.
    pub user: String,
    /// Verbs: `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`.
    pub verbs: Vec<String>,
    /// API groups; the core's name is empty.
    pub groups: Vec<String>,
    /// Names of kinds in paths, `deployments/scale` for a subresource.
    pub resources: Vec<String>,
    /// In this namespace; `None` for everywhere.
    pub namespace: Option<String>,
}

fn holds(list: &[String], wanted: &str) -> bool {
    list.iter().any(|one| one == "*" || one == wanted)
}

impl Sandbox {
    /// Asks `policy` of each request from now on; requests without a user are the administrator's, and all are without a policy.
    pub fn authorize(&mut self, policy: Option<Policy>) {
        self.policy = policy;
    }

    pub(crate) fn check_allowed(&self, request: &Request<'_>, target: &Target) -> Result<(), Refusal> {
        let Some(policy) = self.policy.as_ref().filter(|_| !request.user.is_empty()) else { return Ok(()) };
        let verb = verb(request, target);
        let kind = &target.kind;
        let resource = if target.subresource.is_empty() {
            kind.plural.clone()
        } else {
            format!("{}/{}", kind.plural, target.subresource)
        };
        // A namespace is in itself.
        let is_namespace = kind.group.is_empty() && kind.plural == "namespaces";
        let namespace = if is_namespace { target.name.as_ref() } else { target.namespace.as_ref() };
        let is_allowed = policy.allowed.iter().any(|allowed| {
            allowed.user == request.user
                && holds(&allowed.verbs, verb)
                && holds(&allowed.groups, &kind.group)
                && holds(&allowed.resources, &resource)
                && allowed.namespace.as_ref().is_none_or(|within| Some(within) == namespace)
        });
        if is_allowed {
            return Ok(());
        }
        let place = match namespace {
            Some(namespace) => format!("in the namespace {namespace:?}"),
            None => "at the cluster scope".to_owned(),
        };
        let why = format!(
            "User {:?} cannot {verb} resource {resource:?} in API group {:?} {place}",
            request.user, kind.group
        );
        let name = target.name.clone().unwrap_or_default();
        Err(Refusal::denied(About { name, group: kind.group.clone(), kind: kind.plural.clone() }, &why))
    }
}

fn verb(request: &Request<'_>, target: &Target) -> &'static str {
    let is_one = target.name.is_some();
    match request.method {
        "GET" if request.flag("watch") => "watch",
        "GET" if is_one => "get",
        "GET" => "list",
        "POST" => "create",
        "PUT" => "update",
        "PATCH" => "patch",
        "DELETE" if is_one => "delete",
        _ => "deletecollection",
    }
}
