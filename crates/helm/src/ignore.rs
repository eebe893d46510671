//! `.helmignore`: which files of a folder do not belong to the chart.

use crate::path_pattern::{InvalidPattern, PathPattern};

/// Why the rules cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum IgnoreError {
    #[error("line {0}: double-star (**) syntax is not supported")]
    DoubleStar(usize),
    #[error("line {line}: {source}")]
    Pattern { line: usize, source: InvalidPattern },
}

/// What a path is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    File,
    Folder,
}

/// The rules of a file, in their order.
pub(crate) struct Rules(Vec<Rule>);

struct Rule {
    pattern: PathPattern,
    applies_to: Part,
    negated: bool,
    folders_only: bool,
}

/// What of a path a rule looks at.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Path,
    Name,
}

impl Rules {
    /// The rules of a text, and Helm's own: what begins with a dot is no template.
    pub(crate) fn parse(text: &str) -> Result<Self, IgnoreError> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let lines = text.lines().chain(["templates/.?*"]);
        let rules = lines.enumerate().filter_map(|(index, line)| rule(line.trim(), index + 1).transpose());
        Ok(Self(rules.collect::<Result<_, _>>()?))
    }

    /// Whether the file or folder is left out. The first rule that decides counts; a negated one decides for all that it
    /// does not match.
    pub(crate) fn ignores(&self, path: &str, kind: Kind) -> bool {
        for rule in &self.0 {
            let fits = !rule.folders_only || kind == Kind::Folder;
            if rule.negated {
                if !fits || !rule.matches(path) {
                    return true;
                }
            } else if fits && rule.matches(path) {
                return true;
            }
        }
        false
    }
}

impl Rule {
    fn matches(&self, path: &str) -> bool {
        let part = match self.applies_to {
            Part::Path => path,
            Part::Name => path.rsplit('/').next().unwrap_or(path),
        };
        self.pattern.matches(part)
    }
}

fn rule(line: &str, number: usize) -> Result<Option<Rule>, IgnoreError> {
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    if line.contains("**") {
        return Err(IgnoreError::DoubleStar(number));
    }
    let (negated, line) = line.strip_prefix('!').map_or((false, line), |rest| (true, rest));
    let (folders_only, line) = line.strip_suffix('/').map_or((false, line), |rest| (true, rest));
    let applies_to = if line.contains('/') { Part::Path } else { Part::Name };
    let line = line.strip_prefix('/').unwrap_or(line);
    let pattern = PathPattern::new(line).map_err(|source| IgnoreError::Pattern { line: number, source })?;
    Ok(Some(Rule { pattern, applies_to, negated, folders_only }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_match_names_paths_and_folders() {
        let rules = Rules::parse("# no\n*.swp\n/top.txt\nci/\nsub/*.md\n").unwrap();
        let ignored = |path| rules.ignores(path, Kind::File);
        assert!(ignored("a/b.swp") && ignored("top.txt") && ignored("sub/a.md") && ignored("templates/.x"));
        assert!(!ignored("a/top.txt") && !ignored("ci") && !ignored("sub/deep/a.md"));
        assert!(rules.ignores("ci", Kind::Folder) && rules.ignores("a/ci", Kind::Folder));
    }

    #[test]
    fn a_negated_rule_leaves_out_all_else() {
        let rules = Rules::parse("!*.yaml").unwrap();
        assert!(rules.ignores("README.md", Kind::File) && !rules.ignores("values.yaml", Kind::File));
    }

    #[test]
    fn what_cannot_be_read_names_its_line() {
        let error = Rules::parse("a\n**/b").map(|_| ()).unwrap_err();
        assert_eq!(error.to_string(), "line 2: double-star (**) syntax is not supported");
    }
}
