//! Faults between nodes: cut off whole or one way, flapping, lossy, late.

use std::time::Duration;

use tests::faults::network::Network;
use tests::wait::let_pass;

use crate::end::End;
use crate::run::Run;

/// How often a flapping node goes and comes back.
const FLAPS: u32 = 8;
/// Of a hundred packets so many are lost.
const LOST: u32 = 20;

/// Cuts a victim off by `cut`, lets that last, and heals it; `what` names it for its number.
fn for_a_while(run: &mut Run, what: impl Fn(u64) -> String, cut: impl Fn(&Network, u64)) -> Result<(), End> {
    let id = run.pick()?;
    run.began(what(id));
    cut(network(run)?, id);
    run.last();
    network(run)?.heal(id);
    Ok(())
}

fn network(run: &Run) -> Result<&Network, End> {
    run.network.as_ref().ok_or_else(|| End::failed("there are no networks between nodes"))
}

pub(crate) fn cut_off(run: &mut Run) -> Result<(), End> {
    for_a_while(run, |id| format!("node {id} cut off"), cut_both)
}

pub(crate) fn cut_in(run: &mut Run) -> Result<(), End> {
    for_a_while(run, |id| format!("node {id} receives nothing"), Network::cut_in)
}

pub(crate) fn cut_out(run: &mut Run) -> Result<(), End> {
    for_a_while(run, |id| format!("node {id} sends nothing"), Network::cut_out)
}

pub(crate) fn lose(run: &mut Run) -> Result<(), End> {
    for_a_while(run, |id| format!("node {id} loses {LOST} %"), |network, id| network.lose(id, LOST))
}

/// Of three nodes the third still reaches both; of five the victim reaches one, and neither of them has a majority.
pub(crate) fn cut_most(run: &mut Run) -> Result<(), End> {
    let ids = run.cluster.ids();
    let friend = |id: u64| id % ids.len() as u64 + 1;
    let cut = |network: &Network, id: u64| {
        let others = ids.iter().filter(|other| **other != id && **other != friend(id));
        others.for_each(|other| network.cut_between(id, *other));
    };
    for_a_while(run, |id| format!("node {id} cut off from all but node {}", friend(id)), cut)
}

pub(crate) fn flap(run: &mut Run) -> Result<(), End> {
    let id = run.pick()?;
    run.began(format!("node {id} flapping"));
    for _ in 0..FLAPS {
        cut_both(network(run)?, id);
        short_pause(run);
        network(run)?.heal(id);
        short_pause(run);
    }
    Ok(())
}

pub(crate) fn delay(run: &mut Run) -> Result<(), End> {
    let id = run.pick()?;
    let least = 5 + run.dice.below(60);
    run.began(format!("node {id} sends {least} to {} ms late", 3 * least));
    run.delay(id, least, 3 * least)?;
    run.last();
    run.delay(id, 0, 0)
}

fn cut_both(network: &Network, id: u64) {
    network.cut_in(id);
    network.cut_out(id);
}

/// 0.1 to 0.4 s.
fn short_pause(run: &mut Run) {
    let_pass(Duration::from_millis(100 * (1 + run.dice.below(4))));
}
