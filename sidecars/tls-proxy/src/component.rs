//! The proxy as a component: ports, latches, SIGHUP, and the stop.

use chassis::{BoxError, Component, HangupSignal, Port, Problem, Process, bind};

use crate::{Config, Listeners, Mode, Proxy, proxy::file_problems};

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
        if let Some(memory) = process.container_memory {
            config.limits = config.limits.within(memory);
        }

        let proxy = Proxy::new(&config)?;
        let redirect = config
            .redirect_listen
            .map(|address| bind("redirect_listen", address));
        let listeners = Listeners {
            main: bind("listen", config.listen)?,
            redirect: redirect.transpose()?,
        };
        tracing::info!(address = %listeners.main.local_addr()?, "listening");
        if let Some(listener) = &listeners.redirect {
            tracing::info!(address = %listener.local_addr()?, "redirecting");
        }

        certificate.release();
        let serving = proxy.clone().serve_with_latch(
            listeners,
            process.shutdown,
            process.readiness,
            upstream,
        );
        tokio::select! {
            () = serving => Ok(()),
            () = reload_on_hangup(&proxy, &mut hangup) => Ok(()),
        }
    }
}

async fn reload_on_hangup(proxy: &Proxy, hangup: &mut HangupSignal) {
    loop {
        hangup.next().await;
        tracing::info!("SIGHUP, reloading certificates");
        // `reload` logs its error.
        let _ = proxy.reload();
    }
}
