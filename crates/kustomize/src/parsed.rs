//! Files that were parsed already, so that no build of the same or of a later commit need read and parse them again.
//!
//! In: a file's content id and how to parse it. Out: its documents. They are kept packed and within a bound: what was not
//! asked for lately goes. A file that cannot be parsed is not kept, since its errors name the place that it stands at.

use crate::error::Error;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use trueup_model::yaml::Document;
use trueup_model::{ContentId, packed};

/// The bound of [`Parsed::default`].
const BUDGET: usize = 8 << 20;
/// What an entry takes besides its bytes: the id, the pointer, its place in the table.
const ENTRY: usize = 80;

/// The files of resources that builds have parsed so far, by their content.
///
/// Builds on several threads may share it, and so may builds of several commits: a file is known by what is in it. It
/// takes about as much memory as the text of the files, and never more than its bound. A clone shares what is known.
#[derive(Clone, Debug)]
pub struct Parsed {
    known: Arc<Mutex<Known>>,
}

/// What was asked for since the last turn of generations, and what only before.
#[derive(Debug, Default)]
struct Known {
    fresh: HashMap<ContentId, Arc<[u8]>>,
    stale: HashMap<ContentId, Arc<[u8]>>,
    /// What the fresh ones take, in bytes.
    size: usize,
    /// What they may take; the stale ones take no more.
    half: usize,
}

impl Default for Parsed {
    fn default() -> Self {
        Self::bounded(BUDGET)
    }
}

impl Parsed {
    /// Knows nothing yet, and will never take more than so many bytes.
    pub fn bounded(bytes: usize) -> Self {
        Self { known: Arc::new(Mutex::new(Known { half: bytes / 2, ..Known::default() })) }
    }

    /// The documents of the content; `parse` is asked where they are not known.
    pub(crate) fn documents(
        &self,
        id: ContentId,
        parse: impl FnOnce() -> Result<Vec<Document>, Vec<Error>>,
    ) -> Result<Vec<Document>, Vec<Error>> {
        let known = self.lock().get(id);
        if let Some(documents) = known.and_then(|bytes| packed::unpack(&bytes)) {
            return Ok(documents);
        }
        // Two threads may parse one file at the same time; what they find is the same.
        let documents = parse()?;
        self.lock().insert(id, packed::pack(&documents).into());
        Ok(documents)
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn get(&mut self, id: ContentId) -> Option<Arc<[u8]>> {
        if let Some(bytes) = self.fresh.get(&id) {
            return Some(Arc::clone(bytes));
        }
        let bytes = self.stale.remove(&id)?;
        self.insert(id, Arc::clone(&bytes));
        Some(bytes)
    }

    fn insert(&mut self, id: ContentId, bytes: Arc<[u8]>) {
        let size = bytes.len() + ENTRY;
        if size > self.half {
            return;
        }
        if self.size + size > self.half {
            self.stale = std::mem::take(&mut self.fresh);
            self.size = 0;
        }
        if self.fresh.insert(id, bytes).is_none() {
            self.size += size;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use trueup_model::yaml;

    fn ask(parsed: &Parsed, number: u8) -> bool {
        let mut known = true;
        let documents = parsed.documents(ContentId::from_hash(&[number]), || {
            known = false;
            Ok(yaml::documents(&format!("a: {number}\n---\nb: c\n")).unwrap())
        });
        assert_eq!(documents.unwrap(), yaml::documents(&format!("a: {number}\n---\nb: c\n")).unwrap());
        known
    }

    #[test]
    fn what_is_known_is_not_parsed_again() {
        let parsed = Parsed::default();
        assert!(!ask(&parsed, 1));
        assert!(ask(&parsed, 1));
        assert!(ask(&parsed.clone(), 1));
    }

    #[test]
    fn the_bound_holds_and_what_is_asked_for_again_and_again_stays() {
        let bytes = 20 * (ENTRY + 40);
        let parsed = Parsed::bounded(bytes);
        ask(&parsed, 0);
        for number in 1..=255 {
            ask(&parsed, number);
            assert!(ask(&parsed, 0), "asked for all the time");
            let known = parsed.lock();
            let taken = known.fresh.values().chain(known.stale.values()).map(|packed| packed.len() + ENTRY);
            assert!(taken.sum::<usize>() <= bytes);
        }
        assert!(!ask(&parsed, 1), "not asked for in a long time");
    }

    #[test]
    fn what_cannot_be_parsed_is_asked_for_again() {
        let parsed = Parsed::default();
        let id = ContentId::from_hash(&[1]);
        assert!(parsed.documents(id, || Err(Vec::new())).is_err());
        assert!(!ask(&parsed, 1));
    }
}
