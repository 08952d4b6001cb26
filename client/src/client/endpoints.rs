//! Sellers, keys, credit requests, adjustments: what is written now and then.

use uuid::Uuid;

use crate::api::{CreditRequest, Entry, Key, NewAdjustment, NewCreditRequest, NewKey, NewSeller, Seller, Verdict};

use super::call::{Answer, Call};
use super::{Client, Error, IdempotencyKey};

impl Client {
    /// Creates a seller. Admins only.
    pub async fn create_seller(&self, new: &NewSeller<'_>, key: &IdempotencyKey) -> Result<Answer<Seller>, Error> {
        self.fetch(&Call::post("/v1/sellers").json(new).keyed(key)).await
    }

    /// Refuses a seller's charges and credit requests from now on. Admins only.
    pub async fn suspend_seller(&self, seller: Uuid) -> Result<Answer<Seller>, Error> {
        self.fetch(&Call::post(format!("/v1/sellers/{seller}/suspend"))).await
    }

    /// Takes a seller's charges and credit requests again. Admins only.
    pub async fn activate_seller(&self, seller: Uuid) -> Result<Answer<Seller>, Error> {
        self.fetch(&Call::post(format!("/v1/sellers/{seller}/activate"))).await
    }

    /// Creates an API key. The secret is in the first answer alone: where `replayed`, it is gone, and the key is to be
    /// revoked and made anew. Admins only.
    pub async fn create_key(&self, new: &NewKey<'_>, key: &IdempotencyKey) -> Result<Answer<Key>, Error> {
        self.fetch(&Call::post("/v1/keys").json(new).keyed(key)).await
    }

    /// Revokes an API key; again changes nothing. Admins only.
    pub async fn revoke_key(&self, id: Uuid) -> Result<Answer<()>, Error> {
        self.fetch_nothing(&Call::delete(format!("/v1/keys/{id}"))).await
    }

    /// Asks for more credit. Sellers only.
    pub async fn request_credit(
        &self,
        new: &NewCreditRequest<'_>,
        key: &IdempotencyKey,
    ) -> Result<Answer<CreditRequest>, Error> {
        self.fetch(&Call::post("/v1/credit-requests").json(new).keyed(key)).await
    }

    /// Approves a credit request; again moves nothing. Admins only.
    pub async fn approve(&self, request: Uuid, verdict: &Verdict<'_>) -> Result<Answer<CreditRequest>, Error> {
        self.fetch(&Call::post(format!("/v1/credit-requests/{request}/approve")).json(verdict)).await
    }

    /// Rejects a credit request; again changes nothing. Admins only.
    pub async fn reject(&self, request: Uuid, verdict: &Verdict<'_>) -> Result<Answer<CreditRequest>, Error> {
        self.fetch(&Call::post(format!("/v1/credit-requests/{request}/reject")).json(verdict)).await
    }

    /// Corrects a seller's credit, up or down. Admins only.
    pub async fn adjust(
        &self,
        seller: Uuid,
        new: &NewAdjustment<'_>,
        key: &IdempotencyKey,
    ) -> Result<Answer<Entry>, Error> {
        self.fetch(&Call::post(format!("/v1/sellers/{seller}/adjustments")).json(new).keyed(key)).await
    }
}
