//! The book of a run: what clients asked and heard, what was done to the members, and which promises were broken.
//!
//! All of it in the order in which it happened: a run has one thread, so every event has a turn of its own.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ledger::{Command, RecordNumber};

use crate::door::{Fresh, Reply, Seen};
use crate::http::Look;
use crate::shown::{Shown, Told};

/// Where an event stands among all others.
pub type Turn = u64;

/// Commands that a client wants decided, under the same keys however often it asks.
#[derive(Debug)]
pub struct Op {
    /// Whose.
    pub session: u64,
    /// What it wants.
    pub commands: Vec<Command>,
    /// Each time it asked.
    pub attempts: Vec<Attempt>,
}

/// One time that an [`Op`] was asked for.
#[derive(Debug)]
pub struct Attempt {
    /// Whom; none where the client library chose.
    pub node: Option<u64>,
    /// The largest record that anybody had been told of.
    pub floor: RecordNumber,
    /// When it was asked.
    pub asked: Turn,
    /// When it was answered, and what.
    pub heard: Option<(Turn, Outcome)>,
}

/// What became of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Nobody heard it.
    NotSent,
    /// It was sent, and no answer came.
    Silence,
    /// This was answered.
    Said(Reply),
    /// This was answered over HTTP.
    Shown(Shown),
}

impl Outcome {
    /// Whether the attempt certainly had no effect.
    pub fn is_certainly_not_done(&self) -> bool {
        match self {
            Self::NotSent | Self::Said(Reply::NotDone(_)) => true,
            Self::Shown(shown) => shown.told.iter().all(Told::left_nothing),
            Self::Silence | Self::Said(_) => false,
        }
    }

    /// Whether it was decided, one way or the other.
    pub fn is_decided(&self) -> bool {
        matches!(self, Self::Said(Reply::Decided(_)) | Self::Shown(_))
    }
}

/// A read that was answered.
#[derive(Debug)]
pub struct Read {
    /// Whose.
    pub session: u64,
    /// Who answered.
    pub node: u64,
    /// How fresh it had to be.
    pub fresh: Fresh,
    /// The seller that was asked for.
    pub seller: RecordNumber,
    /// The key that asked.
    pub actor: u64,
    /// What was seen.
    pub seen: Seen,
}

/// A read over HTTP that was answered.
#[derive(Debug)]
pub struct Looked {
    /// Whose.
    pub session: u64,
    /// The largest record that anybody had been told of when it was asked.
    pub floor: RecordNumber,
    /// What was seen.
    pub look: Look,
}

/// A line of the story.
#[derive(Debug, Hash)]
pub enum Line {
    /// Something was done to the world.
    Fault(String),
    /// An op was asked for: its place, and the attempt's.
    Asked(usize, usize),
    /// And answered.
    Heard(usize, usize),
    /// A read was answered: its place.
    Read(usize),
    /// A read over HTTP was answered: its place.
    Looked(usize),
    /// A member became leader in a term.
    Leader(u64, u64),
}

/// A broken promise.
#[derive(Debug)]
pub struct Broken {
    /// When it was seen, in milliseconds since the beginning.
    pub at_ms: u64,
    /// What is wrong.
    pub what: String,
    /// The op that it is about, where it is about one.
    pub op: Option<usize>,
}

/// See the head of this file.
#[derive(Debug, Default)]
pub struct Pages {
    turn: Turn,
    /// Everything that was asked to be decided.
    pub ops: Vec<Op>,
    /// Every read that was answered.
    pub reads: Vec<Read>,
    /// Every read over HTTP that was answered.
    pub looks: Vec<Looked>,
    /// The story, with the time of each line.
    pub story: Vec<(u64, Line)>,
    /// The largest record that anybody was told of.
    pub furthest: RecordNumber,
    /// What was broken.
    pub broken: Vec<Broken>,
    hash: u64,
}

/// Shared by all of a run. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Book {
    pages: Arc<Mutex<Pages>>,
    now_ms: Arc<AtomicU64>,
}

impl Book {
    /// The book, open.
    pub fn pages(&self) -> MutexGuard<'_, Pages> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The book, where nobody else has it open.
    pub fn try_pages(&self) -> Option<MutexGuard<'_, Pages>> {
        self.pages.try_lock().ok()
    }

    /// Simulated milliseconds since the beginning.
    pub fn now_ms(&self) -> u64 {
        self.now_ms.load(Ordering::Relaxed)
    }

    /// Sets the time.
    pub fn set_now_ms(&self, now_ms: u64) {
        self.now_ms.store(now_ms, Ordering::Relaxed);
    }

    fn write(&self, pages: &mut Pages, line: Line) -> Turn {
        pages.turn += 1;
        let mut hasher = DefaultHasher::new();
        (pages.hash, self.now_ms(), &line).hash(&mut hasher);
        pages.hash = hasher.finish();
        pages.story.push((self.now_ms(), line));
        pages.turn
    }

    /// Something was done to the world.
    pub fn fault(&self, what: String) {
        self.write(&mut self.pages(), Line::Fault(what));
    }

    /// A member leads.
    pub fn leader(&self, node: u64, term: u64) {
        self.write(&mut self.pages(), Line::Leader(node, term));
    }

    /// A promise is broken.
    pub fn broken(&self, what: String) {
        self.broken_by(what, None);
    }

    /// A promise about an op is broken.
    pub fn broken_by(&self, what: String, op: Option<usize>) {
        let at_ms = self.now_ms();
        self.pages().broken.push(Broken { at_ms, what, op });
    }

    /// Whether a promise was broken.
    pub fn is_broken(&self) -> bool {
        !self.pages().broken.is_empty()
    }

    /// A new op.
    pub fn begin(&self, session: u64, commands: Vec<Command>) -> usize {
        let mut pages = self.pages();
        pages.ops.push(Op { session, commands, attempts: Vec::new() });
        pages.ops.len() - 1
    }

    /// The op is asked for.
    pub fn ask(&self, op: usize, node: Option<u64>) -> usize {
        let mut pages = self.pages();
        let attempt = pages.ops[op].attempts.len();
        let asked = self.write(&mut pages, Line::Asked(op, attempt));
        let floor = pages.furthest;
        pages.ops[op].attempts.push(Attempt { node, floor, asked, heard: None });
        attempt
    }

    /// The attempt came to an end.
    pub fn hear(&self, op: usize, attempt: usize, outcome: Outcome) {
        let mut pages = self.pages();
        let turn = self.write(&mut pages, Line::Heard(op, attempt));
        if let Outcome::Said(Reply::Decided(decisions)) = &outcome {
            let mut hasher = DefaultHasher::new();
            (pages.hash, decisions.position, decisions.outcomes.len()).hash(&mut hasher);
            for decided in &decisions.outcomes {
                if let etebar_node::raft::Decided::Recorded { record, .. } = decided {
                    record.number.hash(&mut hasher);
                    pages.furthest = pages.furthest.max(record.number);
                }
            }
            pages.hash = hasher.finish();
        }
        if let Outcome::Shown(shown) = &outcome {
            let mut hasher = DefaultHasher::new();
            (pages.hash, shown.position, shown.told.len()).hash(&mut hasher);
            for told in &shown.told {
                let number = told.number();
                number.hash(&mut hasher);
                pages.furthest = pages.furthest.max(number.unwrap_or(0));
            }
            pages.hash = hasher.finish();
        }
        pages.ops[op].attempts[attempt].heard = Some((turn, outcome));
    }

    /// A read was answered.
    pub fn read(&self, read: Read) {
        let mut pages = self.pages();
        let mut hasher = DefaultHasher::new();
        (pages.hash, read.seen.records, read.seen.applied).hash(&mut hasher);
        pages.hash = hasher.finish();
        if read.fresh == Fresh::Now {
            pages.furthest = pages.furthest.max(read.seen.records);
        }
        let place = pages.reads.len();
        pages.reads.push(read);
        self.write(&mut pages, Line::Read(place));
    }

    /// A read over HTTP was answered.
    pub fn looked(&self, looked: Looked) {
        let mut pages = self.pages();
        let mut hasher = DefaultHasher::new();
        (pages.hash, looked.look.applied, looked.look.balance).hash(&mut hasher);
        pages.hash = hasher.finish();
        let place = pages.looks.len();
        pages.looks.push(looked);
        self.write(&mut pages, Line::Looked(place));
    }

    /// A fingerprint of all that happened, the state of the end included.
    pub fn trace(&self, digest: &str) -> String {
        let mut hasher = DefaultHasher::new();
        (self.pages().hash, digest).hash(&mut hasher);
        format!("{:016x}", hasher.finish())
    }
}
