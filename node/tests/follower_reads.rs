//! What a follower's reads cost its leader.

use std::sync::atomic::{AtomicU64, Ordering};

use etebar_node::raft::Consistency;
use tokio::time::Instant;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

mod kit;
use kit::{PATIENCE, Trio};

/// Questions that followers asked their leader.
static ASKED: AtomicU64 = AtomicU64::new(0);

/// Counts them as they are traced.
struct Counting;

impl Subscriber for Counting {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "etebar::read_questions"
    }

    fn event(&self, _event: &Event<'_>) {
        ASKED.fetch_add(1, Ordering::Relaxed);
    }

    fn new_span(&self, _span: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _span: &Id, _values: &Record<'_>) {}
    fn record_follows_from(&self, _span: &Id, _follows: &Id) {}
    fn enter(&self, _span: &Id) {}
    fn exit(&self, _span: &Id) {}
}

#[tokio::test(flavor = "multi_thread")]
async fn reads_that_wait_at_a_follower_share_one_question_to_the_leader() {
    const READS: u64 = 2_000;
    tracing::subscriber::set_global_default(Counting).unwrap();
    let trio = Trio::start(32 * 1024 * 1024).await;
    let follower = trio.node(trio.follower().await);
    let before = ASKED.load(Ordering::Relaxed);
    let deadline = Instant::now() + PATIENCE;
    let reads = (0..READS).map(|_| follower.read(Consistency::Linearizable, None, deadline));
    for read in futures::future::join_all(reads).await {
        assert_eq!(read, Ok(()));
    }
    let asked = ASKED.load(Ordering::Relaxed) - before;
    // All are at the gate before the first question is answered; an election meanwhile would cost a few more.
    assert!((1..=READS / 20).contains(&asked), "{asked} questions for {READS} reads");
}
