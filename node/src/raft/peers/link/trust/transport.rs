//! What a peer connection runs on: TCP inside mutual TLS 1.3, and nothing else.
//!
//! Under the feature `simulation` alone it is the simulated network without TLS, where a peer is who it says it is. Invariant
//! of the program: no byte of a frame is sent to, or read from, a peer whose certificate was not verified.

#[cfg(not(feature = "simulation"))]
pub use self::tls::{Certified, PeerSecurity, Stream};

#[cfg(feature = "simulation")]
pub use self::plain::{Certified, PeerSecurity, Stream};

#[cfg(not(feature = "simulation"))]
mod tls {
    use std::net::{IpAddr, Ipv4Addr};
    use std::sync::Arc;

    use ledger::NodeNumber;
    use rustls::pki_types::{CertificateDer, ServerName};
    use tokio::io::BufReader;
    use tokio_rustls::{TlsAcceptor, TlsConnector, TlsStream};
    use uuid::Uuid;

    use crate::raft::peers::link::error::LinkError;
    use crate::raft::peers::link::trust::credentials::{CredentialsError, Followed, PeerCredentials};
    use crate::raft::peers::link::trust::verifier::CertificateRefused;
    use crate::runtime::Clock;
    use crate::runtime::net::TcpStream;
    use crate::tls::{Credentials, Expiries, TlsPaths};

    /// A connection after its handshake.
    pub type Stream = TlsStream<BufReader<TcpStream>>;

    /// Most bytes that wait inside TLS to be written. Source: a large entry then goes out in few writes to the socket.
    const TLS_BUFFER: usize = 1 << 20;

    /// Most bytes that are read from the socket at a time. Source: rustls by itself asks for 4 KiB, so that a large entry would
    /// take hundreds of calls of the kernel.
    const READ_BUFFER: usize = 64 << 10;

    /// The credentials of this node. Cheap to clone.
    #[derive(Debug, Clone)]
    pub struct PeerSecurity(Arc<PeerCredentials>);

    fn buffered(stream: TcpStream) -> BufReader<TcpStream> {
        BufReader::with_capacity(READ_BUFFER, stream)
    }

    /// What a peer proved.
    #[derive(Debug, Clone)]
    pub struct Certified {
        node: NodeNumber,
        chain: Vec<CertificateDer<'static>>,
    }

    impl Certified {
        /// Whether the peer is this node.
        pub fn is(&self, node: NodeNumber) -> bool {
            self.node == node
        }

        /// Its number.
        pub fn number(&self) -> Option<NodeNumber> {
            Some(self.node)
        }

        /// Who it is, for the log.
        pub fn who(&self) -> String {
            format!("the certificate is that of node {}", self.node)
        }
    }

    impl PeerSecurity {
        /// Reads the files of node `node` of `cluster`. Blocks.
        ///
        /// # Errors
        /// Where they do not fit, in one line with the remedy.
        pub fn open(paths: TlsPaths, clock: Clock, cluster: Uuid, node: NodeNumber) -> Result<Self, CredentialsError> {
            Ok(Self(Arc::new(PeerCredentials::open(paths, clock, cluster, node)?)))
        }

        /// The same without files to follow.
        ///
        /// # Errors
        /// Where what was read does not fit.
        pub fn fixed(read: &Credentials, cluster: Uuid, node: NodeNumber) -> Result<Self, CredentialsError> {
            Ok(Self(Arc::new(PeerCredentials::fixed(read, cluster, node)?)))
        }

        /// See [`PeerCredentials::follow`].
        pub fn follow(&self) -> Option<Followed> {
            self.0.follow()
        }

        /// See [`PeerCredentials::replace`].
        ///
        /// # Errors
        /// Where it does not fit this node.
        pub fn replace(&self, read: &Credentials) -> Result<(), CredentialsError> {
            self.0.replace(read)
        }

        /// Checks what a peer proved once more, by the credentials of now.
        ///
        /// # Errors
        /// Why it does not hold any more.
        pub fn check(&self, certified: &Certified) -> Result<(), CertificateRefused> {
            let node = self.0.now().verify(&certified.chain)?;
            if node == certified.node { Ok(()) } else { Err(CertificateRefused::Name) }
        }

        /// Whether what a peer proved still holds, by the credentials of now.
        pub fn still_holds(&self, certified: &Certified) -> bool {
            self.check(certified).is_ok()
        }

        /// Whether this node's own certificate is on the revocation list.
        pub fn is_revoked(&self) -> bool {
            self.0.now().is_revoked()
        }

        /// Until when this node's credentials are valid.
        pub fn expiries(&self) -> Option<Expiries> {
            Some(self.0.now().expiries())
        }

        /// The handshake with a peer that was dialled.
        ///
        /// # Errors
        /// Where either side refuses the other.
        pub async fn connect(&self, stream: TcpStream) -> Result<(Stream, Certified), LinkError> {
            // No name goes out: the certificate is checked for the node's number, and an address is no name.
            let unnamed = ServerName::from(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
            let connector = TlsConnector::from(self.0.now().client.clone());
            let stream =
                connector.connect_with(unnamed, buffered(stream), |tls| tls.set_buffer_limit(Some(TLS_BUFFER))).await?;
            self.certified(TlsStream::from(stream))
        }

        /// The handshake with a peer that was accepted.
        ///
        /// # Errors
        /// Where either side refuses the other.
        pub async fn accept(&self, stream: TcpStream) -> Result<(Stream, Certified), LinkError> {
            let acceptor = TlsAcceptor::from(self.0.now().server.clone());
            let stream = acceptor.accept_with(buffered(stream), |tls| tls.set_buffer_limit(Some(TLS_BUFFER))).await?;
            self.certified(TlsStream::from(stream))
        }

        /// Verified once more, by the credentials of now: they may have been replaced during the handshake.
        fn certified(&self, stream: Stream) -> Result<(Stream, Certified), LinkError> {
            let chain: Vec<_> = stream.get_ref().1.peer_certificates().unwrap_or_default().to_vec();
            let chain: Vec<CertificateDer<'static>> = chain.into_iter().map(CertificateDer::into_owned).collect();
            let verified = self.0.now().verify(&chain);
            let node = verified.map_err(|refused| LinkError::certificate(None, &refused))?;
            Ok((stream, Certified { node, chain }))
        }
    }
}

#[cfg(feature = "simulation")]
mod plain {
    use ledger::NodeNumber;

    use crate::raft::peers::link::error::LinkError;
    use crate::raft::peers::link::trust::credentials::{CredentialsError, Followed};
    use crate::raft::peers::link::trust::verifier::CertificateRefused;
    use crate::runtime::net::TcpStream;
    use crate::tls::{Credentials, Expiries};

    /// A connection of the simulated network.
    pub type Stream = TcpStream;

    /// A simulation has no certificates.
    #[derive(Debug, Clone)]
    pub struct PeerSecurity(());

    /// In a simulation a peer is who it says it is.
    #[derive(Debug, Clone)]
    pub struct Certified(());

    impl Certified {
        /// Always.
        pub fn is(&self, _node: NodeNumber) -> bool {
            true
        }

        /// No certificate proved one.
        pub fn number(&self) -> Option<NodeNumber> {
            None
        }

        /// Nothing to say.
        pub fn who(&self) -> String {
            String::new()
        }
    }

    impl PeerSecurity {
        /// The simulated network.
        pub fn plaintext() -> Self {
            Self(())
        }

        /// There are no files.
        pub fn follow(&self) -> Option<Followed> {
            None
        }

        /// Nothing to replace.
        ///
        /// # Errors
        /// None.
        pub fn replace(&self, _read: &Credentials) -> Result<(), CredentialsError> {
            Ok(())
        }

        /// Nothing to check.
        ///
        /// # Errors
        /// None.
        pub fn check(&self, _certified: &Certified) -> Result<(), CertificateRefused> {
            Ok(())
        }

        /// Always.
        pub fn still_holds(&self, _certified: &Certified) -> bool {
            true
        }

        /// There are no credentials.
        pub fn expiries(&self) -> Option<Expiries> {
            None
        }

        /// There are no lists.
        pub fn is_revoked(&self) -> bool {
            false
        }

        /// No handshake.
        ///
        /// # Errors
        /// None.
        pub async fn connect(&self, stream: TcpStream) -> Result<(Stream, Certified), LinkError> {
            Ok((stream, Certified(())))
        }

        /// No handshake.
        ///
        /// # Errors
        /// None.
        pub async fn accept(&self, stream: TcpStream) -> Result<(Stream, Certified), LinkError> {
            Ok((stream, Certified(())))
        }
    }
}
