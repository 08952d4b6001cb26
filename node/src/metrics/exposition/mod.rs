//! A scrape: instruments as they stand, and the rest read from what the node knows at that instant.
//!
//! Format: Prometheus text, version 0.0.4. Blocks: it measures folders and reads `/proc`.

mod certificates;
mod cluster;
mod ledger;
mod process;
mod sheet;
mod storage;
#[cfg(test)]
mod tests;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, prometheus_text};
use prometheus_client::registry::Registry;
use tokio::sync::{Semaphore, watch};

use self::process::Process;
use self::sheet::Sheet;
use super::instruments::HttpInstruments;
use crate::raft::Cluster;
use crate::tls::Credentials;

/// What the text is, for `Content-Type`.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What a scrape reads from.
#[derive(Debug)]
pub struct Sources {
    /// The node.
    pub cluster: Cluster,
    /// What counts requests to its API.
    pub http: Arc<HttpInstruments>,
    /// Free slots for connections to its API.
    pub connections: Arc<Semaphore>,
    /// All of them.
    pub connections_max: usize,
    /// Where it keeps its data.
    pub data_dir: PathBuf,
    /// Free bytes of that disk below which nothing new is taken.
    pub disk_reserve_bytes: u64,
    /// The certificate of its API, where it has one.
    pub api_credentials: Option<watch::Receiver<Arc<Credentials>>>,
}

/// All families of one node.
#[derive(Debug)]
pub struct Exposition {
    /// Those with the prefix `etebar_`.
    of_node: Registry,
    /// Those of any process, whose names Prometheus's client libraries have in common.
    of_process: Registry,
}

impl Exposition {
    /// Of the node that `sources` are of. The instruments are registered here, once.
    pub fn new(sources: Sources) -> Self {
        let mut of_node = Registry::with_prefix("etebar");
        let raft = sources.cluster.instruments();
        raft.node.register(&mut of_node);
        raft.log.register(&mut of_node);
        raft.apply.register(&mut of_node);
        sources.http.register(&mut of_node);
        of_node.register_collector(Box::new(Observer(sources)));
        let mut of_process = Registry::default();
        of_process.register_collector(Box::new(Process));
        Self { of_node, of_process }
    }

    /// The text of a scrape. Blocks on the disk.
    ///
    /// # Errors
    /// None that is known: writing to a text does not fail.
    pub fn text(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        prometheus_text::encode(&mut text, &self.of_node)?;
        prometheus_text::encode(&mut text, &self.of_process)?;
        Ok(text)
    }
}

/// Observes the node at each scrape.
#[derive(Debug)]
struct Observer(Sources);

impl Collector for Observer {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let Sources {
            cluster: node,
            connections,
            connections_max,
            data_dir,
            disk_reserve_bytes,
            api_credentials,
            http: _,
        } = &self.0;
        let mut sheet = Sheet::new(encoder);
        let seen = node.observe();
        cluster::write(&mut sheet, &seen)?;
        ledger::write(&mut sheet, &seen)?;
        storage::write(&mut sheet, &seen, data_dir, *disk_reserve_bytes)?;
        let of_api = api_credentials.as_ref().map(|credentials| credentials.borrow().expiries());
        certificates::write(&mut sheet, seen.credentials, of_api)?;
        let open = connections_max.saturating_sub(connections.available_permits());
        sheet.gauge("http_connections", "Connections to the API that are open", open as f64)?;
        sheet.gauge("http_connections_max", "The most of them that may be open at once", *connections_max as f64)
    }
}
