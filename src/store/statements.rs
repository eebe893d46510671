//! What is asked of the tables of history and drift, wherever they are: the same words for SQLite and for PostgreSQL.
//!
//! Parameters are numbered in the order in which they first stand in a statement: SQLite counts them so, and PostgreSQL by their number.

/// `target`, `ended`, `entry`.
pub(super) const APPEND: &str = "INSERT INTO history (target, ended, entry) VALUES ($1, $2, $3)";
/// `ended`.
pub(super) const AGE: &str = "DELETE FROM history WHERE ended < $1";

/// `target`.
pub(super) const STANDING: &str = "SELECT entry FROM drift WHERE target = $1 AND there = 1";
/// `target`, `object`, `field`, `writer`.
pub(super) const DRIFT_OF: &str =
    "SELECT entry FROM drift WHERE target = $1 AND object = $2 AND field = $3 AND writer = $4";
/// `target`, `object`, `field`, `writer`, `last`, `there`, `entry`.
pub(super) const PUT_DRIFT: &str =
    "INSERT INTO drift (target, object, field, writer, last, there, entry) VALUES ($1, $2, $3, $4, $5, $6, $7)
       ON CONFLICT (target, object, field, writer)
       DO UPDATE SET last = excluded.last, there = excluded.there, entry = excluded.entry";
/// `target`, how many stay.
pub(super) const BOUND_DRIFT: &str = "DELETE FROM drift WHERE target = $1 AND there = 0 AND last <=
       (SELECT last FROM drift WHERE target = $1 ORDER BY last DESC LIMIT 1 OFFSET $2)";
/// `last`.
pub(super) const AGE_DRIFT: &str = "DELETE FROM drift WHERE last < $1";
/// `target`.
pub(super) const FORGET_DRIFT: &str = "DELETE FROM drift WHERE target = $1";
/// All of them.
pub(super) const DRIFT: &str =
    "SELECT entry FROM drift ORDER BY there DESC, last DESC, target, object, field";

// Numbers in the file of one process grow with time, whatever its clock does. Where several processes bring theirs, the time is what
// they have in common.
pub(super) mod by_number {
    /// `target`, how many stay.
    pub(in crate::store) const BOUND: &str = "DELETE FROM history WHERE target = $1 AND id <=
           (SELECT id FROM history WHERE target = $1 ORDER BY id DESC LIMIT 1 OFFSET $2)";
    /// `target`, how many.
    pub(in crate::store) const HISTORY: &str =
        "SELECT entry FROM history WHERE target = $1 ORDER BY id DESC LIMIT $2";
}

pub(super) mod by_time {
    /// `target`, how many stay.
    pub(in crate::store) const BOUND: &str = "DELETE FROM history WHERE target = $1 AND id NOT IN
           (SELECT id FROM history WHERE target = $1 ORDER BY ended DESC, id DESC LIMIT $2)";
    /// `target`, how many.
    pub(in crate::store) const HISTORY: &str =
        "SELECT entry FROM history WHERE target = $1 ORDER BY ended DESC, id DESC LIMIT $2";
}
