//! Listening, and stopping.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

use super::connection::{Shared, serve};
use super::limits::{Handshakes, Limits, Sessions};
use super::tls::{ServerCertificate, TlsError, server_config};
use crate::frontend::{AcceptedEndpoints, Dispatcher};

/// Pause after the system refused to accept, for want of file descriptors for example.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A bound interface, not served yet.
pub struct Server {
    listener: TcpListener,
    accepted: AcceptedEndpoints,
    limits: Limits,
    sessions: Arc<Sessions>,
}

/// An interface could not be served.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The address cannot be bound.
    #[error("cannot listen on {address}: {source}")]
    Bind {
        /// As configured.
        address: String,
        /// Why.
        source: io::Error,
    },
    /// TLS cannot be set up.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

impl Server {
    /// Binds an address (`host:port`; port 0 takes any). Connections queue until
    /// [`Self::serve`].
    pub async fn bind(address: &str, limits: Limits) -> Result<Self, ServerError> {
        let bound = TcpListener::bind(address).await;
        let listener = bound.map_err(|source| ServerError::Bind {
            address: address.to_owned(),
            source,
        })?;
        Ok(Self {
            listener,
            accepted: AcceptedEndpoints::all(),
            limits,
            sessions: Arc::new(Sessions::within(&limits)),
        })
    }

    /// The same interface, serving only these endpoints.
    #[must_use]
    pub fn accepting(mut self, accepted: AcceptedEndpoints) -> Self {
        self.accepted = accepted;
        self
    }

    /// The address bound.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// The interface's counters.
    pub fn sessions(&self) -> Arc<Sessions> {
        Arc::clone(&self.sessions)
    }

    /// Serves until `stop` turns true, then gives open requests a bounded time to end.
    pub async fn serve(
        self,
        certificate: Arc<ServerCertificate>,
        dispatcher: Arc<Dispatcher>,
        mut stop: watch::Receiver<bool>,
    ) -> Result<(), ServerError> {
        let acceptor = TlsAcceptor::from(server_config(certificate)?);
        let limits = self.limits;
        let shared = Arc::new(Shared {
            acceptor,
            dispatcher,
            accepted: self.accepted,
            limits,
            sessions: self.sessions,
            handshakes: Handshakes::new(limits.handshakes),
        });
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                accepted = self.listener.accept() => match accepted {
                    Ok((tcp, _)) => {
                        // Here, not in the task: places are given in the order of arrival.
                        let place = shared.handshakes.begin();
                        connections.spawn(serve(Arc::clone(&shared), tcp, place, stop.clone()));
                    }
                    Err(error) => {
                        tracing::warn!(%error, "cannot accept connections");
                        sleep(ACCEPT_PAUSE).await;
                    }
                },
                Some(ended) = connections.join_next() => {
                    if let Err(error) = ended {
                        tracing::error!(%error, "a connection failed");
                    }
                }
                changed = stop.changed() => if changed.is_err() || *stop.borrow() { break },
            }
        }
        drop(self.listener);
        let drained = async { while connections.join_next().await.is_some() {} };
        let _ = timeout(limits.drain, drained).await;
        Ok(())
    }
}
