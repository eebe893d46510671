//! From the references of a repository to the one that is followed. Pure.

use super::spec::Reference;

/// A reference as a repository lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Listed {
    /// In full, such as `refs/heads/main` or `HEAD`.
    pub(super) name: String,
    /// The commit, tags followed.
    pub(super) commit: gix::ObjectId,
    /// What the reference itself holds: the commit, or the tag object.
    pub(super) advertised: gix::ObjectId,
    /// For `HEAD`: the branch it names.
    pub(super) target: Option<String>,
}

/// What to ask a server for, so that it lists no more than needed.
pub(super) fn prefixes(reference: &Reference) -> Vec<String> {
    match reference {
        // A fixed commit asks for nothing; HEAD is the shortest answer.
        Reference::Head | Reference::Commit(_) => vec!["HEAD".into()],
        Reference::Branch(name) => vec![format!("refs/heads/{name}")],
        Reference::Tag(name) => vec![format!("refs/tags/{name}")],
        Reference::Semver(_) => vec!["refs/tags/".into()],
        Reference::Named(name) => full_names(name),
    }
}

/// What a name can stand for, in Git's order.
fn full_names(name: &str) -> Vec<String> {
    if name == "HEAD" || name.starts_with("refs/") {
        return vec![name.to_owned()];
    }
    ["refs", "refs/tags", "refs/heads"].map(|folder| format!("{folder}/{name}")).into()
}

/// The prefixes of all names that the missing one could have been.
pub(super) fn wide_prefixes(reference: &Reference) -> Vec<String> {
    let prefixes: &[&str] = match reference {
        Reference::Head | Reference::Commit(_) | Reference::Branch(_) => &["refs/heads/"],
        Reference::Tag(_) | Reference::Semver(_) => &["refs/tags/"],
        Reference::Named(_) => &["refs/heads/", "refs/tags/"],
    };
    prefixes.iter().map(|prefix| (*prefix).to_owned()).collect()
}

/// Picks what `reference` names among the listed.
pub(super) fn pick<'a>(reference: &Reference, listed: &'a [Listed]) -> Option<&'a Listed> {
    let exactly = |name: &str| listed.iter().find(|listed| listed.name == name);
    match reference {
        Reference::Head => exactly("HEAD"),
        Reference::Branch(name) => exactly(&format!("refs/heads/{name}")),
        Reference::Tag(name) => exactly(&format!("refs/tags/{name}")),
        Reference::Semver(range) => highest(range, listed),
        Reference::Commit(_) => None,
        Reference::Named(name) => full_names(name).iter().find_map(|full| exactly(full)),
    }
}

fn highest<'a>(range: &semver::VersionReq, listed: &'a [Listed]) -> Option<&'a Listed> {
    listed
        .iter()
        .filter_map(|listed| {
            let tag = listed.name.strip_prefix("refs/tags/")?;
            let version = semver::Version::parse(tag.strip_prefix('v').unwrap_or(tag)).ok()?;
            range.matches(&version).then_some((version, listed))
        })
        // Of `1.2.0` and `v1.2.0` the listed order must not decide.
        .max_by(|(a, x), (b, y)| a.cmp(b).then_with(|| x.name.cmp(&y.name)))
        .map(|(_, listed)| listed)
}

/// Up to three names that the missing one may have been meant to be; for ranges, the newest tags.
pub(super) fn near(reference: &Reference, listed: &[Listed]) -> Vec<String> {
    let prefixes = wide_prefixes(reference);
    let names = listed
        .iter()
        .filter_map(|listed| prefixes.iter().find_map(|prefix| listed.name.strip_prefix(prefix.as_str())));
    let wanted = match reference {
        Reference::Branch(name) | Reference::Tag(name) | Reference::Named(name) => name,
        Reference::Semver(_) => return newest(names),
        Reference::Head | Reference::Commit(_) => return names.take(3).map(str::to_owned).collect(),
    };
    let lower = wanted.to_lowercase();
    let mut scored: Vec<_> = names
        .map(|name| (strsim::levenshtein(&lower, &name.to_lowercase()), name))
        .filter(|(distance, name)| *distance <= 2.max(wanted.len() / 3) || name.contains(wanted.as_str()))
        .collect();
    scored.sort_unstable();
    scored.into_iter().take(3).map(|(_, name)| name.to_owned()).collect()
}

fn newest<'a>(names: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut versions: Vec<_> = names
        .filter_map(|name| Some((semver::Version::parse(name.strip_prefix('v').unwrap_or(name)).ok()?, name)))
        .collect();
    versions.sort_unstable();
    versions.into_iter().rev().take(3).map(|(_, name)| name.to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(names: &[&str]) -> Vec<Listed> {
        let id = gix::ObjectId::null(gix::hash::Kind::Sha1);
        let listed = |name: &&str| Listed {
            name: format!("refs/tags/{name}"),
            commit: id,
            advertised: id,
            target: None,
        };
        names.iter().map(listed).collect()
    }

    #[test]
    fn the_highest_tag_in_the_range_wins_and_pre_releases_count_only_when_the_range_has_one() {
        let tags = tags(&["v1.2.0", "1.10.1", "v1.9.9", "v2.0.0", "v1.11.0-rc.1", "nightly", "v1.11"]);
        for (range, expected) in [
            ("^1.2", Some("refs/tags/1.10.1")),
            ("1.9", Some("refs/tags/1.10.1")),
            ("~1.9", Some("refs/tags/v1.9.9")),
            (">=1.11.0-rc.0, <2", Some("refs/tags/v1.11.0-rc.1")),
            ("*", Some("refs/tags/v2.0.0")),
            ("^3", None),
        ] {
            let reference = Reference::Semver(range.parse().unwrap());
            assert_eq!(pick(&reference, &tags).map(|tag| tag.name.as_str()), expected, "{range}");
        }
    }

    #[test]
    fn a_missing_name_comes_with_its_near_matches() {
        let tags = tags(&["v1.2.0", "v1.2.1", "release", "other-thing"]);
        assert_eq!(near(&Reference::Tag("v1.2.2".into()), &tags), ["v1.2.0", "v1.2.1"]);
        assert_eq!(near(&Reference::Tag("relaese".into()), &tags), ["release"]);
        assert_eq!(near(&Reference::Semver("^3".parse().unwrap()), &tags), ["v1.2.1", "v1.2.0"]);
        assert!(near(&Reference::Tag("completely-else".into()), &tags).is_empty());
    }
}
