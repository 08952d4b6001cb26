//! Sellers, API keys, credit requests, adjustments, the policy, and who leads: all writes but charges.

use uuid::Uuid;

use etebar_api::{
    ClusterStatus, CreditRequest, Entry, EntryKind, Key, NewAdjustment, NewBackup, NewCreditRequest, NewDecision,
    NewKey, NewLeader, NewRotation, NewSeller, Policy, RequestStatus, RotatedKey, Seller, SellerStatus,
};

use crate::call::Call;
use crate::call::answer::Answer;
use crate::{Client, Error, IdempotencyKey};

impl Client {
    /// Creates a seller. Admins only.
    pub async fn create_seller(&self, new: &NewSeller<'_>, key: &IdempotencyKey) -> Result<Answer<Seller>, Error> {
        self.fetch(&Call::post("/v1/sellers").json(new).keyed(key)).await
    }

    /// Refuses a seller's charges and credit requests from now on. Admins only.
    pub async fn suspend_seller(&self, seller: Uuid) -> Result<Answer<Seller>, Error> {
        self.set_status(seller, "suspend", SellerStatus::Suspended).await
    }

    /// Takes a seller's charges and credit requests again. Admins only.
    pub async fn activate_seller(&self, seller: Uuid) -> Result<Answer<Seller>, Error> {
        self.set_status(seller, "activate", SellerStatus::Active).await
    }

    async fn set_status(&self, seller: Uuid, verb: &str, status: SellerStatus) -> Result<Answer<Seller>, Error> {
        let call = Call::post(format!("/v1/sellers/{seller}/{verb}"));
        self.fetch_matching(&call, |shown: &Seller| shown.id == seller && shown.status == status).await
    }

    /// Creates an API key. The secret is in the first answer alone: where `replayed`, it is gone, and the key is to be
    /// revoked and replaced by another. Admins only.
    pub async fn create_key(&self, new: &NewKey<'_>, key: &IdempotencyKey) -> Result<Answer<Key>, Error> {
        let call = Call::post("/v1/keys").json(new).keyed(key);
        self.fetch_matching(&call, |made: &Key| made.role == new.role && made.seller_id == new.seller_id).await
    }

    /// Rotates an API key: a new one of its name and role, while the old one is valid for a time. The secret is in the first
    /// answer alone, as with [`Self::create_key`]. Admins only.
    pub async fn rotate_key(
        &self,
        id: Uuid,
        new: &NewRotation,
        key: &IdempotencyKey,
    ) -> Result<Answer<RotatedKey>, Error> {
        let call = Call::post(format!("/v1/keys/{id}/rotate")).json(new).keyed(key);
        self.fetch_matching(&call, |made: &RotatedKey| made.replaces == id).await
    }

    /// Sets the policy of the back office; repeating it changes nothing. Admins only.
    pub async fn set_policy(&self, policy: Policy) -> Result<Answer<Policy>, Error> {
        self.fetch_matching(&Call::post("/v1/policy").json(&policy), |set: &Policy| *set == policy).await
    }

    /// Revokes an API key; repeating it changes nothing. Admins only.
    pub async fn revoke_key(&self, id: Uuid) -> Result<Answer<()>, Error> {
        self.fetch_nothing(&Call::delete(format!("/v1/keys/{id}"))).await
    }

    /// Has a member lead, and waits until it does; repeating it changes nothing. The cluster as the asked node sees it then.
    /// Admins and operators.
    pub async fn lead(&self, id: u64) -> Result<Answer<ClusterStatus>, Error> {
        let call = Call::post("/v1/cluster/leader").json(&NewLeader { id }).slow();
        self.fetch_matching(&call, |shown: &ClusterStatus| shown.leader == Some(id)).await
    }

    /// Ends the hold of a ledger that was restored; repeating it changes nothing. Admins only.
    pub async fn open_ledger(&self) -> Result<Answer<ClusterStatus>, Error> {
        self.fetch_matching(&Call::post("/v1/cluster/open"), |shown: &ClusterStatus| shown.on_hold == Some(false)).await
    }

    /// Notes that a backup of so many records was verified, with this digest over them. Admins and operators.
    pub async fn note_backup(&self, records: u64, digest: &str) -> Result<Answer<ClusterStatus>, Error> {
        let call = Call::post("/v1/cluster/backups").json(&NewBackup { records, digest: digest.into() });
        self.fetch_matching(&call, |shown: &ClusterStatus| shown.last_backup.is_some()).await
    }

    /// Asks for more credit: a seller for itself, an admin or an approver for the seller that `new` names.
    pub async fn request_credit(
        &self,
        new: &NewCreditRequest<'_>,
        key: &IdempotencyKey,
    ) -> Result<Answer<CreditRequest>, Error> {
        let call = Call::post("/v1/credit-requests").json(new).keyed(key);
        self.fetch_matching(&call, |made: &CreditRequest| {
            new.amount.minor(made.amount.decimals()).map(i128::from) == Ok(made.amount.minor())
        })
        .await
    }

    /// Approves a credit request; repeating it moves nothing. Admins, and approvers up to their limit.
    pub async fn approve(&self, request: Uuid, decision: &NewDecision<'_>) -> Result<Answer<CreditRequest>, Error> {
        self.decide(request, "approve", RequestStatus::Approved, decision).await
    }

    /// Rejects a credit request; repeating it changes nothing. Admins and approvers.
    pub async fn reject(&self, request: Uuid, decision: &NewDecision<'_>) -> Result<Answer<CreditRequest>, Error> {
        self.decide(request, "reject", RequestStatus::Rejected, decision).await
    }

    async fn decide(
        &self,
        request: Uuid,
        verb: &str,
        status: RequestStatus,
        decision: &NewDecision<'_>,
    ) -> Result<Answer<CreditRequest>, Error> {
        let call = Call::post(format!("/v1/credit-requests/{request}/{verb}")).json(decision);
        self.fetch_matching(&call, |shown: &CreditRequest| shown.id == request && shown.status == status).await
    }

    /// Corrects a seller's credit, up or down. Admins only.
    pub async fn adjust(
        &self,
        seller: Uuid,
        new: &NewAdjustment<'_>,
        key: &IdempotencyKey,
    ) -> Result<Answer<Entry>, Error> {
        let call = Call::post(format!("/v1/sellers/{seller}/adjustments")).json(new).keyed(key);
        self.fetch_matching(&call, |entry: &Entry| {
            let amount = new.amount.minor(entry.amount.decimals()).map(i128::from);
            entry.kind == EntryKind::Adjustment && entry.seller_id == seller && amount == Ok(entry.amount.minor())
        })
        .await
    }
}
