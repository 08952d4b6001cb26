//! A request built once and changed in place: only the secret, the keys and the phones differ between two charges.

use std::ops::Range;

use fastrand::Rng;

/// Digits of a key that count up. Source: 10^10 charges of one worker outlast any bench.
const COUNTER_DIGITS: usize = 10;
/// Digits of a phone that vary.
const PHONE_DIGITS: usize = 7;

/// The bytes of a request and where its parts lie.
#[derive(Debug)]
pub(crate) struct Template {
    bytes: Vec<u8>,
    secret: Range<usize>,
    /// Where the digits of each charge's key and phone begin.
    charges: Vec<Slots>,
    counter: u64,
    phones: u64,
    random: Rng,
}

#[derive(Debug, Clone, Copy)]
struct Slots {
    counter: usize,
    phone: usize,
}

/// What stays the same in all requests of a worker.
#[derive(Debug, Clone)]
pub(crate) struct Shape<'a> {
    /// Begins every key: differs between runs and between workers. At most 32 characters.
    pub(crate) prefix: &'a str,
    /// Any secret: all of one role are equally long.
    pub(crate) secret: &'a str,
    /// As it is written in JSON, without quotes.
    pub(crate) amount: &'a str,
    /// How many phones are charged, at random: 1 to 10,000,000, as many as the digits that vary allow.
    pub(crate) phones: u64,
    pub(crate) seed: u64,
}

impl Template {
    /// One charge, `POST /v1/charges`.
    pub(crate) fn single(shape: &Shape<'_>) -> Template {
        let mut body = Vec::new();
        let phone = push_phone(&mut body, b"{\"phone\":\"+98912");
        body.extend_from_slice(format!("\",\"amount\":\"{}\"}}", shape.amount).as_bytes());
        let mut bytes = Vec::new();
        let secret = push_head(&mut bytes, "/v1/charges", shape.secret, body.len());
        bytes.extend_from_slice(b"idempotency-key: ");
        let counter = push_key(&mut bytes, shape.prefix);
        bytes.extend_from_slice(b"\r\n\r\n");
        let slots = Slots { counter, phone: bytes.len() + phone };
        bytes.extend_from_slice(&body);
        Template {
            bytes,
            secret,
            charges: vec![slots],
            counter: 0,
            phones: shape.phones,
            random: Rng::with_seed(shape.seed),
        }
    }

    /// `charges` charges, `POST /v1/charges/batch`.
    pub(crate) fn batch(shape: &Shape<'_>, charges: u32) -> Template {
        let mut body = b"{\"charges\":[".to_vec();
        let mut slots = Vec::new();
        for index in 0..charges {
            if index > 0 {
                body.push(b',');
            }
            let phone = push_phone(&mut body, b"{\"phone\":\"+98912");
            let amount = format!("\",\"amount\":\"{}\",\"idempotency_key\":\"", shape.amount);
            body.extend_from_slice(amount.as_bytes());
            let counter = push_key(&mut body, shape.prefix);
            body.extend_from_slice(b"\"}");
            slots.push(Slots { counter, phone });
        }
        body.extend_from_slice(b"]}");
        let mut bytes = Vec::new();
        let secret = push_head(&mut bytes, "/v1/charges/batch", shape.secret, body.len());
        bytes.extend_from_slice(b"\r\n");
        let body_at = bytes.len();
        for slots in &mut slots {
            slots.counter += body_at;
            slots.phone += body_at;
        }
        bytes.extend_from_slice(&body);
        Template { bytes, secret, charges: slots, counter: 0, phones: shape.phones, random: Rng::with_seed(shape.seed) }
    }

    /// A read of the seller's balance, `GET /v1/sellers/me`.
    pub(crate) fn read(secret: &str) -> Template {
        let mut bytes = Vec::new();
        let secret = push_request_line(&mut bytes, "GET /v1/sellers/me", secret);
        bytes.extend_from_slice(b"\r\n\r\n");
        Template { bytes, secret, charges: Vec::new(), counter: 0, phones: 0, random: Rng::with_seed(0) }
    }

    /// What costs a node nothing but HTTP, `GET /livez`: it has no secret.
    pub(crate) fn no_op() -> Template {
        let bytes = b"GET /livez HTTP/1.1\r\nhost: etebar\r\n\r\n".to_vec();
        Template { bytes, secret: 0..0, charges: Vec::new(), counter: 0, phones: 0, random: Rng::with_seed(0) }
    }

    /// The next request, under another secret, with new keys and other phones.
    pub(crate) fn next(&mut self, secret: &str) -> &[u8] {
        self.bytes[self.secret.clone()].copy_from_slice(secret.as_bytes());
        for slots in &self.charges {
            self.counter += 1;
            put_digits(&mut self.bytes[slots.counter..slots.counter + COUNTER_DIGITS], self.counter);
            // Phones need spread, not secrecy.
            put_digits(&mut self.bytes[slots.phone..slots.phone + PHONE_DIGITS], self.random.u64(..self.phones));
        }
        &self.bytes
    }

    /// The same request again.
    pub(crate) fn again(&self) -> &[u8] {
        &self.bytes
    }

    /// Charges in a request; none in a read.
    pub(crate) fn charges(&self) -> u64 {
        self.charges.len() as u64
    }
}

/// Writes the head of a request with a body, but for its last line; gives where the secret lies.
fn push_head(bytes: &mut Vec<u8>, path: &str, secret: &str, body_bytes: usize) -> Range<usize> {
    let secret = push_request_line(bytes, &format!("POST {path}"), secret);
    let rest = format!("\r\ncontent-type: application/json\r\ncontent-length: {body_bytes}\r\n");
    bytes.extend_from_slice(rest.as_bytes());
    secret
}

/// Writes what every request begins with, up to the secret; gives where that lies.
fn push_request_line(bytes: &mut Vec<u8>, method_and_path: &str, secret: &str) -> Range<usize> {
    let before = format!("{method_and_path} HTTP/1.1\r\nhost: etebar\r\nauthorization: Bearer ");
    bytes.extend_from_slice(before.as_bytes());
    let start = bytes.len();
    bytes.extend_from_slice(secret.as_bytes());
    start..bytes.len()
}

/// Writes a key; gives where its digits begin.
fn push_key(bytes: &mut Vec<u8>, prefix: &str) -> usize {
    bytes.extend_from_slice(prefix.as_bytes());
    let at = bytes.len();
    bytes.extend_from_slice(&[b'0'; COUNTER_DIGITS]);
    at
}

/// Writes `before` and the rest of a phone; gives where its varying digits begin.
fn push_phone(bytes: &mut Vec<u8>, before: &[u8]) -> usize {
    bytes.extend_from_slice(before);
    let at = bytes.len();
    bytes.extend_from_slice(&[b'0'; PHONE_DIGITS]);
    at
}

fn put_digits(place: &mut [u8], mut value: u64) {
    for digit in place.iter_mut().rev() {
        *digit = b'0' + (value % 10) as u8;
        value /= 10;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use etebar::api::{BatchRequest, NewCharge};

    const SHAPE: Shape<'_> = Shape { prefix: "b-1-", secret: "secret", amount: "1", phones: 5, seed: 7 };

    fn split(request: &[u8]) -> (String, Vec<u8>) {
        let at = memchr::memmem::find(request, b"\r\n\r\n").unwrap();
        (String::from_utf8(request[..at + 4].to_vec()).unwrap(), request[at + 4..].to_vec())
    }

    #[test]
    fn a_single_charge_is_a_whole_request_with_a_new_key_each_time() {
        let mut template = Template::single(&SHAPE);
        let (head, body) = split(template.next("terces"));
        assert!(head.starts_with("POST /v1/charges HTTP/1.1\r\n") && head.contains("authorization: Bearer terces\r\n"));
        assert!(head.contains(&format!("content-length: {}\r\n", body.len())));
        assert!(head.contains("idempotency-key: b-1-0000000001\r\n"));
        let charge: NewCharge<'_> = serde_json::from_slice(&body).unwrap();
        assert!(charge.phone.starts_with("+98912000000") && charge.phone.len() == 13);
        assert!(split(template.next("secret")).0.contains("idempotency-key: b-1-0000000002\r\n"));
        assert!(split(template.again()).0.contains("idempotency-key: b-1-0000000002\r\n"));
    }

    #[test]
    fn a_read_has_the_secret_and_a_no_op_has_none() {
        let (head, body) = split(Template::read("secret").next("terces"));
        assert_eq!(head, "GET /v1/sellers/me HTTP/1.1\r\nhost: etebar\r\nauthorization: Bearer terces\r\n\r\n");
        assert!(body.is_empty());
        let mut no_op = Template::no_op();
        assert_eq!(split(no_op.next("")).0, "GET /livez HTTP/1.1\r\nhost: etebar\r\n\r\n");
        assert_eq!(no_op.charges(), 0);
    }

    #[test]
    fn a_batch_has_a_key_of_its_own_for_each_charge() {
        let mut template = Template::batch(&SHAPE, 3);
        template.next("secret");
        let (head, body) = split(template.next("secret"));
        assert!(head.contains(&format!("content-length: {}\r\n", body.len())));
        let batch: BatchRequest<'_> = serde_json::from_slice(&body).unwrap();
        let keys: Vec<_> = batch.charges.iter().map(|item| item.idempotency_key.as_ref()).collect();
        assert_eq!(keys, ["b-1-0000000004", "b-1-0000000005", "b-1-0000000006"]);
    }
}
