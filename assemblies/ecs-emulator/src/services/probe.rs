//! Health checks of a target: whether its port accepts a connection and keeps it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

/// A repeated check; it ends when dropped.
#[derive(Debug)]
pub(super) struct Probe {
    /// Consecutive passes, or failures if negative.
    results: Arc<AtomicI32>,
    task: JoinHandle<()>,
}

impl Probe {
    /// Starts to check an address.
    pub(super) fn start(address: SocketAddr, runtime: &Handle) -> Self {
        let results = Arc::new(AtomicI32::new(0));
        let task = runtime.spawn(repeat(address, Arc::clone(&results)));
        Self { results, task }
    }

    /// Returns whether the last check passed.
    pub(super) fn passes(&self) -> bool {
        self.results.load(Ordering::Relaxed) > 0
    }

    /// Returns whether several checks in a row have failed.
    pub(super) fn fails(&self) -> bool {
        self.results.load(Ordering::Relaxed) <= -UNHEALTHY_THRESHOLD
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn repeat(address: SocketAddr, results: Arc<AtomicI32>) {
    loop {
        // A change of sign begins a new row of equal results.
        let before = results.load(Ordering::Relaxed);
        let after = if check(address).await {
            before.max(0).saturating_add(1)
        } else {
            before.min(0).saturating_sub(1)
        };
        results.store(after, Ordering::Relaxed);
        sleep(if after > 0 { INTERVAL } else { START_INTERVAL }).await;
    }
}

/// The published port accepts connections before the program in the task listens, and closes them again. So a
/// connection must stay open for a moment, unless the server speaks first.
async fn check(address: SocketAddr) -> bool {
    let Ok(Ok(mut stream)) = timeout(TIMEOUT, TcpStream::connect(address)).await else {
        return false;
    };
    match timeout(STAYS_OPEN, stream.read_u8()).await {
        Err(_) | Ok(Ok(_)) => true,
        Ok(Err(_)) => false,
    }
}

const INTERVAL: Duration = Duration::from_secs(5);
/// While a task starts.
const START_INTERVAL: Duration = Duration::from_millis(200);
const TIMEOUT: Duration = Duration::from_secs(3);
const STAYS_OPEN: Duration = Duration::from_millis(100);
const UNHEALTHY_THRESHOLD: i32 = 3;

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpListener;

    async fn bind() -> (TcpListener, SocketAddr) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        (listener, address)
    }

    #[tokio::test]
    async fn a_connection_that_stays_open_passes() {
        let (listener, address) = bind().await;
        // In the backlog, where it stays open.
        assert!(check(address).await);
        drop(listener);
        assert!(!check(address).await, "nothing listens");
    }

    #[tokio::test]
    async fn a_connection_that_is_closed_at_once_fails() {
        let (listener, address) = bind().await;
        let close = async { drop(listener.accept().await) };
        assert!(!tokio::join!(check(address), close).0);
    }

    #[tokio::test]
    async fn a_server_that_speaks_first_passes() {
        let (listener, address) = bind().await;
        let speak = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.write_all(b"220 ready\r\n").await.unwrap();
        };
        assert!(tokio::join!(check(address), speak).0);
    }
}
