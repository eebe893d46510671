//! Tells of changes to a local folder as they happen.

use std::path::{Path, PathBuf};
use std::time::Duration;

use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout, timeout_at};

use super::{SourceError, local};

/// Changes come in bursts: one is over when it was quiet for so long,
const QUIET: Duration = Duration::from_millis(25);
/// but a burst without end is told of all the same.
const LONGEST: Duration = Duration::from_millis(250);

/// A running watch. It ends when dropped.
pub struct Watch {
    changes: mpsc::Receiver<()>,
    _watcher: RecommendedWatcher,
}

impl Watch {
    /// Waits for the next burst of changes and its end.
    pub async fn changed(&mut self) {
        // The sender lives as long as the watcher beside it.
        let _ = self.changes.recv().await;
        let latest = Instant::now() + LONGEST;
        while let Ok(Ok(Some(()))) = timeout_at(latest, timeout(QUIET, self.changes.recv())).await {}
    }
}

/// Watches a Git repository's references when it has one, otherwise all files of the folder.
///
/// # Errors
/// The folder is missing, or the system has no watches left.
pub fn watch(folder: &Path) -> Result<Watch, SourceError> {
    if local::open(folder).is_ok() { references(folder) } else { worktree(folder) }
}

/// Watches what decides on HEAD, branches and tags.
pub(super) fn references(folder: &Path) -> Result<Watch, SourceError> {
    let repository = local::open(folder)?;
    let git_dir = absolute(repository.git_dir())?;
    let common = absolute(repository.common_dir())?;
    let refs = common.join("refs");
    let relevant = {
        let refs = refs.clone();
        move |path: &Path| {
            let name = path.file_name().unwrap_or_default();
            let decides = path.starts_with(&refs) || name == "HEAD" || name == "packed-refs";
            decides && path.extension() != Some("lock".as_ref())
        }
    };
    let mut places = vec![(git_dir.clone(), RecursiveMode::NonRecursive)];
    if common != git_dir {
        places.push((common, RecursiveMode::NonRecursive));
    }
    places.push((refs, RecursiveMode::Recursive));
    start(&places, relevant)
}

/// Watches all files but Git's own.
pub(super) fn worktree(folder: &Path) -> Result<Watch, SourceError> {
    let root = absolute(folder)?;
    let git = root.join(".git");
    start(&[(root, RecursiveMode::Recursive)], move |path| !path.starts_with(&git))
}

fn absolute(path: &Path) -> Result<PathBuf, SourceError> {
    path.canonicalize().map_err(|error| SourceError::io("watch", path, error))
}

fn start(
    places: &[(PathBuf, RecursiveMode)],
    relevant: impl Fn(&Path) -> bool + Send + 'static,
) -> Result<Watch, SourceError> {
    // Room for one is enough: what counts is that something changed.
    let (sender, changes) = mpsc::channel(1);
    let told = move |event: notify::Result<notify::Event>| {
        let news = match event {
            Ok(event) => {
                !matches!(event.kind, EventKind::Access(_))
                    && (event.need_rescan() || event.paths.iter().any(|path| relevant(path)))
            }
            // Something was missed: looking again finds it.
            Err(_) => true,
        };
        if news {
            let _ = sender.try_send(());
        }
    };
    let failed =
        |path: &Path, error: notify::Error| SourceError::io("watch", path, std::io::Error::other(error));
    let first = places.first().map_or(Path::new(""), |(path, _)| path);
    let mut watcher = notify::recommended_watcher(told).map_err(|error| failed(first, error))?;
    for (path, mode) in places {
        watcher.watch(path, *mode).map_err(|error| failed(path, error))?;
    }
    Ok(Watch { changes, _watcher: watcher })
}
