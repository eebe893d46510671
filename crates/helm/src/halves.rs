//! Work on many things that do not depend on each other: in two halves, side by side.
//!
//! Enters: things, and what is done with each. Leaves: what came of each, in their order, as if it had been done one by one.

use crate::engine::STACK;
use std::panic::resume_unwind;
use std::sync::{Mutex, PoisonError};
use std::thread;

/// Does `work` with each; where there are `least` or more, with the second half of them on a thread of its own, which has a stack as
/// large as a rendering has. Where the system gives no thread, here.
pub(crate) fn each<T: Send, R: Send>(things: Vec<T>, least: usize, work: impl Fn(T) -> R + Sync) -> Vec<R> {
    let here = |things: Vec<T>| things.into_iter().map(&work).collect::<Vec<R>>();
    if things.len() < least {
        return here(things);
    }
    let mut first = things;
    let second = Mutex::new(first.split_off(first.len() / 2));
    let take = || std::mem::take(&mut *second.lock().unwrap_or_else(PoisonError::into_inner));
    thread::scope(|scope| {
        let there = thread::Builder::new().stack_size(STACK).spawn_scoped(scope, || here(take()));
        let mut done = here(first);
        match there.map(thread::ScopedJoinHandle::join) {
            Ok(Ok(rest)) => done.extend(rest),
            Ok(Err(panic)) => resume_unwind(panic),
            Err(_) => done.extend(here(take())),
        }
        done
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_of_each_is_in_their_order() {
        let numbers: Vec<u32> = (0..9).collect();
        for least in [1, 9, 10] {
            assert_eq!(each(numbers.clone(), least, |number| number * 2), [0, 2, 4, 6, 8, 10, 12, 14, 16]);
        }
        let threads = each(numbers.clone(), 9, |_| thread::current().id());
        assert_eq!(threads.iter().collect::<std::collections::HashSet<_>>().len(), 2);
        let threads = each(numbers, 10, |_| thread::current().id());
        assert_eq!(threads.iter().collect::<std::collections::HashSet<_>>().len(), 1);
    }
}
