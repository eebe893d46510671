//! What a target's rendering takes from its own cluster: objects that `lookup` asks for, and objects with values.
//!
//! Enters: what a rendering needs, and what was answered before. Leaves: answers that are good for this turn. An answer is good for the
//! interval of the App's Repository; a new commit, other kinds in the cluster and a person who asks for a sync end it before that. What
//! could not be asked again stays as it was answered, since that says nothing of the object: unless the right to read it is missing.
//! Absent: watches. What is asked for may be anything, and there is no reason to hold a connection open for each.

use crate::bounded::in_order;
use crate::cluster::{ApiError, ApiErrorClass, Catalog, Cluster, Query};
use crate::render::{Answer, Answers};
use futures::FutureExt as _;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// How often a rendering may need more than it was given: what is asked for may depend on what was answered.
pub const ROUNDS: usize = 16;
/// The shortest time from a turn to one that is there for the questions only.
const SHORTEST: Duration = Duration::from_millis(100);
/// Questions under way at once.
const IN_FLIGHT: usize = 8;

/// What was asked for a target, and what was answered.
#[derive(Default)]
pub struct Inquiries {
    known: BTreeMap<Query, Known>,
    /// The kinds of the cluster by which it was asked.
    catalog: Option<Arc<Catalog>>,
    /// When a question was refused that the target cannot do without.
    refused: Option<Instant>,
}

struct Known {
    answer: Answer,
    asked: Instant,
    /// Whether it is asked for again before it is used.
    is_doubted: bool,
}

/// Why a question has no answer.
pub enum Unanswered {
    /// The right to ask is missing.
    Refused(String),
    /// For now.
    Unknown(String),
}

impl Inquiries {
    /// Asks for everything again before it is used the next time.
    pub fn doubt(&mut self) {
        self.known.values_mut().for_each(|known| known.is_doubted = true);
    }

    /// What the last rendering asked for.
    pub fn queries(&self) -> impl Iterator<Item = &Query> {
        self.known.keys()
    }

    /// Forgets what a rendering did not ask for.
    pub fn retain(&mut self, asked: &BTreeSet<Query>) {
        self.known.retain(|query, _| asked.contains(query));
    }

    /// After which time something is to be asked for again. What was not asked for in time is not asked for at once: the turn that
    /// should have done it could not.
    pub fn due_in(&self, interval: Duration, now: Instant) -> Option<Duration> {
        let first = self.known.values().map(|known| known.asked).chain(self.refused).min()?;
        let left = (first + interval).saturating_duration_since(now);
        Some(if left.is_zero() { interval.max(SHORTEST) } else { left })
    }

    /// The answers to these queries, as good as this turn needs them.
    pub async fn answers(
        &mut self,
        cluster: &Cluster,
        catalog: &Arc<Catalog>,
        wanted: &BTreeSet<Query>,
        interval: Duration,
    ) -> Result<Answers, Unanswered> {
        if self.catalog.as_ref().is_none_or(|known| !Arc::ptr_eq(known, catalog)) {
            self.doubt();
            self.catalog = Some(catalog.clone());
        }
        let due: Vec<&Query> =
            wanted.iter().filter(|query| self.is_due(query, interval, Instant::now())).collect();
        let looks = due.iter().map(|query| cluster.look_up(catalog, query).boxed());
        let found = in_order(looks, IN_FLIGHT).await;
        self.refused = None;
        let mut unanswered = None;
        for (query, found) in due.into_iter().zip(found) {
            if let Err(why) = self.take(query, found, Instant::now())
                && !matches!(unanswered, Some(Unanswered::Refused(_)))
            {
                unanswered = Some(why);
            }
        }
        match unanswered {
            Some(why) => Err(why),
            None => Ok(self.known_of(wanted)),
        }
    }

    fn is_due(&self, query: &Query, interval: Duration, now: Instant) -> bool {
        self.known
            .get(query)
            .is_none_or(|known| known.is_doubted || now.saturating_duration_since(known.asked) >= interval)
    }

    fn take(
        &mut self,
        query: &Query,
        found: Result<Option<trueup_model::Value>, ApiError>,
        now: Instant,
    ) -> Result<(), Unanswered> {
        match found {
            Ok(found) => {
                let known = Known { answer: Answer::of(found), asked: now, is_doubted: false };
                self.known.insert(query.clone(), known);
                Ok(())
            }
            Err(error) if error.class == ApiErrorClass::Forbidden => {
                self.known.remove(query);
                self.refused = Some(now);
                Err(Unanswered::Refused(error.to_string()))
            }
            Err(error) => match self.known.get_mut(query) {
                Some(known) => {
                    tracing::debug!(%query, %error, "what was answered before stays");
                    (known.asked, known.is_doubted) = (now, false);
                    Ok(())
                }
                None => Err(Unanswered::Unknown(error.to_string())),
            },
        }
    }

    fn known_of(&self, wanted: &BTreeSet<Query>) -> Answers {
        let known = wanted.iter().filter_map(|query| self.known.get_key_value(query));
        Answers::Known(known.map(|(query, known)| (query.clone(), known.answer.clone())).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const INTERVAL: Duration = Duration::from_secs(30);

    fn query(name: &str) -> Query {
        Query::core("Secret", "shop", name)
    }

    fn error(code: u16) -> ApiError {
        let body = json!({"message": "secrets is forbidden"}).to_string();
        ApiError::from_answer("get Secret shop/a", code, body.as_bytes(), None, 0)
    }

    #[test]
    fn an_answer_is_good_for_an_interval_and_not_where_it_is_doubted() {
        let (mut inquiries, start) = (Inquiries::default(), Instant::now());
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        assert!(
            inquiries.is_due(&query("a"), INTERVAL, start) && inquiries.due_in(INTERVAL, start).is_none()
        );
        assert!(inquiries.take(&query("a"), Ok(None), at(0)).is_ok());
        assert!(inquiries.take(&query("b"), Ok(None), at(10)).is_ok());
        assert!(
            !inquiries.is_due(&query("a"), INTERVAL, at(29))
                && inquiries.is_due(&query("a"), INTERVAL, at(30))
        );
        assert_eq!(inquiries.due_in(INTERVAL, at(10)), Some(Duration::from_secs(20)));
        assert_eq!(inquiries.due_in(INTERVAL, at(99)), Some(INTERVAL));
        inquiries.retain(&[query("b")].into());
        assert_eq!(inquiries.due_in(INTERVAL, at(10)), Some(INTERVAL));
        inquiries.doubt();
        assert!(inquiries.is_due(&query("b"), INTERVAL, at(10)));
    }

    #[test]
    fn what_cannot_be_asked_again_stays_and_what_may_not_be_asked_does_not() {
        let (mut inquiries, now) = (Inquiries::default(), Instant::now());
        assert!(matches!(inquiries.take(&query("a"), Err(error(503)), now), Err(Unanswered::Unknown(_))));
        assert!(inquiries.take(&query("a"), Ok(Some(json!({"a": 1}))), now).is_ok());
        assert!(inquiries.take(&query("a"), Err(error(503)), now + INTERVAL).is_ok());
        let wanted = BTreeSet::from([query("a")]);
        assert_eq!(inquiries.known_of(&wanted).iter().count(), 1);
        let Err(Unanswered::Refused(why)) = inquiries.take(&query("a"), Err(error(403)), now) else {
            panic!()
        };
        assert!(why.contains("get Secret shop/a"), "{why}");
        assert_eq!(inquiries.known_of(&wanted).iter().count(), 0);
        assert_eq!(inquiries.due_in(INTERVAL, now), Some(INTERVAL), "the right may be given");
    }
}
