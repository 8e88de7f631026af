//! Telling a component to stop.

use std::future::pending;

use tokio::sync::watch;

/// Resolves when the component must stop accepting; clones resolve together.
///
/// In a process run by [`crate::main`], readiness has gone and the drain delay has passed by then.
#[derive(Debug, Clone)]
pub struct Shutdown(Option<watch::Receiver<bool>>);

/// The other end of a [`Shutdown`].
///
/// Dropping it unfired means that the stop never comes.
#[derive(Debug)]
pub struct Trigger(watch::Sender<bool>);

impl Shutdown {
    /// A shutdown that never comes.
    pub fn never() -> Self {
        Self(None)
    }

    /// A shutdown and what requests it.
    pub fn pair() -> (Trigger, Self) {
        let (sender, receiver) = watch::channel(false);
        (Trigger(sender), Self(Some(receiver)))
    }

    /// Waits until the stop is requested; returns at once when it has been.
    pub async fn wait(&self) {
        if let Some(receiver) = &self.0
            && receiver.clone().wait_for(|fired| *fired).await.is_ok()
        {
            return;
        }
        pending::<()>().await;
    }

    /// Whether the stop has been requested already.
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
    async fn every_clone_hears_the_request_even_late() {
        let (trigger, shutdown) = Shutdown::pair();
        let waiting = tokio::spawn({
            let shutdown = shutdown.clone();
            async move { shutdown.wait().await }
        });
        trigger.fire();
        waiting.await.unwrap();
        shutdown.wait().await;
        assert!(shutdown.is_requested());
    }

    #[tokio::test(start_paused = true)]
    async fn a_dropped_trigger_is_no_request() {
        let (trigger, shutdown) = Shutdown::pair();
        drop(trigger);
        assert!(
            timeout(Duration::from_mins(1), shutdown.wait())
                .await
                .is_err()
        );
    }
}
