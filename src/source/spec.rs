//! What a source is asked to follow: plain values, resolved (no file names of secrets, no variables).

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use percent_encoding::percent_decode_str;

use super::SourceError;
use super::charts::ChartLocation;

/// One repository and reference to follow.
#[derive(Clone, Debug)]
pub struct Spec {
    /// Where the repository is.
    pub location: Location,
    /// What to follow in it.
    pub reference: Reference,
    /// How to be let in.
    pub credentials: Credentials,
    /// For a local folder: the files as they are, not the last commit.
    pub worktree: bool,
    /// Sends credentials over plain `http` to hosts other than this one. Anyone on the way can read them.
    pub insecure: bool,
    /// The bound of one question to the server; a fetch may take ten times as long.
    pub timeout: Duration,
    /// Who may share a mirror: sources of different scopes never do, whatever their URL. The
    /// namespace of a custom resource; empty for configuration from files.
    pub scope: String,
}

impl Spec {
    /// The default branch of the repository at `location`, without credentials, 60 seconds to answer.
    pub fn new(location: Location) -> Self {
        Self {
            location,
            reference: Reference::Head,
            credentials: Credentials::default(),
            worktree: false,
            insecure: false,
            timeout: Duration::from_mins(1),
            scope: String::new(),
        }
    }
}

/// What to follow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reference {
    /// The repository's default branch; for a local repository the commit that is checked out.
    Head,
    /// A branch, without `refs/heads/`.
    Branch(String),
    /// A tag, without `refs/tags/`.
    Tag(String),
    /// The highest tag in the range. Tags may start with `v`; pre-releases count only when the range has one.
    Semver(semver::VersionReq),
    /// A fixed commit, in full.
    Commit(String),
    /// A tag or a branch, whichever has the name, or a full name such as `refs/pull/1/head`; as `git fetch` takes it.
    Named(String),
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Head => f.write_str("default branch"),
            Self::Branch(name) => write!(f, "branch {name}"),
            Self::Tag(name) => write!(f, "tag {name}"),
            Self::Semver(range) => write!(f, "tag in the range {range}"),
            Self::Commit(id) => write!(f, "commit {id}"),
            Self::Named(name) => {
                let is_short = (7..40).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_hexdigit());
                let hint = if is_short { " (a commit is named by all of its digits)" } else { "" };
                write!(f, "tag or branch {name}{hint}")
            }
        }
    }
}

/// A value that is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Hides `value`.
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The value itself; for use, not for print.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// How to be let in. What does not fit the location's scheme is left alone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Credentials {
    /// For http basic.
    pub username: Option<String>,
    /// For http basic: a password or token.
    pub password: Option<Secret>,
    /// For http: `Authorization: Bearer`.
    pub bearer_token: Option<Secret>,
    /// PEM certificates of authorities that are trusted besides the system's.
    pub ca_pem: Option<String>,
    /// An OpenSSH private key without passphrase.
    pub ssh_key: Option<Secret>,
    /// The host keys that are trusted, in the form of `known_hosts`. Without it, the files of the user and system count.
    pub known_hosts: Option<String>,
}

/// Where a repository is. Prints itself without user information.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// `http://` or `https://`.
    Http(HttpUrl),
    /// `ssh://user@host:port/path` or `user@host:path`.
    Ssh(SshUrl),
    /// A folder, also written `file://`.
    Folder(PathBuf),
    /// A single file, `http://` or `https://`.
    File(FileUrl),
    /// A packed chart of a chart repository or registry.
    Chart(ChartUrl),
}

/// A chart, and which versions of it count. Prints itself without the versions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChartUrl {
    /// The repository or registry.
    pub location: ChartLocation,
    /// Its name there.
    pub name: String,
    /// A range of versions; empty for any release.
    pub range: String,
}

impl fmt::Display for ChartUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let location = self.location.to_string();
        write!(f, "{}/{}", location.trim_end_matches('/'), self.name)
    }
}

/// An http(s) URL of a file, without user information; with its query, which is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct FileUrl {
    pub(super) url: reqwest::Url,
    /// The name of the file in its tree.
    pub(super) name: String,
}

impl fmt::Debug for FileUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.url.path())
    }
}

/// An http(s) URL without user information, query and fragment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpUrl {
    pub(super) url: reqwest::Url,
}

/// The parts of an ssh address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SshUrl {
    pub(super) user: Option<String>,
    pub(super) host: String,
    pub(super) port: Option<u16>,
    pub(super) path: String,
}

impl Location {
    /// Reads an address as Git would, and takes the user and password out of an http URL.
    ///
    /// # Errors
    /// An unknown scheme, a host that looks like an option, or no path.
    pub fn parse(text: &str) -> Result<(Self, Credentials), SourceError> {
        let none = Credentials::default();
        if let Some(path) = text.strip_prefix("file://") {
            let path = path.strip_prefix("localhost").unwrap_or(path);
            return Ok((Self::Folder(path.into()), none));
        }
        match text.split_once("://") {
            Some(("http" | "https", _)) => http(text),
            Some(("ssh" | "git+ssh" | "ssh+git", rest)) => Ok((Self::Ssh(ssh_url(rest)?), none)),
            Some((scheme, _)) => Err(SourceError::Invalid {
                location: format!("{scheme}://…"),
                cause: "the scheme is not known; use https, http, ssh, file or a folder".into(),
            }),
            None => match text.split_once(':') {
                Some((host, path)) if !host.contains('/') && !host.is_empty() => {
                    Ok((Self::Ssh(ssh_parts(host, None, path)?), none))
                }
                Some(_) | None => Ok((Self::Folder(text.into()), none)),
            },
        }
    }
}

impl Location {
    /// The address of a single file, and what it is called in its tree.
    ///
    /// # Errors
    /// It is no http or https URL.
    pub fn file(text: &str, name: &str) -> Result<Self, SourceError> {
        let only_http = || SourceError::Invalid {
            location: "the file's URL".into(),
            cause: "only http and https are read".into(),
        };
        let (Self::Http(HttpUrl { mut url }), _) = http(text)? else { return Err(only_http()) };
        if !matches!(url.scheme(), "http" | "https") {
            return Err(only_http());
        }
        let query = text.split('#').next().and_then(|text| text.split_once('?')).map(|(_, query)| query);
        url.set_query(query);
        Ok(Self::File(FileUrl { url, name: name.to_owned() }))
    }

    /// A chart, without credentials.
    ///
    /// # Errors
    /// The repository is neither http(s) nor oci.
    pub fn chart(repository: &str, name: &str, range: &str) -> Result<Self, SourceError> {
        let (location, _) = ChartLocation::parse(repository)?;
        Ok(Self::Chart(ChartUrl { location, name: name.to_owned(), range: range.to_owned() }))
    }

    fn web(&self) -> Option<reqwest::Url> {
        match self {
            Self::Http(http) => Some(http.url.clone()),
            Self::File(file) => Some(file.url.clone()),
            Self::Chart(chart) => chart.location.web(),
            Self::Ssh(_) | Self::Folder(_) => None,
        }
    }

    /// How many parts of their paths two addresses have in common; nothing where they are not on the same server and
    /// spoken to in the same way, or are no servers. What is the same is more in common than anything else.
    pub fn common(&self, other: &Self) -> Option<usize> {
        let (mine, its) = match (self, other) {
            (Self::Http(_) | Self::File(_) | Self::Chart(_), _) => {
                let (mine, its) = (self.web()?, other.web()?);
                (mine.origin() == its.origin()).then(|| (mine.path().to_owned(), its.path().to_owned()))?
            }
            (Self::Ssh(mine), Self::Ssh(its)) => ((&mine.host, mine.port.unwrap_or(22))
                == (&its.host, its.port.unwrap_or(22)))
                .then(|| (mine.path.clone(), its.path.clone()))?,
            (Self::Ssh(_) | Self::Folder(_), _) => return None,
        };
        let parts = |path: &'_ str| -> Vec<String> {
            let path = path.trim_matches('/');
            path.strip_suffix(".git").unwrap_or(path).split('/').map(str::to_owned).collect()
        };
        let (mine, its) = (parts(&mine), parts(&its));
        let shared = mine.iter().zip(&its).take_while(|(mine, its)| mine == its).count();
        Some(if mine == its { usize::MAX } else { shared })
    }
}

fn http(text: &str) -> Result<(Location, Credentials), SourceError> {
    let mut url = reqwest::Url::parse(text).map_err(|error| SourceError::Invalid {
        location: "the repository's URL".into(),
        cause: format!("is not a URL: {error}"),
    })?;
    let decoded = |part: &str| percent_decode_str(part).decode_utf8_lossy().into_owned();
    let credentials = Credentials {
        username: (!url.username().is_empty()).then(|| decoded(url.username())),
        password: url.password().map(|password| Secret::new(decoded(password))),
        ..Credentials::default()
    };
    // These fail only for URLs without a host, which http URLs have.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.set_query(None);
    url.set_fragment(None);
    Ok((Location::Http(HttpUrl { url }), credentials))
}

fn ssh_url(rest: &str) -> Result<SshUrl, SourceError> {
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let bracketed = authority.rfind(']').unwrap_or(0);
    let (host, port) = match authority[bracketed..].rfind(':') {
        Some(colon) => {
            let (host, port) = authority.split_at(bracketed + colon);
            let port = port[1..].parse().map_err(|_| invalid_ssh(host, "the port is not a number"))?;
            (host, Some(port))
        }
        None => (authority, None),
    };
    // `ssh://host/~user/repo` is relative to a home, anything else is absolute.
    let path = if path.starts_with('~') { path.to_owned() } else { format!("/{path}") };
    ssh_parts(host, port, &path)
}

fn ssh_parts(host: &str, port: Option<u16>, path: &str) -> Result<SshUrl, SourceError> {
    let (user, host) = match host.rsplit_once('@') {
        // A password in an ssh URL is of no use; it is dropped so that it cannot be printed.
        Some((user, host)) => (Some(user.split(':').next().unwrap_or(user).to_owned()), host),
        None => (None, host),
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    if host.is_empty() || host.starts_with('-') || user.as_deref().is_some_and(|user| user.starts_with('-')) {
        return Err(invalid_ssh(host, "the host is missing or looks like an option"));
    }
    if path.is_empty() || path == "/" || path.starts_with('-') {
        return Err(invalid_ssh(host, "the path of the repository is missing or looks like an option"));
    }
    Ok(SshUrl { user, host: host.to_owned(), port, path: path.to_owned() })
}

fn invalid_ssh(host: &str, cause: &str) -> SourceError {
    let host = host.rsplit('@').next().unwrap_or(host);
    SourceError::Invalid { location: format!("ssh://{host}"), cause: cause.into() }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http(http) => write!(f, "{}", http.url),
            Self::Ssh(ssh) => {
                let SshUrl { user: _, host, port, path } = ssh;
                let slash = if path.starts_with('/') { "" } else { "/" };
                match port {
                    Some(port) => write!(f, "ssh://{host}:{port}{slash}{path}"),
                    None => write!(f, "ssh://{host}{slash}{path}"),
                }
            }
            Self::Folder(path) => write!(f, "{}", path.display()),
            Self::File(file) => {
                let mut url = file.url.clone();
                url.set_query(None);
                write!(f, "{url}")
            }
            Self::Chart(chart) => chart.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        match Location::parse(text) {
            Ok((location, credentials)) => {
                let kind = match &location {
                    Location::Http(_) => "http",
                    Location::Ssh(_) => "ssh",
                    Location::Folder(_) => "folder",
                    Location::File(_) => "file",
                    Location::Chart(_) => "chart",
                };
                let user = credentials.username.map(|user| format!(" as {user}")).unwrap_or_default();
                format!("{kind} {location}{user}")
            }
            Err(error) => format!("error: {error}"),
        }
    }

    #[test]
    fn an_address_is_read_as_git_reads_it_and_printed_without_the_password() {
        for (text, expected) in [
            ("https://git.example.com/a/b.git", "http https://git.example.com/a/b.git"),
            ("https://me:p%40ss@git.example.com/a.git", "http https://git.example.com/a.git as me"),
            ("http://127.0.0.1:8080/a.git?token=x", "http http://127.0.0.1:8080/a.git"),
            ("git@example.com:team/a.git", "ssh ssh://example.com/team/a.git"),
            ("ssh://git:secret@example.com:2222/a.git", "ssh ssh://example.com:2222/a.git"),
            ("ssh://[::1]:22/a.git", "ssh ssh://::1:22/a.git"),
            ("file:///srv/a.git", "folder /srv/a.git"),
            ("/srv/a", "folder /srv/a"),
            ("./a:b", "folder ./a:b"),
            ("../config", "folder ../config"),
        ] {
            assert_eq!(shown(text), expected, "{text}");
        }
        let (_, credentials) = Location::parse("https://me:p%40ss@h/a").unwrap();
        assert_eq!(credentials.password.unwrap().expose(), "p@ss");
    }

    #[test]
    fn a_chart_is_on_the_server_of_its_repository_or_registry() {
        let common = |repository: &str, other: &str| {
            let chart = Location::chart(repository, "web", "^1").unwrap();
            chart.common(&Location::parse(other).unwrap().0)
        };
        for (repository, other, expected) in [
            ("https://h/charts/stable", "https://h/charts/other.git", Some(1)),
            ("https://h/charts", "http://h/charts", None),
            ("oci://h:5000/charts", "https://h:5000/org/a", Some(0)),
            ("oci://h/charts", "https://other/charts", None),
            ("https://h/charts", "git@h:charts", None),
        ] {
            assert_eq!(common(repository, other), expected, "{repository} {other}");
        }
        let chart = |name: &str| Location::chart("oci://h/charts", name, "").unwrap();
        assert_eq!(chart("web").common(&chart("api")), Some(usize::MAX));
        assert_eq!(chart("web").to_string(), "oci://h/charts/web");
    }

    #[test]
    fn addresses_on_one_server_have_parts_of_their_paths_in_common() {
        let common = |one: &str, other: &str| {
            Location::parse(one).unwrap().0.common(&Location::parse(other).unwrap().0)
        };
        let all = Some(usize::MAX);
        for (one, other, expected) in [
            ("https://h/org/a.git", "https://h/org/a", all),
            ("https://h/org/a", "https://me:pw@h:443/org/b", Some(1)),
            ("https://h/org/a", "https://h/other/a", Some(0)),
            ("https://h/org/a", "http://h/org/a", None),
            ("https://h/org/a", "https://h:8443/org/a", None),
            ("https://h/org/a", "https://h.example.com/org/a", None),
            ("git@h:org/a", "ssh://git@h/org/a.git", all),
            ("git@h:org/a", "ssh://h:22/org/b", Some(1)),
            ("git@h:org/a", "https://h/org/a", None),
            ("/srv/a", "/srv/a", None),
            ("https://h/org/a.git", "/srv/a", None),
        ] {
            assert_eq!(common(one, other), expected, "{one} {other}");
            assert_eq!(common(other, one), expected, "{other} {one}");
        }
    }

    #[test]
    fn the_address_of_a_file_keeps_its_query_to_itself() {
        let file = Location::file("https://me:hush@h/org/a.yaml?token=hush#x", "a").unwrap();
        assert_eq!(file.to_string(), "https://h/org/a.yaml");
        assert!(!format!("{file:?}").contains("hush"));
        assert!(matches!(&file, Location::File(file) if file.url.query() == Some("token=hush")));
        assert_eq!(file.common(&Location::parse("https://h/org/b.git").unwrap().0), Some(1));
        assert!(Location::file("ssh://h/a.yaml", "a").is_err());
    }

    #[test]
    fn an_address_that_could_be_taken_for_an_option_is_refused() {
        for text in ["ssh://-oProxyCommand=x/a", "-oProxyCommand=x:a", "git@h:-a", "svn://h/a", "ssh://h"] {
            assert!(shown(text).starts_with("error"), "{text}: {}", shown(text));
        }
    }

    #[test]
    fn credentials_never_print_their_values() {
        let all = Credentials {
            username: Some("me".into()),
            password: Some(Secret::new("hush")),
            bearer_token: Some(Secret::new("hush")),
            ssh_key: Some(Secret::new("hush")),
            ..Credentials::default()
        };
        let mut spec = Spec::new(Location::parse("https://a:hush@h/a").unwrap().0);
        spec.credentials = all;
        assert!(!format!("{spec:?}").contains("hush"));
    }
}
