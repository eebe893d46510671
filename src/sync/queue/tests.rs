//! The queue's rules. Properties run against the state itself, with a clock of their own.

use super::*;
use proptest::prelude::*;

const PLACES: usize = 64;

fn push(queue: &Queue, target: &str, trigger: Trigger) {
    queue.push_after(target, "here", trigger, Duration::ZERO);
}

async fn order(queue: &Queue, count: usize) -> Vec<String> {
    let mut order = Vec::new();
    for _ in 0..count {
        let due = queue.next().await;
        queue.done(&due.target);
        order.push(due.target);
    }
    order
}

#[tokio::test(start_paused = true)]
async fn a_person_goes_before_drift_then_commits_then_mass_drift_then_retries_and_timers() {
    let queue = Queue::new(PLACES);
    push(&queue, "timer", Trigger::Timer);
    push(&queue, "retry", Trigger::Retry);
    for _ in 0..100 {
        push(&queue, "mass", Trigger::Drift);
    }
    push(&queue, "commit", Trigger::Commit);
    push(&queue, "drift", Trigger::Drift);
    push(&queue, "person", Trigger::Manual);
    assert_eq!(order(&queue, 6).await, ["person", "drift", "commit", "mass", "retry", "timer"]);
}

#[tokio::test(start_paused = true)]
async fn a_target_is_there_once_and_never_handed_out_twice_at_a_time() {
    let queue = Queue::new(PLACES);
    push(&queue, "a", Trigger::Commit);
    push(&queue, "a", Trigger::Drift);
    assert_eq!(queue.next().await.trigger, Trigger::Drift);
    push(&queue, "a", Trigger::Commit);
    push(&queue, "b", Trigger::Timer);
    assert_eq!(queue.next().await.target, "b");
    let waiting = tokio::time::timeout(Duration::from_mins(1), queue.next()).await;
    assert!(waiting.is_err(), "a is still running");
    queue.done("a");
    assert_eq!(queue.next().await.target, "a");
}

#[tokio::test(start_paused = true)]
async fn a_delay_is_kept_unless_something_more_urgent_comes() {
    let queue = Queue::new(PLACES);
    let start = Instant::now();
    let later = |target: &str, seconds| {
        queue.push_after(target, "here", Trigger::Retry, Duration::from_secs(seconds));
    };
    later("later", 10);
    later("sooner", 10);
    later("sooner", 2);
    assert_eq!(queue.next().await.target, "sooner");
    assert_eq!(start.elapsed().as_secs(), 2);
    assert_eq!(queue.next().await.target, "later");
    assert_eq!(start.elapsed().as_secs(), 10);
}

#[test]
fn a_cluster_that_hangs_leaves_places_for_the_others_and_gets_one_turn_at_a_time() {
    let (mut state, mut now) = (State::new(PLACES), Instant::now());
    let start = now;
    for n in 0..500 {
        state.push(&format!("hangs-{n:03}"), "hangs", Trigger::Manual, now, now);
    }
    let take = |state: &mut State, now| std::iter::from_fn(|| state.take(now)).count();
    assert_eq!(take(&mut state, now), PLACES / 2, "as many as stay free");
    state.push("well", "fine", Trigger::Timer, now, now);
    assert_eq!(state.take(now).unwrap().target, "well");
    state.done("well", now);
    now += Duration::from_secs(30);
    for n in 0..PLACES / 2 {
        state.done(&format!("hangs-{n:03}"), now);
    }
    assert_eq!(take(&mut state, now), 1, "the lane ails");
    for n in 0..200 {
        state.push(&format!("well-{n}"), "fine", Trigger::Timer, start, now);
    }
    assert_eq!(take(&mut state, now), 32, "the other lane has its share");
    state.done("hangs-032", now + Duration::from_millis(5));
    assert!(take(&mut state, now) > 1, "one quick turn, and the lane is well again");
}

#[test]
fn any_number_of_clusters_that_hang_leave_half_of_the_places() {
    let (mut state, mut now) = (State::new(PLACES), Instant::now());
    for n in 0..1000 {
        state.push(&format!("hangs-{n:04}"), &format!("lane-{:03}", n % 200), Trigger::Drift, now, now);
    }
    let mut running: Vec<String> = Vec::new();
    for _ in 0..30 {
        running.extend(std::iter::from_fn(|| state.take(now)).map(|due| due.target));
        now += Duration::from_secs(30);
        for target in running.drain(..) {
            state.done(&target, now);
            let lane = format!("lane-{:03}", target[6..].parse::<usize>().unwrap() % 200);
            state.push(&target, &lane, Trigger::Retry, now, now);
        }
    }
    let ailing = std::iter::from_fn(|| state.take(now)).count();
    assert!(ailing <= PLACES / 2, "{ailing}");
    state.push("well", "fine", Trigger::Timer, now, now);
    assert_eq!(state.take(now).unwrap().target, "well");
}

#[test]
fn slow_targets_of_a_cluster_that_is_well_share_one_place() {
    let (mut state, mut now) = (State::new(PLACES), Instant::now());
    for n in 0..20 {
        state.push(&format!("slow-{n:02}"), "here", Trigger::Manual, now, now);
    }
    while state.take(now).is_some() {}
    now += SLOW;
    for n in 0..20 {
        state.done(&format!("slow-{n:02}"), now);
        // Others of the lane are quick meanwhile, so the lane itself is well.
        state.push("quick", "here", Trigger::Manual, now, now);
        assert_eq!(state.take(now).unwrap().target, "quick");
        state.done("quick", now);
    }
    for n in 0..20 {
        state.push(&format!("slow-{n:02}"), "here", Trigger::Manual, now, now);
    }
    for n in 0..10 {
        state.push(&format!("quick-{n}"), "here", Trigger::Timer, now, now);
    }
    let begun: Vec<String> = std::iter::from_fn(|| state.take(now)).map(|due| due.target).collect();
    assert_eq!(begun.iter().filter(|target| target.starts_with("slow")).count(), 1, "{begun:?}");
    assert_eq!(begun.len(), 11);
}

#[test]
fn ten_thousand_targets_take_room_once_each_however_often_they_are_asked_for() {
    let (mut state, start) = (State::new(PLACES), Instant::now());
    let triggers = [Trigger::Drift, Trigger::Commit, Trigger::Timer, Trigger::Retry, Trigger::Manual];
    let clock = std::time::Instant::now();
    for round in 0..20_u32 {
        let now = start + Duration::from_secs(u64::from(round));
        for n in 0..10_000 {
            let trigger = triggers[(n + round as usize) % triggers.len()];
            let at = now + Duration::from_secs(u64::from(round % 3) * 60);
            state.push(&format!("app-{n}@production"), &format!("cluster-{}", n % 50), trigger, at, now);
        }
        for _ in 0..100 {
            let Some(due) = state.take(now) else { break };
            if round % 2 == 0 {
                state.done(&due.target, now);
            }
        }
        let ready: usize = state.lanes.values().map(|lane| lane.quick.len() + lane.slow.len()).sum();
        assert!(ready + state.delayed.len() <= state.entries.len());
        assert!(state.entries.len() <= 10_000 && state.running.len() <= PLACES && state.lanes.len() == 50);
    }
    assert!(clock.elapsed() < Duration::from_secs(20), "{:?}", clock.elapsed());
    state.retain(|_| false);
    let rest = (state.entries.len(), state.delayed.len(), state.slow.len());
    assert_eq!(rest, (0, 0, 0));
}

/// What happens to a queue.
#[derive(Clone, Debug)]
enum Event {
    Push { target: u8, trigger: Trigger, delay: u16 },
    Take,
    Done { which: u8 },
    Pass { seconds: u16 },
}

fn trigger() -> impl Strategy<Value = Trigger> {
    prop::sample::select(vec![
        Trigger::Manual,
        Trigger::Drift,
        Trigger::Commit,
        Trigger::Configuration,
        Trigger::Retry,
        Trigger::Timer,
    ])
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        (0..24u8, trigger(), 0..90u16).prop_map(|(target, trigger, delay)| Event::Push {
            target,
            trigger,
            delay
        }),
        Just(Event::Take),
        any::<u8>().prop_map(|which| Event::Done { which }),
        (0..40u16).prop_map(|seconds| Event::Pass { seconds }),
    ]
}

fn lane(target: u8) -> String {
    format!("lane-{}", target % 3)
}

proptest! {
    /// Whatever happens: a target has one turn at a time; the most urgent goes first among those that may; and what was asked
    /// for is looked at in the end.
    #[test]
    fn nothing_is_lost_doubled_or_passed(events in prop::collection::vec(event(), 1..200)) {
        let (mut state, mut now) = (State::new(4), Instant::now());
        let mut running: Vec<String> = Vec::new();
        let mut asked: BTreeSet<String> = BTreeSet::new();
        for event in events {
            state.ripen(now);
            match event {
                Event::Push { target, trigger, delay } => {
                    let name = format!("target-{target}");
                    let at = now + Duration::from_secs(u64::from(delay));
                    state.push(&name, &lane(target), trigger, at, now);
                    asked.insert(name);
                }
                Event::Take => {
                    let deadlines: BTreeMap<String, Instant> =
                        state.entries.iter().map(|(name, entry)| (name.clone(), entry.deadline())).collect();
                    if let Some(due) = state.take(now) {
                        prop_assert!(!running.contains(&due.target), "{} runs twice", due.target);
                        prop_assert!(running.len() < 4);
                        let mine = deadlines[&due.target];
                        let lane = state.running[&due.target].lane.clone();
                        let passed = state.lanes[&lane].quick.first().filter(|(other, _, _)| *other < mine);
                        prop_assert!(passed.is_none() , "{} passed {passed:?}", due.target);
                        asked.remove(&due.target);
                        running.push(due.target);
                    }
                }
                Event::Done { which } if !running.is_empty() => {
                    let target = running.swap_remove(usize::from(which) % running.len());
                    state.done(&target, now);
                }
                Event::Done { .. } => {}
                Event::Pass { seconds } => now += Duration::from_secs(u64::from(seconds)),
            }
        }
        now += Duration::from_secs(1000);
        state.ripen(now);
        for target in running {
            state.done(&target, now);
        }
        for _ in 0..100 {
            let Some(due) = state.take(now) else { break };
            asked.remove(&due.target);
            state.done(&due.target, now);
        }
        prop_assert!(asked.is_empty(), "never looked at: {asked:?}");
        prop_assert!(state.running.is_empty() && state.entries.is_empty());
    }

    /// No starvation: others may be as urgent and as many as they like, a target that is due waits no longer than the
    /// difference of patiences, and the time that the turns before it take.
    #[test]
    fn a_target_that_is_due_is_looked_at_although_others_are_asked_for_again_and_again(
        others in 5..40usize, urgent in trigger(), victim in trigger(), step in 1..30u64,
    ) {
        let (mut state, start) = (State::new(2), Instant::now());
        let mut now = start;
        state.push("victim", "here", victim, now, now);
        loop {
            for n in 0..others {
                state.push(&format!("other-{n}"), "here", urgent, now, now);
            }
            let due = state.take(now).expect("somebody is always due");
            let waited = now.saturating_duration_since(start);
            if due.target == "victim" {
                break;
            }
            let most = patience(Trigger::Timer, 1) + Duration::from_secs(step * (others as u64 + 2));
            prop_assert!(waited <= most, "{waited:?}");
            now += Duration::from_secs(step);
            state.done(&due.target, now);
        }
    }
}
