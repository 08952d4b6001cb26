//! The kinds of faults, and what ends them.

use std::time::Duration;

use etebar_node::storage::model::{Dice, ModelDisks};

use crate::host::Order;
use crate::world::World;

/// A leader whose disk stalls has given leadership up after so long: two election time-outs, and a look of the one who
/// watches it.
const GIVES_UP: Duration = Duration::from_millis(2 * 400 + 10);

/// What can be done to members, their disks, clocks and links.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// One loses power.
    Crash,
    /// Several lose power.
    CrashSeveral,
    /// All lose power.
    CrashAll,
    /// The process of one is killed: what it wrote is still there, synced or not. Perhaps its power goes soon after.
    Kill,
    /// One is stopped in an orderly way.
    Stop,
    /// Two groups do not hear each other.
    Cut,
    /// One is heard by another and does not hear it.
    CutOneWay,
    /// Messages are held back and come all at once.
    Hold,
    /// Links break by themselves and mend.
    Loss,
    /// A member does not hear its clients.
    CutClients,
    /// A leader is cut off from the members and not from the clients, and time runs ahead for the others.
    IsolateLeader,
    /// Syncs take long.
    SlowDisk,
    /// Syncs do not end for a while.
    StallDisk,
    /// Syncs of a leader do not end, while all else is well.
    StallLeader,
    /// A sync fails.
    FailSync,
    /// The disk is full.
    FullDisk,
    /// One bit on the disk flips. The member is lost, sooner or later.
    Rot,
    /// A disk is replaced by an empty one while others are behind. The member is lost.
    Wipe,
    /// A clock is set, or begins to run fast or slow.
    ClockJump,
    /// A clock is set while its member, or all of them, are down.
    ClockDown,
    /// A clock is set while just a majority is up: the leader's in most cases.
    ClockOfFew,
    /// The leader hands over.
    HandOver,
    /// A member is added under a new number and, in most cases, takes the place of another.
    Replace,
    /// Time runs ahead for one.
    Leap,
    /// Power is lost just after a vote.
    CrashAfterVote,
    /// Power of a leader is lost just after it wrote and before it synced.
    CrashAfterWrite,
    /// Power is lost just after a truncation.
    CrashAfterTruncation,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 27] = [
        Self::Crash,
        Self::CrashSeveral,
        Self::CrashAll,
        Self::Kill,
        Self::Stop,
        Self::Cut,
        Self::CutOneWay,
        Self::Hold,
        Self::Loss,
        Self::CutClients,
        Self::IsolateLeader,
        Self::SlowDisk,
        Self::StallDisk,
        Self::StallLeader,
        Self::FailSync,
        Self::FullDisk,
        Self::Rot,
        Self::Wipe,
        Self::ClockJump,
        Self::ClockDown,
        Self::ClockOfFew,
        Self::HandOver,
        Self::Replace,
        Self::Leap,
        Self::CrashAfterVote,
        Self::CrashAfterWrite,
        Self::CrashAfterTruncation,
    ];

    /// Whether it waits for its moment instead of coming when its turn is.
    pub fn is_aimed(self) -> bool {
        matches!(self, Self::CrashAfterVote | Self::CrashAfterWrite | Self::CrashAfterTruncation)
    }
}

/// What ends a fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Undo {
    /// The link between two hosts is mended.
    Mend(String, String),
    /// A member is started.
    Boot(u64),
    /// A member's power is cut, and it is started a little later.
    Restart(u64),
    /// A member's disks are well again.
    HealDisks(u64),
    /// Links break no more.
    NoLoss,
}

impl World<'_> {
    /// Does a fault of this kind, where it is possible now.
    pub fn inject(&mut self, kind: Kind) -> bool {
        let node = self.any_node();
        let while_ms = self.dice.between(50, 2_500);
        match kind {
            Kind::Crash => self.crash_and_boot(node, while_ms),
            Kind::CrashSeveral => {
                let nodes = self.some_nodes(self.plan.majority());
                nodes.into_iter().filter(|node| self.crash_and_boot(*node, while_ms)).count() > 0
            }
            Kind::CrashAll => {
                let nodes = self.some_nodes(self.plan.hosts() as usize);
                let crash = |node: &u64| {
                    let while_ms = self.dice.between(50, 1_000);
                    self.crash_and_boot(*node, while_ms)
                };
                nodes.into_iter().filter(crash).count() > 0
            }
            Kind::Kill => self.kill(node, while_ms),
            Kind::Stop => self.order(node, Order::Stop),
            Kind::Cut => self.cut_in_two(while_ms),
            Kind::CutOneWay => self.cut_one_way(node, while_ms),
            Kind::Hold => self.hold(node, while_ms),
            Kind::Loss => self.lose(while_ms),
            Kind::CutClients => self.cut(&crate::host::name(node), crate::world::SHOP, while_ms),
            Kind::IsolateLeader => self.isolate_leader(while_ms),
            Kind::SlowDisk => self.ail(node, while_ms, |disks, ms| disks.ail(|health| health.sync_ms = (ms / 2, ms))),
            Kind::StallDisk => self.ail(node, while_ms, |disks, _| disks.ail(|health| health.stalled = true)),
            Kind::StallLeader => self.stall_leader(),
            Kind::FailSync => self.break_disk(node, "a sync fails", ModelDisks::fail_syncs),
            Kind::FullDisk => self.break_disk(node, "its disk is full", |disks| disks.ail(|health| health.full = true)),
            Kind::Rot => self.rot(node),
            Kind::Wipe => self.wipe(),
            Kind::ClockJump => self.set_clock(node),
            Kind::ClockDown => self.set_clock_down(node, while_ms),
            Kind::ClockOfFew => self.set_clock_of_few(node, while_ms),
            Kind::HandOver => self.watch.leader().is_some_and(|leader| self.order(leader, Order::HandOver)),
            Kind::Replace => self.replace(),
            Kind::Leap => {
                let leap = Duration::from_millis(self.dice.between(100, 2_000));
                self.order(node, Order::Leap(leap))
            }
            Kind::CrashAfterVote | Kind::CrashAfterWrite | Kind::CrashAfterTruncation => false,
        }
    }

    /// A killed process comes back on what it wrote, and must answer for no more of it than a power cut leaves.
    fn kill(&mut self, node: u64, while_ms: u64) -> bool {
        if !self.is_up(node) {
            return false;
        }
        self.tell(format!("member {node} is killed"));
        self.power_off(node);
        self.later(while_ms, Undo::Boot(node));
        if self.dice.once_in(2) {
            let soon_ms = self.dice.between(1, 400);
            self.later(while_ms + soon_ms, Undo::Restart(node));
        }
        true
    }

    /// Who starts again has no time of before to compare its clock with; where all do, nobody has.
    fn set_clock_down(&mut self, node: u64, while_ms: u64) -> bool {
        let nodes = if self.dice.once_in(2) { vec![node] } else { self.some_nodes(self.plan.hosts() as usize) };
        let crashed = nodes.into_iter().filter(|node| {
            let more_ms = self.dice.between(0, 300);
            self.crash_and_boot(*node, while_ms + more_ms)
        });
        crashed.count() > 0 && self.set_clock(node)
    }

    /// With three members, two clocks are left, and no majority among them says which is wrong.
    fn set_clock_of_few(&mut self, node: u64, while_ms: u64) -> bool {
        let leader = self.watch.leader().filter(|_| !self.dice.once_in(4));
        let node = leader.unwrap_or(node);
        let mut others = self.some_nodes(self.plan.hosts() as usize);
        others.retain(|other| *other != node);
        let down = others.into_iter().take(self.plan.nodes as usize - self.plan.majority());
        let crashed = down.filter(|other| self.crash_and_boot(*other, while_ms + 4_500)).count();
        // The clocks of those that are gone count for 2 s: it is set before that or after.
        let soon_ms = self.dice.between(1_000, 4_000);
        self.step_for(Duration::from_millis(soon_ms));
        let most = self.plan.jump_ms as i64;
        let ahead = most - self.dice.between(0, self.plan.jump_ms / 2) as i64;
        let to = if self.dice.once_in(3) { -ahead } else { ahead };
        self.set_clock_to(node, to, 0) || crashed > 0
    }

    fn cut_in_two(&mut self, while_ms: u64) -> bool {
        let few = self.some_nodes(self.plan.nodes as usize / 2);
        let mut done = false;
        for one in few.clone() {
            for other in self.part.clone().into_iter().filter(|other| !few.contains(other)) {
                done |= self.cut(&crate::host::name(one), &crate::host::name(other), while_ms);
            }
        }
        done
    }

    /// The others elect a new leader while the old one takes itself for the leader, and clients ask it.
    fn isolate_leader(&mut self, while_ms: u64) -> bool {
        let Some(leader) = self.watch.leader() else { return false };
        // More than the time after which they vote, so that they do at once.
        let leap = Duration::from_millis(self.dice.between(750, 1_100));
        let leaps = self.dice.once_in(2);
        let mut done = false;
        self.market.known().suspect = Some(leader);
        for other in (1..=self.plan.hosts()).filter(|other| *other != leader) {
            done |= self.cut(&crate::host::name(leader), &crate::host::name(other), while_ms.max(600));
            if leaps {
                self.order(other, Order::Leap(leap));
            }
        }
        done
    }

    /// A minority is cut off and falls behind; then of the others one is wiped and the rest lose power: those who come back
    /// first are a majority that never had what was acknowledged, if the wiped one counted.
    fn wipe(&mut self) -> bool {
        let fewest_behind = self.plan.nodes as usize - self.plan.majority();
        if self.lost.len() >= fewest_behind || self.hosts.iter().any(|host| host.cluster().is_none()) {
            return false;
        }
        let behind = self.some_nodes(fewest_behind);
        let mut ahead: Vec<u64> = self.part.iter().copied().collect();
        ahead.retain(|node| !behind.contains(node) && !self.lost.contains(node));
        let Some((wiped, rest)) = ahead.split_first() else { return false };
        let behind_ms = self.dice.between(800, 1_500);
        for one in &behind {
            for other in &ahead {
                self.cut(&crate::host::name(*one), &crate::host::name(*other), behind_ms);
            }
        }
        self.step_for(Duration::from_millis(behind_ms));
        let back_ms = self.dice.between(1_500, 3_000);
        for node in rest {
            self.crash_and_boot(*node, back_ms);
        }
        self.wipe_disks(*wiped);
        true
    }

    /// The log's disk of a leader stalls while all are well and hear each other: another must lead within two election
    /// time-outs from the first write that does not end.
    fn stall_leader(&mut self) -> bool {
        let aims = self.take_aims();
        self.step_for(Duration::from_millis(1_000));
        let leader = self.watch.leader().filter(|_| self.is_all_well());
        let Some(leader) = leader else {
            self.aim(aims);
            return false;
        };
        self.tell(format!("the disk of member {leader}, which leads, stalls while all else is well"));
        let host = self.host(leader);
        host.log.ail(|health| health.stalled = true);
        let writes = |world: &mut Self| {
            world.host(leader).cluster().is_some_and(|cluster| {
                let probe = cluster.probe();
                probe.last.is_some_and(|last| last.index >= probe.durable_end)
            })
        };
        let gave_up = |world: &mut Self| world.watch.leader().is_some_and(|now| now != leader);
        if self.wait(Duration::from_millis(1_000), writes) && !self.wait(GIVES_UP, gave_up) {
            self.book.broken(format!("member {leader} still leads {GIVES_UP:?} after its disk stalled"));
        }
        host.heal_disks();
        self.aim(aims);
        true
    }

    /// Times of a slow disk.
    fn ail(&mut self, node: u64, while_ms: u64, how: impl Fn(&ModelDisks, u64)) -> bool {
        let slow_ms = self.dice.between(20, 250);
        let which = self.dice.below(3);
        let host = self.host(node);
        for (place, disks) in host.disks().into_iter().enumerate() {
            if which != place as u64 {
                how(disks, slow_ms);
            }
        }
        self.tell(format!("the disks of member {node} are slow or stalled for {while_ms} ms"));
        self.later(while_ms, Undo::HealDisks(node));
        true
    }
}

/// Picks one of a deck, all of it before any again.
#[derive(Debug)]
pub struct Deck {
    kinds: Vec<Kind>,
    left: Vec<Kind>,
}

impl Deck {
    /// Of these kinds, those that come when their turn is.
    pub fn new(kinds: &[Kind]) -> Self {
        Self { kinds: kinds.iter().copied().filter(|kind| !kind.is_aimed()).collect(), left: Vec::new() }
    }

    /// The next kind.
    pub fn draw(&mut self, dice: &mut Dice) -> Option<Kind> {
        if self.left.is_empty() {
            self.left.clone_from(&self.kinds);
        }
        if self.left.is_empty() {
            return None;
        }
        Some(self.left.swap_remove(dice.below(self.left.len() as u64) as usize))
    }
}
