//! Patterns for paths in a repository: `apps/*`, `teams/**/app.yaml`.
//!
//! Enters: a pattern, and a tree or a path. Leaves: what stands there that the pattern means. `*` and `?` stay within one name and `**`
//! is any number of folders. None of them means a name that begins with a dot, as a shell has it. Absent: what is done with what
//! was found, and following links.

use std::collections::BTreeSet;
use trueup_model::tree::{self, EntryKind, Tree, TreeError};

/// A pattern for paths.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(Vec<Part>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    /// `**`.
    Folders,
    /// A name that has `*` or `?` in it.
    Like(String),
    /// A name.
    Name(String),
}

impl Pattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// It leads out of the repository, or names nothing.
    pub fn new(text: &str) -> Result<Self, String> {
        if text.starts_with('/') {
            return Err(format!(
                "`{text}` is absolute: write it from the repository's root, without the first `/`"
            ));
        }
        let path = tree::join("", text).map_err(|_| format!("`{text}` leaves the repository"))?;
        if path.is_empty() {
            return Err(format!("`{text}` is the repository's root: write `*` for the folders in it"));
        }
        let part = |part: &str| match part {
            "**" => Part::Folders,
            name if name.contains(['*', '?']) => Part::Like(name.to_owned()),
            name => Part::Name(name.to_owned()),
        };
        Ok(Self(path.split('/').map(part).collect()))
    }

    /// Whether a path is meant.
    pub fn matches(&self, path: &str) -> bool {
        let names: Vec<&str> = path.split('/').collect();
        matches(&self.0, &names)
    }

    /// Adds what is meant and is of this kind.
    ///
    /// # Errors
    /// The part of the pattern without wildcards leads nowhere, or something cannot be read: then it is not known what is there.
    pub fn find(
        &self,
        tree: &dyn Tree,
        kind: EntryKind,
        found: &mut BTreeSet<String>,
    ) -> Result<(), TreeError> {
        let fixed = self.0.iter().take_while(|part| matches!(part, Part::Name(_))).count();
        let names: Vec<&str> = self.0[..fixed]
            .iter()
            .filter_map(|part| match part {
                Part::Name(name) => Some(name.as_str()),
                Part::Like(_) | Part::Folders => None,
            })
            .collect();
        let start = names.join("/");
        let rest = &self.0[fixed..];
        let wanted = if rest.is_empty() { kind } else { EntryKind::Folder };
        match tree.entry(&start)? {
            None => return Err(TreeError::Missing(start)),
            Some(entry) if entry.kind == wanted => {}
            Some(_) if wanted == EntryKind::Folder => return Err(TreeError::NotAFolder(start)),
            Some(_) => return Err(TreeError::NotAFile(start)),
        }
        if rest.is_empty() {
            found.insert(start);
            return Ok(());
        }
        below(tree, &start, rest, kind, found)
    }
}

fn below(
    tree: &dyn Tree,
    folder: &str,
    parts: &[Part],
    kind: EntryKind,
    found: &mut BTreeSet<String>,
) -> Result<(), TreeError> {
    let Some((part, rest)) = parts.split_first() else { return Ok(()) };
    if *part == Part::Folders {
        // None of them, or one more.
        below(tree, folder, rest, kind, found)?;
    }
    for (name, entry) in tree.kinds(folder)? {
        let path = if folder.is_empty() { name.clone() } else { format!("{folder}/{name}") };
        let is_meant = match part {
            Part::Folders => !name.starts_with('.'),
            Part::Like(pattern) => like(pattern, &name),
            Part::Name(wanted) => *wanted == name,
        };
        if !is_meant {
            continue;
        }
        let goes_on = *part == Part::Folders;
        if rest.is_empty() && entry == kind {
            found.insert(path.clone());
        }
        if entry == EntryKind::Folder && (goes_on || !rest.is_empty()) {
            below(tree, &path, if goes_on { parts } else { rest }, kind, found)?;
        }
    }
    Ok(())
}

fn matches(parts: &[Part], names: &[&str]) -> bool {
    match (parts.split_first(), names.split_first()) {
        (None, None) => true,
        (Some((Part::Folders, rest)), Some((name, below))) => {
            matches(rest, names)
                || (!name.starts_with('.')
                    && (matches(parts, below) || (rest.is_empty() && below.is_empty())))
        }
        (Some((Part::Like(pattern), rest)), Some((name, below))) => {
            like(pattern, name) && matches(rest, below)
        }
        (Some((Part::Name(wanted), rest)), Some((name, below))) => wanted == name && matches(rest, below),
        (None, Some(_)) | (Some(_), None) => false,
    }
}

/// Whether a name is like a pattern. One that begins with a dot is so only if the pattern does.
fn like(pattern: &str, name: &str) -> bool {
    if name.starts_with('.') && !pattern.starts_with('.') {
        return false;
    }
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    let (mut p, mut n) = (0, 0);
    // Where the last star stands, and up to where it has taken.
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(c) if *c == '?' || *c == name[n] => (p, n) = (p + 1, n + 1),
            Some(_) | None => match star {
                Some((at, taken)) => {
                    star = Some((at, taken + 1));
                    (p, n) = (at + 1, taken + 1);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;
    use trueup_model::tree::MemoryTree;

    fn tree() -> MemoryTree {
        [
            "apps/web/kustomization.yaml",
            "apps/web/base/a.yaml",
            "apps/api/app.yaml",
            "apps/.hidden/a.yaml",
            "apps/README.md",
            "teams/a/apps/one/app.yaml",
            "teams/b/apps/two/app.yaml",
            ".github/workflows/a.yaml",
        ]
        .into_iter()
        .map(|path| (path, "x"))
        .collect()
    }

    fn found(pattern: &str, kind: EntryKind) -> String {
        let mut found = BTreeSet::new();
        match Pattern::new(pattern) {
            Err(why) => return why,
            Ok(pattern) => match pattern.find(&tree(), kind, &mut found) {
                Err(error) => return error.to_string(),
                Ok(()) => assert!(found.iter().all(|path| pattern.matches(path)), "{pattern:?} {found:?}"),
            },
        }
        found.into_iter().collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn folders_and_files_are_found_by_patterns() {
        for (pattern, folders) in [
            ("apps/*", "apps/api apps/web"),
            ("apps/web", "apps/web"),
            ("./apps/w*", "apps/web"),
            ("apps/a?i", "apps/api"),
            ("*", "apps teams"),
            ("apps/.*", "apps/.hidden"),
            ("apps/**", "apps/api apps/web apps/web/base"),
            ("teams/*/apps/*", "teams/a/apps/one teams/b/apps/two"),
            ("**/apps/*", "apps/api apps/web teams/a/apps/one teams/b/apps/two"),
            ("apps/*/nothing", ""),
        ] {
            assert_eq!(found(pattern, EntryKind::Folder), folders, "{pattern}");
        }
        for (pattern, files) in [
            ("apps/*/app.yaml", "apps/api/app.yaml"),
            ("**/app.yaml", "apps/api/app.yaml teams/a/apps/one/app.yaml teams/b/apps/two/app.yaml"),
            ("apps/README.md", "apps/README.md"),
            ("apps/web/**", "apps/web/base/a.yaml apps/web/kustomization.yaml"),
        ] {
            assert_eq!(found(pattern, EntryKind::File), files, "{pattern}");
        }
    }

    #[test]
    fn what_the_fixed_part_of_a_pattern_names_has_to_be_there() {
        let folder = |pattern| found(pattern, EntryKind::Folder);
        assert_eq!(folder("aps/*"), "aps: there is no such file or folder in the repository");
        assert_eq!(folder("apps/README.md/*"), "apps/README.md: is not a folder");
        assert_eq!(found("apps/web", EntryKind::File), "apps/web: is not a file");
        assert_eq!(
            folder("/apps/*"),
            "`/apps/*` is absolute: write it from the repository's root, without the first `/`"
        );
        assert_eq!(folder("../*"), "`../*` leaves the repository");
        assert_eq!(folder("."), "`.` is the repository's root: write `*` for the folders in it");
    }

    #[test]
    fn a_path_is_excluded_by_the_same_patterns() {
        let matches = |pattern: &str, path: &str| Pattern::new(pattern).unwrap().matches(path);
        assert!(matches("apps/legacy-*", "apps/legacy-a") && !matches("apps/legacy-*", "apps/legacy-a/b"));
        assert!(matches("apps/legacy/**", "apps/legacy/a/b") && !matches("apps/*", "apps"));
        assert!(matches("**/test", "test") && matches("**/test", "a/b/test"));
        assert!(matches("a*b*c", "axxbyyc") && !matches("a*b*c", "axxbyy"));
    }
}
