//! What a member tells a node that joins: all that its data directory has to begin with.
//!
//! One frame, the only one of its connection, of at most [`INTRODUCTION_BYTES`]. No type of openraft or of the ledger is in it,
//! so that their changes leave its bytes as they are. Invariant: nothing of it is used that [`Introduction::check`] refuses.

use ledger::{MAX_DECIMALS, Name, NodeNumber};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Longest answer to a node that joins, in bytes. Source: more than a thousand members with addresses of a hundred characters.
pub const INTRODUCTION_BYTES: usize = 256 << 10;

/// The answer to a node that joins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum JoinAnswer {
    /// The cluster that it joins.
    Introduced(Introduction),
    /// Its number is not a member's any more.
    NoMember,
    /// Its number belongs to another data directory.
    NumberUsed,
    /// Nothing can be said for certain now, and why.
    NotNow(String),
}

/// A cluster, as one of its members knows it after everything that was acknowledged before it was asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Introduction {
    /// The ledger's id.
    pub ledger: Uuid,
    /// How often it was restored, and one.
    pub epoch: u32,
    /// The version of the rules that it goes by now.
    pub rules: u32,
    /// The currency's name.
    pub currency: String,
    /// Decimal places of an amount.
    pub places: u8,
    /// How long an idempotency key is remembered, in milliseconds.
    pub key_window_ms: u64,
    /// How many idempotency keys are remembered at most.
    pub keys_max: u64,
    /// BLAKE3 of the first admin key.
    pub admin_key_hash: [u8; 32],
    /// The index of the log entry that made this list of members.
    pub members_index: u64,
    /// All members by ascending number, the one that joins among them.
    pub members: Vec<IntroducedMember>,
}

/// A member, and where it serves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IntroducedMember {
    /// Its number.
    pub node: NodeNumber,
    /// Host and port of its HTTP API.
    pub api: String,
    /// Host and port of its peer link.
    pub peer: String,
}

impl Introduction {
    /// Whether node `me`, whose build knows rules up to `rules`, can begin with it.
    ///
    /// # Errors
    /// Why it cannot, in one line.
    pub fn check(&self, me: NodeNumber, rules: u32) -> Result<(), String> {
        if self.rules > rules {
            return Err(format!(
                "the ledger goes by rules {}, and this build knows rules up to {rules}: join with a build that knows them \
                 (`etebar-node --version` says which a build knows)",
                self.rules
            ));
        }
        let unfit = |what: &str| Err(format!("the member that answered sent {what}: look at its build and its data"));
        if self.ledger.is_nil() || self.epoch == 0 || Name::new(&self.currency).is_err() || self.places > MAX_DECIMALS {
            return unfit("no ledger");
        }
        if self.key_window_ms == 0 || self.keys_max == 0 {
            return unfit("no window of idempotency keys");
        }
        let are_ascending = self.members.array_windows().all(|[one, next]| one.node < next.node);
        if !are_ascending || self.members.iter().any(|member| member.peer.is_empty()) {
            return unfit("no list of members");
        }
        match (self.members.iter().any(|member| member.node == me), self.members.len()) {
            (true, 2..) => Ok(()),
            (true | false, _) => unfit(&format!("a list of members that is not of node {me} and others")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn introduction() -> Introduction {
        let member = |node: NodeNumber| IntroducedMember { node, api: format!("a:{node}"), peer: format!("b:{node}") };
        Introduction {
            ledger: Uuid::from_u128(1),
            epoch: 1,
            rules: 2,
            currency: "IRT".to_owned(),
            places: 0,
            key_window_ms: 1_000,
            keys_max: 10,
            admin_key_hash: [7; 32],
            members_index: 4,
            members: [1, 2, 4].map(member).to_vec(),
        }
    }

    #[test]
    fn only_what_a_node_can_begin_with_is_taken() {
        assert_eq!(introduction().check(4, 2), Ok(()));
        assert!(introduction().check(3, 2).unwrap_err().contains("not of node 3"), "it is not among them");
        assert!(introduction().check(4, 1).unwrap_err().contains("goes by rules 2"));
        let good = introduction();
        let [first, second, own] = [0, 1, 2].map(|place| good.members[place].clone());
        for unfit in [
            Introduction { ledger: Uuid::nil(), ..good.clone() },
            Introduction { epoch: 0, ..good.clone() },
            Introduction { currency: String::new(), ..good.clone() },
            Introduction { places: 5, ..good.clone() },
            Introduction { key_window_ms: 0, ..good.clone() },
            Introduction { keys_max: 0, ..good.clone() },
            Introduction { members: vec![own.clone()], ..good.clone() },
            Introduction { members: vec![second, first.clone(), own.clone()], ..good.clone() },
            Introduction { members: vec![first.clone(), first, own], ..good.clone() },
        ] {
            let refused = unfit.check(4, 2).unwrap_err();
            assert!(!refused.contains('\n'), "{refused}");
        }
    }
}
