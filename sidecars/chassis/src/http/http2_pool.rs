//! HTTP/2 connections to an upstream: another one when all have as many streams as it allows.

use std::{
    future::poll_fn,
    pin::pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use http::{Request, Response};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::{sync::watch, time::timeout};

use super::{
    Body,
    idle::PooledBody,
    pool::{ConnectionPermit, Connector, SendError},
};

/// The connections to one address.
#[derive(Debug, Default)]
pub(super) struct Http2Pool {
    connections: Arc<Connections>,
    /// Held while connecting, so that concurrent requests wait for one connection and open no more.
    connecting: tokio::sync::Mutex<()>,
}

type Connections = Mutex<Vec<Arc<Connection>>>;

#[derive(Debug)]
struct Connection {
    sender: http2::SendRequest<Body>,
    streams: AtomicUsize,
    /// The upstream's SETTINGS_MAX_CONCURRENT_STREAMS.
    max_streams: watch::Receiver<usize>,
}

/// A stream of a connection, until dropped.
#[derive(Debug)]
pub(super) struct Http2Stream {
    connection: Arc<Connection>,
    pool: Weak<Connections>,
}

impl Http2Pool {
    /// Sends a request; its stream is in use until the response body is dropped.
    pub(super) async fn send(
        &self,
        mut request: Request<Body>,
        connector: &Connector,
    ) -> Result<Response<PooledBody<()>>, SendError> {
        let mut attempts = 0;
        loop {
            let stream = self.stream(connector).await?;
            let mut sender = stream.connection.sender.clone();
            attempts += 1;
            match sender.try_send_request(request).await {
                Ok(response) => {
                    return Ok(response.map(|body| PooledBody::with_stream(body, stream)));
                }
                Err(mut failed) => match failed.take_message() {
                    // Closed before anything was sent; a new connection that closes at once is an error.
                    Some(unsent) if attempts < MAX_ATTEMPTS => {
                        self.lock()
                            .retain(|connection| !connection.sender.is_closed());
                        request = unsent;
                    }
                    _ => return Err(SendError::Exchange(failed.into_error())),
                },
            }
        }
    }

    async fn stream(&self, connector: &Connector) -> Result<Http2Stream, SendError> {
        if let Some(stream) = self.take(Connection::has_room) {
            return Ok(stream);
        }

        let _connecting = self.connecting.lock().await;
        // Another request may have connected meanwhile.
        if let Some(stream) = self.take(Connection::has_room) {
            return Ok(stream);
        }

        let permit = match connector.try_permit() {
            Some(permit) => permit,
            // No further connection is allowed: h2 queues the request until a stream ends.
            None => match self.take(|_| true) {
                Some(stream) => return Ok(stream),
                None => connector.permit().await?,
            },
        };
        let connection = Arc::new(connect(connector, permit).await?);
        let mut connections = self.lock();
        connections.retain(|connection| !connection.sender.is_closed());
        connections.push(Arc::clone(&connection));
        Ok(self.begin(connection))
    }

    /// Begins a stream on the first usable connection, so that surplus ones run empty.
    fn take(&self, is_usable: impl Fn(&Connection) -> bool) -> Option<Http2Stream> {
        let connections = self.lock();
        let mut open = connections
            .iter()
            .filter(|connection| !connection.sender.is_closed());
        let connection = open.find(|connection| is_usable(connection))?;
        Some(self.begin(Arc::clone(connection)))
    }

    fn begin(&self, connection: Arc<Connection>) -> Http2Stream {
        connection.streams.fetch_add(1, Ordering::Relaxed);
        Http2Stream {
            connection,
            pool: Arc::downgrade(&self.connections),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Connection>>> {
        self.connections
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Connection {
    fn has_room(&self) -> bool {
        self.streams.load(Ordering::Relaxed) < *self.max_streams.borrow()
    }
}

impl Drop for Http2Stream {
    fn drop(&mut self) {
        let before = self.connection.streams.fetch_sub(1, Ordering::Relaxed);
        if before > 1 {
            return;
        }

        // A connection without streams is closed unless it is the only one: dropping its sender ends it.
        if let Some(pool) = self.pool.upgrade() {
            let mut connections = pool.lock().unwrap_or_else(PoisonError::into_inner);
            if connections.len() > 1 && self.connection.streams.load(Ordering::Relaxed) == 0 {
                connections.retain(|connection| !Arc::ptr_eq(connection, &self.connection));
            }
        }
    }
}

async fn connect(connector: &Connector, permit: ConnectionPermit) -> Result<Connection, SendError> {
    let stream = connector.connect_tcp().await;
    let stream = stream.map_err(SendError::Connect)?;
    let (sender, connection) = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        // Only while a request is in flight, which is hyper's default.
        .keep_alive_interval(Some(PING))
        .keep_alive_timeout(PING)
        .initial_max_send_streams(UNKNOWN_MAX_STREAMS)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(SendError::Exchange)?;

    let (max_streams, mut known) = watch::channel(UNKNOWN_MAX_STREAMS);
    tokio::spawn(async move {
        let _permit = permit;
        let mut connection = pin!(connection);
        poll_fn(|cx| {
            let ended = connection.as_mut().poll(cx);
            let max = connection.current_max_send_streams();
            max_streams.send_if_modified(|known| std::mem::replace(known, max) != max);
            ended
        })
        .await
    });

    // More requests than the upstream allows would be refused, so its SETTINGS, which come first (RFC
    // 9113 section 3.4), are awaited.
    let settings = known.wait_for(|max| *max != UNKNOWN_MAX_STREAMS);
    let _ = timeout(SETTINGS_TIMEOUT, settings).await;
    Ok(Connection {
        sender,
        streams: AtomicUsize::new(0),
        max_streams: known,
    })
}

/// Detects an upstream that vanished without closing the connection.
const PING: Duration = Duration::from_secs(20);
/// What the upstream may send before the client reads it, per request and per connection; hyper's are 2 and 5 MiB.
const STREAM_WINDOW: u32 = 64 << 10;
const CONNECTION_WINDOW: u32 = 1 << 20;
/// The limit until the upstream has sent its own; a value that no server sends.
const UNKNOWN_MAX_STREAMS: usize = 99;
/// After this time [`UNKNOWN_MAX_STREAMS`] applies.
const SETTINGS_TIMEOUT: Duration = Duration::from_millis(500);
/// Connections that close before the request is sent on them.
const MAX_ATTEMPTS: usize = 3;
