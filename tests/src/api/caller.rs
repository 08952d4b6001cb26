//! Callers: an admin, sellers with their keys and credit, and the few things that nearly every scenario asks of them.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Value, json};

use crate::api::http::{Request, Response};
use crate::wait::{self, until};

/// A caller with an API key, at one node.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The node's API.
    pub address: SocketAddr,
    /// The API key.
    pub key: String,
}

/// A seller and its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seller {
    /// Its id.
    pub id: String,
    /// Its API key.
    pub key: String,
}

/// A text that no other call in this test run has drawn: for names and idempotency keys.
pub fn unique(what: &str) -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    format!("{what}-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

/// The mobile number with that count, as E.164.
pub fn phone(count: u64) -> String {
    format!("+98912{count:07}")
}

impl Caller {
    /// Sends a request once, under the caller's key; panics where no answer comes.
    #[track_caller]
    pub fn send(&self, request: &Request) -> Response {
        self.try_send(request).unwrap_or_else(|error| panic!("{} {}: {error}", request.method, request.path))
    }

    /// Sends a request once, under the caller's key; an error where no answer comes.
    pub fn try_send(&self, request: &Request) -> io::Result<Response> {
        request.clone().bearer(&self.key).send(self.address)
    }

    /// The same for a `GET`.
    pub fn try_get(&self, path: &str) -> io::Result<Response> {
        self.try_send(&Request::get(path))
    }

    /// A `GET`, sent once.
    #[track_caller]
    pub fn get(&self, path: &str) -> Response {
        self.send(&Request::get(path))
    }

    /// A `DELETE`, sent once.
    #[track_caller]
    pub fn delete(&self, path: &str) -> Response {
        self.send(&Request::new("DELETE", path))
    }

    /// A `POST` without an idempotency key.
    #[track_caller]
    pub fn post(&self, path: &str, body: &Value) -> Response {
        self.send(&Request::post(path).json(body))
    }

    /// A `POST` under that idempotency key.
    #[track_caller]
    pub fn post_keyed(&self, path: &str, key: &str, body: &Value) -> Response {
        self.send(&Request::post(path).key(key).json(body))
    }

    /// Sends the same request until its outcome is known: after a broken connection, a 503 or a 504 again.
    #[track_caller]
    pub fn settle(&self, request: &Request) -> Response {
        until(2 * wait::PATIENCE, &format!("an outcome of {} {}", request.method, request.path), || {
            self.try_send(request).ok().filter(|answer| !matches!(answer.status, 503 | 504))
        })
    }

    /// A charge, sent once.
    #[track_caller]
    pub fn charge(&self, key: &str, phone: &str, amount: i64) -> Response {
        self.send(&charge(key, phone, amount))
    }

    /// A credit request that must be accepted; its id.
    #[track_caller]
    pub fn request_credit(&self, amount: i64) -> String {
        let request =
            Request::post("/v1/credit-requests").key(&unique("request")).json(&json!({"amount": amount.to_string()}));
        id_of(&self.settle(&request).expect(201))
    }

    /// A new seller with a key of its own, made by this admin.
    #[track_caller]
    pub fn new_seller(&self, name: &str) -> Seller {
        let body = json!({"name": unique(name)});
        let id = id_of(&self.settle(&Request::post("/v1/sellers").key(&unique("seller")).json(&body)).expect(201));
        let key = self.new_key("seller", Some(&id)).0;
        Seller { id, key }
    }

    /// A new API key and its id, made by this admin.
    #[track_caller]
    pub fn new_key(&self, role: &str, seller: Option<&str>) -> (String, String) {
        let mut body = json!({"role": role, "name": unique(role)});
        if let Some(seller) = seller {
            body["seller_id"] = json!(seller);
        }
        // Without an idempotency key: a replay would not show the secret again.
        let made = self.post("/v1/keys", &body).expect(201).json();
        let text = |name: &str| made[name].as_str().expect("a new key has an id and a secret").to_owned();
        (text("key"), text("id"))
    }

    /// Approves a credit request; sent until its outcome is known.
    #[track_caller]
    pub fn approve(&self, request: &str) -> Response {
        self.settle(&Request::post(format!("/v1/credit-requests/{request}/approve")))
    }

    /// A seller's balance in whole units, as the node reads it.
    #[track_caller]
    pub fn balance(&self, seller: &str) -> i64 {
        number(&self.settle(&Request::get(format!("/v1/sellers/{seller}"))).expect(200).json()["balance"])
    }

    /// Every item of a list.
    #[track_caller]
    pub fn list(&self, path: &str) -> Vec<Value> {
        let mut items = Vec::new();
        self.each(path, |item| items.push(item.clone()));
        items
    }

    /// Shows every item of a list, page by page.
    #[track_caller]
    pub fn each(&self, path: &str, mut show: impl FnMut(&Value)) {
        let separator = if path.contains('?') { '&' } else { '?' };
        let mut next = format!("{path}{separator}limit=1000");
        loop {
            let page = self.settle(&Request::get(&next)).expect(200).json();
            page["items"].as_array().expect("a page has items").iter().for_each(&mut show);
            let Some(after) = page["next"].as_str() else { return };
            next = format!("{path}{separator}limit=1000&after={after}");
        }
    }
}

/// The request of a charge.
pub fn charge(key: &str, phone: &str, amount: i64) -> Request {
    Request::post("/v1/charges").key(key).json(&json!({"phone": phone, "amount": amount.to_string()}))
}

/// The id in an answer.
#[track_caller]
pub fn id_of(answer: &Response) -> String {
    answer.json()["id"].as_str().expect("it has an id").to_owned()
}

/// An amount that an answer gives as a text, in whole units.
#[track_caller]
pub fn number(value: &Value) -> i64 {
    value.as_str().and_then(|text| text.parse().ok()).unwrap_or_else(|| panic!("{value} is no whole amount"))
}
