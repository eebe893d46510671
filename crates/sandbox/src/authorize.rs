//! Who may do what: the roles that are there and their bindings, and refusals in the words of the API server's authorizer.
//!
//! Enters: each request with its user, and the objects of `rbac.authorization.k8s.io`. Absent: roles that gather others
//! (`aggregationRule`), the roles that a real server brings (but for `cluster-admin`), groups other than that of all who are
//! somebody, and rules for paths that are no resources: what the API is, everybody may ask.
//!
//! Source: k8s.io/kubernetes `pkg/registry/rbac/validation/rule.go` and `plugin/pkg/auth/authorizer/rbac`; k8s.io/apiserver
//! `pkg/endpoints/handlers/responsewriters/errors.go`, and the verbs of `pkg/endpoints/request`.

use crate::Sandbox;
use crate::answer::{About, Refusal};
use crate::request::{Request, Target};
use crate::store::Resource;
use serde_json::Value;
use std::sync::Arc;

const GROUP: &str = "rbac.authorization.k8s.io";
/// The role that may do everything, whether it is there as an object or not.
const EVERYTHING: &str = "cluster-admin";
/// The group of all who are somebody.
const EVERYBODY: &str = "system:authenticated";

/// Who may do what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Authorization {
    /// Everybody everything.
    #[default]
    Everything,
    /// What roles give that are bound to the user. A request without a user is the administrator's.
    Roles,
}

/// What somebody wants to do.
struct Wish<'w> {
    user: &'w str,
    verb: &'w str,
    group: &'w str,
    resource: &'w str,
    subresource: &'w str,
    name: &'w str,
}

impl Sandbox {
    /// Says who may do what from now on.
    pub fn authorize(&mut self, authorization: Authorization) {
        self.authorization = authorization;
    }

    pub(crate) fn check_allowed(&self, request: &Request<'_>, target: &Target) -> Result<(), Refusal> {
        match self.authorization {
            Authorization::Everything => return Ok(()),
            Authorization::Roles if request.user.is_empty() => return Ok(()),
            Authorization::Roles => {}
        }
        let kind = &target.kind;
        // Everybody may ask what they may do, and who they are.
        if kind.plural.starts_with("selfsubject") {
            return Ok(());
        }
        // A namespace is in itself.
        let is_namespace = kind.group.is_empty() && kind.plural == "namespaces";
        let namespace = if is_namespace { target.name.as_deref() } else { target.namespace.as_deref() };
        let wish = Wish {
            user: request.user,
            verb: verb(request, target),
            group: &kind.group,
            resource: &kind.plural,
            subresource: &target.subresource,
            name: target.name.as_deref().unwrap_or_default(),
        };
        if self.is_allowed(&wish, namespace) {
            return Ok(());
        }
        let place = match namespace {
            Some(namespace) => format!("in the namespace {namespace:?}"),
            None => "at the cluster scope".to_owned(),
        };
        let why = format!(
            "User {:?} cannot {} resource {:?} in API group {:?} {place}",
            request.user,
            wish.verb,
            wish.full_resource(),
            kind.group
        );
        let name = target.name.clone().unwrap_or_default();
        Err(Refusal::denied(About { name, group: kind.group.clone(), kind: kind.plural.clone() }, &why))
    }

    /// Whether somebody may do what the attributes of a review say.
    pub(crate) fn may(&self, user: &str, attributes: &Value) -> bool {
        if self.authorization == Authorization::Everything || user.is_empty() {
            return true;
        }
        let text = |name: &str| attributes[name].as_str().unwrap_or_default();
        let wish = Wish {
            user,
            verb: text("verb"),
            group: text("group"),
            resource: text("resource"),
            subresource: text("subresource"),
            name: text("name"),
        };
        self.is_allowed(&wish, Some(text("namespace")).filter(|namespace| !namespace.is_empty()))
    }

    fn is_allowed(&self, wish: &Wish<'_>, namespace: Option<&str>) -> bool {
        let everywhere = self.objects_under("clusterrolebindings", "");
        let here = namespace.into_iter().flat_map(|namespace| self.objects_under("rolebindings", namespace));
        everywhere
            .chain(here)
            .filter(|binding| wish.is_of_one_of(&binding["subjects"]))
            .any(|binding| self.gives(binding, wish))
    }

    /// Whether the role that a binding names gives what is wished for.
    fn gives(&self, binding: &Value, wish: &Wish<'_>) -> bool {
        let reference = &binding["roleRef"];
        let name = reference["name"].as_str().unwrap_or_default();
        let (plural, namespace) = if reference["kind"] == "ClusterRole" {
            ("clusterroles", "")
        } else {
            ("roles", binding["metadata"]["namespace"].as_str().unwrap_or_default())
        };
        match self.store.get(&resource(plural), &(namespace.to_owned(), name.to_owned())) {
            Some(role) => role["rules"].as_array().into_iter().flatten().any(|rule| wish.is_given_by(rule)),
            None => plural == "clusterroles" && name == EVERYTHING,
        }
    }

    fn objects_under<'s>(
        &'s self,
        plural: &str,
        namespace: &'s str,
    ) -> impl Iterator<Item = &'s Arc<Value>> + use<'s> {
        let all = self.store.all(&resource(plural));
        all.filter(move |(key, _)| key.0 == namespace).map(|(_, object)| object)
    }
}

impl Wish<'_> {
    fn full_resource(&self) -> String {
        if self.subresource.is_empty() {
            self.resource.to_owned()
        } else {
            format!("{}/{}", self.resource, self.subresource)
        }
    }

    fn is_of_one_of(&self, subjects: &Value) -> bool {
        subjects.as_array().into_iter().flatten().any(|subject| {
            let name = subject["name"].as_str().unwrap_or_default();
            match subject["kind"].as_str() {
                Some("User") => name == self.user,
                Some("Group") => name == EVERYBODY,
                Some("ServiceAccount") => {
                    let namespace = subject["namespace"].as_str().unwrap_or_default();
                    self.user == format!("system:serviceaccount:{namespace}:{name}")
                }
                _ => false,
            }
        })
    }

    fn is_given_by(&self, rule: &Value) -> bool {
        let has = |field: &str, wanted: &str| {
            rule[field].as_array().into_iter().flatten().any(|one| one == "*" || one == wanted)
        };
        // All resources have a subresource of that name, or one has it.
        let has_resource = has("resources", &self.full_resource())
            || !self.subresource.is_empty() && has("resources", &format!("*/{}", self.subresource));
        let names = rule["resourceNames"].as_array().map(Vec::as_slice).unwrap_or_default();
        has("verbs", self.verb)
            && has("apiGroups", self.group)
            && has_resource
            && (names.is_empty() || names.iter().any(|name| name == self.name))
    }
}

fn resource(plural: &str) -> Resource {
    (GROUP.to_owned(), plural.to_owned())
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
