//! The proxy as a component: ports, latches, SIGHUP, and the stop.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use chassis::{BoxError, Component, HangupSignal, Port, Problem, Process, Readiness, Shutdown};
use tokio::{net::TcpListener, time::sleep};

use crate::{Config, Mode, Proxy, proxy::file_problems, serve_redirect};

/// The `tls-proxy` component.
#[derive(Debug)]
pub struct TlsProxy;

impl Component for TlsProxy {
    const NAME: &'static str = "tls-proxy";
    const SUMMARY: &'static str = "Terminates TLS in front of the next hop";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const ADMIN_PORT: u16 = 9901;
    type Config = Config;

    fn ports(config: &Config) -> Vec<Port> {
        let listen = Port {
            // The interface that `provides` in component.yaml names for the mode.
            name: match config.mode {
                Mode::Http => "https",
                Mode::Tcp => "tls",
                Mode::Originate => "tcp",
            },
            setting: "listen",
            address: config.listen,
        };

        let redirect = config.redirect_listen.map(|address| Port {
            name: "http",
            setting: "redirect_listen",
            address,
        });

        std::iter::once(listen).chain(redirect).collect()
    }

    fn check(config: &Config) -> Vec<Problem> {
        file_problems(config)
    }

    async fn serve(mut config: Config, process: Process) -> Result<(), BoxError> {
        // The latches before the first await, so that readiness never shows too early.
        let certificate = process.readiness.latch("certificate");
        let upstream = process.readiness.latch("upstream");
        let mut hangup = HangupSignal::install()?;
        config.limits.drain_timeout = process.common.drain_timeout;

        let proxy = Proxy::new(&config)?;
        let listener = bind("listen", config.listen).await?;
        let redirect = match config.redirect_listen {
            Some(address) => Some(bind("redirect_listen", address).await?),
            None => None,
        };

        tracing::info!(address = %listener.local_addr()?, "listening");
        certificate.release();
        // A second shutdown, because the upstream may need to stop before the proxy stops accepting.
        let (trigger, shutdown) = Shutdown::pair();
        let stopping = async {
            process.shutdown.wait().await;
            proxy.wait_until_upstream_stops().await;
            trigger.fire();
            // The stop must not end this function: `serving` does, after its drain.
            std::future::pending::<()>().await;
        };

        let background = async {
            tokio::join!(
                report_expiry(&proxy, &process.readiness),
                proxy.wait_until_upstream_accepts(upstream),
                reload_on_hangup(&proxy, &mut hangup),
            )
        };

        let redirecting = async {
            if let Some(listener) = redirect {
                tracing::info!(address = %listener.local_addr()?, "redirecting");
                let limits = config.limits.clone();
                let port = config.redirect_port;
                serve_redirect(listener, port, limits, shutdown.clone()).await?;
            }
            Ok::<_, BoxError>(())
        };

        let serving = async {
            // In a task, because `block_on` runs this future on a thread that is not a worker.
            let serving = tokio::spawn(proxy.clone().serve(listener, shutdown.clone()));
            let (serve_result, redirect_result) = tokio::join!(serving, redirecting);
            serve_result??;
            redirect_result
        };

        tokio::select! {
            serve_result = serving => serve_result,
            _ = background => Ok(()),
            () = stopping => Ok(()),
        }
    }
}

async fn bind(setting: &str, address: std::net::SocketAddr) -> Result<TcpListener, BoxError> {
    TcpListener::bind(address)
        .await
        .map_err(|error| format!("cannot bind `{setting}` to {address}: {error}").into())
}

async fn reload_on_hangup(proxy: &Proxy, hangup: &mut HangupSignal) {
    loop {
        hangup.next().await;
        tracing::info!("SIGHUP, reloading certificates");
        // `reload` logs its error.
        let _ = proxy.reload();
    }
}

/// Reports the expiry of the certificates in `/ready`, and logs a warning once a day if one is near.
async fn report_expiry(proxy: &Proxy, readiness: &Readiness) {
    let mut warned = None;
    loop {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_secs() as i64);
        let expirations = proxy.certificate_expirations();
        let lines: Vec<String> = expirations
            .iter()
            .map(|end| format_expiry(end, now))
            .collect();

        if !lines.is_empty() {
            readiness.set_detail("certificate", lines.join("; "));
        }

        let reload = proxy.last_reload_error();
        readiness.set_detail("reload", reload.as_deref().unwrap_or("ok"));
        let soonest = expirations.iter().min_by_key(|(_, end)| *end);
        if let Some(soonest) = soonest.filter(|(_, end)| end - now < WARN_DAYS * DAY)
            // Once a day, counted in days since 1970.
            && warned != Some(now / DAY)
        {
            warned = Some(now / DAY);
            tracing::warn!("the certificate of {}", format_expiry(soonest, now));
        }
        sleep(REPORT_INTERVAL).await;
    }
}

fn format_expiry((name, end): &(String, i64), now: i64) -> String {
    let days = (end - now).abs() / DAY;
    if end < &now {
        format!("{name} expired {days} days ago")
    } else {
        format!("{name} expires in {days} days")
    }
}

const REPORT_INTERVAL: Duration = Duration::from_secs(5);
const DAY: i64 = 24 * 60 * 60;
/// Number of days before its expiry from which a certificate causes a warning.
const WARN_DAYS: i64 = 14;
