//! What a rendering asks the target's cluster for: by `lookup`, and for values in a ConfigMap or Secret.
//!
//! Rendering asks nobody. It is given answers; where one is missing it goes on as if there were nothing, and ends with all that it
//! would have needed. Whoever renders finds that out and renders again. An answer is told from another by a digest, so that a
//! rendering can be remembered without what it was given.

use crate::cluster::Query;
use sha2::{Digest as _, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use trueup_helm::Lookup;
use trueup_model::Value;

/// Objects and lists that one rendering asks for at most.
const MOST: usize = 500;

/// What a cluster has to say to a query.
#[derive(Clone)]
pub struct Answer {
    digest: [u8; 32],
    /// The resourceVersion of an object.
    version: String,
    /// How many objects there are.
    found: usize,
    content: Option<Arc<Value>>,
}

/// Two answers are the same if they say the same; see [`Answer::sealed`].
impl PartialEq for Answer {
    fn eq(&self, other: &Self) -> bool {
        self.digest == other.digest
    }
}

/// It may be a Secret.
impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl Answer {
    /// What was found.
    pub fn of(found: Option<Value>) -> Self {
        let text = found.as_ref().map(Value::to_string);
        let items = found.as_ref().and_then(|found| found.get("items")?.as_array()).map(Vec::len);
        let version = found.as_ref().and_then(|found| found.pointer("/metadata/resourceVersion")?.as_str());
        Self {
            digest: Sha256::digest(text.unwrap_or_default()).into(),
            version: version.unwrap_or_default().to_owned(),
            found: items.unwrap_or(usize::from(found.is_some())),
            content: found.map(Arc::new),
        }
    }

    /// The same answer without what it says.
    #[must_use]
    pub fn sealed(&self) -> Self {
        Self { content: None, ..self.clone() }
    }

    /// The resourceVersion of the object; empty for a list, and where there is none.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// How many objects there are.
    pub fn found(&self) -> usize {
        self.found
    }

    /// What it says; nothing where there is nothing.
    pub fn content(&self) -> Option<&Arc<Value>> {
        self.content.as_ref()
    }
}

/// What is known of a cluster's answers.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Answers {
    /// There is no cluster to ask: a lookup finds nothing.
    #[default]
    Nobody,
    /// These were given so far.
    Known(BTreeMap<Query, Answer>),
}

impl Answers {
    /// The queries with their answers.
    pub fn iter(&self) -> impl Iterator<Item = (&Query, &Answer)> {
        let known = match self {
            Self::Nobody => None,
            Self::Known(known) => Some(known),
        };
        known.into_iter().flatten()
    }

    /// The same without what they say.
    #[must_use]
    pub fn sealed(&self) -> Self {
        match self {
            Self::Nobody => Self::Nobody,
            Self::Known(known) => {
                Self::Known(known.iter().map(|(query, answer)| (query.clone(), answer.sealed())).collect())
            }
        }
    }

    /// Adds answers to those that are known.
    pub fn extend(&mut self, more: impl IntoIterator<Item = (Query, Answer)>) {
        match self {
            Self::Nobody => *self = Self::Known(more.into_iter().collect()),
            Self::Known(known) => known.extend(more),
        }
    }

    /// The queries with their answers, to keep.
    pub fn into_known(self) -> BTreeMap<Query, Answer> {
        match self {
            Self::Nobody => BTreeMap::new(),
            Self::Known(known) => known,
        }
    }

    /// Leaves the answers to these queries.
    pub fn retain(&mut self, asked: &BTreeSet<Query>) {
        match self {
            Self::Nobody => {}
            Self::Known(known) => known.retain(|query, _| asked.contains(query)),
        }
    }
}

/// A rendering needs these to be asked for first; there may be more after that.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unasked(pub BTreeSet<Query>);

impl fmt::Display for Unasked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        write!(f, "the cluster was not asked for {}", names.join(", "))
    }
}

impl std::error::Error for Unasked {}

/// The lookups of one rendering.
#[derive(Clone)]
pub(super) struct Lookups(Arc<Inner>);

struct Inner {
    answers: Answers,
    asked: Mutex<Asked>,
}

#[derive(Default)]
struct Asked {
    all: BTreeSet<Query>,
    unanswered: BTreeSet<Query>,
}

impl Lookups {
    /// None yet.
    pub(super) fn new(answers: &Answers) -> Self {
        Self(Arc::new(Inner { answers: answers.clone(), asked: Mutex::default() }))
    }

    /// What templates call.
    pub(super) fn function(&self) -> Lookup {
        let lookups = self.clone();
        Arc::new(move |api_version: &str, kind: &str, namespace: &str, name: &str| {
            let [api_version, kind, namespace, name] =
                [api_version, kind, namespace, name].map(str::to_owned);
            let found = lookups.object(&Query { api_version, kind, namespace, name })?;
            Ok(found.as_deref().and_then(Value::as_object).cloned().unwrap_or_default())
        })
    }

    /// What is known of an object; nothing where there is none, and where that is not known.
    pub(super) fn object(&self, query: &Query) -> Result<Option<Arc<Value>>, String> {
        let mut asked = self.asked();
        asked.all.insert(query.clone());
        if asked.all.len() > MOST {
            return Err(format!("it asks its cluster for more than {MOST} objects"));
        }
        let known = match &self.0.answers {
            Answers::Nobody => return Ok(None),
            Answers::Known(known) => known.get(query),
        };
        if known.is_none() {
            asked.unanswered.insert(query.clone());
        }
        Ok(known.and_then(|answer| answer.content().cloned()))
    }

    /// All that was asked for.
    pub(super) fn all(&self) -> BTreeSet<Query> {
        self.asked().all.clone()
    }

    /// What has to be asked for, if anything.
    pub(super) fn unasked(&self) -> Option<Unasked> {
        let unanswered = self.asked().unanswered.clone();
        (!unanswered.is_empty()).then_some(Unasked(unanswered))
    }

    fn asked(&self) -> MutexGuard<'_, Asked> {
        self.0.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn secret(version: &str, value: &str) -> Answer {
        let object =
            json!({"kind": "Secret", "metadata": {"resourceVersion": version}, "data": {"a": value}});
        Answer::of(Some(object))
    }

    #[test]
    fn answers_are_the_same_if_they_say_the_same_and_show_nothing() {
        let one = secret("7", "hush");
        assert_eq!(one, secret("7", "hush"));
        assert_eq!(one, one.sealed());
        assert_ne!(one, secret("7", "hash"));
        assert_ne!(one, Answer::of(None));
        assert_eq!((one.version(), one.found(), Answer::of(None).found()), ("7", 1, 0));
        assert_eq!(Answer::of(Some(json!({"kind": "List", "items": [1, 2]}))).found(), 2);
        assert!(one.sealed().content().is_none() && !format!("{one:?}").contains("hush"));
    }

    #[test]
    fn what_is_not_known_is_nothing_for_now_and_has_to_be_asked_for() {
        let [known, unknown] = ["a", "b"].map(|name| Query::core("Secret", "shop", name));
        let mut answers = Answers::Nobody;
        let nobody = Lookups::new(&answers);
        assert_eq!(nobody.object(&known), Ok(None));
        assert!(nobody.unasked().is_none() && nobody.all().len() == 1);

        answers.extend([(known.clone(), secret("7", "x"))]);
        let lookups = Lookups::new(&answers);
        let found = lookups.function()("v1", "Secret", "shop", "a").unwrap();
        assert_eq!(found["data"]["a"], "x");
        assert!(lookups.unasked().is_none());
        assert!(lookups.function()("v1", "Secret", "shop", "b").unwrap().is_empty());
        assert_eq!(lookups.unasked(), Some(Unasked([unknown.clone()].into())));
        assert_eq!(lookups.all(), [known.clone(), unknown].into());

        answers.retain(&BTreeSet::new());
        assert_eq!(answers, Answers::Known(BTreeMap::new()));
    }

    #[test]
    fn a_rendering_does_not_ask_for_ever_more() {
        let lookups = Lookups::new(&Answers::default());
        let asked = |number: usize| lookups.object(&Query::core("Secret", "shop", &number.to_string()));
        assert!((0..MOST).all(|number| asked(number).is_ok()));
        assert!(asked(0).is_ok() && asked(MOST).is_err());
    }
}
