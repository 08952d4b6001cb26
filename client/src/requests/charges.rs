//! Charges, batches of them, and reversals.

use uuid::Uuid;

use etebar_api::{
    AmountIn, BatchItem, BatchRequest, BatchResponse, BatchResult, Charge, Entry, EntryKind, NewCharge, NewReversal,
    read_phone,
};

use crate::call::Call;
use crate::call::answer::Answer;
use crate::{Client, Error, IdempotencyKey};

impl Client {
    /// Sells airtime to a phone. Sellers only.
    pub async fn charge(&self, new: &NewCharge<'_>, key: &IdempotencyKey) -> Result<Answer<Charge>, Error> {
        let call = Call::post("/v1/charges").json(new).keyed(key);
        self.fetch_matching(&call, |charge| is_of(charge, &new.phone, new.amount)).await
    }

    /// Sells airtime to up to 8,000 phones at once; each item stands alone, under its own key. Sellers only.
    pub async fn charge_batch(&self, new: &BatchRequest<'_>) -> Result<Answer<BatchResponse>, Error> {
        let call = Call::post("/v1/charges/batch").json(new).keyed_in_body().slow();
        self.fetch_matching(&call, |response: &BatchResponse| {
            let pairs = || response.results.iter().zip(&new.charges);
            response.results.len() == new.charges.len() && pairs().all(|(result, item)| is_result_of(result, item))
        })
        .await
    }

    /// Undoes a charge, whole. Admins only.
    pub async fn reverse(
        &self,
        charge: Uuid,
        new: &NewReversal<'_>,
        key: &IdempotencyKey,
    ) -> Result<Answer<Entry>, Error> {
        let call = Call::post(format!("/v1/charges/{charge}/reversal")).json(new).keyed(key);
        self.fetch_matching(&call, |entry: &Entry| entry.kind == EntryKind::Reversal && entry.reference == charge).await
    }
}

/// Whether a charge is the requested one, as far as it shows. A phone that is not read here is for the node to judge.
fn is_of(charge: &Charge, phone: &str, amount: AmountIn) -> bool {
    let same_phone = read_phone(phone).map_or(true, |phone| phone.to_string() == charge.phone);
    let minor = amount.minor(charge.amount.decimals()).map(i128::from);
    same_phone && minor == Ok(charge.amount.minor())
}

fn is_result_of(result: &BatchResult, item: &BatchItem<'_>) -> bool {
    match (result.status, &result.charge, &result.problem) {
        (201, Some(charge), None) => is_of(charge, &item.phone, item.amount),
        (409 | 422, None, Some(problem)) => problem.status == result.status && problem.code.status() == result.status,
        (_, _, _) => false,
    }
}
