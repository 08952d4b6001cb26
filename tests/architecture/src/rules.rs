//! The tables of the rules. They change here and nowhere else.
//!
//! Paths are relative to the root of the repository, with `/`, and stand for a file or for all files below a folder.

/// What must hold.
pub struct Rules {
    /// Orders of layers, the highest first: no file of a later layer names a file of an earlier one.
    pub orders: &'static [&'static [&'static str]],
    /// Which libraries may be named where.
    pub libraries: &'static [Libraries],
    /// Crate roots that must say `#![no_std]`.
    pub no_std: &'static [&'static str],
    /// Most children of a folder; more is a warning.
    pub children_max: usize,
    /// Most files that may be in cycles, all cycles together; it is only ever lowered.
    pub files_in_circles_max: usize,
}

/// Libraries that no file in a scope may name, except below some paths in it.
pub struct Libraries {
    /// The libraries.
    pub names: &'static [&'static str],
    /// Where they may not be named.
    pub scope: &'static str,
    /// Where they may be, within the scope.
    pub except: &'static [&'static str],
    /// For the message of a breach.
    pub why: &'static str,
}

/// The rules of this repository (ARCHITECTURE.md, "Modules").
pub const RULES: Rules = Rules {
    orders: &[
        &[
            "node/src/main.rs",
            "node/src/http",
            "node/src/raft",
            "node/src/storage",
            "node/pages/src",
            "node/ledger/src",
        ],
        &["node/src/http", "node/src/raft", "node/src/pki"],
        &["node/src/storage", "node/src/pki"],
        &["node/src/http", "node/src/metrics/exposition", "node/src/raft", "node/src/metrics/instruments"],
        &["node/src/storage", "node/src/metrics/instruments"],
        &["node/src/http", "node/src/raft", "node/src/tls"],
        &["node/src/storage", "node/src/tls"],
        &["node/src/main.rs", "node/src/config", "node/src/raft"],
        &["node/src/raft", "node/src/identity"],
        &["node/src/raft", "node/src/runtime"],
        &["node/src", "client/api/src", "node/ledger/src"],
        &["node/src", "node/pages/src"],
        &["client/cli/src", "node/pages/src"],
        &["client/cli/src", "client/src", "client/api/src", "node/ledger/src"],
    ],
    libraries: &[
        Libraries {
            names: &["sled"],
            scope: "node/src",
            except: &["node/src/storage"],
            why: "only storage/ names sled",
        },
        Libraries {
            names: &["bincode"],
            scope: "node",
            except: &["node/pages/src/codec.rs"],
            why: "one file names bincode, the codec",
        },
        Libraries {
            names: &["openraft"],
            scope: "node/src",
            except: &["node/src/storage", "node/src/raft"],
            why: "only raft/ and storage/ name openraft",
        },
        Libraries { names: &["axum"], scope: "node/src", except: &["node/src/http"], why: "only http/ names axum" },
        Libraries {
            names: &["prometheus_client"],
            scope: "node/src",
            except: &["node/src/metrics"],
            why: "only metrics/ names prometheus_client",
        },
        Libraries {
            names: &[
                "std",
                "tokio",
                "sled",
                "openraft",
                "axum",
                "bincode",
                "prometheus_client",
                "etebar",
                "etebar_node",
                "rand",
                "getrandom",
            ],
            scope: "node/ledger/src",
            except: &[],
            why: "the ledger is pure",
        },
        Libraries {
            names: &["tokio", "sled", "openraft", "axum", "etebar", "etebar_node", "etebar_api"],
            scope: "node/pages/src",
            except: &[],
            why: "a backup is read without a node",
        },
        Libraries {
            names: &["etebar"],
            scope: "node/src",
            except: &[],
            why: "the node knows the bodies of the contract, not its own client",
        },
        Libraries {
            names: &["etebar_node"],
            scope: "client",
            except: &[],
            why: "the client knows the HTTP contract alone",
        },
        Libraries {
            names: &["rusty_s3"],
            scope: "client",
            except: &["client/cli/src/backup/s3"],
            why: "only backup/s3 names rusty_s3",
        },
        Libraries {
            names: &["tokio", "hyper", "clap"],
            scope: "client/api/src",
            except: &[],
            why: "the bodies of the contract need none of the program",
        },
        Libraries {
            names: &["etebar_node", "etebar", "ledger"],
            scope: "tests/src",
            except: &[],
            why: "the test kit looks from outside",
        },
        Libraries {
            names: &["etebar_node", "etebar", "ledger"],
            scope: "tests/tests",
            except: &[],
            why: "the tests look from outside",
        },
    ],
    no_std: &["node/ledger/src/lib.rs"],
    children_max: 9,
    files_in_circles_max: 0,
};

/// Whether `file` is `path`, or stands below it.
#[must_use]
pub fn is_within(file: &str, path: &str) -> bool {
    file.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}
