//! Idle HTTP/1.1 connections, and the response body that returns a connection to them.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName};
use http_body::{Body as _, Frame, SizeHint};
use hyper::{body::Incoming, client::conn::http1};
use tokio::time::{Instant, sleep, timeout};

use super::{Body, http2_pool::Http2Stream};

/// Connections without a request, by a key such as the origin they lead to.
///
/// The most recently used connection is taken first, so that surplus ones reach their idle timeout.
#[derive(Debug)]
pub(super) struct IdlePool<K> {
    idle_timeout: Duration,
    max_connections: usize,
    state: Mutex<State<K>>,
}

/// The connections not in use, the most recently used one last.
#[derive(Debug)]
struct State<K> {
    connections: Vec<IdleConnection<K>>,
    is_swept: bool,
}

#[derive(Debug)]
struct IdleConnection<K> {
    key: K,
    sender: http1::SendRequest<Body>,
    until: Instant,
}

impl<K: PartialEq + Send + 'static> IdlePool<K> {
    pub(super) fn new(idle_timeout: Duration, max_connections: usize) -> Self {
        Self {
            idle_timeout,
            max_connections,
            state: Mutex::new(State {
                connections: Vec::new(),
                is_swept: false,
            }),
        }
    }

    /// Takes a connection that is ready for a request.
    pub(super) fn take(&self, key: &K) -> Option<http1::SendRequest<Body>> {
        self.take_where(key, http1::SendRequest::is_ready)
    }

    /// Takes a connection; waits briefly for one whose task has not yet processed the response's end.
    ///
    /// Without the wait, the next of several requests in a row could open a second connection.
    pub(super) async fn take_soon(&self, key: &K) -> Option<http1::SendRequest<Body>> {
        if let Some(sender) = self.take(key) {
            return Some(sender);
        }

        let mut sender = self.take_where(key, |_| true)?;
        // Not ready for longer only if the server responded without reading the whole request.
        let ready = timeout(READY_TIMEOUT, sender.ready()).await;
        ready.is_ok_and(|ready| ready.is_ok()).then_some(sender)
    }

    fn take_where(
        &self,
        key: &K,
        is_usable: impl Fn(&http1::SendRequest<Body>) -> bool,
    ) -> Option<http1::SendRequest<Body>> {
        let mut state = self.state();
        let now = Instant::now();
        // From the end, so that the most recently used connection is taken. Only those on the way are
        // examined: the sweeper finds the others.
        let mut index = state.connections.len();
        while let Some(previous) = index.checked_sub(1) {
            index = previous;
            let connection = &state.connections[index];
            if connection.until <= now || connection.sender.is_closed() {
                state.connections.remove(index);
            } else if connection.key == *key && is_usable(&connection.sender) {
                return Some(state.connections.remove(index).sender);
            }
        }
        None
    }

    /// Returns a connection to the pool after its response was read.
    ///
    /// It may not be ready yet: the request is still being sent, or the connection's task has not
    /// processed the response's end. `keep_alive` is how long the server keeps it, if it said so.
    pub(super) fn give_back(
        self: &Arc<Self>,
        key: K,
        sender: http1::SendRequest<Body>,
        keep_alive: Option<Duration>,
    ) {
        if sender.is_closed() {
            return;
        }

        let mut state = self.state();
        let kept = keep_alive.map_or(self.idle_timeout, |kept| kept.min(self.idle_timeout));
        let until = Instant::now() + kept;
        state
            .connections
            .push(IdleConnection { key, sender, until });
        if state.connections.len() > self.max_connections {
            state.connections.remove(0);
        }

        // One sweeper at a time, and only while there are idle connections.
        if !std::mem::replace(&mut state.is_swept, true) {
            tokio::spawn(sweep(Arc::downgrade(self), self.idle_timeout));
        }
    }

    /// Closes the connection that is unused for the longest time; returns whether there was one.
    pub(super) fn close_oldest(&self) -> bool {
        let mut state = self.state();
        let is_any = !state.connections.is_empty();
        if is_any {
            state.connections.remove(0);
        }
        is_any
    }

    fn state(&self) -> MutexGuard<'_, State<K>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Closes connections past their idle timeout until none is left.
async fn sweep<K: PartialEq + Send + 'static>(pool: Weak<IdlePool<K>>, idle_timeout: Duration) {
    loop {
        sleep(idle_timeout.max(MIN_SWEEP_INTERVAL) / 2).await;
        let Some(pool) = pool.upgrade() else { return };
        let mut state = pool.state();
        let now = Instant::now();

        state
            .connections
            .retain(|connection| connection.until > now && !connection.sender.is_closed());
        if state.connections.is_empty() {
            state.is_swept = false;
            return;
        }
    }
}

/// A connection that a response is being read from, and the pool that it returns to.
#[derive(Debug)]
pub(super) struct Lease<K> {
    pub(super) key: K,
    pub(super) sender: http1::SendRequest<Body>,
    pub(super) pool: Arc<IdlePool<K>>,
    /// How long the server keeps the connection, if it said so.
    pub(super) keep_alive: Option<Duration>,
}

/// Returns how long to use a connection after this response, from `Keep-Alive: timeout=5`.
///
/// A second less than the server keeps it (RFC 2068 section 19.7.1.1, which Node.js and others send),
/// for requests that are on their way when it closes.
pub(super) fn keep_alive(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get(KEEP_ALIVE)?.to_str().ok()?;
    let mut parameters = value.split(',').map(str::trim);
    let seconds = parameters.find_map(|parameter| parameter.strip_prefix("timeout="))?;
    let seconds: u64 = seconds.parse().ok()?;
    Some(Duration::from_secs(seconds).saturating_sub(CLOSING_MARGIN))
}

/// A response body that returns its connection to the pool at its end.
#[derive(Debug)]
pub(super) struct PooledBody<K> {
    body: Incoming,
    lease: Option<Lease<K>>,
    /// The stream of a response over HTTP/2, in use until the body is dropped.
    _stream: Option<Http2Stream>,
}

impl PooledBody<()> {
    pub(super) fn with_stream(body: Incoming, stream: Http2Stream) -> Self {
        Self {
            body,
            lease: None,
            _stream: Some(stream),
        }
    }
}

impl<K: PartialEq + Send + 'static> PooledBody<K> {
    pub(super) fn new(body: Incoming, lease: Option<Lease<K>>) -> Self {
        let mut answer = Self {
            body,
            lease,
            _stream: None,
        };
        // A response without a body, such as to HEAD, may never be polled.
        if answer.body.is_end_stream() {
            answer.end();
        }
        answer
    }

    fn end(&mut self) {
        if let Some(lease) = self.lease.take() {
            let Lease {
                key,
                sender,
                pool,
                keep_alive,
            } = lease;
            pool.give_back(key, sender, keep_alive);
        }
    }
}

impl<K: PartialEq + Send + Unpin + 'static> http_body::Body for PooledBody<K> {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        match &frame {
            Some(Ok(_)) if !self.body.is_end_stream() => {}
            // A connection that failed within a body cannot be used again.
            Some(Err(_)) => self.lease = None,
            _ => self.end(),
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Keeps a tiny idle timeout from turning the sweeper into a busy loop.
const MIN_SWEEP_INTERVAL: Duration = Duration::from_millis(100);
/// The time between a server's decision to close a connection and this side learning of it.
const CLOSING_MARGIN: Duration = Duration::from_secs(1);
const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
/// Much longer than a connection's task needs to process the end of a response.
const READY_TIMEOUT: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_how_long_a_server_keeps_a_connection() {
        for (value, expected) in [
            ("timeout=5", Some(4)),
            ("max=100, timeout=72", Some(71)),
            ("timeout=1", Some(0)),
            ("timeout=x", None),
            ("max=100", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(KEEP_ALIVE, value.parse().unwrap());
            assert_eq!(
                keep_alive(&headers),
                expected.map(Duration::from_secs),
                "{value}"
            );
        }
    }
}
