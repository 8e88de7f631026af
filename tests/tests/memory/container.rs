//! A program in a control group with the memory that its `component.yaml` declares.

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use acceptance::{binary, report_skip, wait_until, workspace};

/// A running program; ended when dropped.
pub(crate) struct Container {
    name: &'static str,
    child: Child,
    group: Option<ControlGroup>,
    /// The declared memory in bytes.
    limit: u64,
    /// The address of the service.
    pub(crate) address: SocketAddr,
}

impl Container {
    /// Starts the program of a component folder.
    ///
    /// Without control groups the program is measured at the end, and one that takes its limits from its control group
    /// is skipped, with a message. `settings` are its environment variables; `{address}` is the address to listen on.
    pub(crate) fn start(
        folder: &str,
        needs_group: NeedsGroup,
        settings: &[(&str, &str)],
    ) -> Option<Self> {
        let name: &'static str = folder.rsplit('/').next().expect("a name").to_owned().leak();
        let limit = declared_memory(folder);
        let group = ControlGroup::new(limit);
        if group.is_none() && needs_group == NeedsGroup::Yes {
            report_skip(name, "this process cannot create control groups for memory");
            return None;
        }

        let address = free_address();
        let mut command = Command::new("sh");
        command
            // The shell moves itself, so everything the program allocates is counted.
            .args(["-c", r#"echo $$ > "$0" && exec "$@""#])
            .arg(
                group
                    .as_ref()
                    .map_or("/dev/null".into(), |group| group.path.join("cgroup.procs")),
            )
            .arg(binary(name))
            .arg("serve")
            // As in the images: glibc returns a large allocation to the kernel only above a threshold that it raises up
            // to 32 MiB (mallopt(3)), unless it is set.
            .env("MALLOC_MMAP_THRESHOLD_", "131072")
            .stdout(Stdio::null());
        for (variable, value) in settings {
            command.env(variable, value.replace("{address}", &address.to_string()));
        }

        let mut container = Self {
            name,
            child: command.spawn().expect("sh can be started"),
            group,
            limit,
            address,
        };
        let limit = Duration::from_secs(30);
        let is_up = wait_until(limit, || TcpStream::connect(address).is_ok());
        assert!(is_up && container.is_running(), "{name} does not listen");
        Some(container)
    }

    /// Asserts that the program has survived, and prints its peak.
    pub(crate) fn assert_survived(mut self) {
        let mebibytes = |bytes: u64| bytes.div_ceil(1 << 20);
        let resident = resident_peak(self.child.id());
        let (peak, kills) = match &self.group {
            Some(group) => (group.peak(), group.kills()),
            None => (resident, 0),
        };
        let summary = format!(
            "{}: peak {} MiB of {} MiB; the process itself had {} MiB",
            self.name,
            mebibytes(peak),
            mebibytes(self.limit),
            mebibytes(resident),
        );

        println!("{summary}");
        assert!(self.is_running() && kills == 0, "it was killed; {summary}");
        assert!(peak <= self.limit, "{summary}");
    }

    fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether a program takes its limits from its control group alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NeedsGroup {
    /// A proxy; outside of a container it has the limits of its settings.
    Yes,
    /// Outside of a container it has its declared memory.
    No,
}

/// A control group below the one of this process; removed when dropped.
struct ControlGroup {
    path: PathBuf,
    version: u8,
}

impl ControlGroup {
    fn new(limit: u64) -> Option<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);

        let own = fs::read_to_string("/proc/self/cgroup").ok()?;
        let parent = |line: &str| -> Option<(PathBuf, u8)> {
            let (_, rest) = line.split_once(':')?;
            let (controllers, path) = rest.split_once(':')?;
            let path = path.trim_start_matches('/');
            match controllers {
                "" => Some((Path::new("/sys/fs/cgroup").join(path), 2)),
                "memory" => Some((Path::new("/sys/fs/cgroup/memory").join(path), 1)),
                _ => None,
            }
        };

        for (parent, version) in own.lines().filter_map(parent) {
            let number = NUMBER.fetch_add(1, Ordering::Relaxed);
            let group = Self {
                path: parent.join(format!("memory-test-{}-{number}", std::process::id())),
                version,
            };
            let file = group.file("memory.limit_in_bytes", "memory.max");
            if fs::create_dir(&group.path).is_ok() && fs::write(file, limit.to_string()).is_ok() {
                return Some(group);
            }
        }
        None
    }

    /// Returns the highest memory so far, in bytes, with the cache of files.
    fn peak(&self) -> u64 {
        let file = self.file("memory.max_usage_in_bytes", "memory.peak");
        let text = fs::read_to_string(file).unwrap_or_default();
        text.trim().parse().unwrap_or(0)
    }

    /// Returns the number of processes that the kernel has killed for their memory.
    fn kills(&self) -> u64 {
        let file = self.file("memory.oom_control", "memory.events");
        let text = fs::read_to_string(file).unwrap_or_default();
        let count = |line: &str| line.strip_prefix("oom_kill ")?.trim().parse().ok();
        text.lines().find_map(count).unwrap_or(0)
    }

    fn file(&self, version_1: &str, version_2: &str) -> PathBuf {
        let name = if self.version == 1 {
            version_1
        } else {
            version_2
        };
        self.path.join(name)
    }
}

impl Drop for ControlGroup {
    fn drop(&mut self) {
        // Busy until the last dead process is reaped.
        let path = self.path.clone();
        wait_until(Duration::from_secs(2), || fs::remove_dir(&path).is_ok());
    }
}

/// Returns an address that was free a moment ago.
pub(crate) fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("bound")
}

/// Returns `size.memory` of a component, in bytes.
fn declared_memory(folder: &str) -> u64 {
    let file = workspace().join(folder).join("component.yaml");
    let text = fs::read_to_string(file).expect("a component");
    let component: serde_json::Value = serde_saphyr::from_str(&text).expect("valid YAML");
    component["size"]["memory"].as_u64().expect("a size") << 20
}

/// Returns the most memory that the process itself had resident, in bytes.
fn resident_peak(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let kibibytes = |line: &str| -> Option<u64> {
        let value = line.strip_prefix("VmHWM:")?.trim();
        value.trim_end_matches(" kB").parse().ok()
    };
    status.lines().find_map(kibibytes).unwrap_or(0) << 10
}
