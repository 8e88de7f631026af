//! Readiness: true while every latch is released and the drain has not begun.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// The conditions a component is waiting for before it can accept work.
#[derive(Debug, Clone, Default)]
pub struct Readiness(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    unreleased: Vec<&'static str>,
    draining: bool,
    details: BTreeMap<&'static str, String>,
}

/// One condition of readiness, such as `certificate` or `upstream`.
///
/// Dropping a latch without releasing it keeps the component unready and logs a warning.
#[derive(Debug)]
#[must_use = "a latch keeps the component unready until it is released"]
pub struct Latch {
    name: &'static str,
    readiness: Readiness,
    released: bool,
}

impl Readiness {
    /// Creates a readiness without latches.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a latch that must be released before the component is ready.
    pub fn latch(&self, name: &'static str) -> Latch {
        self.state().unreleased.push(name);
        Latch {
            name,
            readiness: self.clone(),
            released: false,
        }
    }

    /// Returns whether the component can accept work.
    pub fn is_ready(&self) -> bool {
        let state = self.state();
        state.unreleased.is_empty() && !state.draining
    }

    /// Returns the names of the unreleased latches, and `drain` while the component is stopping.
    pub fn waiting_for(&self) -> Vec<&'static str> {
        let state = self.state();
        let drain = state.draining.then_some("drain");
        state.unreleased.iter().copied().chain(drain).collect()
    }

    /// Sets a detail that `/ready` includes in its response, such as when a certificate expires.
    pub fn set_detail(&self, name: &'static str, detail: impl Into<String>) {
        self.state().details.insert(name, detail.into());
    }

    /// Returns the details by name.
    pub fn details(&self) -> BTreeMap<&'static str, String> {
        self.state().details.clone()
    }

    /// Makes the component permanently unready, because it is about to stop.
    pub fn drain(&self) {
        self.state().draining = true;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every statement leaves the state consistent, so a poisoned lock is safe to use.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Latch {
    /// Marks the condition as fulfilled.
    pub fn release(mut self) {
        self.released = true;
        let mut state = self.readiness.state();
        // Several latches may have the same name; each releases one entry.
        if let Some(at) = state.unreleased.iter().position(|name| *name == self.name) {
            state.unreleased.swap_remove(at);
        }
        // Unlocked before logging, which may be slow.
        drop(state);
        tracing::debug!(latch = self.name, "latch released");
    }
}

impl Drop for Latch {
    fn drop(&mut self) {
        // During the drain, tasks that still wait for a condition are dropped as a matter of course.
        if !self.released && !self.readiness.state().draining {
            tracing::warn!(
                latch = self.name,
                "latch dropped without release, the component stays unready"
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
        // One of two latches is still held.
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
