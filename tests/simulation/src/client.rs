//! A client: it asks any member, asks again under the same key where it was not told, and reads.
//!
//! Some come over HTTP, through the client library, and some by the other door. They live on a host of their own that
//! never fails, so that what they were told is never forgotten.

use std::collections::BTreeMap;
use std::time::Duration;

use etebar_node::raft::Decided;
use etebar_node::raft::link::frame::{Receiver, Sender, split};
use etebar_node::runtime::net::TcpStream;
use etebar_node::runtime::spawn;
use etebar_node::storage::model::Dice;
use ledger::{Action, Adjust, Command, CreateSeller, Name, Note, RecordNumber, SignedAmount};
use tokio::time::{Instant, sleep, timeout_at};

use crate::book::{Book, Looked, Outcome, Read};
use crate::door::{Ask, Fresh, PORT, Reply};
use crate::host::name;
use crate::http::Caller;
use crate::market::{ADMIN, Market, Wish, command, new_key};
use crate::shown::Told;
use crate::swarm::Plan;

/// Longest time for connecting.
const DIAL: Duration = Duration::from_millis(300);
/// Longest time that the client library is given for a call, in milliseconds.
const CALL_MS: u64 = 6_000;
/// How often a wish is asked for.
const ATTEMPTS: u64 = 6;

/// See the head of this file.
pub struct Session {
    id: u64,
    turn: u64,
    plan: Plan,
    book: Book,
    market: Market,
    dice: Dice,
    links: BTreeMap<u64, (Sender, Receiver)>,
    /// It comes over HTTP, where that has words for what it wants.
    caller: Option<Caller>,
    /// Whom it asks first.
    home: u64,
    /// The position of the last answer.
    position: u64,
}

impl Session {
    /// Client number `id`.
    pub fn new(id: u64, plan: &Plan, book: &Book, market: &Market) -> Self {
        let mut dice = Dice::new(plan.seed, 1_000 + id);
        let home = dice.between(1, plan.nodes);
        // The first ones open shops and do what HTTP shows no record of.
        // The last one has a proxy in between.
        let caller = match id {
            id if id + 1 == plan.sessions => Some(Caller::behind_proxy(plan.hosts(), home)),
            id => (id >= plan.sessions - plan.callers).then(|| Caller::new(plan.hosts(), home)),
        };
        let (plan, book, market) = (plan.clone(), book.clone(), market.clone());
        Self { id, turn: 0, plan, book, market, dice, links: BTreeMap::new(), caller, home, position: 0 }
    }

    /// Asks and reads until the market closes. The first client opens it.
    pub async fn run(mut self) {
        if self.id == 0 {
            for shop in 0..3 {
                self.open_shop(shop).await;
            }
            self.market.known().open = true;
        }
        loop {
            sleep(Duration::from_millis(self.dice.between(1, self.plan.pace_ms))).await;
            if self.market.known().closed {
                return;
            }
            if !self.market.known().open {
                continue;
            }
            if self.id == 0 && std::mem::take(&mut self.market.known().wants_shop) {
                self.open_shop(3).await;
            }
            self.turn += 1;
            if self.dice.once_in(self.plan.reads) {
                self.read().await;
                continue;
            }
            let key = format!("c{}.{}", self.id, self.turn);
            let Some(wish) = self.market.wish(&mut self.dice, &key, self.plan.again) else { continue };
            self.ask(wish).await;
        }
    }

    /// A seller with a key and some credit; asked for until it is there.
    async fn open_shop(&mut self, shop: u64) {
        let text = format!("shop{shop}");
        let create = Action::CreateSeller(CreateSeller { name: Name::new(&text).expect("a short name") });
        let seller = self.insist(&format!("{text}.seller"), create).await;
        self.insist(&format!("{text}.key"), new_key(seller, &text)).await;
        let amount = SignedAmount::new(500).expect("it is not zero");
        self.insist(&format!("{text}.credit"), Action::Adjust(Adjust { seller, amount, reason: Note::empty() })).await;
    }

    async fn insist(&mut self, key: &str, action: Action) -> RecordNumber {
        loop {
            let wish = Wish { commands: vec![command(ADMIN, Some(key), action.clone())], may_repeat: true };
            if let Some(number) = self.ask(wish).await {
                return number;
            }
        }
    }

    /// Has a wish decided, with several attempts where that is safe; the record of its first command.
    async fn ask(&mut self, wish: Wish) -> Option<RecordNumber> {
        let op = self.book.begin(self.id, wish.commands.clone());
        if wish.may_repeat && self.dice.once_in(20) {
            self.ask_beside(op, &wish.commands);
        }
        // Some give up at once: what they were told must then be the last word.
        let attempts = if self.dice.once_in(4) { 1 } else { ATTEMPTS };
        for _ in 0..attempts {
            match self.ask_once(op, &wish.commands).await {
                Outcome::Shown(shown) => {
                    self.market.learn_shown(&shown);
                    self.position = self.position.max(shown.position.unwrap_or(0));
                    return shown.told.first().and_then(Told::number);
                }
                Outcome::Said(Reply::Decided(decisions)) => {
                    self.market.learn(&decisions);
                    self.position = self.position.max(decisions.position);
                    return match decisions.outcomes.first() {
                        Some(Decided::Recorded { record, .. }) => Some(record.number),
                        Some(Decided::NotRecorded(_)) | None => None,
                    };
                }
                outcome if outcome.is_certainly_not_done() || wish.may_repeat => {}
                _ => return None,
            }
            self.home = self.any_host();
            sleep(Duration::from_millis(self.dice.between(5, 150))).await;
        }
        None
    }

    async fn ask_once(&mut self, op: usize, commands: &[Command]) -> Outcome {
        if let Some(caller) = self.caller.as_ref().filter(|_| Caller::can_ask(commands)) {
            let secret = self.market.known().secret(commands[0].actor);
            let timeout = Duration::from_millis(self.dice.between(200, CALL_MS.min(self.plan.key_window_ms / 2)));
            let attempt = self.book.ask(op, None);
            let outcome = caller.ask(&secret, commands, timeout).await;
            self.book.hear(op, attempt, outcome.clone());
            return outcome;
        }
        let node = self.pick();
        let patience = Duration::from_millis(self.dice.between(150, 2_500));
        // Some let the member work on after they gave up, the others hear its last word.
        let wait_ms = if self.dice.once_in(2) { 4_000 } else { patience.as_millis() as u64 - 100 };
        let attempt = self.book.ask(op, Some(node));
        let outcome = self.call(node, Ask::Decide { commands: commands.to_vec(), wait_ms }, patience).await;
        self.book.hear(op, attempt, outcome.clone());
        outcome
    }

    /// The same at the same time to another member, as an impatient proxy would.
    fn ask_beside(&mut self, op: usize, commands: &[Command]) {
        let (book, commands) = (self.book.clone(), commands.to_vec());
        let node = self.any_host();
        spawn(async move {
            let attempt = book.ask(op, Some(node));
            let deadline = Instant::now() + Duration::from_millis(2_000);
            let outcome = match connect(node).await {
                None => Outcome::NotSent,
                Some(mut link) => exchange(&mut link, &Ask::Decide { commands, wait_ms: 2_000 }, deadline).await,
            };
            book.hear(op, attempt, outcome);
        });
    }

    async fn read(&mut self) {
        let (seller, (actor, secret), suspect) = {
            let known = self.market.known();
            let Some(shop) = known.shops.get(self.dice.below(known.shops.len().max(1) as u64) as usize) else { return };
            (shop.seller, shop.keys[self.dice.below(shop.keys.len() as u64) as usize].clone(), known.suspect)
        };
        let suspect = suspect.filter(|_| self.dice.once_in(2));
        if let Some(caller) = &self.caller {
            let floor = self.book.pages().furthest;
            let timeout = Duration::from_millis(self.dice.between(200, CALL_MS));
            if let Some(look) = caller.look(&secret, suspect, timeout).await {
                self.book.looked(Looked { session: self.id, floor, look });
            }
            return;
        }
        let fresh = if self.dice.once_in(5) { Fresh::Whatever } else { Fresh::Now };
        let min_applied = if self.dice.once_in(2) { self.position } else { 0 };
        let floor = self.book.pages().furthest;
        let any = if self.dice.once_in(2) { self.pick() } else { self.any_host() };
        let node = suspect.unwrap_or(any);
        let ask = Ask::Read { actor, seller, consistency: fresh, min_applied, wait_ms: 1_500 };
        let Outcome::Said(Reply::Seen(seen)) = self.call(node, ask, Duration::from_millis(1_500)).await else { return };
        let reader = format!("client {} at member {node}", self.id);
        if fresh == Fresh::Now && seen.records < floor {
            let records = seen.records;
            self.book.broken(format!(
                "a read is stale: {reader} saw {records} records, though {floor} were told before it began"
            ));
        }
        if seen.applied < min_applied {
            let applied = seen.applied;
            self.book.broken(format!("a session went back: {reader} asked for position {min_applied}, got {applied}"));
        }
        self.position = self.position.max(if fresh == Fresh::Now { seen.applied } else { 0 });
        self.book.read(Read { session: self.id, node, fresh, seller, actor, seen });
    }

    /// One of all hosts, or of those that are known to be well; before the market is open one of the first members, since
    /// the others have not been added yet.
    fn any_host(&mut self) -> u64 {
        let known = self.market.known();
        if !known.well.is_empty() {
            return known.well[self.dice.below(known.well.len() as u64) as usize];
        }
        self.dice.between(1, if known.open { self.plan.hosts() } else { self.plan.nodes })
    }

    fn pick(&mut self) -> u64 {
        if self.dice.once_in(6) { self.any_host() } else { self.home }
    }

    async fn call(&mut self, node: u64, ask: Ask, patience: Duration) -> Outcome {
        let deadline = Instant::now() + patience;
        let mut link = match self.links.remove(&node) {
            Some(link) => link,
            None => match connect(node).await {
                Some(link) => link,
                None => return Outcome::NotSent,
            },
        };
        let outcome = exchange(&mut link, &ask, deadline).await;
        if matches!(outcome, Outcome::Said(_)) {
            self.links.insert(node, link);
        }
        outcome
    }
}

async fn connect(node: u64) -> Option<(Sender, Receiver)> {
    let stream = timeout_at(Instant::now() + DIAL, TcpStream::connect((name(node), PORT))).await.ok()?.ok()?;
    Some(split(stream))
}

async fn exchange((sender, receiver): &mut (Sender, Receiver), ask: &Ask, deadline: Instant) -> Outcome {
    let asked = async {
        sender.send(ask).await.ok()?;
        receiver.receive::<Reply>().await.ok()
    };
    match timeout_at(deadline, asked).await {
        Ok(Some(reply)) => Outcome::Said(reply),
        Ok(None) | Err(_) => Outcome::Silence,
    }
}
