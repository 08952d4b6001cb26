//! Stand-ins for storage types that have not landed yet; gone with the first merge.
#![allow(missing_docs, missing_debug_implementations)]

pub mod storage {
    #[derive(Debug, Clone, thiserror::Error)]
    #[error("storage: {0}")]
    pub struct StorageError(pub String);

    pub mod types {
        use std::fmt;

        use bytes::Bytes;
        use serde::{Deserialize, Serialize};

        #[derive(Debug, Clone, Serialize, Deserialize)]
        pub struct Decisions {
            pub position: u64,
            pub outcomes: Vec<Decided>,
        }

        #[derive(Debug, Clone, Serialize, Deserialize)]
        pub enum Decided {
            Accepted { record: ledger::Record, replayed: bool },
            Refused(ledger::Rejection),
        }

        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
        pub struct Member {
            pub api: String,
            pub peer: String,
        }

        #[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
        pub struct Payload(pub Bytes);
        impl fmt::Debug for Payload {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "Payload({} bytes)", self.0.len())
            }
        }
        impl fmt::Display for Payload {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{} bytes", self.0.len())
            }
        }

        openraft::declare_raft_types!(
            pub TypeConfig:
                D = Payload,
                R = Decisions,
                NodeId = u64,
                Node = Member,
                AsyncRuntime = crate::runtime::Rt,
        );
    }

    pub mod codec {
        use super::StorageError;
        use serde::{Serialize, de::DeserializeOwned};

        pub fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, StorageError> {
            bincode::serde::encode_to_vec(value, bincode::config::standard()).map_err(|e| StorageError(e.to_string()))
        }
        pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, StorageError> {
            bincode::serde::decode_from_slice(bytes, bincode::config::standard())
                .map(|(v, _)| v)
                .map_err(|e| StorageError(e.to_string()))
        }
    }
}
