//! An emulator: its files, its state, and the three things that run: the server, the services and the runner.

use std::fs::{File, TryLockError};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use local::Project;
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::time::sleep;

use crate::event_log::EventLog;
use crate::faults::{Fault, Faults};
use crate::keys::{KeyFiles, Keys, private_folder};
use crate::runner::{Runner, Signal};
use crate::server::accept_until;
use crate::state::State;
use crate::{Config, Error, services};

/// An emulator that is ready to serve.
#[derive(Debug)]
pub struct Emulator {
    config: Config,
    listener: TcpListener,
    shared: Arc<Shared>,
    signals: Receiver<Signal>,
    events: EventLog,
    key_files: KeyFiles,
    /// Held until the emulator ends: two of them would replace each other's files.
    _lock: File,
}

impl Emulator {
    /// Creates keys, and the files of the emulator. The listener must be on a loopback address.
    pub fn new(config: Config, listener: TcpListener) -> Result<Self, Error> {
        let address = listener.local_addr()?;
        if !address.ip().is_loopback() {
            return Err(Error::NotLoopback(address));
        }
        // In this order: the files belong to the emulator that holds the lock.
        let folder = private_folder(&config.root)?;
        let lock = lock(&folder)?;
        let events = config.events.clone();
        let events = EventLog::create(events.unwrap_or_else(|| folder.join("events.jsonl")))?;
        let keys = Keys::generate()?;
        let key_files = keys.write(&config, address)?;

        let (sender, signals) = sync_channel(SIGNALS);
        let shared = Shared {
            state: Mutex::new(State::new(&config)),
            faults: Mutex::new(Faults::new(&config.faults)),
            keys,
            signals: sender,
        };

        Ok(Self {
            config,
            listener,
            shared: Arc::new(shared),
            signals,
            events,
            key_files,
            _lock: lock,
        })
    }

    /// Returns the address of the API.
    pub fn address(&self) -> Result<SocketAddr, Error> {
        Ok(self.listener.local_addr()?)
    }

    /// Returns the keys with which clients sign.
    pub fn keys(&self) -> &Keys {
        &self.shared.keys
    }

    /// Returns the files that have the keys.
    pub fn key_files(&self) -> &KeyFiles {
        &self.key_files
    }

    /// Serves the API until `shutdown` completes, and then stops all tasks; `kill` kills those that are left.
    pub async fn serve(
        self,
        shutdown: impl Future<Output = ()>,
        kill: impl Future<Output = ()>,
    ) -> Result<(), Error> {
        let folder = Arc::from(private_folder(&self.config.root)?);
        // The runner blocks, so it has a thread.
        let project = Project::new(self.config.root.clone(), ISSUER.to_owned());
        let runner = Runner::new(
            Arc::clone(&self.shared),
            self.config,
            project,
            self.events,
            self.signals,
        );

        let handle = Handle::current();
        let thread = thread::Builder::new()
            .name("runner".to_owned())
            .spawn(move || {
                // Processes are started in the runtime, which reaps them.
                let _context = handle.enter();
                runner.run();
            })?;

        let services = tokio::spawn(services::run(Arc::clone(&self.shared), folder));
        accept_until(shutdown, &self.listener, &self.shared).await;
        // Before the tasks are stopped, which it would replace.
        services.abort();
        let _ = services.await;
        // New connections are refused from now on, instead of waiting for an answer.
        drop(self.listener);
        self.shared.send(Signal::StopAll).await;
        // Joined in a thread for blocking calls: containers may take minutes to stop.
        let mut ended = tokio::task::spawn_blocking(|| thread.join());
        tokio::select! {
            _ = &mut ended => return Ok(()),
            () = kill => self.shared.send(Signal::KillAll).await,
        }
        let _ = ended.await;
        Ok(())
    }
}

/// Locks the emulator's directory for this process.
fn lock(folder: &Path) -> Result<File, Error> {
    let path = folder.join("lock");
    let failure = |source| Error::File {
        act: "write",
        path: path.clone(),
        source,
    };
    let file = File::create(&path).map_err(failure)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::AlreadyRunning),
        Err(TryLockError::Error(source)) => Err(failure(source)),
    }
}

/// What all connections share.
#[derive(Debug)]
pub(crate) struct Shared {
    state: Mutex<State>,
    faults: Mutex<Faults>,
    pub(crate) keys: Keys,
    signals: SyncSender<Signal>,
}

impl Shared {
    /// Locks the state. Operations change it only once they can no longer fail, so one that panicked leaves it usable.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns what happens to a call of an operation, if a rule applies to it.
    pub(crate) fn next_fault(&self, operation: &str) -> Option<Fault> {
        self.faults
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .next(operation)
    }

    /// Wakes the runner. If the channel is full, it is awake.
    pub(crate) fn wake(&self) {
        let _ = self.signals.try_send(Signal::Changed);
    }

    /// Sends a signal that must arrive.
    async fn send(&self, signal: Signal) {
        // A runner that is gone needs no signal.
        while let Err(TrySendError::Full(_)) = self.signals.try_send(signal) {
            sleep(SEND_PAUSE).await;
        }
    }
}

/// The issuer of development tokens matters to commands that print them, which the emulator does not.
const ISSUER: &str = "";

/// The number of signals that may wait; more have no effect.
const SIGNALS: usize = 16;
/// The pause before a signal is sent again to a full channel.
const SEND_PAUSE: Duration = Duration::from_millis(50);
