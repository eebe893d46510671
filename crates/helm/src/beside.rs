//! Work on many things that do not depend on each other, on a second thread beside the first.
//!
//! Enters: what makes things and hands them over one by one, and what is done with each. Leaves: what came of each, in their order, as if it
//! had been done one by one. The first thread makes them, or does whatever else it has to do meanwhile; when it has ended both work on what is left.
//! Where few are expected, or the system gives no thread, all is done on the caller's.

use crate::engine::STACK;
use std::collections::VecDeque;
use std::panic::resume_unwind;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

/// To wake a thread takes as long as a few things do: one that waits is woken when so many are there.
const WORTH_WAKING: usize = 16;

/// Where things are handed over to be worked on.
pub(crate) struct Hands<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
}

struct State<T> {
    /// Things with their numbers, in the order in which they were handed over.
    waiting: VecDeque<(usize, T)>,
    handed: usize,
    is_asleep: bool,
    is_last: bool,
}

impl<T> Hands<T> {
    fn new() -> Self {
        let state = State { waiting: VecDeque::new(), handed: 0, is_asleep: false, is_last: false };
        Self { state: Mutex::new(state), changed: Condvar::new() }
    }

    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands over one more.
    pub(crate) fn over(&self, thing: T) {
        let mut state = self.state();
        let number = state.handed;
        state.handed += 1;
        state.waiting.push_back((number, thing));
        if state.is_asleep && state.waiting.len() >= WORTH_WAKING {
            state.is_asleep = false;
            drop(state);
            self.changed.notify_one();
        }
    }

    /// The next one; waits for it until the last one was handed over.
    fn take(&self) -> Option<(usize, T)> {
        let mut state = self.state();
        loop {
            match state.waiting.pop_front() {
                Some(next) => return Some(next),
                None if state.is_last => return None,
                None => {
                    state.is_asleep = true;
                    state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                }
            }
        }
    }
}

/// Says that no more come, also where what makes them panics: the other thread must not wait for ever.
struct Last<'h, T>(&'h Hands<T>);

impl<T> Drop for Last<'_, T> {
    fn drop(&mut self) {
        self.0.state().is_last = true;
        self.0.changed.notify_one();
    }
}

/// How many things are expected.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expected {
    /// As few as one thread has done by the time that another one has begun.
    Few,
    /// More.
    Many,
}

impl Expected {
    /// Many are so many, or more.
    pub(crate) fn of(count: usize, many: usize) -> Self {
        if count < many { Self::Few } else { Self::Many }
    }
}

/// Does `make`, which hands things over, and beside it `work` with each of these. The other thread has a stack as large as a rendering has.
pub(crate) fn beside<T: Send, R: Send, M>(
    expected: Expected,
    work: impl Fn(T) -> R + Sync,
    make: impl FnOnce(&Hands<T>) -> M,
) -> (M, Vec<R>) {
    let hands = Hands::new();
    let rest = || {
        let mut done = Vec::new();
        while let Some((number, thing)) = hands.take() {
            done.push((number, work(thing)));
        }
        done
    };
    thread::scope(|scope| {
        let there = match expected {
            Expected::Few => None,
            Expected::Many => thread::Builder::new().stack_size(STACK).spawn_scoped(scope, rest).ok(),
        };
        let last = Last(&hands);
        let result = make(&hands);
        drop(last);
        let mut done = rest();
        match there.map(thread::ScopedJoinHandle::join) {
            Some(Ok(others)) => done.extend(others),
            Some(Err(panic)) => resume_unwind(panic),
            None => {}
        }
        done.sort_unstable_by_key(|(number, _)| *number);
        (result, done.into_iter().map(|(_, one)| one).collect())
    })
}

/// Does `work` with each, on two threads where there are `many` or more.
pub(crate) fn each<T: Send, R: Send>(things: Vec<T>, many: usize, work: impl Fn(T) -> R + Sync) -> Vec<R> {
    match Expected::of(things.len(), many) {
        Expected::Few => things.into_iter().map(work).collect(),
        many @ Expected::Many => {
            beside(many, work, |hands| things.into_iter().for_each(|thing| hands.over(thing))).1
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;
    use std::sync::mpsc;
    use std::time::Duration;

    #[test]
    fn what_comes_of_each_is_in_their_order() {
        let numbers: Vec<usize> = (0..1000).collect();
        for many in [1, 1000, 1001] {
            let squares: Vec<usize> = numbers.iter().map(|number| number * number).collect();
            assert_eq!(each(numbers.clone(), many, |number| number * number), squares);
        }
    }

    #[test]
    fn many_are_worked_on_while_others_are_made() {
        let (done, told) = mpsc::channel();
        let work = |number: usize| {
            done.send(number).unwrap();
            thread::current().id()
        };
        let (seen, threads) = beside(Expected::Many, work, |hands| {
            (0..2 * WORTH_WAKING).for_each(|number| hands.over(number));
            told.recv_timeout(Duration::from_mins(1)).unwrap()
        });
        assert_eq!((seen, threads.len()), (0, 2 * WORTH_WAKING));
        assert_ne!(threads[0], thread::current().id());
    }

    #[test]
    fn few_are_worked_on_here_when_all_are_made() {
        let (made, threads) = beside(
            Expected::Few,
            |()| thread::current().id(),
            |hands| {
                hands.over(());
                hands.over(());
                "made"
            },
        );
        assert_eq!((made, threads.len()), ("made", 2));
        assert_eq!(threads.into_iter().collect::<HashSet<_>>(), HashSet::from([thread::current().id()]));
    }

    #[test]
    fn a_panic_on_either_thread_ends_both() {
        let panics = |work: fn(u32), make: fn(&Hands<u32>)| {
            std::panic::catch_unwind(|| beside(Expected::Many, work, make)).is_err()
        };
        assert!(panics(|_| (), |_| panic!("while things are made")));
        assert!(panics(
            |_| panic!("while one is worked on"),
            |hands| (0..100).for_each(|one| hands.over(one))
        ));
    }
}
