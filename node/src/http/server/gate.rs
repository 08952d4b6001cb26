//! A connection's way into the API without a listener, for the fuzzers alone.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};

use super::connection::serve_connection;
use super::front::Front;
use super::shutdown::Shutdown;
use crate::http::app::App;
use crate::http::limits::Limits;
use crate::raft::Cluster;
use crate::runtime::{Entropy, NoEntropy};

/// The API over a member. Cheap to clone.
#[derive(Clone)]
pub struct Gate {
    app: App,
    front: Front,
}

impl Gate {
    /// Fails where there is no entropy to draw from.
    pub fn new(cluster: Cluster, limits: Limits, entropy: Entropy) -> Result<Self, NoEntropy> {
        let app = App::new(cluster, limits, entropy, PathBuf::new())?;
        Ok(Self { front: Front::new(app.clone()), app })
    }

    /// What its handlers share.
    #[cfg(test)]
    pub(crate) fn app(&self) -> App {
        self.app.clone()
    }

    /// Serves one connection to its end.
    pub async fn serve<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(self, stream: S) {
        let Self { app, front } = self;
        let stop = Arc::new(Shutdown::default());
        let answers = Arc::clone(&stop);
        let answer = move |request, progress| front.clone().answer(request, progress, Arc::clone(&answers));
        serve_connection(stream, app, stop, answer).await;
    }
}
