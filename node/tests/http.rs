//! The HTTP API of one node over a real socket, before a cluster of one.

mod http {
    pub(crate) mod kit;
    #[path = "../kit/pki.rs"]
    mod pki;

    mod audits;
    mod backup;
    mod bad_input;
    mod batches;
    mod connections;
    mod credit_lifecycle;
    mod edge;
    mod pages;
    mod quotas;
    mod roles;
}
