//! Listeners on loopback ports that spread connections over the tasks of a service, as a load balancer does.
//!
//! [`Targets`] is what a listener chooses from: first a revision by weight, then the task of it with the fewest open
//! connections. `local`'s listener for replicas has no weights and does not count connections, so it is not used here.

use std::collections::BTreeMap;
use std::io;
use std::net::{SocketAddr, TcpListener as Bound};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

/// The registered targets of a listener.
#[derive(Debug, Default)]
pub(crate) struct Targets {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    targets: BTreeMap<u64, Target>,
    /// The share of each revision; without shares all targets are equal.
    weights: Option<BTreeMap<u64, f64>>,
    /// How far each revision is behind its share.
    credits: BTreeMap<u64, f64>,
    /// The number of connections so far.
    count: u64,
}

#[derive(Debug)]
struct Target {
    revision: u64,
    address: SocketAddr,
    open: usize,
    /// When it got its last connection, in connections.
    last: u64,
    is_draining: bool,
}

impl Targets {
    /// Registers a task.
    pub(crate) fn register(&self, task: u64, revision: u64, address: SocketAddr) {
        let target = Target {
            revision,
            address,
            open: 0,
            last: 0,
            is_draining: false,
        };
        // A task that is registered again keeps its count of connections.
        self.lock().targets.entry(task).or_insert(target);
    }

    /// Sends a task no more connections. Those that are open stay open.
    pub(crate) fn drain(&self, task: u64) {
        if let Some(target) = self.lock().targets.get_mut(&task) {
            target.is_draining = true;
        }
    }

    /// Removes a task that has ended.
    pub(crate) fn remove(&self, task: u64) {
        self.lock().targets.remove(&task);
    }

    /// Returns the number of open connections of a task.
    pub(crate) fn open_connections(&self, task: u64) -> usize {
        self.lock()
            .targets
            .get(&task)
            .map_or(0, |target| target.open)
    }

    /// Sets the share of each revision.
    pub(crate) fn set_weights(&self, weights: Option<BTreeMap<u64, f64>>) {
        let mut state = self.lock();
        // Equal weights keep their credits, or a share would start anew with each call.
        if state.weights != weights {
            state.weights = weights;
            state.credits.clear();
        }
    }

    /// Chooses the target of the next connection, and counts it as open. `failed` are those that did not accept.
    fn choose(&self, failed: &[u64]) -> Option<(u64, SocketAddr)> {
        let mut state = self.lock();
        let revision = state.next_revision(failed);
        state.count += 1;
        let count = state.count;

        let fits = |task: u64, target: &Target| {
            let is_wanted = revision.is_none_or(|revision| revision == target.revision);
            is_wanted && !target.is_draining && !failed.contains(&task)
        };

        // With weights, a revision without a share gets nothing.
        let is_closed = state.weights.is_some() && revision.is_none();
        let targets = state.targets.iter_mut();
        let chosen = targets
            .filter(|(task, target)| !is_closed && fits(**task, target))
            .min_by_key(|(_, target)| (target.open, target.last));
        chosen.map(|(task, target)| {
            // Counted before it is connected: the next choice is usually made meanwhile.
            target.open += 1;
            target.last = count;
            (*task, target.address)
        })
    }

    fn close(&self, task: u64) {
        if let Some(target) = self.lock().targets.get_mut(&task) {
            target.open = target.open.saturating_sub(1);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Returns the revision that is furthest behind its share (smooth weighted round robin): 5 % are 5 connections of
    /// each 100, not about 5. A revision without a target to choose gets no turn.
    fn next_revision(&mut self, failed: &[u64]) -> Option<u64> {
        let weights = self.weights.as_ref()?;
        // Credits must not grow while a revision cannot take its turn.
        let has_target = |revision: u64| {
            self.targets.iter().any(|(task, target)| {
                target.revision == revision && !target.is_draining && !failed.contains(task)
            })
        };

        let usable: Vec<(u64, f64)> = weights
            .iter()
            .map(|(revision, weight)| (*revision, *weight))
            .filter(|(revision, weight)| *weight > 0.0 && has_target(*revision))
            .collect();

        let total: f64 = usable.iter().map(|(_, weight)| weight).sum();

        for (revision, weight) in &usable {
            *self.credits.entry(*revision).or_default() += weight;
        }

        let credit = |revision: u64| self.credits.get(&revision).copied().unwrap_or_default();
        let (revision, _) = usable
            .into_iter()
            .max_by(|(a, _), (b, _)| credit(*a).total_cmp(&credit(*b)))?;
        *self.credits.entry(revision).or_default() -= total;

        Some(revision)
    }
}

/// A listener; dropping it closes the port. Open connections stay open.
#[derive(Debug)]
pub(crate) struct Listener {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Listener {
    /// Accepts connections on a bound port, on the given runtime.
    pub(crate) fn start(bound: Bound, targets: Arc<Targets>, runtime: &Handle) -> io::Result<Self> {
        bound.set_nonblocking(true)?;
        let address = bound.local_addr()?;
        let _guard = runtime.enter();
        let listener = TcpListener::from_std(bound)?;
        Ok(Self {
            address,
            task: runtime.spawn(accept(listener, targets)),
        })
    }

    /// Returns the address of the port.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, targets: Arc<Targets>) {
    let permits = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let Ok(permit) = Arc::clone(&permits).acquire_owned().await else {
            return;
        };
        let Ok((client, _)) = listener.accept().await else {
            // Most likely out of descriptors (EMFILE); retrying at once would spin.
            sleep(ACCEPT_RETRY_DELAY).await;
            continue;
        };

        let targets = Arc::clone(&targets);
        tokio::spawn(async move {
            forward(client, &targets).await;
            drop(permit);
        });
    }
}

/// Forwards a connection to a target until both sides are closed. Without a target the connection is closed, as a
/// network load balancer does.
async fn forward(mut client: TcpStream, targets: &Targets) {
    let mut failed = Vec::new();
    while let Some((task, address)) = targets.choose(&failed) {
        let open = OpenConnection { targets, task };
        if let Ok(Ok(mut server)) = timeout(CONNECT_TIMEOUT, TcpStream::connect(address)).await {
            // Small messages should not wait for more of them.
            let _ = (client.set_nodelay(true), server.set_nodelay(true));
            // On an error both sockets close, which both sides notice.
            let _ = copy_bidirectional(&mut client, &mut server).await;
            return;
        }
        drop(open);
        // The next target may accept.
        failed.push(task);
    }
}

/// Counts a connection as closed when dropped.
struct OpenConnection<'a> {
    targets: &'a Targets,
    task: u64,
}

impl Drop for OpenConnection<'_> {
    fn drop(&mut self) {
        self.targets.close(self.task);
    }
}

/// Of each listener.
const MAX_CONNECTIONS: usize = 4096;
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(50);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::net::{Ipv4Addr, TcpStream as Client};

    use super::*;

    fn address(port: u16) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, port).into()
    }

    /// Counts which revision gets how many of `count` connections that close at once.
    fn shares(targets: &Targets, count: usize) -> BTreeMap<u16, usize> {
        let mut shares = BTreeMap::new();
        for _ in 0..count {
            let (task, address) = targets.choose(&[]).expect("a target");
            targets.close(task);
            *shares.entry(address.port() / 1000).or_default() += 1;
        }
        shares
    }

    fn two_revisions() -> Targets {
        let targets = Targets::default();
        for (task, revision, port) in [(1, 1, 1001), (2, 1, 1002), (3, 2, 2001)] {
            targets.register(task, revision, address(port));
        }
        targets
    }

    #[test]
    fn weights_are_exact_shares() {
        let targets = two_revisions();
        targets.set_weights(Some([(1, 95.0), (2, 5.0)].into()));
        assert_eq!(shares(&targets, 200), [(1, 190), (2, 10)].into());
        targets.set_weights(Some([(1, 0.0), (2, 100.0)].into()));
        assert_eq!(shares(&targets, 50), [(2, 50)].into());
    }

    #[test]
    fn without_weights_all_targets_are_equal() {
        assert_eq!(shares(&two_revisions(), 90), [(1, 60), (2, 30)].into());
    }

    #[test]
    fn the_target_with_the_fewest_connections_is_next() {
        let targets = two_revisions();
        let first = targets.choose(&[]).unwrap().0;
        let second = targets.choose(&[]).unwrap().0;
        let third = targets.choose(&[]).unwrap().0;
        targets.close(second);
        assert_eq!(targets.choose(&[]).unwrap().0, second);
        let mut all = [first, second, third];
        all.sort_unstable();
        assert_eq!(all, [1, 2, 3]);
    }

    #[test]
    fn a_draining_target_gets_no_more_connections() {
        let targets = two_revisions();
        targets.drain(3);
        assert_eq!(shares(&targets, 10), [(1, 10)].into());
        targets.set_weights(Some([(1, 0.0), (2, 100.0)].into()));
        assert_eq!(targets.choose(&[]), None, "the other revision has no share");
    }

    #[test]
    fn tries_the_next_target_when_one_does_not_accept() {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let server = Bound::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let closed = Bound::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let closed_address = closed.local_addr().unwrap();
        drop(closed);

        let targets = Arc::new(Targets::default());
        targets.register(1, 1, closed_address);
        targets.register(2, 1, server.local_addr().unwrap());
        let bound = Bound::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let listener = Listener::start(bound, Arc::clone(&targets), runtime.handle()).unwrap();

        let client = Client::connect(listener.address()).unwrap();
        let (upstream, _) = server.accept().unwrap();
        assert_eq!(targets.open_connections(2), 1);
        assert_eq!(targets.open_connections(1), 0);

        drop(client);
        assert_eq!(
            (&upstream).read(&mut [0]).unwrap(),
            0,
            "the end is forwarded"
        );
    }
}
