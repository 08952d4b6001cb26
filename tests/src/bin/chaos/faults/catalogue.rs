//! The faults by name, what each needs of the machine, and the order in which they come.

use ::tests::load::dice::Dice;

/// What can be done to a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    KillOne,
    KillMost,
    KillAll,
    PauseOne,
    RestartOne,
    UpgradeAll,
    CutOff,
    CutMost,
    CutIn,
    CutOut,
    Flap,
    Lose,
    Delay,
    SetClock,
    CutPower,
    FillDisk,
    StallDisk,
    SlowDisk,
    FailSync,
    TearWrite,
    DamageLog,
    DamageHistory,
    Wipe,
}

/// What a fault needs of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Needs {
    Nothing,
    Previous,
    Networks,
    Disks,
    DiskFaults,
    Clocks,
}

impl Fault {
    pub(crate) const ALL: [Fault; 23] = [
        Fault::KillOne,
        Fault::KillMost,
        Fault::KillAll,
        Fault::PauseOne,
        Fault::RestartOne,
        Fault::UpgradeAll,
        Fault::CutOff,
        Fault::CutMost,
        Fault::CutIn,
        Fault::CutOut,
        Fault::Flap,
        Fault::Lose,
        Fault::Delay,
        Fault::SetClock,
        Fault::CutPower,
        Fault::FillDisk,
        Fault::StallDisk,
        Fault::SlowDisk,
        Fault::FailSync,
        Fault::TearWrite,
        Fault::DamageLog,
        Fault::DamageHistory,
        Fault::Wipe,
    ];

    /// Its name for `--faults`.
    pub(crate) fn name(self) -> &'static str {
        self.row().0
    }

    pub(crate) fn named(name: &str) -> Option<Fault> {
        Fault::ALL.into_iter().find(|fault| fault.name() == name)
    }

    pub(crate) fn needs(self) -> Needs {
        self.row().1
    }

    fn row(self) -> (&'static str, Needs) {
        match self {
            Fault::KillOne => ("kill_one", Needs::Nothing),
            Fault::KillMost => ("kill_most", Needs::Nothing),
            Fault::KillAll => ("kill_all", Needs::Nothing),
            Fault::PauseOne => ("pause_one", Needs::Nothing),
            Fault::RestartOne => ("restart_one", Needs::Nothing),
            Fault::UpgradeAll => ("upgrade_all", Needs::Previous),
            Fault::CutOff => ("cut_off", Needs::Networks),
            Fault::CutMost => ("cut_most", Needs::Networks),
            Fault::CutIn => ("cut_in", Needs::Networks),
            Fault::CutOut => ("cut_out", Needs::Networks),
            Fault::Flap => ("flap", Needs::Networks),
            Fault::Lose => ("lose", Needs::Networks),
            Fault::Delay => ("delay", Needs::Networks),
            Fault::SetClock => ("set_clock", Needs::Clocks),
            Fault::CutPower => ("cut_power", Needs::Disks),
            Fault::FillDisk => ("fill_disk", Needs::Disks),
            Fault::StallDisk => ("stall_disk", Needs::DiskFaults),
            Fault::SlowDisk => ("slow_disk", Needs::DiskFaults),
            Fault::FailSync => ("fail_sync", Needs::DiskFaults),
            Fault::TearWrite => ("tear_write", Needs::DiskFaults),
            Fault::DamageLog => ("damage_log", Needs::Disks),
            Fault::DamageHistory => ("damage_history", Needs::Disks),
            Fault::Wipe => ("wipe", Needs::Disks),
        }
    }
}

/// A shuffled deck: each fault comes once before any comes again.
#[derive(Debug)]
pub(crate) struct Deck {
    all: Vec<Fault>,
    left: Vec<Fault>,
}

impl Deck {
    /// Of at least one fault.
    pub(crate) fn new(all: Vec<Fault>) -> Deck {
        Deck { all, left: Vec::new() }
    }

    pub(crate) fn draw(&mut self, dice: &mut Dice) -> Fault {
        if self.left.is_empty() {
            self.left.clone_from(&self.all);
        }
        self.left.remove(dice.index(self.left.len()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_comes_once_before_any_comes_again_and_the_seed_says_in_which_order() {
        let order = |seed: u64| {
            let (mut deck, mut dice) = (Deck::new(Fault::ALL.to_vec()), Dice(seed));
            (0..2 * Fault::ALL.len()).map(|_| deck.draw(&mut dice)).collect::<Vec<_>>()
        };
        for seed in 0..20 {
            for half in order(seed).chunks(Fault::ALL.len()) {
                assert!(Fault::ALL.iter().all(|fault| half.contains(fault)), "seed {seed}: {half:?}");
            }
            assert_eq!(order(seed), order(seed));
        }
        assert_ne!(order(1), order(2));
    }

    #[test]
    fn each_fault_is_found_by_its_name() {
        for fault in Fault::ALL {
            assert_eq!(Fault::named(fault.name()), Some(fault));
        }
    }
}
