//! Changes of the cluster's members. Each names what is to be, so that repeating it changes nothing more.

use etebar_api::{NewMember, NodeRole, NodeStatus};

use crate::call::Call;
use crate::call::answer::Answer;
use crate::{Client, Error};

impl Client {
    /// Adds a node, as a learner under a number that was never given; with the addresses of a member it is that one. Admins only.
    pub async fn add_member(&self, new: &NewMember<'_>) -> Result<Answer<NodeStatus>, Error> {
        let call = Call::post("/v1/cluster/members").json(new).slow();
        self.fetch_matching(&call, |shown: &NodeStatus| shown.peer == new.peer).await
    }

    /// Gives a learner that has caught up a vote. Admins only.
    pub async fn promote_member(&self, id: u64) -> Result<Answer<NodeStatus>, Error> {
        let call = Call::post(format!("/v1/cluster/members/{id}/promote")).slow();
        self.fetch_matching(&call, |shown: &NodeStatus| shown.id == id && shown.role == NodeRole::Voter).await
    }

    /// Removes a node, permanently: its number and its data directory cannot come back. Admins only.
    pub async fn remove_member(&self, id: u64) -> Result<Answer<()>, Error> {
        self.fetch_nothing(&Call::delete(format!("/v1/cluster/members/{id}")).slow()).await
    }
}
