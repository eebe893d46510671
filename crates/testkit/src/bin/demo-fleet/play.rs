//! The acts: installing, a first sync, a rollout over the fleet, a replica that is killed, a cluster that is cut off. Each checks
//! what it shows.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::fleet::{Fleet, LEAVES};

/// Gives all acts in their order.
pub(crate) fn give(trueup: &Path, kubectl: &Path) -> Result<()> {
    let began = Instant::now();
    title("A hub and three leaves, an API server each");
    let mut fleet = Fleet::start(trueup, kubectl)?;
    good(&format!("four Kubernetes {} answer after {}", fleet.version()?, seconds(began.elapsed())));
    installed(&mut fleet)?;
    configured(&fleet)?;
    rollout(&fleet)?;
    killed(&mut fleet)?;
    cut_off(&fleet)?;
    title("In the end");
    fleet.show_status()?;
    println!();
    good(&format!("all of it held, in {}", seconds(began.elapsed())));
    Ok(())
}

fn installed(fleet: &mut Fleet) -> Result<()> {
    title("trueup is installed in the hub: two replicas");
    typed("trueup install | kubectl apply --server-side -f -");
    fleet.install()?;
    let took = fleet.shared_by(2)?;
    fleet.show(&["get", "pods"])?;
    fleet.show(&["get", "leases"])?;
    good(&format!("two replicas share the work after {}", seconds(took)));
    Ok(())
}

fn configured(fleet: &Fleet) -> Result<()> {
    title("Clusters, an environment over all of them, an app");
    let first = fleet.commit("1.0.0")?;
    typed("kubectl apply --server-side -f fleet.yaml");
    fleet.configure()?;
    fleet.reached(&LEAVES, "1.0.0", &first)?;
    fleet.show(&["wait", "--for=condition=Ready", "--timeout=60s", "apps/web"])?;
    fleet.show(&["get", "clusters,environments,apps"])?;
    good("the app is Synced and Healthy in the whole fleet");
    Ok(())
}

fn rollout(fleet: &Fleet) -> Result<()> {
    title("A commit goes over the fleet: the canary first, then one by one");
    let commit = fleet.commit("1.1.0")?;
    let order = fleet.reached(&LEAVES, "1.1.0", &commit)?;
    for (leaf, after) in &order {
        note(&format!("{leaf:<8} has 1.1.0 after {}", seconds(*after)));
    }
    ensure!(order[0].0 == LEAVES[0], "{} was before the canary", order[0].0);
    good("the canary was first");
    Ok(())
}

fn killed(fleet: &mut Fleet) -> Result<()> {
    title("A replica is killed");
    let dead = fleet.replicas.remove(0);
    typed(&format!("kill -KILL    # {}", dead.pod));
    drop(dead);
    let commit = fleet.commit("1.2.0")?;
    let order = fleet.reached(&LEAVES, "1.2.0", &commit)?;
    fleet.shared_by(1)?;
    fleet.show(&["get", "leases"])?;
    good(&format!(
        "the other one has all clusters, and the next commit was everywhere after {}",
        seconds(last(&order))
    ));
    Ok(())
}

fn cut_off(fleet: &Fleet) -> Result<()> {
    let away = LEAVES[2];
    let others = &LEAVES[..2];
    title(&format!("A cluster is cut off: {away}"));
    let leaf = fleet.leaf(away)?;
    leaf.stop_api_server()?;
    let cluster = format!("clusters/{away}");
    fleet.show(&["wait", "--for=condition=Ready=false", "--timeout=120s", &cluster])?;
    let commit = fleet.commit("1.3.0")?;
    let order = fleet.reached(others, "1.3.0", &commit)?;
    for (leaf, after) in &order {
        note(&format!("{leaf:<8} has 1.3.0 after {}", seconds(*after)));
    }
    fleet.show_status()?;
    good("the others go on");
    leaf.start_api_server()?;
    let order = fleet.reached(&LEAVES, "1.3.0", &commit)?;
    fleet.show(&["wait", "--for=condition=Ready", "--timeout=60s", &cluster, "apps/web"])?;
    fleet.show(&["get", "clusters"])?;
    good(&format!("{away} is back, and has 1.3.0 after {}", seconds(last(&order))));
    Ok(())
}

/// When the last leaf had it.
fn last(order: &[(String, Duration)]) -> Duration {
    order.last().map_or(Duration::ZERO, |(_, after)| *after)
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f32())
}

fn title(text: &str) {
    println!("\n== {text}");
}

/// A command as a person would type it.
pub(crate) fn typed(text: &str) {
    println!("$ {text}");
}

fn note(text: &str) {
    println!("{text}");
}

fn good(text: &str) {
    println!("✓ {text}");
}
