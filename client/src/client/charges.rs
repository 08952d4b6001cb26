//! Charges, batches of them, and reversals.

use uuid::Uuid;

use crate::api::{BatchRequest, BatchResponse, Charge, Entry, NewCharge, NewReversal};

use super::call::{Answer, Call};
use super::{Client, Error, IdempotencyKey};

impl Client {
    /// Sells airtime to a phone. Sellers only.
    pub async fn charge(&self, new: &NewCharge<'_>, key: &IdempotencyKey) -> Result<Answer<Charge>, Error> {
        self.fetch(&Call::post("/v1/charges").json(new).keyed(key)).await
    }

    /// Sells airtime to up to 8,000 phones at once; each item stands alone, under its own key. Sellers only.
    pub async fn charge_batch(&self, new: &BatchRequest<'_>) -> Result<Answer<BatchResponse>, Error> {
        self.fetch(&Call::post("/v1/charges/batch").json(new).patient()).await
    }

    /// Undoes a charge, whole. Admins only.
    pub async fn reverse(
        &self,
        charge: Uuid,
        new: &NewReversal<'_>,
        key: &IdempotencyKey,
    ) -> Result<Answer<Entry>, Error> {
        self.fetch(&Call::post(format!("/v1/charges/{charge}/reversal")).json(new).keyed(key)).await
    }
}
