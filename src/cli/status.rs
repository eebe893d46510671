//! `trueup status`: how each target stands.

use super::Verdict;
use super::output::{self, BAD, Cell, Format, GOOD, UNSURE};
use super::remote::Reached;
use super::session::Session;
use crate::store::Reader;
use crate::sync::offline;
use crate::sync::topology::{is_meant, no_target};
use crate::sync::view::{AppSetStanding, ClusterStanding, ClusterState};
use crate::web::api::Targets;
use anyhow::{Result, bail};
use clap::Args;
use clap::builder::styling::Style;
use jiff::Timestamp;
use std::io::{IsTerminal as _, Write};
use std::time::Duration;
use trueup_plan::HealthStatus;
use trueup_plan::overdraft::RepositoryHold;
use trueup_plan::record::{BasePin, SyncStatus, TargetStatus};

const WATCH_EVERY: Duration = Duration::from_secs(1);
const CLEAR: &str = "\x1b[H\x1b[2J";

/// Show how targets stand: to Git, and by their health
///
/// Asks the running trueup; without one, shows what it last wrote to the state folder, or what the cluster says.
/// Exits with 0 if all are Synced and Healthy, with 1 otherwise.
#[derive(Debug, Args)]
pub(super) struct Status {
    /// Targets: web@production/eu-1, all clusters of web@production, or all of web
    #[arg(value_name = "TARGET")]
    targets: Vec<String>,
    /// Show changes as they come, until interrupted
    #[arg(long, short)]
    watch: bool,
}

impl Status {
    pub(super) async fn run(&self, session: &Session, out: &mut dyn Write) -> Result<Verdict> {
        if self.watch {
            return self.watch(session, out).await;
        }
        let (shown, source) = self.shown(session).await?;
        if let Some(note) = source.note(session) {
            anstream::eprintln!("{note}");
        }
        write_with(out, session.output, &shown, Timestamp::now())?;
        let is_fine = shown.targets.iter().all(TargetStatus::is_settled)
            && shown.app_sets.iter().all(|set| set.state.is_fine());
        Ok(Verdict::fine_if(is_fine))
    }

    /// What is asked for: the AppSets, too, where no target is named.
    async fn shown(&self, session: &Session) -> Result<(Targets, Source)> {
        let (mut all, source) = read_all(session).await?;
        all.targets = select(all.targets, &self.targets)?;
        if !self.targets.is_empty() {
            all.app_sets.clear();
            all.clusters.retain(|cluster| all.targets.iter().any(|status| status.cluster == cluster.name));
            let held = |hold: &RepositoryHold| {
                all.targets.iter().any(|status| hold.targets.contains_key(&status.target))
            };
            all.held.retain(held);
        }
        Ok((all, source))
    }

    async fn watch(&self, session: &Session, out: &mut dyn Write) -> Result<Verdict> {
        let clear = std::io::stdout().is_terminal();
        let mut shown = None;
        loop {
            let now = self.shown(session).await?.0;
            // On a terminal the ages move as well; elsewhere only changes are news.
            if clear || shown.as_ref() != Some(&now) {
                if clear {
                    write!(out, "{CLEAR}")?;
                }
                write_with(out, session.output, &now, Timestamp::now())?;
                out.flush()?;
                shown = Some(now);
            }
            tokio::time::sleep(WATCH_EVERY).await;
        }
    }
}

/// Where statuses come from.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Source {
    Server,
    State(String),
    Cluster(String),
}

impl Source {
    fn note(&self, session: &Session) -> Option<String> {
        match self {
            Self::Server => None,
            Self::State(why) => {
                Some(format!("{why}; this is what it last wrote to {}", session.state.display()))
            }
            Self::Cluster(why) => {
                Some(format!("{why}; this is what the clusters of {} say", session.config.display()))
            }
        }
    }
}

/// How all targets and AppSets stand, from the best source that there is. Of AppSets only a running trueup knows.
pub(super) async fn read_all(session: &Session) -> Result<(Targets, Source)> {
    let alone = match session.remote.standing().await? {
        Reached::Yes(standing) => return Ok((standing, Source::Server)),
        Reached::No(why) => session.alone(why)?,
    };
    if let Some(reader) = Reader::open(&session.state)? {
        return Ok((only(reader.statuses()?), Source::State(alone.why)));
    }
    let config = session.config_or(&alone)?;
    Ok((only(offline::statuses(config).await?), Source::Cluster(alone.why)))
}

fn only(targets: Vec<TargetStatus>) -> Targets {
    Targets::new(targets, Vec::new())
}

/// The named ones of all statuses, in their order; all where none is named.
pub(super) fn select(statuses: Vec<TargetStatus>, names: &[String]) -> Result<Vec<TargetStatus>> {
    for name in names {
        if !statuses.iter().any(|status| is_meant(&status.target, name)) {
            bail!(no_target(name, statuses.iter().map(|status| status.target.as_str())));
        }
    }
    let wanted =
        |status: &TargetStatus| names.is_empty() || names.iter().any(|name| is_meant(&status.target, name));
    Ok(statuses.into_iter().filter(wanted).collect())
}

/// Writes statuses as `format` says.
pub(super) fn write(
    out: &mut dyn Write,
    format: Format,
    statuses: &[TargetStatus],
    now: Timestamp,
) -> Result<()> {
    write_with(out, format, &only(statuses.to_vec()), now)
}

/// Writes how targets and AppSets stand as `format` says.
pub(super) fn write_with(out: &mut dyn Write, format: Format, all: &Targets, now: Timestamp) -> Result<()> {
    match format {
        Format::Json => return output::json(out, all),
        Format::Yaml => return output::yaml(out, all),
        Format::Table | Format::Wide | Format::Name => {}
    }
    if format == Format::Name || !all.targets.is_empty() || all.app_sets.is_empty() {
        write_targets(out, format, &all.targets, now)?;
    }
    if format == Format::Name {
        return Ok(());
    }
    write_app_sets(out, &all.app_sets, !all.targets.is_empty())?;
    write_clusters(out, &all.clusters, now)?;
    write_holds(out, &all.held)
}

fn write_holds(out: &mut dyn Write, holds: &[RepositoryHold]) -> Result<()> {
    if holds.is_empty() {
        return Ok(());
    }
    writeln!(out)?;
    let row = |hold: &RepositoryHold| {
        vec![Cell::new(&hold.repository), Cell::styled(hold.deletions, UNSURE), Cell::new(hold)]
    };
    output::table(out, &["REPOSITORY", "HELD", "MESSAGE"], &holds.iter().map(row).collect::<Vec<_>>())
}

/// Says nothing of a single cluster that is there.
fn write_clusters(out: &mut dyn Write, clusters: &[ClusterStanding], now: Timestamp) -> Result<()> {
    let is_lost = |cluster: &ClusterStanding| cluster.state == ClusterState::Unreachable;
    if clusters.len() < 2 && !clusters.iter().any(is_lost) {
        return Ok(());
    }
    writeln!(out)?;
    let row = |cluster: &ClusterStanding| {
        let style = match cluster.state {
            ClusterState::Reachable => GOOD,
            ClusterState::Pending => UNSURE,
            ClusterState::Unreachable => BAD,
        };
        let since = cluster.since.map(|since| output::age(now.duration_since(since))).unwrap_or_default();
        vec![
            Cell::new(&cluster.name),
            Cell::styled(format!("{:?}", cluster.state), style),
            Cell::new(since),
            Cell::new(&cluster.version),
            Cell::new(cluster.targets),
            Cell::new(cluster.message.lines().next().unwrap_or_default()),
        ]
    };
    let rows: Vec<_> = clusters.iter().map(row).collect();
    output::table(out, &["CLUSTER", "STATE", "FOR", "VERSION", "TARGETS", "MESSAGE"], &rows)
}

fn write_app_sets(out: &mut dyn Write, app_sets: &[AppSetStanding], is_second: bool) -> Result<()> {
    if app_sets.is_empty() {
        return Ok(());
    }
    if is_second {
        writeln!(out)?;
    }
    let row = |set: &AppSetStanding| {
        let style = if set.state.is_fine() { GOOD } else { UNSURE };
        vec![
            Cell::new(&set.name),
            Cell::new(set.apps.len()),
            Cell::styled(format!("{:?}", set.state), style),
            Cell::new(set.message.lines().next().unwrap_or_default()),
        ]
    };
    let rows: Vec<_> = app_sets.iter().map(row).collect();
    output::table(out, &["APPSET", "APPS", "STATE", "MESSAGE"], &rows)
}

fn write_targets(
    out: &mut dyn Write,
    format: Format,
    statuses: &[TargetStatus],
    now: Timestamp,
) -> Result<()> {
    match format {
        // These are whole documents.
        Format::Json | Format::Yaml => Ok(()),
        Format::Name => Ok(statuses.iter().try_for_each(|status| writeln!(out, "{}", status.target))?),
        Format::Table => {
            let header =
                ["TARGET", "SYNC", "HEALTH", "REVISION", "OBJECTS", "DRIFTED", "LAST SYNC", "MESSAGE"];
            let rows: Vec<_> = statuses.iter().map(|status| row(status, now, &[])).collect();
            output::table(out, &header, &rows)
        }
        Format::Wide => {
            let header = [
                "TARGET",
                "SYNC",
                "HEALTH",
                "REVISION",
                "OBJECTS",
                "DRIFTED",
                "LAST SYNC",
                "APP",
                "ENVIRONMENT",
                "CLUSTER",
                "BASES",
                "MESSAGE",
            ];
            let wide = |status: &TargetStatus| {
                let bases = bases(&status.bases);
                row(status, now, &[&status.app, &status.environment, &status.cluster, &bases])
            };
            output::table(out, &header, &statuses.iter().map(wide).collect::<Vec<_>>())
        }
    }
}

fn row(status: &TargetStatus, now: Timestamp, more: &[&str]) -> Vec<Cell> {
    let last =
        status.last_sync.map_or_else(|| "never".to_owned(), |time| output::age(now.duration_since(time)));
    let sync =
        if status.suspended { format!("{} (suspended)", status.sync) } else { status.sync.to_string() };
    let mut cells = vec![
        Cell::new(&status.target),
        Cell::styled(sync, sync_style(status.sync)),
        Cell::styled(status.health, health_style(status.health)),
        Cell::new(output::short(&status.revision)),
        Cell::new(status.objects),
        Cell::styled(status.drifted, if status.drifted == 0 { Style::new() } else { UNSURE }),
        Cell::new(last),
    ];
    cells.extend(more.iter().map(Cell::new));
    cells.push(Cell::new(status.message.lines().next().unwrap_or_default()));
    cells
}

/// `base@v1 at 1f2e3d4c`: which commits of other repositories were rendered.
fn bases(pins: &[BasePin]) -> String {
    let pins: Vec<String> = pins
        .iter()
        .map(|pin| {
            let name = pin.url.trim_end_matches('/').rsplit(['/', ':']).next().unwrap_or(&pin.url);
            let name = name.strip_suffix(".git").unwrap_or(name);
            let at = if pin.reference.is_empty() { String::new() } else { format!("@{}", pin.reference) };
            format!("{name}{at} at {}", output::short(&pin.revision))
        })
        .collect();
    pins.join(", ")
}

fn sync_style(sync: SyncStatus) -> Style {
    match sync {
        SyncStatus::Synced => GOOD,
        SyncStatus::OutOfSync | SyncStatus::Syncing | SyncStatus::Unknown => UNSURE,
        SyncStatus::Failed => BAD,
    }
}

fn health_style(health: HealthStatus) -> Style {
    match health {
        HealthStatus::Healthy => GOOD,
        HealthStatus::Progressing
        | HealthStatus::Suspended
        | HealthStatus::Missing
        | HealthStatus::Unknown => UNSURE,
        HealthStatus::Degraded => BAD,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    fn shown(clusters: &[(&str, ClusterState)]) -> String {
        let cluster = |(name, state): &(&str, ClusterState)| ClusterStanding {
            name: (*name).to_owned(),
            state: *state,
            version: "v1.36.0".to_owned(),
            targets: 3,
            since: Some(Timestamp::UNIX_EPOCH),
            message: if *state == ClusterState::Unreachable { "refused".into() } else { String::new() },
        };
        let clusters: Vec<_> = clusters.iter().map(cluster).collect();
        let now = Timestamp::from_second(90).unwrap();
        let mut out = Vec::new();
        write_clusters(&mut out, &clusters, now).unwrap();
        let text = anstream::adapter::strip_bytes(&out).into_vec();
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn clusters_are_shown_where_there_are_several_or_one_is_lost() {
        assert_eq!(shown(&[]), "");
        assert_eq!(shown(&[("here", ClusterState::Reachable)]), "");
        assert_eq!(shown(&[("here", ClusterState::Pending)]), "");
        expect![[r"

            CLUSTER  STATE        FOR  VERSION  TARGETS  MESSAGE
            here     Unreachable  1m   v1.36.0  3        refused
        "]]
        .assert_eq(&shown(&[("here", ClusterState::Unreachable)]));
        expect![[r"

            CLUSTER  STATE      FOR  VERSION  TARGETS  MESSAGE
            eu-1     Reachable  1m   v1.36.0  3
            eu-2     Pending    1m   v1.36.0  3
        "]]
        .assert_eq(&shown(&[("eu-1", ClusterState::Reachable), ("eu-2", ClusterState::Pending)]));
    }
}
