//! When two URLs name the same repository of a forge.
//!
//! A forge gives one repository several URLs (https, ssh, with and without `.git`), and each may be the one that trueup
//! was configured with. Scheme, user, port and case say nothing about which repository it is; host and path do.

use percent_encoding::percent_decode_str;
use std::fmt;

/// Host and path of a repository, in the one form that all its URLs come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Address(String);

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Address {
    /// Reads `https://host/path.git`, `ssh://git@host:22/path`, `git@host:path`, `file:///path` or `/path`.
    pub(super) fn of(url: &str) -> Option<Self> {
        let (host, path) = match url.split_once("://") {
            Some((_, rest)) => {
                let rest = rest.split(['?', '#']).next().unwrap_or(rest);
                let (authority, path) = rest.split_once('/')?;
                (host_of(authority), path)
            }
            None => match url.split_once(':') {
                Some((host, path)) if !host.contains('/') => (host_of(host), path),
                Some(_) | None => ("", url),
            },
        };
        let path = percent_decode_str(path).decode_utf8_lossy().to_lowercase();
        let path = path.trim_matches('/');
        let path = path.strip_suffix(".git").unwrap_or(path).trim_end_matches('/');
        if path.is_empty() {
            return None;
        }
        let (host, path) = of_forge(&host.to_lowercase(), path);
        Some(Self(format!("{host}/{path}")))
    }

    /// Whether the path ends in `project/repository`: all that some forges tell.
    pub(super) fn ends_with(&self, project: &str, repository: &str) -> bool {
        self.0.ends_with(&format!("/{project}/{repository}").to_lowercase())
    }
}

fn host_of(authority: &str) -> &str {
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    match host.rfind(']') {
        Some(end) => &host[..=end],
        None => host.split(':').next().unwrap_or(host),
    }
}

// Hosts and paths that are other ones for ssh than for https.
// Sources: "Using SSH over the HTTPS port" of GitHub, GitLab and Bitbucket; "Use SSH key authentication" of Azure Repos;
// the clone URLs of Bitbucket Data Center (`/scm/project/repository`).
fn of_forge(host: &str, path: &str) -> (String, String) {
    match host {
        "ssh.github.com" => ("github.com".to_owned(), path.to_owned()),
        "altssh.gitlab.com" => ("gitlab.com".to_owned(), path.to_owned()),
        "altssh.bitbucket.org" => ("bitbucket.org".to_owned(), path.to_owned()),
        "dev.azure.com" => azure(path),
        "ssh.dev.azure.com" | "vs-ssh.visualstudio.com" => azure(path.strip_prefix("v3/").unwrap_or(path)),
        _ => match host.strip_suffix(".visualstudio.com") {
            Some(organization) => {
                let path = path.strip_prefix("defaultcollection/").unwrap_or(path);
                azure(&format!("{organization}/{path}"))
            }
            None => (host.to_owned(), path.strip_prefix("scm/").unwrap_or(path).to_owned()),
        },
    }
}

// `organization/project/_git/repository`; the project is left out where it has the repository's name.
fn azure(path: &str) -> (String, String) {
    let parts: Vec<&str> = path.split('/').filter(|part| *part != "_git").collect();
    let path = match parts[..] {
        [organization, repository] => format!("{organization}/{repository}/{repository}"),
        _ => parts.join("/"),
    };
    ("dev.azure.com".to_owned(), path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_urls_of_a_repository_are_one_address() {
        let same: [&[&str]; 5] = [
            &[
                "https://github.com/Octo-Org/config",
                "https://github.com/octo-org/config.git",
                "https://token@GitHub.com:443/octo-org/config.git/",
                "git@github.com:octo-org/config.git",
                "ssh://git@ssh.github.com:443/octo-org/config.git",
                "git://github.com/octo-org/config.git",
            ],
            &[
                "https://dev.azure.com/fabrikam/Shop%20Floor/_git/config",
                "https://fabrikam@dev.azure.com/fabrikam/Shop%20Floor/_git/config",
                "git@ssh.dev.azure.com:v3/fabrikam/Shop%20Floor/config",
                "https://fabrikam.visualstudio.com/DefaultCollection/Shop%20Floor/_git/config",
            ],
            &["https://dev.azure.com/fabrikam/_git/shop", "git@ssh.dev.azure.com:v3/fabrikam/shop/shop"],
            &[
                "https://git.example.com/scm/shop/config.git",
                "ssh://git@git.example.com:7999/shop/config.git",
            ],
            &["file:///srv/config.git", "/srv/config"],
        ];
        for urls in same {
            for url in urls {
                assert_eq!(Address::of(url), Address::of(urls[0]), "{url}");
                assert!(Address::of(url).is_some(), "{url}");
            }
        }
    }

    #[test]
    fn other_hosts_and_other_paths_are_other_repositories() {
        let one = Address::of("https://github.com/octo-org/config");
        for other in [
            "https://github.com.evil.example/octo-org/config",
            "https://github.com/octo-org/config2",
            "https://github.com/config",
            "https://evil.example/github.com/octo-org/config",
        ] {
            assert_ne!(Address::of(other), one, "{other}");
        }
        assert_eq!(Address::of("https://github.com"), None);
        assert_eq!(Address::of(""), None);
    }

    #[test]
    fn a_project_and_a_repository_are_found_at_the_end_of_a_path() {
        let address = Address::of("https://git.example.com/scm/SHOP/config.git").unwrap();
        assert!(address.ends_with("SHOP", "config"));
        assert!(!address.ends_with("HOP", "config") && !address.ends_with("shop", "onfig"));
    }
}
