//! The service's state for `ps` and `stop`: a file in its run directory, in the format of DescribeServices.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde_json::{Value, json};

use crate::control_socket::ControlCommand;
use crate::run_dir::{Binding, READY, TASK};

/// Writes the file.
#[derive(Debug)]
pub(super) struct ServiceRecord {
    folder: PathBuf,
    family: String,
    desired: u8,
    bindings: Vec<Value>,
    created: f64,
}

impl ServiceRecord {
    /// Creates the record, and removes the files of an earlier run with this name.
    pub(super) fn new(folder: &Path, family: &str, desired: u8, bindings: &[Binding]) -> Self {
        for file in [READY, TASK] {
            let _ = fs::remove_file(folder.join(file));
        }

        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        Self {
            folder: folder.to_owned(),
            family: family.to_owned(),
            desired,
            bindings: bindings.iter().copied().map(Binding::to_json).collect(),
            created: now.unwrap_or_default().as_secs_f64(),
        }
    }

    /// Writes the file if it has changed. Replaces it atomically, for concurrent readers.
    pub(super) fn write(
        &self,
        last_command: Option<ControlCommand>,
        running: usize,
        pending: usize,
    ) {
        let name = self.folder.file_name().unwrap_or_default();
        let (status, desired) = match last_command {
            None => ("ACTIVE", self.desired),
            Some(_) if running + pending > 0 => ("DRAINING", 0),
            Some(_) => ("INACTIVE", 0),
        };

        let service = json!({
            "serviceArn": format!("local/{}", name.to_string_lossy()),
            "serviceName": self.family,
            "status": status,
            "desiredCount": desired,
            "runningCount": running,
            "pendingCount": pending,
            "launchType": "FARGATE",
            "createdAt": self.created,
            // Not a field of the API, where the load balancer has the ports.
            "networkBindings": self.bindings,
        });

        let text = format!("{:#}\n", json!({ "services": [service], "failures": [] }));
        let path = self.folder.join(SERVICE);
        // Called several times a second; an unchanged file is left alone.
        if fs::read_to_string(&path).is_ok_and(|old| old == text) {
            return;
        }

        let beside = self.folder.join("service.json.new");
        let _ = fs::write(&beside, text).and_then(|()| fs::rename(&beside, path));
    }

    /// Records that all tasks are active.
    pub(super) fn mark_ready(&self) {
        let _ = fs::write(self.folder.join(READY), "");
    }
}

/// The response of DescribeServices.
pub const SERVICE: &str = "service.json";
