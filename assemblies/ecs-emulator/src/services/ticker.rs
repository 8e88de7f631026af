//! Looks at all services again and again.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use tokio::runtime::Handle;
use tokio::time::{MissedTickBehavior, interval};

use crate::server::Shared;
use crate::state::State;

/// Keeps the services running until it is dropped. `folder` gets a file with the addresses of the listeners.
pub(crate) async fn run(shared: Arc<Shared>, folder: Arc<Path>) {
    let runtime = Handle::current();
    let mut ticks = interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);

    let mut last = json!([]);
    loop {
        ticks.tick().await;
        let listeners = shared.state().tick_services(SystemTime::now(), &runtime);
        if listeners != last {
            // Replaced atomically, for concurrent readers. Without it the addresses are in the services' events.
            let beside = folder.join("listeners.json.new");
            let written = fs::write(&beside, format!("{listeners:#}\n"));
            let _ = written.and_then(|()| fs::rename(&beside, folder.join(LISTENERS)));
            last = listeners;
        }
    }
}

impl State {
    /// Looks at all services once. Returns their listeners.
    fn tick_services(&mut self, now: SystemTime, runtime: &Handle) -> Value {
        for key in self.services.live_keys() {
            if let Some(mut service) = self.services.by_key.remove(&key) {
                self.tick_service(&mut service, now, runtime);
                self.services.by_key.insert(key, service);
            }
        }
        self.services
            .iter()
            .flat_map(super::Service::listeners)
            .collect()
    }
}

const INTERVAL: Duration = Duration::from_millis(100);
/// The addresses of the listeners.
const LISTENERS: &str = "listeners.json";
