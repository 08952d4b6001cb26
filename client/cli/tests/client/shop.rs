//! A seller's books behind a fake node, and a folder with a file to import.

use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use uuid::Uuid;

use crate::fake::{Asked, Fake, Reaction, problem};

/// Longest wait for an event. Only a failing test waits that long.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// A seller's books behind a fake node: a charge is decided once for each key.
pub(crate) struct Shop {
    pub fake: Fake,
    pub books: Arc<Mutex<Books>>,
    /// A message a batch, as it came and before it is answered.
    batches: Receiver<()>,
}

pub(crate) struct Books {
    pub seller: Uuid,
    pub credit: u64,
    pub decided: HashMap<String, Value>,
    pub charged: Vec<(String, String)>,
    pub date: &'static str,
}

/// What a test does about a batch.
#[derive(Clone)]
pub(crate) enum Trouble {
    /// It is not decided, and gets this reaction.
    Undecided(Reaction),
    /// It is decided, and gets no answer.
    Unanswered,
}

/// Given how many batches came before; `None` lets it be decided and answered.
type Troubles = dyn Fn(usize) -> Option<Trouble> + Send + Sync;

pub(crate) fn shop(trouble: impl Fn(usize) -> Option<Trouble> + Send + Sync + 'static) -> Shop {
    let books = Books {
        seller: Uuid::from_u128(2),
        credit: 1_000_000_000,
        decided: HashMap::new(),
        charged: Vec::new(),
        date: "date: Sun, 09 Sep 2001 01:46:40 GMT",
    };
    let books = Arc::new(Mutex::new(books));
    let (announce, batches) = channel();
    let announce = Mutex::new((announce, 0));
    let shared = Arc::clone(&books);
    let trouble: Box<Troubles> = Box::new(trouble);
    let fake = Fake::start(move |asked, _| react(asked, &shared, &announce, &*trouble));
    Shop { fake, books, batches }
}

fn react(asked: &Asked, books: &Mutex<Books>, announce: &Mutex<(Sender<()>, usize)>, trouble: &Troubles) -> Reaction {
    let (date, seller) = {
        let books = books.lock().unwrap();
        (books.date, books.seller)
    };
    let fine = |body: Value| Reaction::Answer(200, vec![date], body.to_string());
    match asked.line.as_str() {
        "GET /v1/sellers/me" => {
            let credit = books.lock().unwrap().credit.to_string();
            let at = "2001-01-01T00:00:00.000Z";
            fine(json!({"id": seller, "name": "s", "status": "active", "balance": credit, "created_at": at}))
        }
        "GET /v1/cluster" => fine(json!({
            "leader": 1, "term": 1, "applied": 9, "version": "0", "members": [], "key_window_seconds": 86_400,
        })),
        "POST /v1/charges/batch" => {
            let before = {
                let mut announce = announce.lock().unwrap();
                announce.1 += 1;
                // A test that waits for no batch has dropped the other end.
                let _ = announce.0.send(());
                announce.1 - 1
            };
            let decide = || books.lock().unwrap().decide(&asked.body);
            match trouble(before) {
                None => fine(decide()),
                Some(Trouble::Undecided(reaction)) => reaction,
                Some(Trouble::Unanswered) => {
                    decide();
                    Reaction::NoAnswer
                }
            }
        }
        _ => Reaction::Answer(404, vec![], problem("not_found", 404)),
    }
}

impl Books {
    pub(crate) fn decide(&mut self, body: &str) -> Value {
        let asked: Value = serde_json::from_str(body).unwrap();
        let results = asked["charges"].as_array().unwrap().iter().map(|charge| self.charge(charge));
        json!({"results": results.collect::<Vec<_>>()})
    }

    fn charge(&mut self, charge: &Value) -> Value {
        let text = |name: &str| charge[name].as_str().unwrap().to_owned();
        let (key, phone, amount) = (text("idempotency_key"), text("phone"), text("amount"));
        if let Some(decided) = self.decided.get(&key) {
            let mut again = decided.clone();
            again["replayed"] = json!(true);
            return again;
        }
        let minor: u64 = amount.parse().unwrap();
        let result = if minor > self.credit {
            let problem: Value = serde_json::from_str(&problem("insufficient_credit", 409)).unwrap();
            json!({"status": 409, "replayed": false, "problem": problem})
        } else {
            self.credit -= minor;
            self.charged.push((phone.clone(), key.clone()));
            let entry = self.charged.len();
            json!({"status": 201, "replayed": false, "charge": {
                "id": Uuid::from_u128(entry as u128), "entry": entry, "seller_id": self.seller, "phone": phone,
                "amount": amount, "balance": self.credit.to_string(), "created_at": "2001-01-01T00:00:00.000Z",
            }})
        };
        self.decided.insert(key, result.clone());
        result
    }
}

impl Shop {
    pub(crate) fn honest() -> Shop {
        shop(|_| None)
    }

    pub(crate) fn wait_for_batch(&self) {
        self.batches.recv_timeout(PATIENCE).expect("a batch is sent");
    }

    /// How often each phone was charged.
    pub(crate) fn phones(&self) -> HashMap<String, usize> {
        let mut phones = HashMap::new();
        for (phone, _) in &self.books.lock().unwrap().charged {
            *phones.entry(phone.clone()).or_default() += 1;
        }
        phones
    }

    pub(crate) fn charged(&self) -> usize {
        self.books.lock().unwrap().charged.len()
    }

    pub(crate) fn requests(&self) -> usize {
        self.fake.asked().len()
    }

    pub(crate) fn batches(&self) -> Vec<Vec<String>> {
        let asked = self.fake.asked().into_iter().filter(|asked| asked.line == "POST /v1/charges/batch");
        let keys = asked.map(|asked| {
            let body: Value = serde_json::from_str(&asked.body).unwrap();
            let charges = body["charges"].as_array().unwrap().clone();
            charges.iter().map(|charge| charge["idempotency_key"].as_str().unwrap().to_owned()).collect()
        });
        keys.collect()
    }
}

/// A folder with an input.
pub(crate) struct Desk {
    folder: TempDir,
}

impl Desk {
    pub(crate) fn with(text: impl AsRef<[u8]>) -> Desk {
        let desk = Desk { folder: tempfile::tempdir().unwrap() };
        fs::write(desk.input(), text).unwrap();
        desk
    }

    /// So many lines, each for a phone of its own.
    pub(crate) fn lines(count: usize) -> Desk {
        let lines = (0..count).map(|line| format!("0912{line:07},{}\n", 1 + line % 10));
        Desk::with(format!("phone,amount\n{}", lines.collect::<String>()))
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn input(&self) -> PathBuf {
        self.path("orders.csv")
    }

    pub(crate) fn text(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.path(name).exists()
    }

    /// How many lines of the result have each status.
    pub(crate) fn statuses(&self) -> HashMap<String, usize> {
        let mut reader = csv::Reader::from_path(self.path("orders.result.csv")).unwrap();
        let at = reader.headers().unwrap().iter().position(|name| name == "status").unwrap();
        let mut statuses = HashMap::new();
        for record in reader.records() {
            *statuses.entry(record.unwrap()[at].to_owned()).or_default() += 1;
        }
        statuses
    }
}
