//! What was downloaded, on disk by its digest: archives, manifests, and the last index of a repository.
//!
//! Nothing in it must be right or there: what does not have its digest counts as missing. It is bounded; what was not
//! used for the longest time goes first.

use std::fs;
use std::path::PathBuf;
use std::time::SystemTime;

use super::{digest, is_digest, scoped};
use crate::source::SourceError;

/// How much is kept for a scope.
const MOST: u64 = 256 << 20;

/// The folder of one scope.
pub(super) struct Store {
    folder: PathBuf,
}

impl Store {
    pub(super) fn new(folder: &std::path::Path, scope: &str) -> Self {
        Self { folder: folder.join(scoped(scope, "charts")) }
    }

    fn place(&self, name: &str) -> PathBuf {
        self.folder.join(name.replace(':', "-"))
    }

    /// What has that digest.
    pub(super) fn get(&self, wanted: &str) -> Option<Vec<u8>> {
        let place = self.place(wanted);
        let bytes = fs::read(&place).ok().filter(|_| is_digest(wanted))?;
        if digest(&bytes) != wanted {
            return None;
        }
        // So that it is known as used. Where that cannot be noted it only goes earlier.
        if let Ok(file) = fs::File::options().append(true).open(&place) {
            let _ = file.set_modified(SystemTime::now());
        }
        Some(bytes)
    }

    /// Keeps these bytes under their digest.
    pub(super) fn put(&self, bytes: &[u8]) -> Result<(), SourceError> {
        self.write(&digest(bytes), bytes)?;
        self.make_room();
        Ok(())
    }

    /// A note under a name that is no digest, such as the last index.
    pub(super) fn note(&self, name: &str) -> Option<Vec<u8>> {
        fs::read(self.place(name)).ok()
    }

    pub(super) fn write(&self, name: &str, bytes: &[u8]) -> Result<(), SourceError> {
        let failed = |error| SourceError::io("write", &self.folder, error);
        fs::create_dir_all(&self.folder).map_err(failed)?;
        // Others may write the same at the same time.
        let partial = tempfile::NamedTempFile::new_in(&self.folder).map_err(failed)?;
        fs::write(partial.path(), bytes).map_err(failed)?;
        partial.persist(self.place(name)).map_err(|error| failed(error.error))?;
        Ok(())
    }

    /// Takes away what was not used for the longest time, until the rest fits.
    fn make_room(&self) {
        let Ok(entries) = fs::read_dir(&self.folder) else { return };
        let mut kept: Vec<(SystemTime, u64, PathBuf)> = entries
            .filter_map(Result::ok)
            .filter_map(|entry| {
                let metadata = entry.metadata().ok()?;
                Some((metadata.modified().ok()?, metadata.len(), entry.path()))
            })
            .collect();
        kept.sort();
        let mut total: u64 = kept.iter().map(|(_, size, _)| size).sum();
        for (_, size, path) in kept {
            if total <= MOST {
                return;
            }
            // What cannot be removed now is tried again the next time.
            if fs::remove_file(path).is_ok() {
                total -= size;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use std::time::Duration;

    #[test]
    fn what_is_kept_has_its_digest_and_is_not_shared_between_scopes() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(folder.path(), "one");
        store.put(b"archive").unwrap();
        let name = digest(b"archive");
        assert_eq!(store.get(&name).unwrap(), b"archive");
        assert!(Store::new(folder.path(), "other").get(&name).is_none());
        fs::write(store.place(&name), b"archivE").unwrap();
        assert!(store.get(&name).is_none());
        assert!(store.get("../x").is_none());
    }

    #[test]
    fn what_was_not_used_for_longest_goes_first() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(folder.path(), "");
        let large = vec![0; usize::try_from(MOST / 2).unwrap()];
        let old = SystemTime::now() - Duration::from_secs(1000);
        for (at, first) in [1_u8, 2].into_iter().enumerate() {
            let bytes = [&[first], &large[..large.len() - 10]].concat();
            store.put(&bytes).unwrap();
            let file = fs::File::options().append(true).open(store.place(&digest(&bytes))).unwrap();
            file.set_modified(old + Duration::from_secs(at as u64)).unwrap();
        }
        let first = digest(&[&[1], &large[..large.len() - 10]].concat());
        let second = digest(&[&[2], &large[..large.len() - 10]].concat());
        assert!(store.get(&first).is_some(), "it is used again");
        store.put(&vec![3; 1000]).unwrap();
        assert!(store.get(&first).is_some() && store.get(&second).is_none());
    }
}
