//! The request to stop.

use std::future::pending;

use tokio::sync::watch;

/// Resolves when the component must stop accepting connections; clones resolve together.
///
/// In a process run by [`crate::main`], the component is no longer ready and the drain delay has passed.
#[derive(Debug, Clone)]
pub struct Shutdown(Option<watch::Receiver<bool>>);

/// Requests the stop of every clone of one [`Shutdown`].
///
/// Dropping a trigger without firing it means that the stop never comes.
#[derive(Debug)]
pub struct Trigger(watch::Sender<bool>);

impl Shutdown {
    /// Creates a shutdown that never comes.
    pub fn never() -> Self {
        Self(None)
    }

    /// Creates a shutdown and the trigger that requests it.
    pub fn pair() -> (Trigger, Self) {
        let (sender, receiver) = watch::channel(false);
        (Trigger(sender), Self(Some(receiver)))
    }

    /// Waits until the stop is requested; returns immediately if it already was.
    pub async fn wait(&self) {
        if let Some(receiver) = &self.0
            && receiver.clone().wait_for(|fired| *fired).await.is_ok()
        {
            return;
        }
        // The trigger was dropped, or there never was one.
        pending::<()>().await;
    }

    /// Returns whether the stop was requested.
    pub fn is_requested(&self) -> bool {
        self.0.as_ref().is_some_and(|receiver| *receiver.borrow())
    }
}

impl Trigger {
    /// Requests the stop.
    pub fn fire(self) {
        self.0.send_replace(true);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn every_clone_resolves_even_if_it_waits_late() {
        let (trigger, shutdown) = Shutdown::pair();
        let waiting = tokio::spawn({
            let shutdown = shutdown.clone();
            async move { shutdown.wait().await }
        });
        trigger.fire();
        waiting.await.unwrap();
        // Fired before this wait began.
        shutdown.wait().await;
        assert!(shutdown.is_requested());
    }

    #[tokio::test(start_paused = true)]
    async fn a_dropped_trigger_requests_nothing() {
        let (trigger, shutdown) = Shutdown::pair();
        drop(trigger);
        assert!(
            timeout(Duration::from_mins(1), shutdown.wait())
                .await
                .is_err()
        );
    }
}
