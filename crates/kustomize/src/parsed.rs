//! Files that were parsed already, so that builds of one commit need not parse them again.
//!
//! In: a file's content id and how to parse it. Out: its documents, shared. A file that cannot be parsed is not kept,
//! since its errors name the place that it stands at.

use crate::error::Error;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use trueup_model::ContentId;
use trueup_model::yaml::Document;

/// The files of resources that builds have parsed so far, by their content.
///
/// Builds on several threads may share it. It grows with each file that is new to it, so it is meant to live as
/// long as the targets of one commit take. A clone shares what is known.
#[derive(Clone, Debug, Default)]
pub struct Parsed(Arc<Mutex<HashMap<ContentId, Arc<[Document]>>>>);

impl Parsed {
    /// The documents of the content; `parse` is asked where they are not known.
    pub(crate) fn documents(
        &self,
        id: ContentId,
        parse: impl FnOnce() -> Result<Vec<Document>, Vec<Error>>,
    ) -> Result<Arc<[Document]>, Vec<Error>> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&id).cloned();
        if let Some(documents) = known {
            return Ok(documents);
        }
        // Two threads may parse one file at the same time; what they find is the same.
        let documents: Arc<[Document]> = parse()?.into();
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(id, Arc::clone(&documents));
        Ok(documents)
    }
}
