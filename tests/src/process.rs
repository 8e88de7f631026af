//! A real process with captured output, and waits with a timeout.

use std::io::{BufRead as _, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// A running process with both output streams captured while it runs.
///
/// Dropping it kills it.
#[derive(Debug)]
pub struct Process {
    child: Child,
    stdout: OutputReader,
    stderr: OutputReader,
}

/// The exit code and output of a process.
#[derive(Debug, Clone)]
pub struct ProcessOutput {
    /// The exit code, or 128 + the number of the signal that ended it.
    pub code: i32,
    /// The complete standard output.
    pub stdout: String,
    /// The complete standard error.
    pub stderr: String,
}

impl ProcessOutput {
    /// Returns both streams, for messages and for searching for text that must not be printed.
    pub fn output(&self) -> String {
        format!("{}\n{}", self.stdout, self.stderr)
    }
}

impl Process {
    /// Starts `command` without standard input.
    pub fn start(mut command: Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));

        let stdout = OutputReader::from(child.stdout.take().expect("piped"));
        let stderr = OutputReader::from(child.stderr.take().expect("piped"));
        Self {
            child,
            stdout,
            stderr,
        }
    }

    /// Runs `command` to its end; kills it and panics after `limit`.
    pub fn finish(command: Command, limit: Duration) -> ProcessOutput {
        Self::start(command).wait_for_exit(limit)
    }

    /// Returns the process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Returns the standard output so far.
    pub fn stdout(&self) -> String {
        self.stdout.text()
    }

    /// Returns the standard error so far.
    pub fn stderr(&self) -> String {
        self.stderr.text()
    }

    /// Returns whether the process is running.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Waits until either stream contains `text`; panics with the whole output after `limit`.
    pub fn wait_for(&mut self, text: &str, limit: Duration) {
        let found = wait_until(limit, || {
            self.stdout().contains(text) || self.stderr().contains(text) || !self.is_running()
        });
        let (stdout, stderr) = (self.stdout(), self.stderr());
        assert!(
            found && (stdout.contains(text) || stderr.contains(text)),
            "`{text}` was not printed within {limit:?}\nstdout:\n{stdout}\nstderr:\n{stderr}"
        );
    }

    /// Sends a signal by name (`TERM`, `INT`, `KILL`).
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill")
            .args([format!("-{name}"), self.id().to_string()])
            .status();
        assert!(
            status.is_ok_and(|status| status.success()),
            "cannot signal {}",
            self.id()
        );
    }

    /// Waits for the exit; kills the process and panics after `limit`.
    pub fn wait_for_exit(mut self, limit: Duration) -> ProcessOutput {
        let ended = wait_until(limit, || !self.is_running());
        if !ended {
            // A test that fails must not leave its processes behind.
            let _ = self.child.kill();
        }

        let status = self.child.wait().expect("a child can be waited for");
        let finished = ProcessOutput {
            code: exit_code(status),
            stdout: self.stdout.drain(),
            stderr: self.stderr.drain(),
        };

        assert!(ended, "did not end within {limit:?}\n{}", finished.output());
        finished
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Checks `condition` every 20 ms until it is true or `limit` is over; returns whether it became true.
pub fn wait_until(limit: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + limit;
    loop {
        if condition() {
            return true;
        }
        // After the check, so that a condition that just became true counts however late it is seen.
        if Instant::now() >= deadline {
            return false;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn exit_code(status: std::process::ExitStatus) -> i32 {
    use std::os::unix::process::ExitStatusExt as _;
    status
        .code()
        .or_else(|| status.signal().map(|signal| 128 + signal))
        .unwrap_or(-1)
}

#[derive(Debug)]
struct OutputReader {
    text: Arc<Mutex<String>>,
    reader: Option<JoinHandle<()>>,
}

impl OutputReader {
    fn from(stream: impl Read + Send + 'static) -> Self {
        let text = Arc::new(Mutex::new(String::new()));
        let shared = Arc::clone(&text);
        // A thread per stream, so that the process never blocks on a full pipe.
        let reader = std::thread::spawn(move || {
            let mut stream = BufReader::new(stream);
            let mut line = Vec::new();
            // Line by line and lossy: a process may write anything.
            while stream
                .read_until(b'\n', &mut line)
                .is_ok_and(|read| read > 0)
            {
                shared
                    .lock()
                    .expect("not poisoned")
                    .push_str(&String::from_utf8_lossy(&line));
                line.clear();
            }
        });

        Self {
            text,
            reader: Some(reader),
        }
    }

    fn text(&self) -> String {
        self.text.lock().expect("not poisoned").clone()
    }

    /// Returns the output until the stream closed; does not wait long for a grandchild that keeps it open.
    fn drain(&mut self) -> String {
        if let Some(reader) = self.reader.take() {
            wait_until(Duration::from_secs(2), || reader.is_finished());
        }
        self.text()
    }
}
