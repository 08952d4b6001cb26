//! A charge's JSON, written straight to bytes: the hot path. The same bytes as [`etebar_api::Charge`] serialises to.

use etebar_api as api;
use ledger::{Charged, Event, IdKind, Record, RecordNumber, Reference, Time};

use super::{LedgerInfo, text_of, timestamp};

/// Bytes that one charge takes at most, about, a long reference apart.
pub(crate) const CHARGE_BYTES: usize = 340;

/// Writes charges one after the other. What consecutive ones share, the time and the seller, is rendered once.
#[derive(Debug)]
pub(crate) struct ChargeWriter<'a> {
    info: &'a LedgerInfo,
    time: Option<(Time, String)>,
    seller: Option<(RecordNumber, String)>,
}

impl<'a> ChargeWriter<'a> {
    /// A writer that has written nothing yet.
    pub(crate) fn new(info: &'a LedgerInfo) -> Self {
        Self { info, time: None, seller: None }
    }

    /// Appends the charge of this record to `out`; `false` where the record is no charge, and nothing was written.
    pub(crate) fn write(&mut self, out: &mut Vec<u8>, record: &Record) -> bool {
        let Event::Charged(Charged { seller, phone, amount, entry, balance, reference, .. }) = &record.event else {
            return false;
        };
        let ids = &self.info.ids;
        let mut uuid = [0_u8; uuid::fmt::Hyphenated::LENGTH];
        out.extend_from_slice(b"{\"id\":\"");
        let id = ids.uuid(IdKind::Charge, record.number);
        out.extend_from_slice(id.hyphenated().encode_lower(&mut uuid).as_bytes());
        out.extend_from_slice(b"\",\"entry\":");
        digits(out, *entry, 1);
        out.extend_from_slice(b",\"seller_id\":\"");
        out.extend_from_slice(self.seller(*seller).as_bytes());
        out.extend_from_slice(b"\",\"phone\":\"+");
        digits(out, phone.digits(), 1);
        out.extend_from_slice(b"\",\"amount\":\"");
        self.money(out, amount.minor());
        out.extend_from_slice(b"\",\"balance\":\"");
        self.money(out, balance.minor());
        out.extend_from_slice(b"\",\"reference\":");
        text(out, reference.as_ref().map(Reference::as_str));
        out.extend_from_slice(b",\"created_at\":\"");
        out.extend_from_slice(self.time(record.time).as_bytes());
        out.extend_from_slice(b"\"}");
        true
    }

    fn money(&self, out: &mut Vec<u8>, minor: u64) {
        let unit = 10_u64.pow(self.info.decimals);
        digits(out, minor / unit, 1);
        if self.info.decimals > 0 {
            out.push(b'.');
            digits(out, minor % unit, self.info.decimals as usize);
        }
    }

    fn seller(&mut self, number: RecordNumber) -> &str {
        if self.seller.as_ref().is_none_or(|(known, _)| *known != number) {
            self.seller = Some((number, self.info.ids.uuid(IdKind::Seller, number).hyphenated().to_string()));
        }
        self.seller.as_ref().map_or("", |(_, text)| text)
    }

    fn time(&mut self, time: Time) -> &str {
        if self.time.as_ref().is_none_or(|(known, _)| *known != time) {
            self.time = Some((time, api::Timestamp(time.0).to_string()));
        }
        self.time.as_ref().map_or("", |(_, text)| text)
    }
}

/// Appends a number in decimal, at least `width` digits.
fn digits(out: &mut Vec<u8>, mut number: u64, width: usize) {
    let mut text = [b'0'; 20];
    let mut at = text.len();
    while number > 0 {
        at -= 1;
        text[at] = b'0' + (number % 10) as u8;
        number /= 10;
    }
    out.extend_from_slice(&text[at.min(text.len() - width)..]);
}

/// Appends a text as JSON, or `null`.
fn text(out: &mut Vec<u8>, text: Option<&str>) {
    // Writing to memory does not fail, and a text is always JSON.
    drop(serde_json::to_writer(out, &text));
}

impl LedgerInfo {
    /// A charge as lists show it; `None` where the record is no charge.
    pub fn charge(&self, record: &Record) -> Option<api::Charge> {
        let Event::Charged(Charged { seller, phone, amount, entry, balance, reference, .. }) = &record.event else {
            return None;
        };
        Some(api::Charge {
            id: self.ids.uuid(IdKind::Charge, record.number),
            entry: *entry,
            seller_id: self.seller_id(*seller),
            phone: phone.to_string(),
            amount: self.amount(amount.plus()),
            balance: self.amount(balance.signed()),
            reference: text_of(reference.as_ref()),
            created_at: timestamp(record.time),
        })
    }
}
