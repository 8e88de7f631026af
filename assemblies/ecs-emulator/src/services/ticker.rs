//! Looks at all services again and again.

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use tokio::runtime::Handle;
use tokio::time::{MissedTickBehavior, interval};

use crate::deployment::Event;
use crate::emulator::Shared;
use crate::state::State;

/// Keeps the services running until it is dropped. `folder` gets a file with the addresses of the listeners, and may
/// have one with the names of alarms.
pub(crate) async fn run(shared: Arc<Shared>, folder: Arc<Path>) {
    let runtime = Handle::current();
    let mut ticks = interval(INTERVAL);
    // After a pause of the host one look at all services is enough.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);

    let mut last = json!([]);
    loop {
        ticks.tick().await;
        let alarms = read_alarms(&folder.join(ALARMS));
        let listeners = shared
            .state()
            .tick_services(&alarms, SystemTime::now(), &runtime);
        // The runner would notice new tasks later by itself.
        shared.wake();

        if listeners != last {
            // Replaced atomically, for concurrent readers. Without it the addresses are in the services' events.
            let beside = folder.join("listeners.json.new");
            let written = fs::write(&beside, format!("{listeners:#}\n"));
            let _ = written.and_then(|()| fs::rename(&beside, folder.join(LISTENERS)));
            last = listeners;
        }
    }
}

/// Reads the names of the alarms that are in the ALARM state, one per line. There is no CloudWatch, so the user
/// writes them.
fn read_alarms(path: &Path) -> Vec<String> {
    let mut text = String::new();
    let file = File::open(path).map(|file| file.take(MAX_ALARM_BYTES));
    // Usually there is no such file.
    if file
        .and_then(|mut file| file.read_to_string(&mut text))
        .is_err()
    {
        return Vec::new();
    }

    let lines = text.lines().map(str::trim);
    lines
        .filter(|line| !line.is_empty())
        .map(str::to_owned)
        .collect()
}

impl State {
    /// Looks at all services once. Returns their listeners.
    pub(super) fn tick_services(
        &mut self,
        alarms: &[String],
        now: SystemTime,
        runtime: &Handle,
    ) -> Value {
        for key in self.services.live_keys() {
            if let Some(mut service) = self.services.by_key.remove(&key) {
                if !alarms.is_empty() {
                    self.step_service(&mut service, Event::Alarms(alarms.to_vec()), now);
                }
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
/// The alarms in the ALARM state.
const ALARMS: &str = "alarms";
const MAX_ALARM_BYTES: u64 = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_alarms_by_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(ALARMS);
        assert!(read_alarms(&path).is_empty());
        fs::write(&path, "errors\n\n  latency \n").unwrap();
        assert_eq!(read_alarms(&path), ["errors", "latency"]);
    }
}
