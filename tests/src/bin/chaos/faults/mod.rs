//! The faults: one file a kind of thing that fails. Each begins, lasts, and is healed again when its function returns.

pub(crate) mod catalogue;
mod clock;
mod damage;
mod disk;
mod network;
mod process;

use crate::end::End;
use crate::run::Run;
use catalogue::Fault;

/// Does this to the cluster, until it is healed.
pub(crate) fn play(fault: Fault, run: &mut Run) -> Result<(), End> {
    match fault {
        Fault::KillOne => process::kill_one(run),
        Fault::KillMost => process::kill_most(run),
        Fault::KillAll => process::kill_all(run),
        Fault::PauseOne => process::pause_one(run),
        Fault::RestartOne => process::restart_one(run),
        Fault::UpgradeAll => process::upgrade_all(run),
        Fault::CutOff => network::cut_off(run),
        Fault::CutMost => network::cut_most(run),
        Fault::CutIn => network::cut_in(run),
        Fault::CutOut => network::cut_out(run),
        Fault::Flap => network::flap(run),
        Fault::Lose => network::lose(run),
        Fault::Delay => network::delay(run),
        Fault::SetClock => clock::set_clock(run),
        Fault::CutPower => disk::cut_power(run),
        Fault::FillDisk => disk::fill_disk(run),
        Fault::StallDisk => disk::stall_disk(run),
        Fault::SlowDisk => disk::slow_disk(run),
        Fault::FailSync => disk::fail_sync(run),
        Fault::TearWrite => disk::tear_write(run),
        Fault::DamageLog => damage::damage_log(run),
        Fault::DamageHistory => damage::damage_history(run),
        Fault::Wipe => damage::wipe(run),
    }
}
