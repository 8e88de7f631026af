//! Carries connections between this machine's network and a task's.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::copy_bidirectional_with_sizes;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio::time::sleep;

/// A port that leads somewhere else; it closes when this goes.
#[derive(Debug)]
pub struct Forward(JoinHandle<()>);

impl Drop for Forward {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Carries every connection that arrives to where `connect` leads, both ways, until both have said all they
/// had to say; at most 1,024 at a time. Where nobody listens, the caller is hung up on.
pub fn carry<To>(from: TcpListener, connect: impl Fn() -> To + Send + 'static) -> Forward
where
    To: Future<Output = io::Result<TcpStream>> + Send + 'static,
{
    Forward(tokio::spawn(async move {
        let places = Arc::new(Semaphore::new(MOST));
        loop {
            let Ok(place) = Arc::clone(&places).acquire_owned().await else {
                return;
            };
            let Ok((mut caller, _)) = from.accept().await else {
                // Out of descriptors: a moment later there may be one.
                sleep(PAUSE).await;
                continue;
            };
            let called = connect();
            tokio::spawn(async move {
                let Ok(mut called) = called.await else { return };
                let _ = (caller.set_nodelay(true), called.set_nodelay(true));
                // Whatever cuts it, both sides hear of it when their sockets close.
                let _ =
                    copy_bidirectional_with_sizes(&mut caller, &mut called, BUFFER, BUFFER).await;
                drop(place);
            });
        }
    }))
}

const MOST: usize = 1024;
const PAUSE: Duration = Duration::from_millis(50);
const BUFFER: usize = 32 * 1024;
