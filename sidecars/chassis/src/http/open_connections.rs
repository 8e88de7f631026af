//! The open connections of a listener, of which an idle one is closed when there are too many.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use super::{activity::Activity, request_slots::record_refused};

/// The open connections of a listener.
#[derive(Debug, Default)]
pub(super) struct OpenConnections {
    next: AtomicU64,
    open: Mutex<HashMap<u64, Entry>>,
}

#[derive(Debug)]
struct Entry {
    client: IpAddr,
    activity: Activity,
}

/// Lists a connection until dropped.
#[derive(Debug)]
pub(super) struct OpenGuard {
    connections: Arc<OpenConnections>,
    id: u64,
}

impl OpenConnections {
    /// Lists a connection; returns `None` if its client has `max_per_client`, where 0 is unlimited.
    pub(super) fn register(
        self: &Arc<Self>,
        client: IpAddr,
        activity: Activity,
        max_per_client: usize,
    ) -> Option<OpenGuard> {
        let client = client.to_canonical();
        let mut open = self.open();
        if max_per_client > 0 {
            let count = open.values().filter(|entry| entry.client == client).count();
            if count >= max_per_client {
                record_refused("connections_per_client");
                return None;
            }
        }

        let id = self.next.fetch_add(1, Ordering::Relaxed);
        open.insert(id, Entry { client, activity });
        Some(OpenGuard {
            connections: Arc::clone(self),
            id,
        })
    }

    /// Closes the longest idle connection of the client that has the most, if it is idle for a moment.
    ///
    /// So a client that opens many connections loses its own, not those of others, also if its own are
    /// all new.
    pub(super) fn evict_idle(&self) {
        let open = self.open();
        let mut counts: HashMap<IpAddr, usize> = HashMap::new();
        for entry in open.values() {
            *counts.entry(entry.client).or_default() += 1;
        }

        let idle = open.values().filter_map(|entry| {
            let idle = entry.activity.idle_since()?.elapsed();
            Some((counts[&entry.client], idle, &entry.activity))
        });
        let longest = idle.max_by_key(|(count, idle, _)| (*count, *idle));
        if let Some((_, _, activity)) = longest.filter(|(_, idle, _)| *idle >= MIN_IDLE) {
            activity.evict();
        }
    }

    fn open(&self) -> MutexGuard<'_, HashMap<u64, Entry>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for OpenGuard {
    fn drop(&mut self) {
        self.connections.open().remove(&self.id);
    }
}

/// A connection that was just used or opened is likely to be used.
const MIN_IDLE: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use tokio::time::sleep;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn evicts_the_longest_idle_connection_of_the_client_with_the_most() {
        let connections = Arc::new(OpenConnections::default());
        let open = |client: u8| {
            let activity = Activity::new();
            let client = IpAddr::from([10, 0, 0, client]);
            let guard = connections.register(client, activity.clone(), 0).unwrap();
            (guard, activity)
        };
        let (_guard, lone) = open(1);
        sleep(Duration::from_secs(1)).await;
        let (_first_guard, busy) = open(2);
        let _in_flight = busy.begin();
        let (_second_guard, oldest) = open(2);
        sleep(Duration::from_secs(1)).await;
        let (_third_guard, newest) = open(2);

        connections.evict_idle();
        assert!(oldest.idle_since().is_none(), "it is asked to close");
        // A connection that closes already makes room for no other, and a new one is kept for a moment.
        connections.evict_idle();
        assert!(newest.idle_since().is_some());
        sleep(Duration::from_secs(1)).await;
        connections.evict_idle();
        assert!(newest.idle_since().is_none());
        assert!(lone.idle_since().is_some());
    }

    #[test]
    fn limits_the_connections_of_a_client() {
        let connections = Arc::new(OpenConnections::default());
        let open = |client: u8| connections.register([10, 0, 0, client].into(), Activity::new(), 1);
        let first = open(1);
        assert!(first.is_some() && open(1).is_none() && open(2).is_some());
        drop(first);
        assert!(open(1).is_some());
    }
}
