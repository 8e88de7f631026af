//! Carries connections between this machine's network and a task's.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::faults::{Faults, Flow, Traffic};

/// A port that leads somewhere else; it closes when this goes.
#[derive(Debug)]
pub struct Forward(JoinHandle<()>);

impl Drop for Forward {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Where connections cross the border of a task.
#[derive(Debug, Clone)]
pub struct Border {
    /// Which way they lead.
    pub traffic: Traffic,
    /// The port, as the task calls it.
    pub port: u16,
    /// What happens to them.
    pub faults: Arc<Faults>,
}

/// Carries every connection that arrives to where `connect` leads, both ways, until both have said all they
/// had to say; at most 1,024 at a time. Where nobody listens, the caller is hung up on.
pub fn carry<To>(
    from: TcpListener,
    border: Border,
    connect: impl Fn() -> To + Send + 'static,
) -> Forward
where
    To: Future<Output = io::Result<TcpStream>> + Send + 'static,
{
    Forward(tokio::spawn(async move {
        let places = Arc::new(Semaphore::new(MOST));
        loop {
            let Ok(place) = Arc::clone(&places).acquire_owned().await else {
                return;
            };
            let Ok((caller, address)) = from.accept().await else {
                // Out of descriptors: a moment later there may be one.
                sleep(PAUSE).await;
                continue;
            };

            let (called, border) = (connect(), border.clone());
            tokio::spawn(async move {
                if let Ok(called) = called.await {
                    // Whatever cuts it, both sides hear of it when their sockets close.
                    let _ = both_ways(caller, address, called, &border).await;
                }
                drop(place);
            });
        }
    }))
}

async fn both_ways(
    mut caller: TcpStream,
    address: SocketAddr,
    mut called: TcpStream,
    border: &Border,
) -> io::Result<()> {
    let _ = (caller.set_nodelay(true), called.set_nodelay(true));
    let outside = match border.traffic {
        Traffic::Ingress => address.ip(),
        Traffic::Egress => called
            .peer_addr()
            .map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.ip()),
    };

    let (traffic, port, faults) = (border.traffic, border.port, &*border.faults);
    let flow = Flow {
        traffic,
        port,
        peer: outside,
        lot: faults.lot(),
    };

    let ((from_caller, to_caller), (from_called, to_called)) = (caller.split(), called.split());
    let leaves = traffic == Traffic::Egress;
    tokio::try_join!(
        one_way(from_caller, to_called, faults, flow, leaves),
        one_way(from_called, to_caller, faults, flow, !leaves),
    )?;

    Ok(())
}

async fn one_way(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    faults: &Faults,
    flow: Flow,
    leaves: bool,
) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER];
    loop {
        let count = from.read(&mut buffer).await?;
        faults.pass(flow, leaves).await;
        if count == 0 {
            return to.shutdown().await;
        }
        to.write_all(&buffer[..count]).await?;
    }
}

const MOST: usize = 1024;
const PAUSE: Duration = Duration::from_millis(50);
const BUFFER: usize = 32 * 1024;
