//! One seed from its beginning to its end.

use std::time::Duration;

use etebar_node::raft::{Cluster, Decided};
use ledger::{Claims, Event, Record};

use crate::Ended;
use crate::book::{Op, Outcome, Pages, Turn};
use crate::check::{Final, Times, check};
use crate::door::Reply;
use crate::faults::Deck;
use crate::shown::{Thing, Told};
use crate::story;
use crate::swarm::Plan;
use crate::world::World;

/// Longest wait for the first shops, before there is any fault.
const OPENING: Duration = Duration::from_secs(15);
/// Charges succeed again so soon after a majority was mended.
pub const LIVENESS: Duration = Duration::from_secs(10);
/// So many of them.
const CHARGES: usize = 5;
/// Longest wait for all members to come together after the last fault.
const AGREEMENT: Duration = Duration::from_secs(30);
/// Ledger time may be so far ahead of real time where at most one clock is wrong: clocks within 5 s of each other agree, right
/// ones differ by up to 2 s here, and a record is seen a moment after it was stamped.
const CLOCK_SLACK_MS: u64 = 8_000;
/// Fewer decisions than this say nothing.
const DECISIONS_MIN: usize = 60;
/// Fewer faults than this say nothing.
const FAULTS_MIN: u64 = 5;

/// Plays a seed of about so many simulated seconds.
pub fn run(seed: u64, seconds: u64) -> Ended {
    let plan = Plan::draw(seed);
    let mut world = World::new(&plan);
    story::end_with_panics(&world.book, seed);
    let mut invalid = None;
    let mut mended_ms = 0;
    if !world.wait(OPENING, |world| world.market.known().open) {
        invalid = Some("the shops did not open".to_owned());
    } else {
        let length = Duration::from_secs(seconds);
        world.end_lateness();
        world.safety(length * 7 / 10);
        mended_ms = world.liveness(length * 3 / 10);
        world.agree();
    }
    let digest = world.settle();
    let pages = world.book.pages();
    let faults: u64 = world.done.values().sum();
    let decisions = attempts(&pages.ops).filter(|(_, outcome)| outcome.is_decided()).count();
    if invalid.is_none() && (decisions < DECISIONS_MIN || faults < FAULTS_MIN) {
        invalid = Some(format!("{decisions} decisions and {faults} faults are too few"));
    }
    let shown = attempts(&pages.ops).filter(|(_, outcome)| matches!(outcome, Outcome::Shown(_))).count();
    let summary = format!(
        "{} members, {decisions} decisions of {} wishes, {shown} over HTTP, {} reads, {faults} faults of {} kinds, {} terms, {} changes of members, mended in {mended_ms} ms, {} ms in all",
        plan.nodes,
        pages.ops.len(),
        pages.reads.len() + pages.looks.len(),
        world.done.len(),
        world.watch.terms(),
        world.operator.changes(),
        world.book.now_ms(),
    );
    let story = story::tell(&pages);
    drop(pages);
    let trace = world.book.trace(&digest);
    // The process ends soon; hosts that panicked cannot be taken down in order.
    std::mem::forget(world);
    Ended { summary, trace, story, invalid }
}

/// All attempts that came to an end.
fn attempts(ops: &[Op]) -> impl Iterator<Item = &(Turn, Outcome)> {
    ops.iter().flat_map(|op| &op.attempts).filter_map(|attempt| attempt.heard.as_ref())
}

/// Charges among the ops from `first` on that were accepted for the first time.
fn charges_since(pages: &Pages, first: usize) -> usize {
    let is_charge = |decided: &&Decided| {
        matches!(decided, Decided::Recorded { record: Record { event: Event::Charged(_), .. }, replayed: false })
    };
    let is_shown = |told: &&Told| match told {
        Told::Done { thing, replayed: false } => matches!(**thing, Thing::Charge(_)),
        Told::Done { .. } | Told::Refused { .. } => false,
    };
    let charges = attempts(&pages.ops[first..]).map(|(_, outcome)| match outcome {
        Outcome::Said(Reply::Decided(decisions)) => decisions.outcomes.iter().filter(is_charge).count(),
        Outcome::Shown(shown) => shown.told.iter().filter(is_shown).count(),
        Outcome::NotSent | Outcome::Silence | Outcome::Said(_) => 0,
    });
    charges.sum()
}

impl World<'_> {
    /// Waits until something is true; `false` where it does not come true in time, or a promise is broken.
    pub fn wait(&mut self, longest: Duration, mut is_true: impl FnMut(&mut Self) -> bool) -> bool {
        let until_ms = self.book.now_ms() + longest.as_millis() as u64;
        while self.book.now_ms() < until_ms && !self.book.is_broken() {
            self.step_for(Duration::from_millis(10));
            if is_true(self) {
                return true;
            }
        }
        false
    }

    /// Where all clocks were late so far they are set right, and all members start again: ledger time must not make up for it
    /// at once, whether machines were booted or processes alone were started.
    fn end_lateness(&mut self) {
        if self.plan.late_ms == 0 {
            return;
        }
        let nodes: Vec<u64> = (1..=self.plan.hosts()).collect();
        self.tell(format!("all clocks, which were {} ms late, are set right", self.plan.late_ms));
        nodes.iter().for_each(|node| self.host(*node).set_clock(0, 0));
        let (run_ms, down_ms) = (self.dice.between(1_500, 2_500), self.dice.between(50, 500));
        let is_reboot = self.dice.once_in(2);
        self.step_for(Duration::from_millis(run_ms));
        for node in nodes {
            if is_reboot {
                self.crash(node);
            } else if self.is_up(node) {
                self.tell(format!("member {node} is killed"));
                self.power_off(node);
            }
        }
        self.step_for(Duration::from_millis(down_ms));
        (1..=self.plan.hosts()).for_each(|node| self.boot(node));
        self.step_for(Duration::from_millis(1_500));
    }

    /// Any faults of the kinds that the seed drew.
    fn safety(&mut self, length: Duration) {
        let until_ms = self.book.now_ms() + length.as_millis() as u64;
        self.operate_for(length);
        let mut deck = Deck::new(&self.plan.kinds);
        self.aim(self.plan.kinds.iter().copied().filter(|kind| kind.is_aimed()).collect());
        while self.book.now_ms() < until_ms && !self.book.is_broken() {
            let calm = Duration::from_millis(self.dice.between(20, self.plan.calm_ms));
            self.step_for(calm);
            if let Some(kind) = deck.draw(&mut self.dice)
                && self.inject(kind)
            {
                *self.done.entry(kind).or_insert(0) += 1;
            }
        }
    }

    /// A majority is mended, the rest stays broken. How long it took until charges succeeded.
    fn liveness(&mut self, length: Duration) -> u64 {
        self.stop_faults();
        let good = self.enough_members();
        let rest: Vec<u64> = (1..=self.plan.hosts()).filter(|node| !good.contains(node)).collect();
        rest.into_iter().for_each(|node| self.cut_away(node));
        self.mend_all_of(&good);
        self.tell(format!("members {good:?} are mended, the others stay broken"));
        self.market.known().wants_shop = true;
        self.market.known().well.clone_from(&good);
        let (from_ms, first) = (self.book.now_ms(), self.book.pages().ops.len());
        let succeeded = self.wait(LIVENESS, |world| charges_since(&world.book.pages(), first) >= CHARGES);
        let took_ms = self.book.now_ms() - from_ms;
        if !succeeded && !self.book.is_broken() {
            for (node, member) in good.iter().filter_map(|node| Some((node, self.host(*node).cluster()?))) {
                self.tell(format!("member {node}: {:?} {:?}", member.probe(), member.members_seen()));
            }
            self.book
                .broken(format!("no {CHARGES} charges succeeded within {LIVENESS:?} with members {good:?} mended"));
        }
        self.step_for(length.saturating_sub(Duration::from_millis(took_ms)));
        took_ms
    }

    /// All that are not lost lose power at once, come back, and come to one position and one digest.
    fn agree(&mut self) {
        if self.book.is_broken() {
            return;
        }
        self.market.known().closed = true;
        let hosts: Vec<u64> = (1..=self.plan.hosts()).filter(|node| !self.lost.contains(node)).collect();
        hosts.iter().for_each(|node| self.crash(*node));
        self.mend_all_of(&hosts);
        let agreed = self.wait(AGREEMENT, |world| {
            let furthest = world.book.pages().furthest;
            let members = world.members();
            let probes: Option<Vec<_>> =
                members.iter().map(|node| world.host(*node).cluster().map(|cluster| cluster.probe())).collect();
            let Some(probes) = probes else { return false };
            let first = &probes[0];
            probes.iter().all(|one| {
                one.recovered && one.records >= furthest && (one.applied, one.digest) == (first.applied, first.digest)
            })
        });
        if !agreed && !self.book.is_broken() {
            self.book.broken(format!("members {:?} did not come together within {AGREEMENT:?}", self.members()));
        }
    }

    /// The members that are not lost.
    fn members(&self) -> Vec<u64> {
        self.operator.members().into_iter().filter(|node| !self.lost.contains(node)).collect()
    }

    /// Checks the history of one member against the book; its digest.
    fn settle(&mut self) -> String {
        let members: Vec<(u64, Cluster)> =
            self.members().into_iter().filter_map(|node| Some((node, self.host(node).cluster()?))).collect();
        let Some((_, first)) = members.iter().max_by_key(|(_, member)| member.applied()) else { return String::new() };
        let count = first.replica().state.records();
        let digest = first.replica().state.digest().to_string();
        if self.book.is_broken() {
            return digest;
        }
        let records: Result<Vec<Record>, _> =
            (1..=count).map(|number| first.record(number).map(|record| (*record).clone())).collect();
        match records {
            Ok(records) => {
                let finals: Vec<Final> = members.iter().map(|(node, member)| final_of(*node, member)).collect();
                let times = Times {
                    seen_ms: &self.watch.seen_ms,
                    window_ms: self.plan.key_window_ms,
                    slack_ms: (!self.plan.many_wrong_clocks).then_some(CLOCK_SLACK_MS + self.leapt_ms),
                };
                check(&self.book, &records, &self.watch.positions, &finals, &times);
            }
            Err(error) => self.book.broken(format!("the history is not readable at the end: {error}")),
        }
        digest
    }
}

fn final_of(node: u64, member: &Cluster) -> Final {
    let replica = member.replica();
    Final {
        node,
        claims: Claims::of(&replica.state),
        keys_held: replica.state.keys_held(),
        pending: replica.state.pending_after(0).count(),
    }
}
