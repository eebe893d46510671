//! Which schema the strategic merges of a build go by.
//!
//! In: the `openapi` fields of kustomizations in the order in which they are entered, and word of what asked the
//! compiled schema. Out: the schema in force. The first kustomization that names one decides for all that is merged later; what the
//! compiled schema says beside it counts only where that was asked before.

use crate::error::{Error, Place};
use crate::fields::Text;
use crate::kustomization::Kustomization;
use crate::load::Folder;
use crate::merge::schema::{BUILTIN_VERSION, Schema};
use crate::resource::Resource;
use std::sync::Arc;
use trueup_model::{Value, yaml};

/// The schema of strategic merges.
#[derive(Default)]
pub(crate) struct SchemaChoice {
    chosen: bool,
    /// The compiled schema was needed before another one was named.
    builtin_used: bool,
    schema: Arc<Schema>,
}

impl SchemaChoice {
    /// The compiled schema, or the one that a kustomization names.
    pub(crate) fn current(&self) -> Arc<Schema> {
        if self.chosen { Arc::clone(&self.schema) } else { shared_builtin() }
    }

    /// Something was merged.
    pub(crate) fn was_used(&mut self) {
        self.builtin_used |= !self.chosen;
    }

    /// Of a kind that it does not know by heart, kustomize asks the schema whether it has namespaces.
    pub(crate) fn is_asked_for(&mut self, resource: &Resource) {
        if Schema::builtin().root(resource.api_version(), resource.kind()).is_none() {
            self.was_used();
        }
    }

    /// Takes what a kustomization says of schemas, unless one before it has decided.
    pub(crate) fn choose(
        &mut self,
        folder: &Folder<'_>,
        kustomization: &Kustomization,
        errors: &mut Vec<Error>,
    ) {
        let place = |text: &Text| Place::new(kustomization.file.clone(), text.line);
        let document = match kustomization.openapi_path.as_ref().map(|path| (path, read(folder, path))) {
            None => None,
            Some((_, Ok(document))) => Some(document),
            Some((path, Err(message))) => {
                errors.push(Error::new(&place(path), "openapi.path", message));
                return;
            }
        };
        if self.chosen {
            return;
        }
        match (document, &kustomization.openapi_version) {
            (Some(_), Some(version)) => errors.push(Error::new(
                &place(version),
                "openapi",
                "version and path exclude each other; keep one of them",
            )),
            (Some(document), None) => {
                let base = self.builtin_used.then(Schema::builtin);
                self.schema = Arc::new(Schema::from_openapi(&document, base));
                self.chosen = true;
            }
            (None, Some(version)) if version.value.is_empty() => {}
            (None, Some(version)) if version.value == BUILTIN_VERSION => {
                self.schema = shared_builtin();
                self.chosen = true;
            }
            (None, Some(version)) => errors.push(Error::new(
                &place(version),
                "openapi.version",
                format!("{:?} is not built in; the only one is {BUILTIN_VERSION}", version.value),
            )),
            (None, None) => {}
        }
    }
}

fn read(folder: &Folder<'_>, path: &Text) -> Result<Value, String> {
    let file = folder.file(&path.value)?;
    let documents = yaml::documents(&file.text()?).map_err(|error| format!("{}: {error}", file.name))?;
    let document = documents.into_iter().next().map(|document| document.value);
    document.filter(Value::is_object).ok_or_else(|| format!("{} is no OpenAPI document", file.name))
}

fn shared_builtin() -> Arc<Schema> {
    use std::sync::OnceLock;
    static SHARED: OnceLock<Arc<Schema>> = OnceLock::new();
    Arc::clone(SHARED.get_or_init(|| Arc::new(Schema::builtin().clone())))
}
