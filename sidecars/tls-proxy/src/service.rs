//! The library: serves a proxy on sockets of the caller, with its readiness.

use chassis::{Latch, Readiness, Shutdown};
use tokio::{net::TcpListener, task::JoinSet};

use crate::{Config, Error, Proxy, expiry, redirect::redirect_all, reload};

/// The sockets of the proxy; [`serve`] also takes a single listener.
#[derive(Debug)]
pub struct Listeners {
    /// The socket of `listen`: TLS, or plain bytes in mode `originate`.
    pub main: TcpListener,
    /// The socket of `redirect_listen`, whose requests are redirected to HTTPS.
    pub redirect: Option<TcpListener>,
}

impl From<TcpListener> for Listeners {
    fn from(main: TcpListener) -> Self {
        Self {
            main,
            redirect: None,
        }
    }
}

/// Serves the proxy until the shutdown, then drains for at most `limits.drain_timeout`.
///
/// The caller binds: `listen` and `redirect_listen` are not used. `readiness` gets the latches
/// `certificate` and `upstream` when this is called, not when the future is first polled. To reload
/// at another time than when a file changes, use [`Proxy`].
pub fn serve(
    config: Config,
    listeners: impl Into<Listeners>,
    shutdown: Shutdown,
    readiness: Readiness,
) -> impl Future<Output = Result<(), Error>> + Send {
    let certificate = readiness.latch("certificate");
    let upstream = readiness.latch("upstream");
    let listeners = listeners.into();
    async move {
        let proxy = Proxy::new(&config)?;
        certificate.release();
        proxy
            .serve_with_latch(listeners, shutdown, readiness, upstream)
            .await;
        Ok(())
    }
}

impl Proxy {
    /// Serves as [`serve`] does, which took the latch.
    pub(crate) async fn serve_with_latch(
        self,
        listeners: Listeners,
        shutdown: Shutdown,
        readiness: Readiness,
        upstream: Latch,
    ) {
        // A second shutdown, because the upstream may need to stop before the proxy stops accepting.
        let (trigger, stopping) = Shutdown::pair();
        let stop = async {
            shutdown.wait().await;
            self.wait_until_upstream_stops().await;
            trigger.fire();
            std::future::pending::<()>().await;
        };
        let serving = async {
            // In a task, so that it runs on a worker thread even if the caller blocks on this future.
            let mut tasks = JoinSet::new();
            tasks.spawn(self.clone().run(listeners.main, stopping.clone()));
            if let Some(listener) = listeners.redirect {
                let config = self.config();
                let (port, limits) = (config.redirect_port, config.limits.clone());
                tasks.spawn(redirect_all(listener, port, limits, stopping.clone()));
            }
            tasks.join_all().await;
        };

        // Only `serving` ends, after its drain; the others are dropped then.
        tokio::select! {
            () = serving => {}
            () = stop => {}
            () = self.wait_until_upstream_accepts(upstream) => {}
            () = expiry::report(&self, &readiness) => {}
            () = reload::watch(&self, self.stamps()) => {}
        }
    }
}
