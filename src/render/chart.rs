//! How long a chart may take to be rendered.

use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a chart may take. The slowest real ones take well below a second.
const LONGEST: Duration = Duration::from_mins(1);

/// Says when a rendering that begins now has taken too long.
pub fn deadline() -> Arc<dyn Fn() -> bool + Send + Sync> {
    let begun = Instant::now();
    Arc::new(move || begun.elapsed() > LONGEST)
}
