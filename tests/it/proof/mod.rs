//! 'Nothing to do' is never wrong: what tokens and the live object prove is held against the server's own dry run, for
//! random objects after random writes of others, and while the rules change under them. `TRUEUP_PROOF` says how many
//! comparisons are made, `TRUEUP_PROOF_SEED` where the randomness starts. An ordinary run makes a few hundred; `make prove`
//! makes as many as take a quarter of an hour.

mod admission;
mod causes;
mod definitions;
mod kinds;
mod oracle;
mod prover;
mod random;
mod rules;
mod server;
mod tally;
mod writers;

use prover::Prover;
use random::Random;
use serde_json::Value;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;
use tally::Tally;
use trueup_testkit::{AdmissionWebhook, Audit, Components, ControlPlane, ConversionWebhook, Options};

/// Objects that are worked on at once.
const WORKERS: usize = 24;
/// Comparisons of an ordinary run.
const FEW: usize = 300;
/// A long run says how far it is after so many, so that one that is ended early has proved something.
const TOLD: usize = 1000;

fn number(variable: &str, default: usize) -> usize {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_to_do_is_never_said_where_the_server_would_change_something() {
    let (wanted, seed) = (number("TRUEUP_PROOF", FEW), number("TRUEUP_PROOF_SEED", 1));
    let options = Options { components: Components::ApiOnly, audit: Audit::Off, ..Options::default() };
    let plane = ControlPlane::start(options).unwrap();
    let prover = Arc::new(Prover::new(&plane).await);
    let webhook = Arc::new(AdmissionWebhook::start(admission::change).unwrap());
    admission::register(prover.server(), &webhook).await;
    admission::in_force(prover.server()).await;
    let conversion = ConversionWebhook::start(definitions::converted).unwrap();
    prover.define(&definitions::definition(definitions::GROUP, "Proof", &definitions::spec_schema())).await;
    prover.define(&definitions::converting(&conversion.client_config())).await;
    let mut all = kinds::manifests(&mut Random::new(0));
    all.push(definitions::manifest(definitions::GROUP, "Proof", &mut Random::new(0)));
    all.push(definitions::converted_manifest(&mut Random::new(0)));
    prover.watch(&all).await;
    let (done, began) = (Arc::new(AtomicUsize::new(0)), Instant::now());
    let mut workers = tokio::task::JoinSet::new();
    for worker in 0..WORKERS {
        let random = Random::new((seed * 1000 + worker) as u64);
        workers.spawn(lives(prover.clone(), worker, random, done.clone(), wanted));
    }
    let random = Random::new((seed * 1000 + WORKERS) as u64);
    workers.spawn(rules::change_rules(prover.clone(), webhook.clone(), random, done.clone(), wanted));
    let mut total = Tally::default();
    while let Some(tally) = workers.join_next().await {
        total.add(tally.unwrap());
    }
    println!("{}", total.report(began.elapsed()));
    assert!(total.wrong.is_empty(), "{} times wrong:\n{}", total.wrong.len(), total.wrong.join("\n"));
    assert!(total.needless_share() < 0.01, "too many needless dry runs: {}", total.report(began.elapsed()));
}

/// One object after the other, until enough was compared.
async fn lives(
    prover: Arc<Prover>,
    worker: usize,
    mut random: Random,
    done: Arc<AtomicUsize>,
    wanted: usize,
) -> Tally {
    let mut tally = Tally::default();
    let mut turn = 0;
    while done.load(Ordering::Relaxed) < wanted {
        turn += 1;
        let (manifest, ordinary) = any_manifest(&mut random);
        let (before, wrong) = (tally.comparisons(), tally.wrong.len());
        prover.life_of(manifest, &format!("w{worker}-{turn}"), ordinary, &mut random, &mut tally).await;
        let more = tally.comparisons() - before;
        let earlier = done.fetch_add(more, Ordering::Relaxed);
        if earlier / TOLD < (earlier + more) / TOLD {
            println!("{} compared", earlier + more);
        }
        tally.wrong[wrong..].iter().for_each(|wrong| println!("wrong: {wrong}"));
    }
    tally
}

/// An object, and whether it is one as people write it.
fn any_manifest(random: &mut Random) -> (Value, bool) {
    let custom = random.one_in(4);
    let mut manifest = if custom && random.one_in(3) {
        definitions::converted_manifest(random)
    } else if custom {
        definitions::manifest(definitions::GROUP, "Proof", random)
    } else {
        let all = kinds::manifests(random);
        random.pick(&all).clone()
    };
    if !custom && random.one_in(3) {
        return (manifest, true);
    }
    kinds::thin(&mut manifest, random);
    if manifest["metadata"].get("annotations").is_none() && random.one_in(2) {
        manifest["metadata"]["annotations"] = serde_json::json!({});
    }
    if random.one_in(6) {
        admission::request(&mut manifest, random);
    }
    (manifest, false)
}
