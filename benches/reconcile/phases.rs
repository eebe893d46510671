//! What is done to a cluster and a repository that trueup keeps, and how long it takes until all is as it should be.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::json;

use crate::eye::Eye;
use crate::figures::Measured;
use crate::trueup::Trueup;
use crate::workload::{self, App, VERSION};

/// Commits that change an object each, an app after the other: from the end of the push until the object is changed.
pub(crate) fn changes(trueup: &Trueup<'_>, eye: &Eye, count: usize) -> Result<Measured> {
    trueup.during(|trueup| {
        let mut times = Vec::new();
        for turn in 0..count {
            let app = app_of(trueup, turn);
            let index = turn / trueup.apps.len();
            trueup.write(app, index, 1)?;
            let start = trueup.push(&format!("Change {}", app.object(index)))?;
            let seen = eye.until(&app.object(index), "v1")?;
            times.push(seen.saturating_duration_since(start));
            trueup.settle()?;
        }
        Ok(times)
    })
}

/// One commit that changes so many objects, of as many apps as there are.
pub(crate) fn change_many(trueup: &Trueup<'_>, eye: &Eye, count: usize) -> Result<Measured> {
    trueup.during(|trueup| {
        for turn in 0..count {
            let app = app_of(trueup, turn);
            trueup.write(app, app.objects - 1 - turn / trueup.apps.len(), 2)?;
        }
        let start = trueup.push("Change some")?;
        let seen = eye.until_all(count, |sight| sight.version.as_deref() == Some("v2"))?;
        trueup.settle()?;
        Ok(vec![seen.saturating_duration_since(start)])
    })
}

/// A commit that changes an object of the base that all apps are overlays of.
pub(crate) fn change_base(trueup: &Trueup<'_>, eye: &Eye, count: usize) -> Result<Measured> {
    trueup.during(|trueup| {
        let mut times = Vec::new();
        for version in 2..2 + count {
            trueup.write(app_of(trueup, 0), 1, version)?;
            let start = trueup.push("Change the base")?;
            let text = format!("v{version}");
            let seen = eye.until_all(trueup.apps.len(), |sight| sight.version.as_deref() == Some(&text))?;
            times.push(seen.saturating_duration_since(start));
            trueup.settle()?;
        }
        Ok(times)
    })
}

/// A commit that touches no app: until it is known that nothing is to be done.
pub(crate) fn elsewhere(trueup: &Trueup<'_>, count: usize) -> Result<Measured> {
    trueup.during(|trueup| {
        let mut times = Vec::new();
        for turn in 0..count {
            trueup.repository.write("README.md", format!("Reading {turn}\n").as_bytes())?;
            let start = trueup.push("Say more")?;
            trueup.settle()?;
            // The settling itself waits half a second.
            times.push(start.elapsed().saturating_sub(Duration::from_millis(500)));
        }
        Ok(times)
    })
}

/// Somebody else's writes, one at a time: from the answer to each until the object is as Git says. Each time another object,
/// so that no fight is suspected.
pub(crate) fn drifts(trueup: &Trueup<'_>, eye: &Eye, count: usize) -> Result<Measured> {
    trueup.during(|trueup| {
        let mut times = Vec::new();
        for turn in 0..count {
            let app = app_of(trueup, turn);
            let index = app.objects / 2 + turn / trueup.apps.len();
            let version = version_of(trueup, app, index)?;
            eye.blink();
            meddle(trueup, app, index)?;
            let start = Instant::now();
            let seen = eye.until(&app.object(index), &version)?;
            times.push(seen.saturating_duration_since(start));
            thread::sleep(Duration::from_millis(100));
        }
        Ok(times)
    })
}

/// As many at once: from the answer to the last write until all objects are as Git says.
pub(crate) fn many_drifts(trueup: &Trueup<'_>, eye: &Eye, count: usize) -> Result<Measured> {
    trueup.during(|trueup| {
        let app = app_of(trueup, 0);
        eye.blink();
        let mut start = Instant::now();
        for index in 0..count {
            meddle(trueup, app_of(trueup, index), app.objects / 4 + index / trueup.apps.len())?;
            start = Instant::now();
        }
        let repaired =
            eye.until_all(count, |sight| sight.version.as_deref().is_some_and(|v| v != "drifted"))?;
        Ok(vec![repaired.saturating_duration_since(start)])
    })
}

/// How many objects of an app stay when a tenth of them is removed.
fn kept(app: &App) -> usize {
    app.objects - app.objects / 10
}

/// A commit that removes a tenth of each app.
pub(crate) fn prune(trueup: &Trueup<'_>, eye: &Eye) -> Result<Measured> {
    trueup.during(|trueup| {
        let mut removed = 0;
        for app in &trueup.apps {
            let keep = kept(app);
            removed += app.objects - keep;
            trueup.repository.write(&app.root(), app.kustomization(|index| index < keep).as_bytes())?;
        }
        eye.blink();
        let start = trueup.push("Remove a tenth")?;
        let seen = eye.until_all(removed, |sight| sight.version.is_none())?;
        trueup.settle()?;
        Ok(vec![seen.saturating_duration_since(start)])
    })
}

/// Controllers that write 50 statuses a second.
pub(crate) fn status_churn(trueup: &Trueup<'_>, time: Duration) -> Result<Measured> {
    const PAUSE: Duration = Duration::from_millis(20);
    let routes: Vec<String> = trueup
        .apps
        .iter()
        .flat_map(|app| (0..kept(app)).filter(|index| app.is_route(*index)).map(|index| app.path(index)))
        .take(50)
        .collect();
    trueup.during(|trueup| {
        let start = Instant::now();
        for (turn, path) in routes.iter().cycle().enumerate() {
            let due = start + PAUSE * u32::try_from(turn).unwrap_or(u32::MAX);
            thread::sleep(due.saturating_duration_since(Instant::now()));
            if start.elapsed() > time {
                break;
            }
            let status = json!({"status": {"checks": turn, "seen": format!("{turn} times")}});
            trueup.plane.api().merge(&format!("{path}/status"), &status)?;
        }
        Ok(vec![start.elapsed()])
    })
}

/// Nothing.
pub(crate) fn idle(trueup: &Trueup<'_>, time: Duration) -> Result<Measured> {
    // What follows on the last work is not part of the quiet.
    thread::sleep(Duration::from_secs(3));
    trueup.during(|_| {
        thread::sleep(time);
        Ok(vec![time])
    })
}

/// The API server goes and comes back: from its return until a drift is repaired again.
pub(crate) fn server_restart(trueup: &Trueup<'_>) -> Result<Measured> {
    let app = app_of(trueup, 0);
    let version = version_of(trueup, app, 1)?;
    trueup.plane.stop_api_server()?;
    thread::sleep(Duration::from_secs(2));
    trueup.plane.start_api_server()?;
    let eye = Eye::open(trueup.plane, &workload::collections(app.mix, &app.namespace))?;
    trueup.during(|trueup| {
        meddle(trueup, app, 1)?;
        let start = Instant::now();
        let seen = eye.until(&app.object(1), &version)?;
        Ok(vec![seen.saturating_duration_since(start)])
    })
}

fn app_of<'t>(trueup: &'t Trueup<'_>, turn: usize) -> &'t App {
    &trueup.apps[turn % trueup.apps.len()]
}

fn version_of(trueup: &Trueup<'_>, app: &App, index: usize) -> Result<String> {
    let object = trueup.plane.api().get(&app.path(index))?;
    Ok(object["metadata"]["annotations"][VERSION].as_str().unwrap_or_default().to_owned())
}

fn meddle(trueup: &Trueup<'_>, app: &App, index: usize) -> Result<()> {
    let change = json!({"metadata": {"annotations": {VERSION: "drifted"}}});
    trueup.plane.api().merge(&app.path(index), &change).map(drop)
}
