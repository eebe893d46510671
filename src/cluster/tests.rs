//! What must hold when the way to a cluster, or the cluster's own memory, cannot be relied on.

use super::lossy::{Fate, Lossy, Versions};
use super::{Apply, Cluster, ClusterEvent, Deletion, Force, Mode, Parent};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use trueup_merge::extract::wanted;
use trueup_model::{GroupKind, ObjectId};
use trueup_plan::apply_set::{GROUP_KINDS, ID, PART_OF, TOOLING};

const RECORD: &str = "/api/v1/namespaces/shop/configmaps/trueup.web.test";

fn kind(name: &str) -> GroupKind {
    GroupKind::new("", name)
}

fn record(kinds: &[&str]) -> Parent {
    Parent {
        name: "trueup.web.test".to_owned(),
        namespace: "shop".to_owned(),
        id: "applyset-x-v1".to_owned(),
        kinds: kinds.iter().copied().map(kind).collect(),
        namespaces: BTreeSet::from(["shop".to_owned()]),
        data: BTreeMap::new(),
        uid: String::new(),
        version: String::new(),
    }
}

fn named(lossy: &Lossy) -> String {
    let record = lossy.get(RECORD).unwrap();
    record["metadata"]["annotations"][GROUP_KINDS].as_str().unwrap().to_owned()
}

#[tokio::test(start_paused = true)]
async fn a_write_of_a_record_that_comes_late_takes_nothing_out_that_was_noted_since() {
    let lossy = Lossy::new();
    let cluster = lossy.cluster().await;
    let first = cluster.write_parent(&record(&["ConfigMap", "Secret"])).await.unwrap();
    lossy.next("PATCH", "trueup.web.test", Fate::Late);
    let shrunk = Parent { kinds: BTreeSet::from([kind("ConfigMap")]), ..first.clone() };
    assert!(cluster.write_parent(&shrunk).await.is_err());
    let kinds = ["ConfigMap", "Secret", "Service"].map(kind).into();
    cluster.write_parent(&Parent { kinds, ..first }).await.unwrap();
    assert_eq!(lossy.deliver(), [409]);
    assert_eq!(named(&lossy), "ConfigMap,Secret,Service");
}

#[tokio::test(start_paused = true)]
async fn a_record_that_is_created_late_does_not_replace_the_one_that_is_there() {
    let lossy = Lossy::new();
    let cluster = lossy.cluster().await;
    lossy.next("POST", "/configmaps", Fate::Late);
    assert!(cluster.write_parent(&record(&["ConfigMap"])).await.is_err());
    cluster.write_parent(&record(&["ConfigMap", "Secret"])).await.unwrap();
    assert_eq!(lossy.deliver(), [409]);
    assert_eq!(named(&lossy), "ConfigMap,Secret");
}

#[tokio::test(start_paused = true)]
async fn a_record_that_is_another_one_by_now_keeps_what_it_names() {
    let lossy = Lossy::new();
    let cluster = lossy.cluster().await;
    let known = cluster.write_parent(&record(&["ConfigMap"])).await.unwrap();
    let kinds = ["ConfigMap", "Secret"].map(kind).into();
    cluster.write_parent(&Parent { kinds, ..known.clone() }).await.unwrap();
    let written = cluster.write_parent(&known).await.unwrap();
    assert!(written.kinds.contains(&kind("Secret")));
    assert_eq!(named(&lossy), "ConfigMap,Secret");
}

fn member(name: &str) -> serde_json::Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "labels": {PART_OF: "set"}}})
}

fn secret() -> serde_json::Value {
    json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "x", "labels": {PART_OF: "set"}}})
}

/// A way to a cluster, and the cluster, in which kinds of the core's group are watched.
async fn watching(kinds: &[&str]) -> (Lossy, Cluster) {
    let lossy = Lossy::new();
    let cluster = lossy.cluster().await;
    cluster.discover().await.unwrap();
    cluster.watch(&kinds.iter().copied().map(kind).collect());
    (lossy, cluster)
}

fn members(cluster: &Cluster) -> Vec<String> {
    cluster.members(&["set".to_owned()]).members.keys().map(|id| id.name.clone()).collect()
}

/// Waits until the cluster is known to have these members.
async fn until(cluster: &Cluster, names: &[&str]) {
    let seen = async {
        while members(cluster) != names {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let long = Duration::from_mins(30);
    assert!(tokio::time::timeout(long, seen).await.is_ok(), "{:?} and not {names:?}", members(cluster));
}

#[tokio::test(start_paused = true)]
async fn a_cluster_that_was_put_back_to_a_backup_is_seen_as_it_is_then() {
    let (lossy, cluster) = watching(&["ConfigMap"]).await;
    lossy.post("/api/v1/namespaces/shop/configmaps", &member("kept"));
    until(&cluster, &["kept"]).await;
    let restore = lossy.restore_to_before(Versions::Repeated, |lossy| {
        lossy.post("/api/v1/namespaces/shop/configmaps", &member("lost"));
        lossy.post("/api/v1/namespaces/shop/configmaps", &member("lost-too"));
    });
    until(&cluster, &["kept", "lost", "lost-too"]).await;
    let breaks = cluster.breaks();
    restore(&lossy);
    until(&cluster, &["kept"]).await;
    assert!(cluster.breaks() > breaks, "what was read before is from another history");
    // Its version was given out before.
    lossy.post("/api/v1/namespaces/shop/configmaps", &member("anew"));
    until(&cluster, &["anew", "kept"]).await;
    cluster.stop();
}

#[tokio::test(start_paused = true)]
async fn a_backup_is_noticed_before_the_versions_since_are_given_out_anew() {
    let (lossy, cluster) = watching(&["ConfigMap"]).await;
    lossy.post("/api/v1/namespaces/shop/configmaps", &member("kept"));
    until(&cluster, &["kept"]).await;
    let restore = lossy.restore_to_before(Versions::Repeated, |lossy| {
        lossy.post("/api/v1/namespaces/shop/configmaps", &member("lost"));
    });
    until(&cluster, &["kept", "lost"]).await;
    restore(&lossy);
    tokio::time::sleep(Duration::from_secs(1)).await;
    // A watch that went on from the version of what was lost would hear of the second one alone.
    for name in ["anew", "anew-too"] {
        lossy.post("/api/v1/namespaces/shop/configmaps", &member(name));
    }
    until(&cluster, &["anew", "anew-too", "kept"]).await;
    cluster.stop();
}

fn everywhere(name: &str) -> BTreeSet<super::Place> {
    BTreeSet::from([(kind(name), String::new())])
}

#[tokio::test(start_paused = true)]
async fn whether_a_set_has_members_somewhere_is_known_without_asking() {
    let (lossy, cluster) = watching(&["ConfigMap"]).await;
    lossy.post("/api/v1/namespaces/shop/configmaps", &member("kept"));
    until(&cluster, &["kept"]).await;
    let asked = lossy.count("GET", "");
    let found = cluster.vacant("set", &everywhere("ConfigMap")).await;
    assert_eq!(found, Err("ConfigMap shop/kept is there".to_owned()));
    let within = |namespace: &str| BTreeSet::from([(kind("ConfigMap"), namespace.to_owned())]);
    assert!(cluster.vacant("set", &within("shop")).await.is_err());
    assert_eq!(cluster.vacant("set", &within("other")).await, Ok(()));
    assert_eq!(cluster.vacant("another", &everywhere("ConfigMap")).await, Ok(()));
    lossy.remove("/api/v1/namespaces/shop/configmaps/kept");
    until(&cluster, &[]).await;
    assert_eq!(cluster.vacant("set", &everywhere("ConfigMap")).await, Ok(()));
    assert_eq!(lossy.count("GET", ""), asked);
    cluster.stop();
}

#[tokio::test(start_paused = true)]
async fn a_kind_that_was_not_heard_of_since_connections_were_cut_off_is_asked_for() {
    let (lossy, cluster) = watching(&["ConfigMap", "Secret"]).await;
    lossy.post("/api/v1/namespaces/shop/secrets", &secret());
    until(&cluster, &["x"]).await;
    let restore = lossy.restore_to_before(Versions::Bumped, |lossy| {
        lossy.remove("/api/v1/namespaces/shop/secrets/x");
    });
    until(&cluster, &[]).await;
    assert_eq!(cluster.vacant("set", &everywhere("Secret")).await, Ok(()));
    // The watch of ConfigMaps is the first to notice, that of Secrets is held up.
    lossy.next("GET", "/api/v1/secrets", Fate::Hangs);
    let breaks = cluster.breaks();
    restore(&lossy);
    while cluster.breaks() == breaks {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(members(&cluster).is_empty());
    let found = cluster.vacant("set", &everywhere("Secret")).await;
    assert_eq!(found, Err("Secret shop/x is there".to_owned()));
    lossy.next("GET", "/api/v1/secrets", Fate::Lost);
    let found = cluster.vacant("set", &everywhere("Secret")).await;
    assert!(found.is_err(), "who cannot be asked does not say that nothing is there: {found:?}");
    until(&cluster, &["x"]).await;
    lossy.remove("/api/v1/namespaces/shop/secrets/x");
    until(&cluster, &[]).await;
    assert_eq!(cluster.vacant("set", &everywhere("Secret")).await, Ok(()));
    let gone = BTreeSet::from([(GroupKind::new("gone.example", "Gone"), String::new())]);
    assert_eq!(cluster.vacant("set", &gone).await, Ok(()), "what is not served has no objects");
    cluster.stop();
}

#[tokio::test(start_paused = true)]
async fn an_apply_that_is_throttled_or_waits_is_not_sent_to_a_server_that_may_have_been_put_back() {
    let (lossy, cluster) = watching(&["ConfigMap"]).await;
    lossy.post("/api/v1/namespaces/shop/configmaps", &member("kept"));
    until(&cluster, &["kept"]).await;
    let id = ObjectId::new("", "ConfigMap", "shop", "web");
    let body = member("web").to_string();
    let request =
        Apply { id: &id, api_version: "v1", body: body.as_bytes(), mode: Mode::Write, force: Force::Yes };
    lossy.next("PATCH", "configmaps/web", Fate::Throttled(2));
    let (other, text) = (ObjectId::new("", "ConfigMap", "shop", "other"), member("other").to_string());
    let waits = Apply { id: &other, body: text.as_bytes(), ..request };
    let waiting = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        cluster.apply(&waits).await
    };
    let interrupted = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        lossy.disconnect();
    };
    let (applied, waited, ()) = tokio::join!(cluster.apply(&request), waiting, interrupted);
    assert!(applied.is_err() && lossy.count("PATCH", "configmaps/web") == 1, "whoever asked looks first");
    assert_eq!(waited.unwrap_err().class, super::ApiErrorClass::CutOff);
    assert_eq!(lossy.count("PATCH", "configmaps/other"), 0, "it waited while the server had too much to do");
    lossy.next("PATCH", "configmaps/web", Fate::Throttled(2));
    cluster.apply(&request).await.unwrap();
    assert!(lossy.get("/api/v1/namespaces/shop/configmaps/web").is_some());
    cluster.stop();
}

#[tokio::test(start_paused = true)]
async fn what_is_to_be_created_never_goes_over_what_is_there() {
    let lossy = Lossy::new();
    let cluster = lossy.cluster().await;
    cluster.discover().await.unwrap();
    let id = ObjectId::new("", "ConfigMap", "shop", "hook");
    let written = |run: &str| {
        let mut object = member("hook");
        object["metadata"]["annotations"]["run"] = run.into();
        object
    };
    let path = "/api/v1/namespaces/shop/configmaps/hook";
    let run = || lossy.get(path).unwrap()["metadata"]["annotations"]["run"].clone();
    let create = async |run: &str| {
        let body = written(run).to_string();
        let request =
            Apply { id: &id, api_version: "v1", body: body.as_bytes(), mode: Mode::Write, force: Force::Yes };
        cluster.create(&request, wanted(&written(run))).await.unwrap().is_some()
    };
    // The first try is late, and the second one gets through.
    lossy.next("PATCH", "configmaps/hook", Fate::Late);
    assert!(create("first").await);
    lossy.remove(path);
    assert!(create("second").await);
    assert_eq!(lossy.deliver(), [409], "it is of another run");
    assert_eq!(run(), "second");
    lossy.remove(path);
    lossy.next("PATCH", "configmaps/hook", Fate::AnswerLost);
    assert!(create("third").await, "it was sent twice");
    assert!(!create("fourth").await);
    assert_eq!(run(), "third");
    // A server that refuses it though nothing is there.
    lossy.remove(path);
    lossy.next("PATCH", "configmaps/hook", Fate::Conflict);
    assert!(create("fifth").await);
    assert_eq!(run(), "fifth");
    cluster.stop();
}

#[tokio::test(start_paused = true)]
async fn a_record_that_is_older_than_it_is_known_is_from_a_backup() {
    let lossy = Lossy::new();
    let cluster = lossy.cluster().await;
    let record = Parent {
        name: "trueup.web.test".to_owned(),
        namespace: "shop".to_owned(),
        id: "set".to_owned(),
        ..Parent::default()
    };
    let known = cluster.write_parent(&record).await.unwrap();
    let breaks = cluster.breaks();
    assert_eq!(cluster.reread_parent(&known).await.unwrap().unwrap().version, known.version);
    assert_eq!(cluster.breaks(), breaks);
    // It was written since, in a history that did not happen.
    let version = known.version.parse::<u64>().unwrap() + 2;
    let lost = Parent { version: version.to_string(), ..known.clone() };
    assert_eq!(cluster.reread_parent(&lost).await.unwrap().unwrap().version, known.version);
    assert_eq!(cluster.breaks(), breaks + 1, "nothing that is known holds");
    cluster.write_parent(&lost).await.unwrap();
    assert_eq!(cluster.breaks(), breaks + 2, "nor where a write finds it");
    cluster.stop();
}

#[tokio::test(start_paused = true)]
async fn records_are_listed_anew_where_a_connection_was_cut_off_since() {
    let (lossy, cluster) = watching(&["Secret"]).await;
    lossy.post("/api/v1/namespaces/shop/secrets", &secret());
    until(&cluster, &["x"]).await;
    let restore = lossy.restore_to_before(Versions::Repeated, |lossy| {
        let metadata = json!({"name": "r", "labels": {ID: "set"}, "annotations": {TOOLING: "trueup/v1"}});
        let record = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata});
        lossy.post("/api/v1/namespaces/shop/configmaps", &record);
    });
    assert_eq!(cluster.parents(|_| true).await.unwrap().len(), 1);
    let asked = lossy.count("GET", "/api/v1/configmaps");
    assert_eq!(cluster.parents(|_| true).await.unwrap().len(), 1);
    assert_eq!(lossy.count("GET", "/api/v1/configmaps"), asked, "targets that begin together share a list");
    // Nobody knows yet what has become of the server: the watch is only cut off.
    lossy.next("GET", "/api/v1/secrets", Fate::Hangs);
    let (breaks, interruptions) = (cluster.breaks(), cluster.interruptions());
    restore(&lossy);
    while cluster.interruptions() == interruptions {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(cluster.breaks(), breaks);
    assert!(cluster.parents(|_| true).await.unwrap().is_empty());
    cluster.stop();
}

#[tokio::test(start_paused = true)]
async fn a_kind_whose_first_list_fails_is_unknown_and_not_empty() {
    let lossy = Lossy::new();
    let cluster = lossy.cluster().await;
    cluster.discover().await.unwrap();
    lossy.post("/api/v1/namespaces/shop/configmaps", &member("there"));
    for _ in 0..3 {
        lossy.next("GET", "/configmaps", Fate::Lost);
    }
    let kinds = BTreeSet::from([kind("ConfigMap")]);
    cluster.watch(&kinds);
    let unknown = || cluster.members(&["set".to_owned()]).unknown.contains_key(&kind("ConfigMap"));
    while members(&cluster).is_empty() {
        assert!(unknown());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(!unknown());
    cluster.stop();
}

#[tokio::test(start_paused = true)]
async fn a_kind_is_known_again_as_soon_as_its_watch_goes_on_after_the_server_was_away() {
    let (lossy, cluster) = watching(&["ConfigMap"]).await;
    lossy.post("/api/v1/namespaces/shop/configmaps", &member("a"));
    until(&cluster, &["a"]).await;
    for _ in 0..9 {
        lossy.next("GET", "/api/v1/configmaps", Fate::Lost);
    }
    lossy.disconnect();
    let unknown = || cluster.members(&["set".to_owned()]).unknown.contains_key(&kind("ConfigMap"));
    let away = tokio::time::Instant::now();
    while !unknown() {
        assert!(away.elapsed() < Duration::from_mins(1));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // It goes on from the version that it had: there is no new list.
    tokio::time::sleep(Duration::from_mins(2)).await;
    lossy.post("/api/v1/namespaces/shop/configmaps", &member("b"));
    until(&cluster, &["a", "b"]).await;
    assert!(!unknown());
    cluster.stop();
}

#[tokio::test(start_paused = true)]
async fn whoever_went_on_without_the_first_list_of_a_kind_is_told_when_it_has_come() {
    let lossy = Lossy::new();
    let told = Arc::new(Mutex::new(Vec::new()));
    let listener = told.clone();
    let cluster = lossy.cluster_telling(Arc::new(move |event| listener.lock().unwrap().push(event))).await;
    cluster.discover().await.unwrap();
    lossy.next("GET", "/api/v1/configmaps", Fate::Hangs);
    let kinds = BTreeSet::from([kind("ConfigMap")]);
    cluster.watch(&kinds);
    cluster.settled(&kinds, Duration::from_secs(15)).await;
    let unknown = || cluster.members(&["set".to_owned()]).unknown.contains_key(&kind("ConfigMap"));
    assert!(unknown() && told.lock().unwrap().is_empty());
    let long = tokio::time::Instant::now() + Duration::from_mins(5);
    while unknown() && tokio::time::Instant::now() < long {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // There is no object of the kind, so there is no set that could be told of it.
    assert!(!unknown());
    assert_eq!(*told.lock().unwrap(), [ClusterEvent::Connection]);
    cluster.stop();
}

#[tokio::test(start_paused = true)]
async fn an_object_of_which_no_watch_has_told_is_read_when_its_deletion_is_refused() {
    let lossy = Lossy::new();
    let cluster = lossy.cluster().await;
    cluster.discover().await.unwrap();
    let place = "/api/v1/namespaces/shop/configmaps";
    let id = &ids(&["a".to_owned()])[0];
    lossy.post(place, &member("a"));
    let first = cluster.refresh(id).await.unwrap().unwrap();
    assert_eq!(cluster.delete(id, &first.uid, None).await.unwrap(), Deletion::Gone);
    lossy.post(place, &member("a"));
    let second = cluster.refresh(id).await.unwrap().unwrap();
    assert_ne!(first.uid, second.uid);
    // Somebody makes it anew, and it is still known as it was.
    lossy.remove(&format!("{place}/a"));
    lossy.post(place, &member("a"));
    let refused = cluster.delete(id, &second.uid, Some(&second.resource_version)).await.unwrap();
    assert_eq!(refused, Deletion::Changed);
    let known = cluster.members(&["set".to_owned()]).members[id].clone();
    assert_ne!(known.uid, second.uid);
    assert_eq!(cluster.delete(id, &known.uid, Some(&known.resource_version)).await.unwrap(), Deletion::Gone);
    assert!(members(&cluster).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_deletion_that_a_finalizer_holds_up_is_told_of_whether_its_answer_or_the_watch_comes_first() {
    let lossy = Lossy::new();
    let told = Arc::new(Mutex::new(Vec::new()));
    let listener = told.clone();
    let cluster = lossy.cluster_telling(Arc::new(move |event| listener.lock().unwrap().push(event))).await;
    cluster.discover().await.unwrap();
    let mut held = member("a");
    held["metadata"]["finalizers"] = json!(["example.com/hold"]);
    lossy.post("/api/v1/namespaces/shop/configmaps", &held);
    let id = &ids(&["a".to_owned()])[0];
    let live = cluster.refresh(id).await.unwrap().unwrap();
    // Nothing is watched: only the answer tells.
    assert_eq!(cluster.delete(id, &live.uid, None).await.unwrap(), Deletion::Started);
    let change = ClusterEvent::Member { set: "set".into() };
    assert_eq!(std::mem::take(&mut *told.lock().unwrap()), [change]);
    assert!(cluster.members(&["set".to_owned()]).members[id].deleting);
    assert_eq!(cluster.delete(id, &live.uid, None).await.unwrap(), Deletion::Started);
    assert!(told.lock().unwrap().is_empty(), "that is known");
}

#[tokio::test(start_paused = true)]
async fn a_set_whose_object_is_applied_for_another_is_told_of_it() {
    let lossy = Lossy::new();
    let told = Arc::new(Mutex::new(Vec::new()));
    let listener = told.clone();
    let cluster = lossy.cluster_telling(Arc::new(move |event| listener.lock().unwrap().push(event))).await;
    cluster.discover().await.unwrap();
    lossy.post("/api/v1/namespaces/shop/configmaps", &member("a"));
    let id = &ids(&["a".to_owned()])[0];
    cluster.refresh(id).await.unwrap().unwrap();
    let apply = async |set: &str, value: &str| {
        let mut object = member("a");
        object["metadata"]["labels"][PART_OF] = set.into();
        object["data"]["a"] = value.into();
        let body = object.to_string();
        let request =
            Apply { id, api_version: "v1", body: body.as_bytes(), mode: Mode::Write, force: Force::Yes };
        cluster.apply(&request).await.unwrap();
        std::mem::take(&mut *told.lock().unwrap())
    };
    assert!(apply("set", "1").await.is_empty(), "who applies knows it");
    let change = |set: &str| ClusterEvent::Member { set: set.into() };
    assert_eq!(apply("other", "1").await, [change("other"), change("set")]);
    assert!(apply("other", "2").await.is_empty());
}

fn ids(names: &[String]) -> Vec<ObjectId> {
    names.iter().map(|name| ObjectId::new("", "ConfigMap", "shop", name)).collect()
}

fn plain(name: &str) -> serde_json::Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"a": "b"}})
}

#[tokio::test(start_paused = true)]
async fn many_small_targets_that_begin_together_list_what_is_there_once() {
    let lossy = Lossy::new();
    let cluster = lossy.cluster().await;
    cluster.discover().await.unwrap();
    lossy.post("/api/v1/namespaces/shop/configmaps", &plain("o-7-0"));
    for target in 0..50 {
        let wanted = ids(&[format!("o-{target}-0"), format!("o-{target}-1")]);
        let strangers = cluster.strangers(&wanted).await;
        assert!(strangers.failed.is_empty());
        let found: Vec<&str> = strangers.found.keys().map(|id| id.name.as_str()).collect();
        assert_eq!(found, if target == 7 { vec!["o-7-0"] } else { Vec::new() });
        let managers = strangers.found.values().flat_map(|found| found.managers.clone());
        assert!(managers.eq((target == 7).then(|| "somebody".to_owned())));
    }
    assert_eq!((lossy.count("GET", "-0"), lossy.count("GET", "/configmaps")), (4, 1));
    // What a list showed is not believed for long.
    lossy.post("/api/v1/namespaces/shop/configmaps", &plain("o-9-0"));
    tokio::time::sleep(Duration::from_secs(11)).await;
    let wanted: Vec<String> = (0..20).map(|target| format!("o-{target}-0")).collect();
    let found = cluster.strangers(&ids(&wanted)).await.found;
    assert!(found.keys().map(|id| id.name.as_str()).eq(["o-7-0", "o-9-0"]));
    assert_eq!(lossy.count("GET", "/configmaps"), 2);
}

#[tokio::test(start_paused = true)]
async fn an_object_of_another_set_is_known_without_asking() {
    let (lossy, cluster) = watching(&["ConfigMap"]).await;
    lossy.post("/api/v1/namespaces/shop/configmaps", &member("theirs"));
    until(&cluster, &["theirs"]).await;
    let asked = lossy.count("GET", "");
    let found = cluster.strangers(&ids(&["theirs".to_owned()])).await.found;
    assert_eq!(found.values().map(|found| found.part_of.as_deref()).collect::<Vec<_>>(), [Some("set")]);
    assert_eq!(lossy.count("GET", ""), asked);
    cluster.stop();
}

#[tokio::test(start_paused = true)]
async fn targets_that_begin_together_share_a_list_of_records_in_which_is_what_they_wrote() {
    let lossy = Lossy::new();
    let cluster = lossy.cluster().await;
    let names = async || {
        let parents = cluster.parents(|_| true).await.unwrap();
        parents.into_iter().map(|parent| parent.name).collect::<Vec<_>>()
    };
    assert!(names().await.is_empty());
    let written = cluster.write_parent(&record(&["ConfigMap"])).await.unwrap();
    assert_eq!(cluster.parents(|_| true).await.unwrap(), std::slice::from_ref(&written));
    cluster
        .write_parent(&Parent { name: "trueup.api.test".to_owned(), ..record(&["Secret"]) })
        .await
        .unwrap();
    assert_eq!(names().await, ["trueup.api.test", "trueup.web.test"]);
    assert_eq!(lossy.count("GET", "/configmaps"), 1);
    // After a write of which nobody knows what came of it, the cluster is asked.
    for _ in 0..4 {
        lossy.next("PATCH", "trueup.web.test", Fate::AnswerLost);
    }
    let kinds = ["ConfigMap", "Secret"].map(kind).into();
    let _ = cluster.write_parent(&Parent { kinds, ..written }).await;
    let parents = cluster.parents(|parent| parent.name == "trueup.web.test").await.unwrap();
    assert!(parents[0].kinds.contains(&kind("Secret")));
    cluster.delete_parent(&parents[0]).await.unwrap();
    assert_eq!(names().await, ["trueup.api.test"]);
}
