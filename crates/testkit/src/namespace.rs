//! A namespace a test.

use std::ops::Deref;
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Result;
use serde_json::json;

use crate::Api;

/// A namespace with a name of its own; deleted when dropped, as well as that can be done. Dereferences to its name.
#[derive(Debug)]
pub struct Namespace {
    name: String,
    api: Api,
}

impl Namespace {
    /// A new namespace whose name begins with `hint`.
    pub fn create(api: &Api, hint: &str) -> Result<Self> {
        let name = unique_name(hint);
        let body = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
        api.create("/api/v1/namespaces", &body)?;
        Ok(Self { name, api: api.clone() })
    }

    /// The namespace's name.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl Deref for Namespace {
    type Target = str;

    fn deref(&self) -> &str {
        &self.name
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // The API server may be stopped, or on its way out; the test has its result already.
        let _ = self.api.delete(&format!("/api/v1/namespaces/{}", self.name));
    }
}

/// `hint` with what makes it unique, also among runs against one cluster that a user keeps.
fn unique_name(hint: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
    let hint: String = hint
        .to_ascii_lowercase()
        .chars()
        .map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '-' })
        .take(36)
        .collect();
    let hint = hint.trim_matches('-');
    format!("{hint}-{:x}-{:x}-{}", now % 0x1_0000_0000, process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}
