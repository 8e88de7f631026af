//! Forwards connections between the host's network and a task's.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::faults::{Flow, NetworkFaults, Traffic};

/// A forwarded port; dropping it closes the port.
#[derive(Debug)]
pub struct Forward(JoinHandle<()>);

impl Drop for Forward {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A crossing of the boundary of a task.
#[derive(Debug, Clone)]
pub struct Boundary {
    /// The direction of the connections.
    pub traffic: Traffic,
    /// The port, as the task numbers it.
    pub port: u16,
    /// The faults applied to them.
    pub faults: Arc<NetworkFaults>,
}

/// Forwards every accepted connection to one that `connect` opens, both ways, until both sides are closed.
///
/// At most 1,024 connections are open at a time. If `connect` fails, the accepted connection is closed.
pub fn forward<To>(
    from: TcpListener,
    boundary: Boundary,
    connect: impl Fn() -> To + Send + 'static,
) -> Forward
where
    To: Future<Output = io::Result<TcpStream>> + Send + 'static,
{
    Forward(tokio::spawn(async move {
        let permits = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        loop {
            let Ok(permit) = Arc::clone(&permits).acquire_owned().await else {
                return;
            };
            let Ok((downstream, address)) = from.accept().await else {
                // Most likely out of descriptors (EMFILE); retrying at once would spin.
                sleep(ACCEPT_RETRY_DELAY).await;
                continue;
            };

            let (upstream, boundary) = (connect(), boundary.clone());
            tokio::spawn(async move {
                if let Ok(upstream) = upstream.await {
                    // On an error both sockets close, which both sides notice.
                    let _ = copy_both_ways(downstream, address, upstream, &boundary).await;
                }
                drop(permit);
            });
        }
    }))
}

async fn copy_both_ways(
    mut downstream: TcpStream,
    address: SocketAddr,
    mut upstream: TcpStream,
    boundary: &Boundary,
) -> io::Result<()> {
    let _ = (downstream.set_nodelay(true), upstream.set_nodelay(true));
    let outside = match boundary.traffic {
        Traffic::Ingress => address.ip(),
        Traffic::Egress => upstream
            .peer_addr()
            .map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.ip()),
    };

    let (traffic, port, faults) = (boundary.traffic, boundary.port, &*boundary.faults);
    let flow = Flow {
        traffic,
        port,
        peer: outside,
        percentile: faults.percentile(),
    };

    let ((from_downstream, to_downstream), (from_upstream, to_upstream)) =
        (downstream.split(), upstream.split());
    let leaves = traffic == Traffic::Egress;
    // On egress the requests leave the task, on ingress the responses do.
    tokio::try_join!(
        copy(from_downstream, to_upstream, faults, flow, leaves),
        copy(from_upstream, to_downstream, faults, flow, !leaves),
    )?;

    Ok(())
}

async fn copy(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    faults: &NetworkFaults,
    flow: Flow,
    leaves: bool,
) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER];
    loop {
        let count = from.read(&mut buffer).await?;
        // The end of the stream is held back like a chunk: a FIN is a packet, too.
        faults.pass(flow, leaves).await;
        if count == 0 {
            return to.shutdown().await;
        }
        to.write_all(&buffer[..count]).await?;
    }
}

const MAX_CONNECTIONS: usize = 1024;
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(50);
const BUFFER: usize = 32 * 1024;
