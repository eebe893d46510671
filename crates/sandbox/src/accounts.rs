//! Who somebody is and what they may do: tokens of service accounts, and questions about rights. None of it is kept as an object.
//!
//! Absent: tokens for an audience or bound to an object, which are given all the same, and lists of all that somebody may do.
//!
//! Source: `authentication.k8s.io/v1` and `authorization.k8s.io/v1`.

use crate::Sandbox;
use crate::answer::{Answer, Refusal};
use crate::read::key;
use crate::request::{Request, Target};
use crate::store::{Key, Resource};
use crate::write::{body, metadata};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

/// What tokens begin with that the sandbox gave.
const PREFIX: &str = "sandbox-";
const AN_HOUR: i64 = 3600;

/// A token that was given.
#[derive(Clone, Debug)]
pub(crate) struct Token {
    user: String,
    ends: Timestamp,
    /// The account, where it is kept, and its uid: a token does not outlive it.
    account: (Resource, Key, Value),
}

/// Who shows a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bearer {
    /// The service account that it was given to.
    Account(String),
    /// Nobody any more, or nobody ever.
    Nobody,
    /// The token is not one of the sandbox's.
    Foreign,
}

impl Sandbox {
    /// Whose a token is.
    pub fn bearer(&self, now: Timestamp, token: &str) -> Bearer {
        match self.tokens.get(token) {
            Some(known) if known.ends > now && self.is_there(known) => Bearer::Account(known.user.clone()),
            None if !token.starts_with(PREFIX) => Bearer::Foreign,
            Some(_) | None => Bearer::Nobody,
        }
    }

    fn is_there(&self, token: &Token) -> bool {
        let (resource, key, uid) = &token.account;
        self.store.get(resource, key).is_some_and(|account| account["metadata"]["uid"] == *uid)
    }

    /// Answers what asks for no object; `None` for what does.
    pub(crate) fn review(
        &mut self,
        request: &Request<'_>,
        target: &Target,
    ) -> Option<Result<Answer, Refusal>> {
        let kind = &target.kind;
        match (kind.group.as_str(), kind.plural.as_str(), target.subresource.as_str()) {
            ("", "serviceaccounts", "token") => Some(self.token(request, target)),
            ("authorization.k8s.io", "selfsubjectaccessreviews", "") => Some(self.access(request, target)),
            ("authentication.k8s.io", "selfsubjectreviews", "") => Some(who(request, target)),
            (_, _, _) => None,
        }
    }

    fn token(&mut self, request: &Request<'_>, target: &Target) -> Result<Answer, Refusal> {
        let uid = self.found(target)?["metadata"]["uid"].clone();
        let account = (target.kind.resource(), key(target), uid);
        let wanted: Value =
            serde_json::from_slice(request.body).map_err(|error| Refusal::bad_request(error.to_string()))?;
        let seconds = wanted["spec"]["expirationSeconds"].as_i64().unwrap_or(AN_HOUR);
        let ends = self
            .now
            .checked_add(SignedDuration::from_secs(seconds))
            .map_err(|error| Refusal::bad_request(error.to_string()))?;
        let (name, namespace) = (target.name.as_deref().unwrap_or_default(), target.namespace.as_deref());
        let namespace = namespace.unwrap_or_default();
        let user = format!("system:serviceaccount:{namespace}:{name}");
        let token = format!("{PREFIX}{}", self.store.uid());
        self.tokens.insert(token.clone(), Token { user, ends, account });
        let audiences = match &wanted["spec"]["audiences"] {
            Value::Array(wanted) if !wanted.is_empty() => wanted.clone(),
            _ => vec!["https://kubernetes.default.svc".into()],
        };
        let ends = ends.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        Ok(Answer::json(
            201,
            json!({"kind": "TokenRequest", "apiVersion": "authentication.k8s.io/v1",
                "metadata": {"name": name, "namespace": namespace, "creationTimestamp": self.time()},
                "spec": {"audiences": audiences, "expirationSeconds": seconds, "boundObjectRef": wanted["spec"]["boundObjectRef"]},
                "status": {"token": token, "expirationTimestamp": ends}}),
        ))
    }

    fn access(&mut self, request: &Request<'_>, target: &Target) -> Result<Answer, Refusal> {
        let mut review = body(request, target)?;
        let wish = &review["spec"]["resourceAttributes"];
        // What is no resource is what the API tells of itself, which everybody may ask.
        let allowed = wish.is_null() || self.may(request.user, wish);
        review["status"] = json!({"allowed": allowed});
        metadata(&mut review);
        Ok(Answer::json(201, review))
    }
}

fn who(request: &Request<'_>, target: &Target) -> Result<Answer, Refusal> {
    let mut review = body(request, target)?;
    let user = if request.user.is_empty() { "admin" } else { request.user };
    review["status"] = json!({"userInfo": {"username": user, "groups": ["system:authenticated"]}});
    metadata(&mut review);
    Ok(Answer::json(201, review))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authorize::Authorization;

    fn request<'r>(user: &'r str, path: &'r str, body: &'r [u8]) -> Request<'r> {
        Request {
            method: "POST",
            path,
            query: "",
            accept: "application/json",
            content_type: "application/json",
            user_agent: "test",
            user,
            body,
        }
    }

    fn ask(sandbox: &mut Sandbox, user: &str, path: &str, body: &Value) -> Value {
        let body = body.to_string();
        match sandbox.handle(Timestamp::UNIX_EPOCH, &request(user, path, body.as_bytes())) {
            Answer::Json { body, .. } => body,
            Answer::Watch(_) => Value::Null,
        }
    }

    #[test]
    fn a_token_is_that_of_its_account_until_it_ends() {
        let mut sandbox = Sandbox::new(Timestamp::UNIX_EPOCH);
        let path = "/api/v1/namespaces/default/serviceaccounts/default/token";
        let given = ask(&mut sandbox, "", path, &json!({"spec": {"expirationSeconds": 600}}));
        let token = given["status"]["token"].as_str().unwrap().to_owned();
        let at = |seconds| Timestamp::from_second(seconds).unwrap();
        let account = Bearer::Account("system:serviceaccount:default:default".to_owned());
        assert_eq!(sandbox.bearer(at(599), &token), account);
        assert_eq!(sandbox.bearer(at(600), &token), Bearer::Nobody);
        assert_eq!(sandbox.bearer(at(0), "another"), Bearer::Foreign);
        let accounts = path.trim_end_matches("/default/token");
        ask(&mut sandbox, "", accounts, &json!({"metadata": {"name": "robot"}}));
        let robots = format!("{accounts}/robot");
        let given = ask(&mut sandbox, "", &format!("{robots}/token"), &json!({"spec": {}}));
        let robots_token = given["status"]["token"].as_str().unwrap().to_owned();
        assert_ne!(sandbox.bearer(at(0), &robots_token), Bearer::Nobody);
        let delete = Request { method: "DELETE", path: &robots, ..request("", "", b"") };
        sandbox.handle(at(0), &delete);
        assert_eq!(sandbox.bearer(at(0), &robots_token), Bearer::Nobody);
        ask(&mut sandbox, "", accounts, &json!({"metadata": {"name": "robot"}}));
        assert_eq!(sandbox.bearer(at(0), &robots_token), Bearer::Nobody, "that is another one");
        let gone = ask(&mut sandbox, "", &path.replace("/default/token", "/gone/token"), &json!({}));
        assert_eq!(gone["message"], "serviceaccounts \"gone\" not found");
    }

    #[test]
    fn what_somebody_may_do_is_told_by_the_roles_that_are_bound() {
        let mut sandbox = Sandbox::new(Timestamp::UNIX_EPOCH);
        sandbox.authorize(Authorization::Roles);
        let bind = json!({"metadata": {"name": "a"}, "subjects": [{"kind": "User", "name": "jane"}],
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "a"}});
        let role = json!({"metadata": {"name": "a"}, "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]});
        for (plural, object) in [("roles", role), ("rolebindings", bind)] {
            let path = format!("/apis/rbac.authorization.k8s.io/v1/namespaces/default/{plural}");
            ask(&mut sandbox, "", &path, &object);
        }
        let mut may = |user: &str, namespace: &str, verb: &str| {
            let wish = json!({"namespace": namespace, "verb": verb, "resource": "pods"});
            let path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
            ask(&mut sandbox, user, path, &json!({"spec": {"resourceAttributes": wish}}))["status"]["allowed"]
                .clone()
        };
        assert_eq!(may("jane", "default", "get"), true);
        assert_eq!(may("jane", "default", "list"), false);
        assert_eq!(may("jane", "other", "get"), false);
        assert_eq!(may("", "other", "delete"), true);
    }
}
