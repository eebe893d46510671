use trueup::source::{ErrorClass, Reference};
use trueup_model::tree::read_text;

use super::server::{Mood, Server};
use super::*;

#[tokio::test]
async fn when_nothing_moved_only_the_references_are_asked_for() {
    let repository = one_commit();
    let server = Server::start(repository.parent()).await;
    let bench = Bench::new();
    let source = bench.source(&server.url(), branch("main"));
    assert_eq!(read(&source, "a.yaml").await, "one\n");
    assert_eq!(server.requests().iter().filter(|asked| *asked == "fetch").count(), 1);
    for _ in 0..3 {
        assert_eq!(read(&source, "a.yaml").await, "one\n");
    }
    let asked = server.requests();
    assert_eq!(asked.iter().filter(|asked| *asked == "ls-refs").count(), 3, "{asked:?}");
    assert_eq!(asked.iter().filter(|asked| *asked == "fetch").count(), 0, "{asked:?}");
}
