//! `--output-dir`: what a chart makes, as files.

use anyhow::{Context as _, Result, bail};
use std::io::Write;
use std::path::{Component, Path};

/// Writes the files below `folder`, and names each. A file that is there already is replaced; others are left alone.
pub(super) fn write(folder: &Path, files: &[(String, String)], out: &mut dyn Write) -> Result<()> {
    // All or nothing, as far as it can be known before.
    for (path, _) in files {
        if !Path::new(path).components().all(|part| matches!(part, Component::Normal(_))) {
            bail!("{path}: leads out of {}", folder.display());
        }
    }
    for (path, text) in files {
        let file = folder.join(path);
        let shown = || file.display().to_string();
        if let Some(parent) = file.parent() {
            std::fs::create_dir_all(parent).with_context(shown)?;
        }
        std::fs::write(&file, text).with_context(shown)?;
        writeln!(out, "wrote {}", file.display())?;
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_written_outside_of_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        let files =
            [("web/a.yaml".to_owned(), "a".to_owned()), ("web/../../b.yaml".to_owned(), "b".to_owned())];
        let refused = write(&folder.path().join("out"), &files, &mut Vec::new()).unwrap_err();
        assert!(refused.to_string().starts_with("web/../../b.yaml: leads out of "), "{refused}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
