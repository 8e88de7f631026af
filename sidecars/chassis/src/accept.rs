//! The accept loop and its drain, whatever the connections speak.

use std::{future::Future, io, net::SocketAddr, sync::Arc, time::Duration};

use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    task::{JoinError, JoinSet},
    time::{sleep, timeout},
};

use crate::{Shutdown, http::Limits};

/// Runs `handle` for every connection until the shutdown, then waits for them under `limits.drain_timeout`.
///
/// At most `limits.max_connections` are open at once; more wait in the kernel's queue. One client's error or
/// panic never ends the loop; errors of accept itself back off.
pub async fn accept_each<H, F>(
    listener: TcpListener,
    limits: &Limits,
    shutdown: Shutdown,
    handle: H,
) where
    H: Fn(TcpStream, SocketAddr) -> F,
    F: Future<Output = ()> + Send + 'static,
{
    let slots = Arc::new(Semaphore::new(
        limits.max_connections.clamp(1, Semaphore::MAX_PERMITS),
    ));
    let mut connections = JoinSet::new();

    loop {
        tokio::select! {
            biased;
            () = shutdown.wait() => break,
            Some(ended) = connections.join_next() => report(ended),
            (stream, address, slot) = accept(&listener, &slots) => {
                let handling = handle(stream, address);
                connections.spawn(async move {
                    // SettingValue back when the connection has ended.
                    let _slot = slot;
                    handling.await;
                });
            }
        }
    }

    drop(listener);
    drain(connections, limits.drain_timeout.duration()).await;
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

async fn drain(mut connections: JoinSet<()>, limit: Duration) {
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
