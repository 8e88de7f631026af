//! The accept loop and its drain.

use std::{future::Future, io, net::SocketAddr, sync::Arc, time::Duration};

use http::{Request, Response};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    task::{JoinError, JoinSet},
    time::{sleep, timeout},
};

use super::{Body, Limits, activity::Activity, connection::Connection};
use crate::{BoxError, Shutdown};

/// The protocol a connection speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.0 and HTTP/1.1.
    Http1,
    /// HTTP/2.
    Http2,
    /// Whichever the first bytes show.
    Auto,
}

/// Who sent a request; in the request's extensions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// The other end of the connection.
    pub address: SocketAddr,
    /// The protocol of the connection; never `Auto`.
    pub protocol: Protocol,
}

/// Serves cleartext HTTP/1 and HTTP/2 until the shutdown, then drains under `limits.drain`.
///
/// One client's error never ends the loop; errors of accept itself back off.
pub async fn serve<S, F>(
    listener: TcpListener,
    service: S,
    limits: Limits,
    shutdown: Shutdown,
) -> Result<(), BoxError>
where
    S: Fn(Request<Body>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<Body>> + Send + 'static,
{
    let cleartext = |stream: TcpStream| async move { Ok((stream, Protocol::Auto)) };
    serve_with(listener, cleartext, service, limits, shutdown).await
}

/// Serves HTTP over whatever `transport` makes of a TCP connection, such as TLS.
///
/// The transport runs in the connection's own task, so a slow handshake holds up nobody; it must
/// limit itself, and `limits.first_byte` starts when it is done.
pub async fn serve_with<T, TF, Io, S, F>(
    listener: TcpListener,
    transport: T,
    service: S,
    limits: Limits,
    shutdown: Shutdown,
) -> Result<(), BoxError>
where
    T: Fn(TcpStream) -> TF + Clone + Send + Sync + 'static,
    TF: Future<Output = io::Result<(Io, Protocol)>> + Send + 'static,
    Io: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: Fn(Request<Body>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<Body>> + Send + 'static,
{
    let slots = Arc::new(Semaphore::new(
        limits.connections.clamp(1, Semaphore::MAX_PERMITS),
    ));
    let drain = limits.drain.duration();
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            () = shutdown.requested() => break,
            Some(ended) = connections.join_next() => report(ended),
            (stream, address, slot) = accept(&listener, &slots) => {
                let connection = Connection {
                    address,
                    limits: limits.clone(),
                    shutdown: shutdown.clone(),
                    activity: Activity::new(),
                    slot,
                };
                let (transport, service) = (transport.clone(), service.clone());
                connections.spawn(async move { connection.run(transport(stream), service).await });
            }
        }
    }
    drop(listener);
    drain_connections(connections, drain).await;
    Ok(())
}

/// Accepts one connection, as soon as there is a slot for it.
async fn accept(
    listener: &TcpListener,
    slots: &Arc<Semaphore>,
) -> (TcpStream, SocketAddr, Option<OwnedSemaphorePermit>) {
    // The semaphore is never closed, so there is always a permit.
    let slot = Arc::clone(slots).acquire_owned().await.ok();
    let mut backoff = FIRST_BACKOFF;
    loop {
        match listener.accept().await {
            Ok((stream, address)) => {
                // Small answers must not wait for the client's acknowledgement of earlier ones.
                let _ = stream.set_nodelay(true);
                return (stream, address, slot);
            }
            Err(error) if concerns_one_client(&error) => {
                tracing::debug!(%error, "client left before it was accepted");
            }
            Err(error) => {
                tracing::warn!(%error, backoff = ?backoff, "accept failed");
                sleep(backoff).await;
                backoff = (backoff * 2).min(LAST_BACKOFF);
            }
        }
    }
}

fn concerns_one_client(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionReset | Interrupted
    )
}

async fn drain_connections(mut connections: JoinSet<()>, limit: Duration) {
    let all_ended = async {
        while let Some(ended) = connections.join_next().await {
            report(ended);
        }
    };
    if timeout(limit, all_ended).await.is_err() {
        tracing::warn!(open = connections.len(), limit = ?limit, "connections still open at the drain limit");
        connections.shutdown().await;
    }
}

fn report(ended: Result<(), JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!(%error, "the task of a connection panicked");
    }
}

const FIRST_BACKOFF: Duration = Duration::from_millis(10);
const LAST_BACKOFF: Duration = Duration::from_secs(1);
