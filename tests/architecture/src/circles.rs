//! Finds circles: groups of files of which each leads to each other one.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::arrows::Arrows;
use crate::source::tree::FileId;

/// Files that depend on each other, all of them.
#[derive(Debug, PartialEq, Eq)]
pub struct Circle {
    /// All of them.
    pub files: BTreeSet<FileId>,
    /// A shortest way around, without its first file again at the end.
    pub shortest: Vec<FileId>,
}

type Next = BTreeMap<FileId, BTreeSet<FileId>>;

/// All circles, the largest first.
#[must_use]
pub fn circles(arrows: &Arrows) -> Vec<Circle> {
    let mut next = Next::new();
    for (from, to) in arrows.keys() {
        next.entry(*from).or_default().insert(*to);
    }
    let mut taken = BTreeSet::new();
    let mut found = Vec::new();
    for start in next.keys().copied().collect::<Vec<_>>() {
        if taken.contains(&start) {
            continue;
        }
        let reached = reach(&next, start);
        if !reached.contains(&start) {
            continue;
        }
        let files: BTreeSet<FileId> = reached.into_iter().filter(|file| reach(&next, *file).contains(&start)).collect();
        taken.extend(files.iter().copied());
        let around = files.iter().filter_map(|file| way_around(&next, *file)).min_by_key(Vec::len);
        found.push(Circle { shortest: around.unwrap_or_default(), files });
    }
    found.sort_by_key(|circle| std::cmp::Reverse(circle.files.len()));
    found
}

/// All that is reached from a file by at least one arrow.
fn reach(next: &Next, start: FileId) -> BTreeSet<FileId> {
    let mut reached = BTreeSet::new();
    let mut open = vec![start];
    while let Some(file) = open.pop() {
        for to in next.get(&file).into_iter().flatten() {
            if reached.insert(*to) {
                open.push(*to);
            }
        }
    }
    reached
}

/// A shortest way from a file to itself.
fn way_around(next: &Next, start: FileId) -> Option<Vec<FileId>> {
    let mut before = BTreeMap::new();
    let mut open = VecDeque::from([start]);
    while let Some(file) = open.pop_front() {
        for to in next.get(&file).into_iter().flatten() {
            if *to == start {
                let back = std::iter::successors(Some(file), |file| before.get(file).copied());
                let mut way: Vec<FileId> = back.collect();
                way.reverse();
                return Some(way);
            }
            if !before.contains_key(to) {
                before.insert(*to, file);
                open.push_back(*to);
            }
        }
    }
    None
}
