//! What came of the comparisons, counted.

use super::oracle::Exempt;
use super::writers::Way;
use std::collections::BTreeMap;
use std::time::Duration;

/// Causes that are listed.
const CAUSES: usize = 40;

/// The comparisons after one way of writing.
#[derive(Clone, Copy, Default)]
pub(super) struct Row {
    pub(super) comparisons: usize,
    /// The server would change something.
    pub(super) differs: usize,
    /// It would not, and what is remembered does not prove it.
    pub(super) needless: usize,
    /// It would not, and the live object alone does not prove it.
    pub(super) unproven: usize,
}

impl Row {
    fn add(&mut self, other: Self) {
        self.comparisons += other.comparisons;
        self.differs += other.differs;
        self.needless += other.needless;
        self.unproven += other.unproven;
    }
}

/// What came of the comparisons.
#[derive(Default)]
pub(super) struct Tally {
    by_way: BTreeMap<Way, Row>,
    /// Comparisons of ordinary objects that nobody but the server has touched, by kind.
    ordinary: BTreeMap<String, Row>,
    kinds: BTreeMap<String, usize>,
    /// What the structural proof could not prove, by kind and place.
    unproven: BTreeMap<String, usize>,
    exempt: BTreeMap<Exempt, usize>,
    pub(super) refused: usize,
    /// What must not be.
    pub(super) wrong: Vec<String>,
}

impl Tally {
    pub(super) fn comparisons(&self) -> usize {
        self.all().comparisons
    }

    fn all(&self) -> Row {
        let mut all = Row::default();
        self.by_way.values().for_each(|row| all.add(*row));
        all
    }

    pub(super) fn note(&mut self, way: Way, kind: &str, row: Row) {
        self.by_way.entry(way).or_default().add(row);
        *self.kinds.entry(kind.to_owned()).or_default() += row.comparisons;
    }

    pub(super) fn note_unproven(&mut self, kind: &str, cause: &str) {
        *self.unproven.entry(format!("{kind} {cause}")).or_default() += 1;
    }

    pub(super) fn note_ordinary(&mut self, kind: &str, row: Row) {
        self.ordinary.entry(kind.to_owned()).or_default().add(row);
    }

    pub(super) fn note_exempt(&mut self, exempt: &[Exempt]) {
        for exempt in exempt {
            *self.exempt.entry(*exempt).or_default() += 1;
        }
    }

    pub(super) fn needless_share(&self) -> f64 {
        let all = self.all();
        share(all.needless, all.comparisons)
    }

    pub(super) fn add(&mut self, other: Self) {
        for (way, row) in other.by_way {
            self.by_way.entry(way).or_default().add(row);
        }
        for (kind, row) in other.ordinary {
            self.ordinary.entry(kind).or_default().add(row);
        }
        for (kinds, more) in [(&mut self.kinds, other.kinds), (&mut self.unproven, other.unproven)] {
            for (kind, count) in more {
                *kinds.entry(kind).or_default() += count;
            }
        }
        for (exempt, count) in other.exempt {
            *self.exempt.entry(exempt).or_default() += count;
        }
        self.refused += other.refused;
        self.wrong.extend(other.wrong);
    }

    #[expect(clippy::cast_precision_loss, reason = "a rate for people to read")]
    pub(super) fn report(&self, took: Duration) -> String {
        let all = self.all();
        let of_all = |count: usize| 100.0 * share(count, all.comparisons);
        let seconds = took.as_secs_f64();
        let mut lines = vec![format!(
            "{} comparisons of {} kinds in {seconds:.0} s ({:.0}/s): in {} the server would change something; wrong {}; \
             needless dry runs: with what is remembered {} ({:.2} %), with the object alone {} ({:.2} %); \
             {} writes were refused; no change: {:?}",
            all.comparisons,
            self.kinds.len(),
            all.comparisons as f64 / seconds,
            all.differs,
            self.wrong.len(),
            all.needless,
            of_all(all.needless),
            all.unproven,
            of_all(all.unproven),
            self.refused,
            self.exempt,
        )];
        lines.extend(self.by_way.iter().map(|(way, row)| {
            format!(
                "  {:20} {:6} ({:4.1} %) differs {:6} needless {:4} unproven {:5}",
                format!("{way:?}"),
                row.comparisons,
                of_all(row.comparisons),
                row.differs,
                row.needless,
                row.unproven
            )
        }));
        let mut causes: Vec<(&String, &usize)> = self.unproven.iter().collect();
        causes.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        lines.push("  not proven by the object alone, most often:".to_owned());
        lines.extend(causes.iter().take(CAUSES).map(|(cause, count)| format!("    {count:5} {cause}")));
        let mut ordinary = Row::default();
        self.ordinary.values().for_each(|row| ordinary.add(*row));
        lines.push(format!(
            "  ordinary objects as applied: {} of {} kinds, not proven by the object alone {} ({:.2} %): {}",
            ordinary.comparisons,
            self.ordinary.len(),
            ordinary.unproven,
            100.0 * share(ordinary.unproven, ordinary.comparisons),
            self.ordinary
                .iter()
                .filter(|(_, row)| row.unproven > 0)
                .map(|(kind, row)| format!("{kind} {}/{}", row.unproven, row.comparisons))
                .collect::<Vec<_>>()
                .join(", ")
        ));
        lines.join("\n")
    }
}

#[expect(clippy::cast_precision_loss, reason = "a share")]
pub(super) fn share(part: usize, whole: usize) -> f64 {
    part as f64 / whole.max(1) as f64
}
