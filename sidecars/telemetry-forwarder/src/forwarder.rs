//! Runs the forwarder: receives and sends concurrently, then stops in an order that loses nothing.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use chassis::http::{BodyLimits, BodyPool, serve as serve_http};
use chassis::memory::MemoryBudget;
use chassis::{HumanDuration, Latch, Readiness, Settings, SettingsError, Shutdown};
use tokio::net::TcpListener;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, timeout_at};

use crate::config::{Config, Endpoint};
use crate::counters::{Counters, ItemOutcome};
use crate::enrichment::Enrichment;
use crate::otlp::Signal;
use crate::queue::{BatchLimits, Queue};
use crate::receive::{Intake, RequestLimits, handle};
use crate::send::{Destination, EndpointError, Worker};

/// The sockets of the forwarder, which all accept both protocols; [`serve`] also takes one listener.
#[derive(Debug)]
pub struct Listeners {
    /// The socket of `listen`, which senders use for OTLP/HTTP.
    pub main: TcpListener,
    /// The socket of `listen_grpc`, which senders use for OTLP/gRPC.
    pub grpc: Option<TcpListener>,
}

impl From<TcpListener> for Listeners {
    fn from(main: TcpListener) -> Self {
        Self { main, grpc: None }
    }
}

/// An error that ends the forwarder.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The settings are invalid; contains every problem.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The client for the endpoint cannot be set up.
    #[error("cannot use the endpoint")]
    Endpoint(#[from] EndpointError),
    /// A listener has no address.
    #[error("a listener failed")]
    Listener(#[source] io::Error),
    /// A sender task ended early.
    #[error("a sender task failed")]
    Sender(#[source] JoinError),
}

/// Forwards until the shutdown, then delivers everything it has accepted within
/// `limits.drain_timeout`.
///
/// The caller binds: `listen` and `listen_grpc` are not used. `readiness` gets the latch `resource
/// attributes` when this is called, not when the future is first polled.
pub fn serve(
    config: Config,
    listeners: impl Into<Listeners>,
    shutdown: Shutdown,
    readiness: Readiness,
) -> impl Future<Output = Result<(), Error>> + Send {
    // No sender is let in before the resource attributes are known.
    let ready = readiness.latch("resource attributes");
    serve_with_latch(config, listeners.into(), shutdown, ready)
}

async fn serve_with_latch(
    config: Config,
    listeners: Listeners,
    shutdown: Shutdown,
    ready: Latch,
) -> Result<(), Error> {
    SettingsError::from_problems(config.problems())?;
    let counters = Arc::new(Counters::new());
    let queue = Queue::new(config.max_queue_bytes);
    let (drain, draining) = Shutdown::pair();
    // Before anything is received, so that an unusable `ca_file` ends the process at once.
    let mut workers = start_workers(&config, &queue, &counters, &draining)?;
    let enrichment = Enrichment::default();

    // Requests are accepted meanwhile; they wait in `Enrichment::attributes`.
    let resolving = async {
        enrichment
            .resolve(&config.resource, config.metadata_uri.as_deref())
            .await;
        ready.release();
    };

    let limit = config.limits.drain_timeout.duration();
    let deadline = async {
        shutdown.wait().await;
        Instant::now() + limit.saturating_sub(EXIT_MARGIN)
    };
    let intake = Intake::new(
        queue.clone(),
        enrichment.clone(),
        Arc::clone(&counters),
        request_limits(&config),
    );

    let receiving = receive(&config, listeners, &intake, &shutdown);
    // The listeners end after the shutdown, when the last request in flight has its response.
    let running = Box::pin(async { tokio::join!(resolving, deadline, receiving) });
    let ((), deadline, received) = tokio::select! {
        ended = running => ended,
        // Without its worker, a signal would fill the queue and refuse every later request.
        Some(Err(error)) = workers.join_next() => return Err(Error::Sender(error)),
    };

    // The order matters: nothing is pushed any more, so an empty queue ends each worker, and the
    // drain signal cuts their backoff short.
    queue.close();
    drain.fire();
    finish(&mut workers, deadline).await;
    report(&queue, &counters);

    received.map_err(Error::Listener)
}

fn start_workers(
    config: &Config,
    queue: &Queue,
    counters: &Arc<Counters>,
    draining: &Shutdown,
) -> Result<JoinSet<()>, EndpointError> {
    if config.endpoint() == Ok(Endpoint::Discard) {
        tracing::warn!("`endpoint` is empty, telemetry is counted and discarded");
    }

    let destination = Destination::new(config)?;
    let batch_limits = BatchLimits {
        max_bytes: config.max_batch_bytes,
        max_items: config.max_batch_items,
        timeout: config.batch_timeout.duration(),
    };
    let mut workers = JoinSet::new();

    for signal in Signal::ALL {
        let worker = Worker {
            signal,
            queue: queue.clone(),
            limits: batch_limits,
            destination: destination.clone(),
            counters: Arc::clone(counters),
            draining: draining.clone(),
        };
        workers.spawn(worker.run());
    }

    Ok(workers)
}

async fn receive(
    config: &Config,
    listeners: Listeners,
    intake: &Intake,
    shutdown: &Shutdown,
) -> io::Result<()> {
    let Listeners { main, grpc } = listeners;
    let grpc_address = grpc.as_ref().map(TcpListener::local_addr).transpose()?;
    tracing::info!(
        http = %main.local_addr()?,
        grpc = grpc_address.map(tracing::field::display),
        "listening"
    );

    let mut limits = config.limits.clone();
    // Half of the time is for requests in flight, the rest for emptying the queue.
    let drain_timeout = limits.drain_timeout.duration();
    limits.drain_timeout = HumanDuration::from_millis((drain_timeout / 2).as_millis() as u64);
    // One service for all listeners: the protocol is chosen per request, not per port.
    let service = {
        let intake = intake.clone();
        move |request| handle(intake.clone(), request)
    };

    let serve = |listener| {
        let (service, limits) = (service.clone(), limits.clone());
        serve_http(listener, service, limits, shutdown.clone())
    };
    let grpc = async {
        if let Some(listener) = grpc {
            serve(listener).await;
        }
    };
    tokio::join!(serve(main), grpc);
    Ok(())
}

fn request_limits(config: &Config) -> RequestLimits {
    let memory = MemoryBudget::new(config.request_memory());
    let limits = BodyLimits {
        timeout: config.body_timeout.duration(),
        min_bytes_per_second: config.min_body_bytes_per_second,
    };
    RequestLimits {
        max_body_bytes: config.max_body_bytes,
        body_timeout: config.body_timeout.duration(),
        bodies: BodyPool::new(limits, memory.clone()),
        memory,
        max_batch_bytes: config.max_batch_bytes,
    }
}

async fn finish(workers: &mut JoinSet<()>, deadline: Instant) {
    let all = async {
        while let Some(ended) = workers.join_next().await {
            if let Err(error) = ended {
                tracing::error!(%error, "sender task ended early");
            }
        }
    };
    if timeout_at(deadline, all).await.is_err() {
        tracing::debug!("drain limit reached");
    }
}

fn report(queue: &Queue, counters: &Counters) {
    let accepted = counters.total(ItemOutcome::Accepted);
    let sent = counters.total(ItemOutcome::Sent);
    let rejected = counters.total(ItemOutcome::Rejected);
    let dropped = counters.total(ItemOutcome::Dropped(""));

    tracing::info!(
        accepted,
        sent,
        rejected,
        dropped,
        "all requests answered, senders stopped"
    );

    // These were acknowledged, so their loss is an error and not only a count.
    let undelivered = queue.items();
    if undelivered > 0 {
        tracing::error!(undelivered, "items undelivered");
    }
}

/// The part of the drain limit that is reserved for the report and the exit.
const EXIT_MARGIN: Duration = Duration::from_millis(500);
