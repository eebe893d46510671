//! The acts: a first sync, a rollout, drift, a broken commit, an object that leaves Git. Each checks what it shows.

use super::stage::{NAMESPACES, Stage};
use super::{Place, Then, teller};
use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use std::time::{Duration, Instant};
use trueup_plan::record::SyncStatus;

const API: &str = "apps/api/base/kustomization.yaml";
const WEB: &str = "apps/web/base/deployment.yaml";
/// How long what needs no rollout may take.
const SOON: Duration = Duration::from_mins(1);

/// Gives all acts in their order.
pub(super) async fn give(stage: &mut Stage, then: Then) -> Result<()> {
    let began = Instant::now();
    let version = stage.eye.version().await?;
    teller::title(match stage.place() {
        Place::Sandbox => "A cluster: the sandbox, a Kubernetes API in this process's memory",
        Place::Cluster { .. } => "A cluster: yours",
    });
    teller::good(format_args!("Kubernetes {version} answers"));
    teller::note(format_args!("the config repository is {}", stage.shop.folder().display()));
    let acts = [Act::FirstSync, Act::Rollout, Act::Drift, Act::BrokenCommit, Act::Removal];
    for act in acts {
        tokio::time::sleep(then.pause()).await;
        match act {
            Act::FirstSync => first_sync(stage).await?,
            Act::Rollout => rollout(stage).await?,
            Act::Drift => drift(stage).await?,
            Act::BrokenCommit => broken_commit(stage).await?,
            Act::Removal => removal(stage).await?,
        }
    }
    tokio::time::sleep(then.pause()).await;
    teller::title("What happened to api@staging");
    stage.show(&["history", "api@staging"]).await?;
    teller::note("");
    teller::good(format_args!("all of it held, in {:.1} s", began.elapsed().as_secs_f32()));
    Ok(())
}

#[derive(Clone, Copy)]
enum Act {
    FirstSync,
    Rollout,
    Drift,
    BrokenCommit,
    Removal,
}

async fn first_sync(stage: &mut Stage) -> Result<()> {
    teller::title("trueup makes the cluster what Git says");
    let head = stage.shop.commit("Let trueup keep the shop")?;
    teller::typed("trueup run");
    stage.start()?;
    let took = stage.settled(&head, stage.patience()).await?;
    teller::good(format_args!("staging and production are Synced and Healthy after {}", time(took)));
    let code = stage.show(&["status"]).await?;
    ensure!(code == 0, "trueup status ended with {code}");
    Ok(())
}

async fn rollout(stage: &mut Stage) -> Result<()> {
    teller::title("A commit changes an image");
    let (old, new) = stage.shop.replace(API, "newTag: 6.8.0", "newTag: 6.9.0")?;
    teller::note(format_args!("{API}\n-{old}\n+{new}"));
    teller::note("what it would do, before it is committed:");
    let folder = stage.shop.folder().display().to_string();
    let code = stage.show(&["diff", "api@production", "--local", &folder]).await?;
    ensure!(code == 1, "trueup diff found no difference: it ended with {code}");
    let head = commit(stage, "Roll out API 6.9.0")?;
    let took = stage
        .until("the new image in both environments", SOON, async |stage| {
            for namespace in NAMESPACES {
                let object = deployment(stage, namespace).await?;
                if !object["spec"].to_string().contains("podinfo:6.9.0") {
                    return Ok(false);
                }
            }
            Ok(true)
        })
        .await?;
    teller::good(format_args!("the new image is in both environments {} after the commit", time(took)));
    let took = stage.settled(&head, stage.patience()).await?;
    teller::good(format_args!("rolled out after {} more", time(took)));
    Ok(())
}

async fn drift(stage: &mut Stage) -> Result<()> {
    teller::title("Somebody scales the API by hand");
    let path = deployment_path("shop-staging");
    let wanted = deployment(stage, "shop-staging").await?["spec"]["replicas"].clone();
    teller::note(format_args!(
        "kubectl scale -n shop-staging deployment/api --replicas=7     (Git says {wanted})"
    ));
    stage.eye.scale(&path, 7).await?;
    let took = stage
        .until("the repair of the drift", SOON, async |stage| {
            Ok(deployment(stage, "shop-staging").await?["spec"]["replicas"] == wanted)
        })
        .await?;
    teller::good(format_args!("{wanted} again after {}", time(took)));
    stage
        .until("the record of the drift", SOON, async |stage| {
            Ok(stage.statuses().await.iter().all(trueup_plan::record::TargetStatus::is_settled))
        })
        .await?;
    stage.show(&["drift"]).await?;
    Ok(())
}

async fn broken_commit(stage: &mut Stage) -> Result<()> {
    teller::title("A commit breaks a file");
    let before = stage.eye.find(&web("shop-production")).await?.context("the web Deployment")?;
    let (old, new) = stage.shop.replace(WEB, "kind: Deployment", "kind: [Deployment")?;
    teller::note(format_args!("{WEB}\n-{old}\n+{new}"));
    commit(stage, "Break the web")?;
    stage
        .until("the word on the broken file", SOON, async |stage| {
            let statuses = stage.statuses().await;
            let mut web = statuses.iter().filter(|status| status.app == "web");
            Ok(web.all(|status| status.sync == SyncStatus::Failed && status.message.contains(WEB)))
        })
        .await?;
    let code = stage.show(&["status", "web"]).await?;
    ensure!(code == 1, "trueup status ended with {code}, although a target failed");
    let after = stage.eye.find(&web("shop-production")).await?.context("the web Deployment")?;
    ensure!(before["metadata"]["generation"] == after["metadata"]["generation"], "the Deployment changed");
    teller::good("said where, and nothing was touched: the last good commit stays in force");
    stage.shop.replace(WEB, "kind: [Deployment", "kind: Deployment")?;
    let head = commit(stage, "Mend the web")?;
    let took = stage.settled(&head, SOON).await?;
    teller::good(format_args!("well again {} after the mending commit", time(took)));
    Ok(())
}

async fn removal(stage: &mut Stage) -> Result<()> {
    teller::title("A commit removes an object");
    let job = |namespace: &str| format!("/apis/batch/v1/namespaces/{namespace}/cronjobs/api-cleanup");
    for namespace in NAMESPACES {
        stage
            .eye
            .find(&job(namespace))
            .await?
            .with_context(|| format!("there is no CronJob in {namespace}"))?;
    }
    stage.shop.remove("apps/api/base/cleanup.yaml")?;
    stage.shop.take_line(API, "cleanup.yaml")?;
    teller::note("apps/api/base/cleanup.yaml goes, and with it the CronJob api-cleanup");
    let head = commit(stage, "Forget baskets in the API itself")?;
    let took = stage
        .until("the end of the CronJobs", SOON, async |stage| {
            for namespace in NAMESPACES {
                if stage.eye.find(&job(namespace)).await?.is_some() {
                    return Ok(false);
                }
            }
            Ok(true)
        })
        .await?;
    teller::good(format_args!("gone from both environments {} after the commit", time(took)));
    stage.settled(&head, SOON).await?;
    stage.show(&["status"]).await?;
    Ok(())
}

fn commit(stage: &Stage, message: &str) -> Result<String> {
    let head = stage.shop.commit(message)?;
    teller::typed(format_args!("git commit -am '{message}'"));
    Ok(head)
}

fn deployment_path(namespace: &str) -> String {
    format!("/apis/apps/v1/namespaces/{namespace}/deployments/api")
}

async fn deployment(stage: &Stage, namespace: &str) -> Result<Value> {
    let object = stage.eye.find(&deployment_path(namespace)).await?;
    object.with_context(|| format!("there is no Deployment api in {namespace}"))
}

fn web(namespace: &str) -> String {
    format!("/apis/apps/v1/namespaces/{namespace}/deployments/web")
}

fn time(duration: Duration) -> String {
    if duration < Duration::from_secs(1) {
        format!("{} ms", duration.as_millis())
    } else {
        format!("{:.1} s", duration.as_secs_f32())
    }
}
