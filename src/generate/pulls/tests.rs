use super::*;
use crate::source::forge::State;
use expect_test::{Expect, expect};

const HOUR: i64 = 3600;

fn at(hour: i64) -> Timestamp {
    Timestamp::from_second(hour * HOUR).unwrap()
}

fn request(number: u64) -> PullRequest {
    PullRequest {
        number,
        title: format!("Change {number}"),
        branch: format!("feature/{number}"),
        target_branch: "main".to_owned(),
        head: Some(format!("{number:040x}")),
        labels: vec!["preview".to_owned()],
        author: "ann".to_owned(),
        pushed_by: Pushers::Own,
        updated: Some(at(1)),
        state: State::Open,
    }
}

fn listing(requests: Vec<PullRequest>) -> Listing {
    Listing {
        open: requests.into_iter().map(|request| (request.number, request)).collect(),
        closed: BTreeSet::new(),
    }
}

fn spec(more: &str) -> PullRequests {
    let text = format!("{{github: {{owner: acme, repo: shop}}, {more}}}");
    serde_json::from_value(trueup_model::yaml::parse(&text).unwrap()[0].to_value()).unwrap()
}

/// The numbers that count, the notes, and those that are known to be gone.
fn check(more: &str, listing: &Listing, remembered: &Remembered, hour: i64, expected: &Expect) {
    let chosen = choose(&spec(more), "acme/shop", listing, remembered, at(hour));
    let numbers: Vec<String> =
        chosen.elements.iter().map(|element| element["pull.number"].to_string()).collect();
    let gone: Vec<String> = chosen.gone.into_iter().collect();
    let told = format!("{}\n{}\ngone: {}\n", numbers.join(" "), chosen.notes.join("\n"), gone.join(" "));
    expected.assert_eq(&told);
}

#[test]
fn labels_and_forks_decide_which_requests_count() {
    let mut plain = request(2);
    plain.labels.clear();
    let mut foreign = request(3);
    foreign.pushed_by = Pushers::Others;
    let mut unknown = request(4);
    unknown.head = None;
    let all = listing(vec![request(1), plain, foreign, unknown]);
    check(
        "labels: [preview]",
        &all,
        &Remembered::new(),
        1,
        &expect![[r"
        1
        #3 from forks, which `forks: true` would allow
        gone: 
    "]],
    );
    check(
        "forks: true",
        &all,
        &Remembered::new(),
        1,
        &expect![[r"
        1 2 3

        gone: 
    "]],
    );
}

#[test]
fn over_the_quota_the_lowest_numbers_go_first_and_the_others_are_named() {
    let all = listing((1..=14).rev().map(request).collect());
    check(
        "quota: 2",
        &all,
        &Remembered::new(),
        1,
        &expect![[r"
        1 2
        #3, #4, #5, #6, #7, #8, #9, #10, #11, #12, 2 more over the quota of 2: waiting until others are closed
        gone: acme/shop#10 acme/shop#11 acme/shop#12 acme/shop#13 acme/shop#14 acme/shop#3 acme/shop#4 acme/shop#5 acme/shop#6 acme/shop#7 acme/shop#8 acme/shop#9
    "]],
    );
}

#[test]
fn a_request_has_apps_until_so_long_after_the_last_push() {
    let spec = spec("timeToLive: 5h");
    let mut first = request(1);
    let seen = |request: &PullRequest, before: &Remembered, hour: i64| {
        let chosen = choose(&spec, "acme/shop", &listing(vec![request.clone()]), before, at(hour));
        (chosen.seen, chosen.elements.len())
    };
    let (memory, apps) = seen(&first, &Remembered::new(), 2);
    assert_eq!((memory["acme/shop#1"].since, apps), (at(1), 1));
    // A comment is no push.
    first.updated = Some(at(5));
    assert_eq!(seen(&first, &memory, 5).1, 1);
    let (memory, apps) = seen(&first, &memory, 6);
    assert_eq!((memory["acme/shop#1"].since, apps), (at(1), 0));
    // Another commit is one; that it is old, or from the future, does not matter.
    first.head = Some("f".repeat(40));
    first.updated = Some(at(900));
    let (memory, apps) = seen(&first, &memory, 7);
    assert_eq!((memory["acme/shop#1"].since, apps), (at(7), 1));
    assert_eq!(seen(&first, &memory, 12).1, 0);
    check(
        "timeToLive: 5h",
        &listing(vec![first, request(2)]),
        &memory,
        12,
        &expect![[r"

        #1, #2 without a push for 5h
        gone: acme/shop#1 acme/shop#2
    "]],
    );
}

#[test]
fn what_is_closed_is_known_to_be_gone_and_what_is_missing_is_not() {
    let mut some = listing(vec![request(1)]);
    some.closed.insert(7);
    check(
        "",
        &some,
        &Remembered::new(),
        1,
        &expect![[r"
        1

        gone: acme/shop#7
    "]],
    );
}

#[test]
fn what_somebody_wrote_becomes_a_slug_or_text_on_one_line() {
    for (text, expected) in [
        ("feature/Login_Form", "feature-login-form"),
        ("../../etc", "etc"),
        ("--a--b--", "a-b"),
        ("日本", ""),
        ("ÄB", "b"),
        (&"x".repeat(90), &*"x".repeat(50)),
        (&format!("{}-y", "x".repeat(49)), &*"x".repeat(49)),
    ] {
        assert_eq!(slug(text), expected);
    }
    for (text, expected) in [
        ("a\nkind: Secret", "a kind: Secret"),
        ("{{ .Values.password }}", "{ { .Values.password } }"),
        ("{{{{x", "{ { { {x"),
        ("${DOMAIN} $(HOME) $$ {x}", "$ {DOMAIN} $ (HOME) $$ {x}"),
        ("a\u{2028}b\u{202e}c\t\0", "a b c  "),
    ] {
        assert_eq!(plain(text), expected);
    }
    assert_eq!(plain(&"x".repeat(900)).len(), TEXT);
}

#[test]
fn numbers_are_found_again_by_repository() {
    let seen = Seen { head: "0".repeat(40), since: at(0), apps: BTreeSet::new() };
    let all: Remembered = ["acme/shop#7", "acme/shop#12", "acme/shop2#1", "acme/shop#x"]
        .map(|key| (key.to_owned(), seen.clone()))
        .into();
    assert_eq!(numbers(&all, "acme/shop"), BTreeSet::from([7, 12]));
}
