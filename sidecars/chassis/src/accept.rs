//! The accept loop and its drain, for any protocol.

use std::{future::Future, io, net::SocketAddr, sync::Arc, time::Duration};

use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    task::{JoinError, JoinSet},
    time::{sleep, timeout},
};

use crate::{Shutdown, http::Limits};

/// Runs `handle` for every connection until the shutdown, then drains for at most `limits.drain_timeout`.
///
/// At most `limits.max_connections` are open at once; further ones wait in the kernel's accept queue.
/// An error or panic of one connection never ends the loop; errors of `accept` itself back off.
pub async fn accept_each<H, F>(
    listener: TcpListener,
    limits: &Limits,
    shutdown: Shutdown,
    handle: H,
) where
    H: Fn(TcpStream, SocketAddr) -> F,
    F: Future<Output = ()> + Send + 'static,
{
    accept_and_make_room(listener, limits, shutdown, handle, || {}).await;
}

/// Like [`accept_each`]; calls `make_room` when a connection waits for another one to end.
pub(crate) async fn accept_and_make_room<H, F>(
    listener: TcpListener,
    limits: &Limits,
    shutdown: Shutdown,
    handle: H,
    make_room: impl Fn(),
) where
    H: Fn(TcpStream, SocketAddr) -> F,
    F: Future<Output = ()> + Send + 'static,
{
    let slots = Arc::new(Semaphore::new(
        limits.max_connections.clamp(1, Semaphore::MAX_PERMITS),
    ));
    let mut connections = JoinSet::new();

    loop {
        let (stream, address) = tokio::select! {
            // The shutdown first, so that a busy listener cannot delay it.
            biased;
            () = shutdown.wait() => break,
            Some(ended) = connections.join_next() => {
                report(ended);
                continue;
            }
            accepted = accept(&listener) => accepted,
        };
        let slot = tokio::select! {
            biased;
            () = shutdown.wait() => break,
            slot = acquire_slot(&slots, &mut connections, &make_room) => slot,
        };

        let handling = handle(stream, address);
        connections.spawn(async move {
            // Released when the connection ends, even by a panic.
            let _slot = slot;
            handling.await;
        });
    }

    // Closed before the drain: a load balancer's new connections must fail now, not wait in the queue.
    drop(listener);
    drain(connections, limits.drain_timeout.duration()).await;
}

/// Accepts one connection.
async fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    let mut backoff = FIRST_BACKOFF;
    loop {
        match listener.accept().await {
            Ok((stream, address)) => {
                // Nagle's algorithm would hold back a small response until the client acknowledges the last one.
                let _ = stream.set_nodelay(true);
                return (stream, address);
            }
            Err(error) if concerns_one_client(&error) => {
                tracing::debug!(%error, "client closed the connection before it was accepted");
            }
            // EMFILE and ENFILE persist until descriptors are freed; retrying at once would spin.
            Err(error) => {
                tracing::warn!(%error, backoff = ?backoff, "accept failed");
                sleep(backoff).await;
                backoff = (backoff * 2).min(LAST_BACKOFF);
            }
        }
    }
}

/// Waits for a slot, and makes room while there is none.
async fn acquire_slot(
    slots: &Arc<Semaphore>,
    connections: &mut JoinSet<()>,
    make_room: &impl Fn(),
) -> Option<OwnedSemaphorePermit> {
    loop {
        if let Ok(slot) = Arc::clone(slots).try_acquire_owned() {
            return Some(slot);
        }

        make_room();
        tokio::select! {
            // The semaphore is never closed, so there is always a permit.
            slot = Arc::clone(slots).acquire_owned() => return slot.ok(),
            Some(ended) = connections.join_next() => report(ended),
            // Another connection may be idle by then.
            () = sleep(ROOM_INTERVAL) => {}
        }
    }
}

fn concerns_one_client(error: &io::Error) -> bool {
    // accept(2): errors of the pending connection are returned by accept and must not end the server.
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
        tracing::warn!(open = connections.len(), drain_timeout = ?limit, "connections still open after the drain timeout");
        // Aborts the tasks and waits for them, so that none outlives this function.
        connections.shutdown().await;
    }
}

fn report(ended: Result<(), JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!(%error, "connection task panicked");
    }
}

const FIRST_BACKOFF: Duration = Duration::from_millis(10);
const LAST_BACKOFF: Duration = Duration::from_secs(1);
/// How often to look for room while a connection waits.
const ROOM_INTERVAL: Duration = Duration::from_millis(100);
