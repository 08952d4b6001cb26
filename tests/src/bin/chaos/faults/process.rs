//! Faults of processes: killed, paused, restarted, another build.

use std::path::Path;

use rustix::process::Signal;
use tests::machine::programs;

use crate::end::End;
use crate::machine::links_of;
use crate::run::Run;

pub(crate) fn kill_one(run: &mut Run) -> Result<(), End> {
    let id = run.pick()?;
    run.began(format!("node {id} killed"));
    run.node(id).kill();
    run.last();
    run.bring_back(&[id])
}

pub(crate) fn kill_most(run: &mut Run) -> Result<(), End> {
    let first = run.pick()?;
    let count = run.cluster.ids().len() as u64;
    let victims: Vec<u64> = (0..=count / 2).map(|step| (first - 1 + step) % count + 1).collect();
    run.began(format!("nodes {} killed", listed(&victims)));
    // All at once, before the first is waited for.
    for id in &victims {
        run.node(*id).signal(Signal::KILL);
    }
    for id in &victims {
        run.node(*id).kill();
    }
    run.last();
    run.bring_back(&victims)
}

pub(crate) fn kill_all(run: &mut Run) -> Result<(), End> {
    run.began("all nodes killed");
    run.cluster.kill_all();
    run.bring_back(&run.cluster.ids())
}

pub(crate) fn pause_one(run: &mut Run) -> Result<(), End> {
    let id = run.pick()?;
    run.began(format!("node {id} paused"));
    run.node(id).pause();
    run.last();
    run.node(id).resume();
    Ok(())
}

pub(crate) fn restart_one(run: &mut Run) -> Result<(), End> {
    let id = run.pick()?;
    run.began(format!("node {id} restarted"));
    run.stop(&[id]);
    run.bring_back(&[id])
}

/// Every node in its turn becomes the build of before, then that of now; all at once where those do not talk to each other.
pub(crate) fn upgrade_all(run: &mut Run) -> Result<(), End> {
    let now = programs::programs().node.clone();
    let Some(previous) = run.previous.clone() else { return Err(End::failed("there is no build of before")) };
    let (before, after) = (links_of(&previous), links_of(&now));
    let in_turn = before.start() <= after.end() && after.start() <= before.end();
    run.began(if in_turn {
        "all nodes back to the build of before, and up again"
    } else {
        "all nodes at once back to the build of before, and up again"
    });
    for program in [&previous, &now] {
        let ids = run.cluster.ids();
        if in_turn {
            ids.iter().try_for_each(|id| become_build(run, program, &[*id]))?;
        } else {
            become_build(run, program, &ids)?;
        }
    }
    Ok(())
}

/// Stops these nodes and brings them back as that build.
fn become_build(run: &Run, program: &Path, ids: &[u64]) -> Result<(), End> {
    run.stop(ids);
    for id in ids {
        run.node(*id).become_build(program);
    }
    run.bring_back(ids)?;
    match ids.iter().find(|id| !run.is_ready(**id)) {
        None => Ok(()),
        Some(id) => {
            let said = run.node(*id).log_tail(1);
            Err(run.broken(format!("node {id} is not ready as {}: {said}", program.display())))
        }
    }
}

pub(crate) fn listed(ids: &[u64]) -> String {
    ids.iter().map(u64::to_string).collect::<Vec<_>>().join(" ")
}
