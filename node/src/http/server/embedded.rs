//! The API without a listener: it serves streams that it is given, for tests and fuzzers alone.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};

use super::connection::{Shutdown, serve_connection};
use super::service::ApiService;
use crate::http::app::App;
use crate::http::limits::Limits;
use crate::raft::Cluster;
use crate::runtime::{Entropy, NoEntropy};

/// The API of one node. Cheap to clone.
#[derive(Clone)]
pub struct EmbeddedServer {
    app: App,
    service: ApiService,
}

impl EmbeddedServer {
    /// Fails where there is no entropy to draw from.
    pub fn new(cluster: Cluster, limits: Limits, entropy: Entropy) -> Result<Self, NoEntropy> {
        let app = App::new(cluster, limits, entropy, PathBuf::new())?;
        Ok(Self { service: ApiService::new(app.clone()), app })
    }

    /// What its handlers share.
    #[cfg(test)]
    pub(crate) fn app(&self) -> App {
        self.app.clone()
    }

    /// Serves one connection to its end.
    pub async fn serve<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(self, stream: S) {
        let Self { app, service } = self;
        let shutdown = Arc::new(Shutdown::default());
        let answer = {
            let shutdown = Arc::clone(&shutdown);
            move |request, progress| service.clone().answer(request, progress, Arc::clone(&shutdown))
        };
        serve_connection(stream, app, shutdown, answer).await;
    }
}
