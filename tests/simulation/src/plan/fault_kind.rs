//! The kinds of faults that can be injected.

/// A kind of fault of nodes, their disks, clocks and links.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FaultKind {
    /// One node loses power.
    Crash,
    /// Several nodes lose power.
    CrashSeveral,
    /// All nodes lose power.
    CrashAll,
    /// The process of a node is killed: what it wrote is still there, synced or not. Perhaps it loses power soon after.
    Kill,
    /// A node is stopped in an orderly way.
    Stop,
    /// Two groups of nodes are partitioned from each other.
    Partition,
    /// A node is partitioned from the others in one direction.
    PartitionOneWay,
    /// Messages of a node are held back and delivered all at once.
    HoldMessages,
    /// Links break and heal at random.
    LossyLinks,
    /// A node is partitioned from the clients.
    PartitionClients,
    /// A leader is partitioned from the other nodes and not from the clients; time may run ahead for the others.
    IsolateLeader,
    /// Syncs take long.
    SlowDisk,
    /// Syncs do not end for a while.
    StallDisk,
    /// Syncs of a leader do not end, while all else is healthy.
    StallLeaderDisk,
    /// A sync fails.
    FailSync,
    /// The disk is full.
    FullDisk,
    /// One bit on the disk flips. The node is lost, sooner or later.
    BitRot,
    /// A disk is replaced by an empty one while others are behind. The node is lost.
    WipeDisk,
    /// A clock is set, or starts to run fast or slow.
    ClockJump,
    /// A clock is set while its node, or all of them, are down.
    ClockJumpWhileDown,
    /// A clock, the leader's in most cases, is set while no more than a majority is up.
    ClockJumpInBareMajority,
    /// The leader transfers leadership.
    TransferLeadership,
    /// A node with a new number is added to the members and, in most cases, replaces another.
    ReplaceNode,
    /// Time runs ahead for one node.
    SkipTime,
    /// Power is lost just after a vote.
    CrashAfterVote,
    /// Power of a leader is lost just after it wrote and before it synced.
    CrashAfterWrite,
    /// Power is lost just after a truncation.
    CrashAfterTruncation,
    /// A transfer of history is cut: its receiver or its sender loses power, or the link between them.
    CutTransfer,
    /// A member is asked to lead, whatever its state; it may be cut off or lose power just then.
    MoveLeadership,
}

impl FaultKind {
    /// All kinds but [`Self::CutTransfer`] and [`Self::MoveLeadership`], which a seed draws apart.
    pub const ALL: [Self; 27] = [
        Self::Crash,
        Self::CrashSeveral,
        Self::CrashAll,
        Self::Kill,
        Self::Stop,
        Self::Partition,
        Self::PartitionOneWay,
        Self::HoldMessages,
        Self::LossyLinks,
        Self::PartitionClients,
        Self::IsolateLeader,
        Self::SlowDisk,
        Self::StallDisk,
        Self::StallLeaderDisk,
        Self::FailSync,
        Self::FullDisk,
        Self::BitRot,
        Self::WipeDisk,
        Self::ClockJump,
        Self::ClockJumpWhileDown,
        Self::ClockJumpInBareMajority,
        Self::TransferLeadership,
        Self::ReplaceNode,
        Self::SkipTime,
        Self::CrashAfterVote,
        Self::CrashAfterWrite,
        Self::CrashAfterTruncation,
    ];

    /// Whether it is injected when a node makes a certain transition, instead of in its turn.
    pub fn is_triggered(self) -> bool {
        matches!(self, Self::CrashAfterVote | Self::CrashAfterWrite | Self::CrashAfterTruncation | Self::CutTransfer)
    }
}
