//! Ready when every latch is released, and not any more once the drain begins.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// What a component still waits for before work may be sent to it.
#[derive(Debug, Clone, Default)]
pub struct Readiness(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    held: Vec<&'static str>,
    draining: bool,
    details: BTreeMap<&'static str, String>,
}

/// One thing readiness waits for, such as `certificate` or `upstream`.
///
/// Dropping a latch without releasing it keeps the component unready, and that is logged.
#[derive(Debug)]
#[must_use = "a latch keeps the component unready until it is released"]
pub struct Latch {
    name: &'static str,
    readiness: Readiness,
    released: bool,
}

impl Readiness {
    /// A readiness that waits for nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds something to wait for.
    pub fn latch(&self, name: &'static str) -> Latch {
        self.state().held.push(name);
        Latch {
            name,
            readiness: self.clone(),
            released: false,
        }
    }

    /// Whether work may be sent.
    pub fn is_ready(&self) -> bool {
        let state = self.state();
        state.held.is_empty() && !state.draining
    }

    /// What is still being waited for; `drain` when the component is stopping.
    pub fn waiting_for(&self) -> Vec<&'static str> {
        let state = self.state();
        let drain = state.draining.then_some("drain");
        state.held.iter().copied().chain(drain).collect()
    }

    /// Says something that `/ready` shows beside its answer, such as when a certificate ends.
    pub fn set_detail(&self, name: &'static str, detail: impl Into<String>) {
        self.state().details.insert(name, detail.into());
    }

    /// What has been told, by name.
    pub fn details(&self) -> BTreeMap<&'static str, String> {
        self.state().details.clone()
    }

    /// Takes readiness away for good: the process is stopping.
    pub(crate) fn drain(&self) {
        self.state().draining = true;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // The state is whole after every statement, so a panicking holder leaves nothing half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Latch {
    /// Says that what was waited for is there.
    pub fn release(mut self) {
        self.released = true;
        let mut state = self.readiness.state();
        if let Some(at) = state.held.iter().position(|name| *name == self.name) {
            state.held.swap_remove(at);
        }
        drop(state);
        tracing::debug!(latch = self.name, "latch released");
    }
}

impl Drop for Latch {
    fn drop(&mut self) {
        if !self.released && !self.readiness.state().draining {
            tracing::warn!(
                latch = self.name,
                "latch dropped without release, never ready"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_ready_when_every_latch_is_released() {
        let readiness = Readiness::new();
        let (certificate, upstream) = (readiness.latch("certificate"), readiness.latch("upstream"));
        certificate.release();
        assert!(!readiness.is_ready());
        assert_eq!(readiness.waiting_for(), ["upstream"]);
        upstream.release();
        assert!(readiness.is_ready());
    }

    #[test]
    fn stays_unready_when_a_latch_is_dropped() {
        let readiness = Readiness::new();
        drop(readiness.latch("keys"));
        assert_eq!(readiness.waiting_for(), ["keys"]);
    }

    #[test]
    fn is_never_ready_while_draining() {
        let readiness = Readiness::new();
        readiness.drain();
        assert!(!readiness.is_ready());
        assert_eq!(readiness.waiting_for(), ["drain"]);
    }
}
