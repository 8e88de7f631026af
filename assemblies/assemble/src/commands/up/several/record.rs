//! What `ps` and `stop` know of the service: a file in its run's folder, as DescribeServices would say it.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde_json::{Value, json};

use crate::commands::up::door::Word;
use crate::commands::up::keep::{Binding, READY, TASK};

/// The file.
#[derive(Debug)]
pub(super) struct Record {
    folder: PathBuf,
    family: String,
    wanted: u8,
    bindings: Vec<Value>,
    created: f64,
}

impl Record {
    /// Nothing is told yet, and what an earlier run of the name has told is gone.
    pub(super) fn new(folder: &Path, family: &str, wanted: u8, bindings: &[Binding]) -> Self {
        for old in [READY, TASK] {
            let _ = fs::remove_file(folder.join(old));
        }

        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        Self {
            folder: folder.to_owned(),
            family: family.to_owned(),
            wanted,
            bindings: bindings.iter().map(Binding::told).collect(),
            created: now.unwrap_or_default().as_secs_f64(),
        }
    }

    /// Writes what has changed, in one step for those who read it meanwhile.
    pub(super) fn write(&self, told: Option<Word>, running: usize, pending: usize) {
        let name = self.folder.file_name().unwrap_or_default();
        let (status, wanted) = match told {
            None => ("ACTIVE", self.wanted),
            Some(_) if running + pending > 0 => ("DRAINING", 0),
            Some(_) => ("INACTIVE", 0),
        };

        let service = json!({
            "serviceArn": format!("local/{}", name.to_string_lossy()),
            "serviceName": self.family,
            "status": status,
            "desiredCount": wanted,
            "runningCount": running,
            "pendingCount": pending,
            "launchType": "FARGATE",
            "createdAt": self.created,
            // No field of the API: there a load balancer has the ports.
            "networkBindings": self.bindings,
        });

        let text = format!("{:#}\n", json!({ "services": [service], "failures": [] }));
        let path = self.folder.join(SERVICE);
        if fs::read_to_string(&path).is_ok_and(|old| old == text) {
            return;
        }

        let beside = self.folder.join("service.json.new");
        let _ = fs::write(&beside, text).and_then(|()| fs::rename(&beside, path));
    }

    /// All tasks take part.
    pub(super) fn ready(&self) {
        let _ = fs::write(self.folder.join(READY), "");
    }
}

/// What DescribeServices would say.
pub(crate) const SERVICE: &str = "service.json";
