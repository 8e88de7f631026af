//! The HTTP server: a listener, the protocol of each connection, and its service.

use std::{future::Future, io, net::SocketAddr};

use http::{Request, Response};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
};

use super::{
    Body, Limits, activity::Activity, connection::Connection, vectored_join::VectoredJoin,
};
use crate::{Shutdown, accept::accept_each};

/// The protocol a connection speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.0 and HTTP/1.1.
    Http1,
    /// HTTP/2.
    Http2,
    /// HTTP/1 or HTTP/2, detected from the first bytes.
    Auto,
}

/// The client of a request, in the request's extensions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// The client's address.
    pub address: SocketAddr,
    /// The protocol of the connection; never `Auto`.
    pub protocol: Protocol,
}

/// A connection that is ready to serve requests.
#[derive(Debug)]
pub struct OpenConnection<Io, S> {
    /// The stream, after any TLS handshake.
    pub io: Io,
    /// The protocol spoken on the stream.
    pub protocol: Protocol,
    /// The client's address, which may come from a PROXY protocol header.
    pub address: SocketAddr,
    /// The service that answers the requests of this connection.
    pub service: S,
}

/// Serves cleartext HTTP/1 and HTTP/2 until the shutdown, then drains for at most `limits.drain_timeout`.
///
/// An error of one connection never ends the loop; errors of `accept` itself back off.
pub async fn serve<S, F>(listener: TcpListener, service: S, limits: Limits, shutdown: Shutdown)
where
    S: Fn(Request<Body>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<Body>> + Send + 'static,
{
    let cleartext = |stream: TcpStream| async move { Ok((VectoredJoin(stream), Protocol::Auto)) };
    serve_with(listener, cleartext, service, limits, shutdown).await;
}

/// Serves HTTP over a transport on top of TCP, such as TLS.
///
/// `transport` runs in the connection's task, so a slow handshake delays no other client. It must
/// apply a timeout itself; `limits.first_byte_timeout` starts when it is done.
pub async fn serve_with<T, TF, Io, S, F>(
    listener: TcpListener,
    transport: T,
    service: S,
    limits: Limits,
    shutdown: Shutdown,
) where
    T: Fn(TcpStream) -> TF + Clone + Send + Sync + 'static,
    TF: Future<Output = io::Result<(Io, Protocol)>> + Send + 'static,
    Io: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: Fn(Request<Body>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<Body>> + Send + 'static,
{
    let open = move |stream, address| {
        let (opening, service) = (transport(stream), service.clone());
        async move {
            let (io, protocol) = opening.await?;
            Ok(OpenConnection {
                io,
                protocol,
                address,
                service,
            })
        }
    };

    serve_connections(listener, open, limits, shutdown).await;
}

/// Serves HTTP on connections opened by `open`, each with a separate service, such as one that knows
/// the client's certificate. `open` must apply a timeout, like the transport of [`serve_with`].
pub async fn serve_connections<O, OF, Io, S, F>(
    listener: TcpListener,
    open: O,
    limits: Limits,
    shutdown: Shutdown,
) where
    O: Fn(TcpStream, SocketAddr) -> OF,
    OF: Future<Output = io::Result<OpenConnection<Io, S>>> + Send + 'static,
    Io: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: Fn(Request<Body>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<Body>> + Send + 'static,
{
    let connection_limits = limits.clone();
    let stop = shutdown.clone();
    accept_each(listener, &limits, shutdown, move |stream, address| {
        let connection = Connection {
            address,
            limits: connection_limits.clone(),
            shutdown: stop.clone(),
            activity: Activity::new(),
        };

        // Boxed, so that an idle connection does not hold the memory its handshake needed.
        let opening = Box::pin(open(stream, address));
        async move { connection.run(opening).await }
    })
    .await;
}
