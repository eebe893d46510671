//! Golden plans: a situation in a line of words, and the plan that follows from it.
//!
//! A situation is a list of sections, `name: object object(flag,flag=value) …`, divided by `|`. An object is a kind and a
//! name: `cm/a`. What a section may hold says [`Situation::section`].

#![expect(clippy::needless_raw_string_hashes, reason = "expect-test writes them")]

use super::*;
use crate::desired::Refused;
use crate::health::{Health, HealthStatus};
use expect_test::{Expect, expect};
use proptest::prelude::*;
use trueup_merge::token::{Hash128, digest};

const KINDS: [(&str, &str, &str); 9] = [
    ("cm", "", "ConfigMap"),
    ("crd", "apiextensions.k8s.io", "CustomResourceDefinition"),
    ("deploy", "apps", "Deployment"),
    ("ingress", "networking.k8s.io", "Ingress"),
    ("ns", "", "Namespace"),
    ("sa", "", "ServiceAccount"),
    ("sc", "storage.k8s.io", "StorageClass"),
    ("svc", "", "Service"),
    ("widget", "example.com", "Widget"),
];

#[derive(Clone)]
pub(crate) struct Situation {
    pub(crate) desired: Desired,
    pub(crate) observed: Observed,
    pub(crate) ledger: Ledger,
    policy: Policy,
}

/// An object of a section with its flags.
struct Item<'t> {
    id: ObjectId,
    flags: Vec<(&'t str, &'t str)>,
}

impl Item<'_> {
    fn has(&self, name: &str) -> bool {
        self.flags.iter().any(|(flag, _)| *flag == name)
    }

    fn value(&self, name: &str) -> Option<String> {
        self.flags.iter().find(|(flag, _)| *flag == name).map(|(_, value)| (*value).to_owned())
    }

    fn changes(&self, name: &str) -> Option<Vec<Change>> {
        let change = |field: String| Change {
            pointer: format!("/{field}"),
            field,
            from: None,
            to: None,
            manager: Some("kubectl".into()),
            operation: None,
            since: None,
        };
        self.value(name).map(|fields| fields.split('+').map(|field| change(field.to_owned())).collect())
    }
}

fn hash(text: &str) -> Hash128 {
    digest(text.as_bytes(), "trueup", "", 0)
}

fn object(text: &str) -> ObjectId {
    let (word, name) = text.split_once('/').unwrap();
    let (_, group, kind) = KINDS.into_iter().find(|(known, _, _)| *known == word).unwrap();
    let namespace = if matches!(word, "crd" | "ns" | "sc") { "" } else { "shop" };
    ObjectId::new(group, kind, namespace, name)
}

fn shown(id: &ObjectId) -> String {
    let (word, _, _) = KINDS.into_iter().find(|(_, _, kind)| *kind == id.kind).unwrap();
    format!("{word}/{}", id.name)
}

fn item(text: &str) -> Item<'_> {
    let (name, flags) = text.strip_suffix(')').and_then(|text| text.split_once('(')).unwrap_or((text, ""));
    let flags = flags.split(',').map(|flag| flag.split_once('=').unwrap_or((flag, ""))).collect();
    Item { id: object(name), flags }
}

impl Situation {
    pub(crate) fn new(text: &str) -> Self {
        let mut situation = Self {
            desired: Desired { target: "web@staging".into(), ..Desired::default() },
            observed: Observed::default(),
            ledger: Ledger::new(),
            policy: Policy {
                prune: Prune::Delete,
                drift: Drift::Repair,
                take_over: TakeOver::Force,
                recreate: Recreate::Refuse,
                empty: Empty::Refuse,
                max_prune: None,
            },
        };
        for section in text.split('|') {
            let (name, items) = section.split_once(':').unwrap();
            for text in items.split_whitespace() {
                situation.section(name.trim(), text);
            }
        }
        situation
    }

    fn section(&mut self, name: &str, text: &str) {
        let observed = &mut self.observed;
        match name {
            "in git" => self.git(&item(text)),
            "not placed" => {
                let id = item(text).id;
                let id = if item(text).has("nowhere") { id.in_namespace("") } else { id };
                let wave = item(text).value("wave").map_or(0, |wave| wave.parse().unwrap());
                if item(text).has("unserved") {
                    self.desired.unserved.insert(id.clone());
                }
                let why = "it names no namespace".into();
                self.desired.refused.insert(id, Refused { origin: Origin::default(), wave, why });
            }
            "member" => self.member(&item(text)),
            "stranger" => self.stranger(&item(text)),
            "made of" => drop(observed.foundations.insert(item(text).id)),
            "applied" => {
                let (digest, token) =
                    if item(text).has("otherwise") { ("before", "before") } else { ("git", "live") };
                self.ledger
                    .insert(item(text).id, Known { digest: hash(digest), token: hash(token), epoch: 0 });
            }
            "cannot list" => {
                let (_, group, kind) = KINDS.into_iter().find(|(word, _, _)| *word == text).unwrap();
                observed
                    .unknown
                    .insert(trueup_model::GroupKind::new(group, kind), format!("{text} cannot be listed"));
            }
            "dry run" => {
                let item = item(text);
                let immutable = item.value("immutable").map(|field| Verdict::Immutable(vec![field]));
                let verdict = immutable
                    .or_else(|| item.changes("differs").map(Verdict::Differs))
                    .or_else(|| item.changes("contested").map(Verdict::Contested))
                    .or_else(|| item.value("refused").map(Verdict::Refused))
                    .unwrap_or(Verdict::Same);
                observed.verdicts.insert(item.id, verdict);
            }
            "awaited" => {
                let kind = object(&format!("{text}/x")).group_kind();
                observed.awaited.insert(kind, format!("{text} is still to come"));
            }
            "also wanted" => drop(observed.claims.insert(item(text).id, "api@staging".into())),
            "policy" => self.policy(text),
            unknown => panic!("no section is called {unknown:?}"),
        }
    }

    fn git(&mut self, item: &Item<'_>) {
        let want = Want {
            id: item.id.clone(),
            api_version: "v1".into(),
            body: b"{}".as_slice().into(),
            digest: hash("git"),
            extract: hash("extract"),
            origin: Origin { path: "app.yaml".into(), line: 1 },
            wave: item.value("wave").map_or(0, |wave| wave.parse().unwrap()),
            recreate: item.has("recreate"),
            leave: Vec::new(),
            needs: Vec::new(),
        };
        self.desired.objects.insert(item.id.clone(), want.into());
    }

    fn member(&mut self, item: &Item<'_>) {
        let live = Live {
            uid: format!("uid-{}", item.id.name),
            resource_version: "7".into(),
            token: Some(hash(if item.has("changed") { "changed" } else { "live" })),
            extract: Some(hash(if item.has("evident") { "extract" } else { "defaulted" })),
            shape: None,
            health: item.value("health").map_or_else(Health::healthy, |why| {
                let status =
                    if why == "suspended" { HealthStatus::Suspended } else { HealthStatus::Progressing };
                Health::new(status, &why)
            }),
            deleting: item.has("deleting"),
            keep: item.has("keep"),
        };
        self.observed.members.insert(item.id.clone(), live.into());
    }

    fn stranger(&mut self, item: &Item<'_>) {
        let part_of = item
            .value("set")
            .map(SetOwner::Foreign)
            .or_else(|| item.value("from").map(SetOwner::Former))
            .or_else(|| item.value("removed").map(SetOwner::Removed));
        let managers =
            item.value("by").map(|by| by.split('+').map(str::to_owned).collect()).unwrap_or_default();
        let stranger = Stranger { uid: "theirs".into(), managers, part_of, deleting: item.has("deleting") };
        self.observed.strangers.insert(item.id.clone(), stranger);
    }

    fn policy(&mut self, word: &str) {
        let policy = &mut self.policy;
        match word {
            "keep" => policy.prune = Prune::Keep,
            "report" => policy.drift = Drift::Report,
            "recorded" => {
                self.desired.revision = "1f2e".into();
                self.observed.applied = "1f2e".into();
            }
            "hold" => policy.take_over = TakeOver::Hold,
            "recreate" => policy.recreate = Recreate::Allow,
            "empty" => policy.empty = Empty::Allow,
            _ if word.starts_with("max-prune=") => {
                policy.max_prune = Some(word["max-prune=".len()..].parse().unwrap());
            }
            unknown => panic!("no policy is called {unknown:?}"),
        }
    }

    pub(crate) fn plan(&self) -> Plan {
        plan(&self.desired, &self.observed, &self.ledger, &self.policy)
    }
}

/// A line a step, a line of dashes between phases, and how many objects need nothing.
pub(crate) fn text(plan: &Plan) -> String {
    let line =
        |step: &Step| format!("{:<9} {} ({})\n", step.action.to_string(), shown(&step.id), step.reason);
    let phases: Vec<String> = plan.phases().map(|steps| steps.iter().map(line).collect()).collect();
    let unchanged =
        if plan.unchanged == 0 { String::new() } else { format!("unchanged: {}\n", plan.unchanged) };
    phases.join("--\n") + &unchanged
}

#[track_caller]
#[expect(clippy::needless_pass_by_value, reason = "expect! makes a value")]
fn check(situation: &str, expected: Expect) {
    expected.assert_eq(&text(&Situation::new(situation).plan()));
}

#[test]
fn an_object_that_is_in_git_only_is_created() {
    check(
        "in git: cm/a",
        expect![[r#"
        create    cm/a (not in the cluster)
    "#]],
    );
}

#[test]
fn an_object_that_git_changed_is_updated_without_being_asked_about() {
    check(
        "in git: cm/a | member: cm/a | applied: cm/a(otherwise)",
        expect![[r#"
        update    cm/a (changed in Git)
    "#]],
    );
    check(
        "in git: cm/a | member: cm/a(changed) | applied: cm/a(otherwise) | dry run: cm/a(differs=data.x)",
        expect![[r#"
            update    cm/a (changed in Git)
        "#]],
    );
}

#[test]
fn an_object_that_is_as_it_was_left_needs_no_step() {
    check(
        "in git: cm/a | member: cm/a | applied: cm/a",
        expect![[r#"
        unchanged: 1
    "#]],
    );
    check(
        "in git: cm/a | member: cm/a(changed) | applied: cm/a | dry run: cm/a(same)",
        expect![[r#"
        unchanged: 1
    "#]],
    );
}

#[test]
fn an_object_of_which_nothing_is_remembered_is_its_own_proof_where_it_shows_what_git_says() {
    check(
        "in git: cm/a cm/b | member: cm/a(evident) cm/b",
        expect![[r#"
        update    cm/b (not known to be as in Git)
        unchanged: 1
    "#]],
    );
    check(
        "in git: cm/a | member: cm/a(evident) | dry run: cm/a(differs=data.x)",
        expect![[r#"
        update    cm/a (differs: data.x (by kubectl))
    "#]],
    );
    check(
        "in git: cm/a | member: cm/a(evident) | applied: cm/a(otherwise)",
        expect![[r#"
        update    cm/a (changed in Git)
    "#]],
    );
}

#[test]
fn an_object_of_which_nothing_is_remembered_is_updated_where_a_dry_run_differs() {
    check(
        "in git: cm/a | member: cm/a | dry run: cm/a(differs=data.x)",
        expect![[r#"
        update    cm/a (differs: data.x (by kubectl))
    "#]],
    );
}

#[test]
fn drift_is_repaired() {
    check(
        "in git: cm/a | member: cm/a(changed) | applied: cm/a",
        expect![[r#"
        update    cm/a (changed in the cluster)
    "#]],
    );
    check(
        "in git: cm/a | member: cm/a(changed) | applied: cm/a | dry run: cm/a(differs=data.a+data.b+data.c+data.d+data.e)",
        expect![[r#"
            update    cm/a (changed in the cluster: data.a (by kubectl), data.b (by kubectl), data.c (by kubectl) and 2 more)
        "#]],
    );
}

#[test]
fn drift_is_only_reported_where_the_policy_says_so_and_what_git_changed_is_written_all_the_same() {
    check(
        "in git: cm/a cm/b | member: cm/a(changed) cm/b(changed) | applied: cm/a cm/b(otherwise)
        | dry run: cm/a(differs=data.x) | policy: report",
        expect![[r#"
            hold      cm/a (changed in the cluster: data.x (by kubectl))
            update    cm/b (changed in Git)
        "#]],
    );
}

#[test]
fn what_somebody_deleted_is_drift_like_any_other() {
    check(
        "in git: cm/a cm/b | applied: cm/a",
        expect![[r"
            create    cm/a (deleted in the cluster)
            create    cm/b (not in the cluster)
        "]],
    );
    check(
        "in git: cm/a cm/b cm/c | applied: cm/a cm/c(otherwise) | policy: report",
        expect![[r"
            hold      cm/a (deleted in the cluster)
            create    cm/b (not in the cluster)
            create    cm/c (not in the cluster)
        "]],
    );
}

#[test]
fn where_drift_is_only_reported_a_record_of_the_revision_does_for_a_lost_ledger() {
    let situation = "in git: cm/a cm/b | member: cm/a(changed) | dry run: cm/a(differs=data.x) | policy:";
    check(
        &format!("{situation} report recorded"),
        expect![[r"
            hold      cm/a (changed in the cluster: data.x (by kubectl))
            hold      cm/b (deleted in the cluster)
        "]],
    );
    for otherwise in ["report", "recorded"] {
        let text = text(&Situation::new(&format!("{situation} {otherwise}")).plan());
        assert!(
            text.contains("update    cm/a (differs") && text.contains("create    cm/b"),
            "{otherwise}: {text}"
        );
    }
}

#[test]
fn drift_that_comes_back_each_time_is_held() {
    check(
        "in git: cm/a | member: cm/a(changed) | applied: cm/a | dry run: cm/a(contested=data.x)",
        expect![[r#"
            hold      cm/a (changed back after each of several repairs, so repairs are spaced out now: data.x (by kubectl); make the other writer stop, or take the field out of Git)
        "#]],
    );
}

#[test]
fn an_object_that_is_being_deleted_is_waited_for() {
    check(
        "in git: cm/a | member: cm/a(deleting)",
        expect![[r#"
        wait      cm/a (is being deleted; it is applied again when it is gone)
    "#]],
    );
    check(
        "in git: cm/a | stranger: cm/a(deleting,by=kubectl)",
        expect![[r#"
        wait      cm/a (is being deleted; it is applied again when it is gone)
    "#]],
    );
    check(
        "in git: cm/a | member: cm/a cm/b(deleting) | applied: cm/a",
        expect![[r#"
        wait      cm/b (not in Git any more; is being deleted)
        unchanged: 1
    "#]],
    );
}

#[test]
fn an_object_of_others_is_taken_over_with_their_names() {
    check(
        "in git: cm/a cm/b | stranger: cm/a(by=helm+kubectl) cm/b",
        expect![[r#"
        take over cm/a (exists already, written by helm, kubectl)
        take over cm/b (exists already)
    "#]],
    );
}

#[test]
fn an_object_of_others_is_held_where_the_policy_says_so() {
    check(
        "in git: cm/a | stranger: cm/a(by=helm) | policy: hold",
        expect![[r#"
        hold      cm/a (exists already, written by helm)
    "#]],
    );
}

#[test]
fn an_object_that_another_target_let_go_moves_here_whatever_the_policy() {
    check(
        "in git: cm/a cm/b | stranger: cm/a(from=api@staging) cm/b(removed=old@staging) | policy: hold",
        expect![[r#"
            take over cm/a (moved here from api@staging)
            take over cm/b (moved here from old@staging)
        "#]],
    );
}

#[test]
fn an_object_of_a_foreign_set_is_held_whatever_the_policy() {
    check(
        "in git: cm/a | stranger: cm/a(set=applyset-x-v1,by=kubectl)",
        expect![[r#"
        hold      cm/a (belongs to applyset-x-v1, which is not a set of this trueup)
    "#]],
    );
}

#[test]
fn an_object_that_two_targets_want_is_held_with_both_names() {
    check(
        "in git: cm/a cm/b | stranger: cm/b(from=api@staging) | also wanted: cm/a cm/b",
        expect![[r#"
        hold      cm/a (both web@staging and api@staging want this object; take it out of one of the two)
        hold      cm/b (both web@staging and api@staging want this object; take it out of one of the two)
    "#]],
    );
}

#[test]
fn an_object_that_two_targets_want_stays_with_the_one_that_has_it() {
    check(
        "in git: cm/a | member: cm/a | applied: cm/a(otherwise) | also wanted: cm/a",
        expect![[r#"
        update    cm/a (changed in Git)
    "#]],
    );
}

#[test]
fn an_object_that_moves_to_another_target_waits_to_be_taken_over() {
    check(
        "in git: cm/b | member: cm/a cm/b | applied: cm/b | also wanted: cm/a",
        expect![[r#"
        wait      cm/a (not in Git here any more, and wanted by api@staging: it will take it over)
        unchanged: 1
    "#]],
    );
}

#[test]
fn an_immutable_field_holds_its_object() {
    check(
        "in git: cm/a | member: cm/a | dry run: cm/a(immutable=spec.selector)",
        expect![[r#"
        hold      cm/a (immutable: spec.selector; annotate the object with trueup.dev/recreate: "true", or set recreate on the App, to delete and create it)
    "#]],
    );
}

#[test]
fn an_object_is_recreated_for_an_immutable_field_where_it_or_its_target_allows_it() {
    check(
        "in git: cm/a(recreate) cm/b | member: cm/a cm/b | dry run: cm/a(immutable=data) cm/b(immutable=data)",
        expect![[r#"
            recreate  cm/a (immutable: data)
            hold      cm/b (immutable: data; annotate the object with trueup.dev/recreate: "true", or set recreate on the App, to delete and create it)
        "#]],
    );
    check(
        "in git: cm/a | member: cm/a | dry run: cm/a(immutable=data) | policy: recreate",
        expect![[r#"
            recreate  cm/a (immutable: data)
        "#]],
    );
}

#[test]
fn a_refused_object_is_held_whether_or_not_it_is_there() {
    check(
        "in git: cm/a cm/b | member: cm/a | dry run: cm/a(refused=quota) cm/b(refused=denied)",
        expect![[r#"
            hold      cm/a (quota)
            hold      cm/b (denied)
        "#]],
    );
}

#[test]
fn an_object_that_left_git_is_deleted() {
    check(
        "in git: cm/a | member: cm/a cm/b | applied: cm/a cm/b",
        expect![[r#"
        delete    cm/b (not in Git any more)
        unchanged: 1
    "#]],
    );
}

#[test]
fn a_deletion_is_bound_to_the_object_that_it_was_decided_for() {
    let plan = Situation::new("in git: cm/a | member: cm/b").plan();
    let step = plan.steps.iter().find(|step| step.action == Action::Delete).unwrap();
    let precondition = step.precondition.as_ref().unwrap();
    assert_eq!((precondition.uid.as_str(), precondition.resource_version.as_str()), ("uid-b", "7"));
}

#[test]
fn an_object_whose_annotation_keeps_it_is_not_pruned() {
    check(
        "in git: cm/a | member: cm/a cm/b(keep) | applied: cm/a",
        expect![[r#"
        hold      cm/b (not in Git any more; its annotation keeps it)
        unchanged: 1
    "#]],
    );
}

#[test]
fn what_the_target_is_made_of_is_not_pruned() {
    check(
        "in git: cm/a | member: cm/a widget/app widget/child | applied: cm/a | made of: widget/app widget/cluster",
        expect![[r#"
            delete    widget/child (not in Git any more)
            hold      widget/app (not in Git any more; the target is made of it, so a person has to delete it)
            unchanged: 1
        "#]],
    );
    // Nor is it by way of what holds it, a member or not.
    check(
        "in git: ns/other | member: ns/shop ns/other crd/widgets.example.com | applied: ns/other | made of: widget/app",
        expect![[r#"
            hold      crd/widgets.example.com (not in Git any more, but Widget.example.com shop/app would go with it)
            hold      ns/shop (not in Git any more, but Widget.example.com shop/app would go with it)
            unchanged: 1
        "#]],
    );
}

#[test]
fn a_namespace_is_not_pruned_while_it_holds_what_stays() {
    check(
        "in git: cm/a | member: ns/shop cm/a | applied: cm/a",
        expect![[r#"
        hold      ns/shop (not in Git any more, but ConfigMap shop/a would go with it)
        unchanged: 1
    "#]],
    );
    check(
        "in git: ns/other | member: ns/shop ns/other svc/b(keep) cm/a | applied: ns/other",
        expect![[r#"
        hold      svc/b (not in Git any more; its annotation keeps it)
        --
        delete    cm/a (not in Git any more)
        --
        hold      ns/shop (not in Git any more, but Service shop/b would go with it)
        unchanged: 1
    "#]],
    );
    check(
        "in git: ns/other | member: ns/shop ns/other widget/b | applied: ns/other | cannot list: widget",
        expect![[r#"
            hold      widget/b (widget cannot be listed)
            --
            hold      ns/shop (not in Git any more, but Widget.example.com shop/b would go with it)
            unchanged: 1
        "#]],
    );
    check(
        "in git: ns/other | member: ns/shop ns/other cm/a | applied: ns/other",
        expect![[r#"
        delete    cm/a (not in Git any more)
        --
        delete    ns/shop (not in Git any more)
        unchanged: 1
    "#]],
    );
}

#[test]
fn a_crd_is_not_pruned_while_its_objects_stay() {
    check(
        "in git: widget/a | member: crd/widgets.example.com crd/gadgets.example.com widget/a | applied: widget/a",
        expect![[r#"
            hold      crd/widgets.example.com (not in Git any more, but Widget.example.com shop/a would go with it)
            delete    crd/gadgets.example.com (not in Git any more)
            unchanged: 1
        "#]],
    );
}

#[test]
fn nothing_is_pruned_where_pruning_is_off() {
    check(
        "in git: cm/a | member: cm/a cm/b | applied: cm/a | policy: keep",
        expect![[r#"
        hold      cm/b (not in Git any more; pruning is off for this target)
        unchanged: 1
    "#]],
    );
}

#[test]
fn an_empty_rendering_deletes_nothing_unless_that_is_allowed() {
    check(
        "member: cm/a svc/b",
        expect![[r#"
        hold      svc/b (the target rendered to no object at all, which deletes nothing; set sync.allowEmpty if that is meant)
        --
        hold      cm/a (the target rendered to no object at all, which deletes nothing; set sync.allowEmpty if that is meant)
    "#]],
    );
    check(
        "member: cm/a svc/b | policy: empty",
        expect![[r#"
        delete    svc/b (not in Git any more)
        --
        delete    cm/a (not in Git any more)
    "#]],
    );
}

#[test]
fn more_deletions_than_the_budget_are_all_held_and_what_is_kept_or_moved_counts_for_none() {
    check(
        "in git: cm/a | member: cm/a cm/b cm/c svc/d(keep) | applied: cm/a | policy: max-prune=50%",
        expect![[r#"
            hold      svc/d (not in Git any more; its annotation keeps it)
            --
            delete    cm/c (not in Git any more)
            delete    cm/b (not in Git any more)
            unchanged: 1
        "#]],
    );
    check(
        "in git: cm/a cm/new | member: cm/a cm/b cm/c svc/d | applied: cm/a | policy: max-prune=2",
        expect![[r#"
            create    cm/new (not in the cluster)
            --
            hold      svc/d (not in Git any more; 3 of 4 objects would be deleted, which is more than maxPrune allows (2), so none is; look at them with `trueup diff web@staging`, then bring them back in Git, or approve with `trueup sync web@staging --confirm-prune 871d5c6140`)
            --
            hold      cm/c (not in Git any more; 3 of 4 objects would be deleted, which is more than maxPrune allows (2), so none is; look at them with `trueup diff web@staging`, then bring them back in Git, or approve with `trueup sync web@staging --confirm-prune 871d5c6140`)
            hold      cm/b (not in Git any more; 3 of 4 objects would be deleted, which is more than maxPrune allows (2), so none is; look at them with `trueup diff web@staging`, then bring them back in Git, or approve with `trueup sync web@staging --confirm-prune 871d5c6140`)
            unchanged: 1
        "#]],
    );
}

#[test]
fn a_kind_that_cannot_be_listed_is_never_pruned() {
    check(
        "in git: svc/a | member: cm/a svc/a widget/b | applied: svc/a | cannot list: widget",
        expect![[r#"
            hold      widget/b (widget cannot be listed)
            --
            delete    cm/a (not in Git any more)
            unchanged: 1
        "#]],
    );
}

#[test]
fn an_object_of_a_kind_that_cannot_be_listed_is_not_written() {
    check(
        "in git: widget/a widget/b | member: widget/a | cannot list: widget",
        expect![[r#"
        hold      widget/a (widget cannot be listed)
        hold      widget/b (widget cannot be listed)
    "#]],
    );
}

#[test]
fn an_object_that_could_not_be_placed_does_not_prune_its_live_twin() {
    check(
        "in git: cm/c | not placed: cm/a(nowhere) cm/b | member: cm/a cm/b cm/c | applied: cm/c",
        expect![[r#"
            hold      cm/a (it names no namespace)
            hold      cm/b (it names no namespace)
            unchanged: 1
        "#]],
    );
}

#[test]
fn writes_go_by_wave_and_stage() {
    check(
        "in git: widget/w ingress/i deploy/d svc/s cm/b cm/a sa/s sc/c crd/c ns/n cm/last(wave=1) deploy/first(wave=-1)",
        expect![[r#"
            create    deploy/first (not in the cluster)
            --
            create    ns/n (not in the cluster)
            create    crd/c (not in the cluster)
            --
            create    sc/c (not in the cluster)
            --
            create    sa/s (not in the cluster)
            --
            create    cm/a (not in the cluster)
            create    cm/b (not in the cluster)
            --
            create    svc/s (not in the cluster)
            --
            create    deploy/d (not in the cluster)
            --
            create    widget/w (not in the cluster)
            create    ingress/i (not in the cluster)
            --
            create    cm/last (not in the cluster)
        "#]],
    );
}

#[test]
fn deletions_come_after_the_writes_and_in_reverse() {
    check(
        "in git: ingress/z | member: ns/n sa/s cm/a cm/b svc/s deploy/d widget/w",
        expect![[r#"
        create    ingress/z (not in the cluster)
        --
        delete    widget/w (not in Git any more)
        --
        delete    deploy/d (not in Git any more)
        --
        delete    svc/s (not in Git any more)
        --
        delete    cm/b (not in Git any more)
        delete    cm/a (not in Git any more)
        --
        delete    sa/s (not in Git any more)
        --
        delete    ns/n (not in Git any more)
    "#]],
    );
}

const NAMES: [&str; 6] = ["cm/a", "cm/b", "widget/a", "widget/b", "deploy/a", "ns/shop"];
const SECTIONS: [&[&str]; 6] = [
    &["", "in git: {}", "in git: {}(recreate)", "in git: {}(wave=2)", "not placed: {}"],
    &[
        "",
        "member: {}",
        "member: {}(changed)",
        "member: {}(evident)",
        "member: {}(deleting)",
        "member: {}(keep)",
        "stranger: {}(by=helm)",
        "stranger: {}(set=other)",
        "stranger: {}(from=api@staging)",
    ],
    &["", "", "applied: {}", "applied: {}(otherwise)"],
    &[
        "",
        "",
        "dry run: {}(same)",
        "dry run: {}(differs=data)",
        "dry run: {}(refused=no)",
        "dry run: {}(immutable=data)",
    ],
    &["", "", "", "also wanted: {}"],
    &["", "", "", "cannot list: {kind}"],
];

fn any_situation() -> impl Strategy<Value = Vec<String>> {
    let of_object = |name: &'static str| {
        SECTIONS.map(|choices| {
            proptest::sample::select(choices).prop_map(move |text| {
                text.replace("{kind}", name.split('/').next().unwrap()).replace("{}", name)
            })
        })
    };
    let policies = ["", "keep", "report", "hold", "recreate", "empty"].map(|word| format!("policy: {word}"));
    let objects: Vec<_> = NAMES.into_iter().flat_map(of_object).map(Strategy::boxed).collect();
    (objects, proptest::sample::select(policies.to_vec())).prop_map(|(mut sections, policy)| {
        sections.push(policy);
        sections.retain(|section| !section.is_empty());
        sections
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn equal_inputs_give_byte_equal_plans(mut sections in any_situation()) {
        let plan = Situation::new(&sections.join(" | ")).plan();
        sections.reverse();
        let again = Situation::new(&sections.join(" | ")).plan();
        prop_assert_eq!(serde_json::to_vec(&plan).unwrap(), serde_json::to_vec(&again).unwrap());
    }

    #[test]
    fn nothing_is_deleted_that_is_in_git_or_of_which_not_enough_is_known(sections in any_situation()) {
        let situation = Situation::new(&sections.join(" | "));
        let plan = situation.plan();
        for step in plan.steps.iter().filter(|step| step.action == Action::Delete) {
            prop_assert!(!situation.desired.objects.contains_key(&step.id), "{} is in Git", step.id);
            prop_assert!(!situation.desired.refused.contains_key(&step.id), "{} is in Git", step.id);
            prop_assert!(!situation.observed.unknown.contains_key(&step.id.group_kind()), "{}", step.id);
            let live = situation.observed.members.get(&step.id).unwrap();
            prop_assert!(!live.keep && !live.deleting && situation.policy.prune == Prune::Delete);
            prop_assert_eq!(step.precondition.clone(), Some(exactly(live)));
            let within = |id: &&ObjectId| step.id.kind == "Namespace" && id.namespace == step.id.name;
            prop_assert_eq!(situation.desired.objects.keys().find(within), None, "would go with {}", step.id);
        }
    }

    #[test]
    fn each_wanted_object_has_one_step_or_needs_none(sections in any_situation()) {
        let situation = Situation::new(&sections.join(" | "));
        let plan = situation.plan();
        let wanted = |step: &&Step| situation.desired.objects.contains_key(&step.id);
        prop_assert_eq!(plan.steps.iter().filter(wanted).count() + plan.unchanged, situation.desired.objects.len());
        prop_assert!(plan.writes().is_sorted_by_key(|step| step.action == Action::Delete), "deletions come last");
    }
}
