//! What a request is about: verb, kind, namespace, name, subresource, and its options.
//!
//! Source: the Kubernetes API conventions, "resource URIs".

use crate::answer::{About, Refusal};
use crate::kinds::{Kind, Kinds};
use std::sync::Arc;

/// One request, as it comes over HTTP.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// `GET`, `POST`, `PUT`, `PATCH` or `DELETE`.
    pub method: &'a str,
    /// The path: `/api/v1/namespaces/shop/configmaps`.
    pub path: &'a str,
    /// The query, still encoded, without its question mark.
    pub query: &'a str,
    /// The media types that are accepted.
    pub accept: &'a str,
    /// The media type of the body.
    pub content_type: &'a str,
    /// Who asks, as the client says.
    pub user_agent: &'a str,
    /// Whose request it is; empty for the administrator.
    pub user: &'a str,
    /// The body.
    pub body: &'a [u8],
}

impl Request<'_> {
    /// The value of an option of the query.
    pub fn option(&self, name: &str) -> Option<String> {
        form_urlencoded::parse(self.query.as_bytes())
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.into_owned())
    }

    /// Whether an option is set.
    pub fn flag(&self, name: &str) -> bool {
        self.option(name).is_some_and(|value| value == "true" || value == "1")
    }

    /// Whether nothing is to be kept.
    pub fn is_dry_run(&self) -> bool {
        self.option("dryRun").is_some_and(|value| value == "All")
    }

    /// The manager of what is written: what the request says, or the first part of the client's name.
    pub fn manager(&self) -> String {
        match self.option("fieldManager") {
            Some(manager) if !manager.is_empty() => manager,
            Some(_) | None => {
                let name = self.user_agent.split('/').next().unwrap_or_default();
                name.chars().take(128).collect()
            }
        }
    }
}

fn decoded(part: &str) -> String {
    percent_encoding::percent_decode_str(part).decode_utf8_lossy().into_owned()
}

/// What a request is about.
#[derive(Clone, Debug)]
pub struct Target {
    /// The kind.
    pub kind: Arc<Kind>,
    /// The namespace; `None` for a kind without, and for all namespaces.
    pub namespace: Option<String>,
    /// The object's name.
    pub name: Option<String>,
    /// `status`, `scale` and so on; empty for the object itself.
    pub subresource: String,
}

impl Target {
    /// Reads the path.
    pub fn of(request: &Request<'_>, kinds: &Kinds) -> Result<Self, Refusal> {
        let parts: Vec<String> =
            request.path.split('/').filter(|part| !part.is_empty()).map(decoded).collect();
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        let (group, version, rest) = match parts.as_slice() {
            ["api", version, rest @ ..] => ("", *version, rest),
            ["apis", group, version, rest @ ..] => (*group, *version, rest),
            _ => return Err(Refusal::no_such_path()),
        };
        let (namespace, rest) = match rest {
            // A namespace itself, and its subresources, are paths of this form too.
            ["namespaces", _] | ["namespaces", _, "status" | "finalize"] => (None, rest),
            ["namespaces", namespace, rest @ ..] => (Some((*namespace).to_owned()), rest),
            rest => (None, rest),
        };
        let (plural, name, subresource) = match rest {
            [plural] => (*plural, None, ""),
            [plural, name] => (*plural, Some((*name).to_owned()), ""),
            [plural, name, subresource] => (*plural, Some((*name).to_owned()), *subresource),
            _ => return Err(Refusal::no_such_path()),
        };
        let kind = kinds.resource(group, version, plural).ok_or_else(Refusal::no_such_path)?;
        let is_served = subresource.is_empty() || kind.subresources.contains(subresource);
        if !is_served
            || namespace.is_some() && !kind.namespaced
            || namespace.is_none() && kind.namespaced && name.is_some()
        {
            return Err(Refusal::no_such_path());
        }
        Ok(Self { kind, namespace, name, subresource: subresource.to_owned() })
    }

    /// The object, for a refusal that names the resource.
    pub fn about(&self, name: &str) -> About {
        About { name: name.to_owned(), group: self.kind.group.clone(), kind: self.kind.plural.clone() }
    }

    /// The object, for a refusal that names the kind.
    pub fn about_kind(&self, name: &str) -> About {
        let about = About { kind: self.kind.kind.clone(), ..self.about(name) };
        // The server takes both groups' events as those of the core.
        if about.kind == "Event" { About { group: String::new(), ..about } } else { about }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request<'a>(path: &'a str, query: &'a str) -> Request<'a> {
        Request {
            method: "GET",
            path,
            query,
            accept: "",
            content_type: "",
            user_agent: "curl/8",
            user: "",
            body: b"",
        }
    }

    #[track_caller]
    fn check(path: &str, expected: &str) {
        let kinds = Kinds::built_in();
        let told = match Target::of(&request(path, ""), &kinds) {
            Ok(target) => format!(
                "{} {:?} {:?} {}",
                target.kind.kind, target.namespace, target.name, target.subresource
            ),
            Err(refusal) => refusal.reason.to_owned(),
        };
        assert_eq!(told.trim(), expected);
    }

    #[test]
    fn paths_are_read_as_the_api_conventions_have_them() {
        check("/api/v1/namespaces/shop/configmaps/web", "ConfigMap Some(\"shop\") Some(\"web\")");
        check("/api/v1/configmaps", "ConfigMap None None");
        check("/api/v1/namespaces/shop", "Namespace None Some(\"shop\")");
        check(
            "/apis/apps/v1/namespaces/shop/deployments/web/scale",
            "Deployment Some(\"shop\") Some(\"web\") scale",
        );
        check("/apis/apps/v1/deployments/web", "NotFound");
        check("/api/v1/namespaces/shop/nodes/a", "NotFound");
        check("/apis/apps/v1/namespaces/shop/deployments/web/logs", "NotFound");
    }

    #[test]
    fn options_are_decoded_and_the_manager_is_named_or_the_client() {
        let request = request("/", "labelSelector=a%3Db%2Cc&dryRun=All");
        assert_eq!(request.option("labelSelector").as_deref(), Some("a=b,c"));
        assert_eq!((request.is_dry_run(), request.manager().as_str()), (true, "curl"));
    }
}
