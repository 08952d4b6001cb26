//! All reads, and the filters of lists. Reads are linearizable on every server.

use uuid::Uuid;

use etebar_api::{
    Act, Audit, ChargeRead, ClusterStatus, CreditRequest, DigestAt, Entry, Key, Phone, Policy, Reconciliation,
    RequestStatus, Seller, Timestamp,
};

use crate::call::Call;
use crate::call::answer::Answer;
use crate::call::query::escaped;
use crate::{Client, Error, IdempotencyKey, Pager, Query};

/// A span of ledger time, by which lists of entries and charges are filtered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Span {
    /// Inclusive; `None` begins with the first.
    pub from: Option<Timestamp>,
    /// Exclusive; `None` ends with the last.
    pub to: Option<Timestamp>,
}

/// Which charges are listed: those that fit every field that is set.
#[derive(Debug, Clone, Default)]
pub struct ChargeFilter {
    /// To this number, as people write it.
    pub phone: Option<String>,
    /// Of this seller.
    pub seller: Option<Uuid>,
    /// Under this key, while the cluster remembers it; an admin sets `seller` too.
    pub key: Option<IdempotencyKey>,
    /// Within this span.
    pub span: Span,
}

/// Which credit requests are listed: those that fit every field that is set.
#[derive(Debug, Clone, Copy, Default)]
pub struct CreditRequestFilter {
    /// With this status.
    pub status: Option<RequestStatus>,
    /// Of this seller.
    pub seller: Option<Uuid>,
}

impl Span {
    fn narrow(self, query: Query) -> Query {
        query.and_some("from", self.from).and_some("to", self.to)
    }
}

impl Client {
    /// One seller; `None` asks for the key's own.
    pub async fn seller(&self, seller: Option<Uuid>) -> Result<Answer<Seller>, Error> {
        self.fetch(&Call::get(format!("/v1/sellers/{}", id_or_me(seller)))).await
    }

    /// All sellers.
    pub fn sellers_list(&self, limit: u32) -> Pager<Seller> {
        Pager::new(self.clone(), Query::new("/v1/sellers"), limit)
    }

    /// All keys, without their secrets.
    pub fn keys_list(&self, limit: u32) -> Pager<Key> {
        Pager::new(self.clone(), Query::new("/v1/keys"), limit)
    }

    /// What anybody but a seller did, within a span, by the key of that name or by all. Admins and auditors.
    pub fn acts_list(&self, actor: Option<&str>, span: Span, limit: u32) -> Pager<Act> {
        Pager::new(self.clone(), span.narrow(Query::new("/v1/acts").and_some("actor", actor)), limit)
    }

    /// The policy of the back office.
    pub async fn policy(&self) -> Result<Answer<Policy>, Error> {
        self.fetch(&Call::get("/v1/policy")).await
    }

    /// One credit request.
    pub async fn credit_request(&self, request: Uuid) -> Result<Answer<CreditRequest>, Error> {
        self.fetch(&Call::get(format!("/v1/credit-requests/{request}"))).await
    }

    /// Credit requests.
    pub fn credit_requests_list(&self, filter: CreditRequestFilter, limit: u32) -> Pager<CreditRequest> {
        let status = filter.status.map(|status| match status {
            RequestStatus::Pending => "pending",
            RequestStatus::Approved => "approved",
            RequestStatus::Rejected => "rejected",
        });
        let query = Query::new("/v1/credit-requests").and_some("status", status).and_some("seller_id", filter.seller);
        Pager::new(self.clone(), query, limit)
    }

    /// One charge.
    pub async fn charge_read(&self, charge: Uuid) -> Result<Answer<ChargeRead>, Error> {
        self.fetch(&Call::get(format!("/v1/charges/{charge}"))).await
    }

    /// Charges.
    pub fn charges_list(&self, filter: &ChargeFilter, limit: u32) -> Pager<ChargeRead> {
        let query = Query::new("/v1/charges")
            .and_some("phone", filter.phone.as_deref())
            .and_some("seller_id", filter.seller)
            .and_some("idempotency_key", filter.key.as_ref());
        Pager::new(self.clone(), filter.span.narrow(query), limit)
    }

    /// One seller's entries.
    pub fn entries_list(&self, seller: Uuid, span: Span, limit: u32) -> Pager<Entry> {
        let query = Query::new(format!("/v1/sellers/{seller}/entries"));
        Pager::new(self.clone(), span.narrow(query), limit)
    }

    /// The whole journal.
    pub fn journal(&self, limit: u32) -> Pager<Entry> {
        self.journal_within(Span::default(), limit)
    }

    /// The journal from this entry on.
    pub fn journal_from(&self, entry: u64, limit: u32) -> Pager<Entry> {
        Pager::new(self.clone(), Query::new("/v1/journal").and("from_entry", entry), limit)
    }

    /// The journal's entries in a span of time.
    pub fn journal_within(&self, span: Span, limit: u32) -> Pager<Entry> {
        Pager::new(self.clone(), span.narrow(Query::new("/v1/journal")), limit)
    }

    /// One seller's books, recomputed.
    pub async fn reconciliation(&self, seller: Uuid) -> Result<Answer<Reconciliation>, Error> {
        self.fetch(&Call::get(format!("/v1/sellers/{seller}/reconciliation")).slow()).await
    }

    /// What was sold to a phone number, written as people write it.
    pub async fn phone(&self, number: &str) -> Result<Answer<Phone>, Error> {
        self.fetch(&Call::get(format!("/v1/phones/{}", escaped(number)))).await
    }

    /// The whole ledger, recomputed up to one position: as far as the asked node's audit has come, or, where an entry is given,
    /// once that covers it.
    pub async fn audit(&self, min_entry: Option<u64>) -> Result<Answer<Audit>, Error> {
        self.fetch(&Call::get(Query::new("/v1/audit").and_some("min_entry", min_entry).finish()).slow()).await
    }

    /// The cluster as the asked node sees it.
    pub async fn cluster(&self) -> Result<Answer<ClusterStatus>, Error> {
        let answer: Answer<ClusterStatus> = self.fetch(&Call::get("/v1/cluster")).await?;
        self.key_window.learn(&answer.value);
        Ok(answer)
    }

    /// The asked replica's digest, now or at a recent position.
    pub async fn digest(&self, applied: Option<u64>) -> Result<Answer<DigestAt>, Error> {
        self.fetch(&Call::get(Query::new("/v1/cluster/digest").and_some("applied", applied).finish())).await
    }
}

fn id_or_me(seller: Option<Uuid>) -> String {
    seller.map_or_else(|| "me".to_owned(), |id| id.to_string())
}
