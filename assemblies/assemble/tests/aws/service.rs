//! The fake of a service over HTTP.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ecs_client::{Call, Error, Operation};
use serde_json::json;

use crate::fake::FakeEcs;
use crate::service_fake::{Fake, State};

pub(crate) struct Service {
    pub(crate) http: FakeEcs,
    pub(crate) state: Arc<Fake>,
    /// Whether a call arrived that gets no answer.
    is_held: Arc<AtomicBool>,
    is_released: Arc<AtomicBool>,
}

/// What happens to the calls of an operation.
#[derive(Clone, Copy)]
enum Special {
    None,
    /// A fault, each time.
    Fails(&'static str),
    /// No answer until the service is dropped.
    Held(&'static str),
}

impl Service {
    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }

    pub(crate) fn with(change: impl FnOnce(&mut State)) -> Self {
        Self::start(Fake::with(change), Special::None)
    }

    /// A service whose endpoint responds to an operation with a fault.
    pub(crate) fn failing(operation: &'static str) -> Self {
        Self::start(Fake::new(), Special::Fails(operation))
    }

    /// A service whose endpoint does not respond to an operation.
    pub(crate) fn holding(operation: &'static str) -> Self {
        Self::start(Fake::new(), Special::Held(operation))
    }

    fn start(state: Fake, special: Special) -> Self {
        let state = Arc::new(state);
        let (is_held, is_released) = (Arc::default(), Arc::default());
        let shared = Arc::clone(&state);
        let (held, released) = (Arc::clone(&is_held), Arc::clone(&is_released));

        let http = FakeEcs::start(move |name, body, _| {
            match special {
                Special::Fails(operation) if operation == name => return (503, "{}".to_owned()),
                Special::Held(operation) if operation == name => hold(&held, &released),
                _ => {}
            }

            let operation = Operation::ALL.iter().find(|it| it.as_str() == name);
            let call = Call::new(*operation.unwrap(), body.clone());
            match shared.change(|state| state.answer(&call)) {
                Ok(answer) => (200, answer.to_string()),
                Err(Error::Refused { code, message, .. }) => (
                    400,
                    json!({ "__type": code, "message": message }).to_string(),
                ),
                Err(other) => panic!("{other}"),
            }
        });
        Self {
            http,
            state,
            is_held,
            is_released,
        }
    }

    /// Returns whether a call arrived that gets no answer.
    pub(crate) fn is_held(&self) -> bool {
        self.is_held.load(Ordering::SeqCst)
    }

    pub(crate) fn url(&self) -> &str {
        &self.http.url
    }

    /// Returns the number of calls.
    pub(crate) fn calls(&self) -> usize {
        self.http.requests.lock().unwrap().len()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.is_released.store(true, Ordering::SeqCst);
    }
}

pub(crate) fn hold(held: &AtomicBool, released: &AtomicBool) {
    held.store(true, Ordering::SeqCst);
    while !released.load(Ordering::SeqCst) {
        std::thread::sleep(Duration::from_millis(10));
    }
}
