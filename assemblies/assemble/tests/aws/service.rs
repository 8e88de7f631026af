//! The fake of a service over HTTP.

use std::sync::Arc;

use ecs_client::{Call, Error, Operation};
use serde_json::json;

use crate::fake::FakeEcs;
use crate::service_fake::{Fake, State};

pub(crate) struct Service {
    pub(crate) http: FakeEcs,
    pub(crate) state: Arc<Fake>,
}

impl Service {
    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }

    pub(crate) fn with(change: impl FnOnce(&mut State)) -> Self {
        let state = Arc::new(Fake::with(change));
        let shared = Arc::clone(&state);
        let http = FakeEcs::start(move |name, body, _| {
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
        Self { http, state }
    }

    pub(crate) fn url(&self) -> &str {
        &self.http.url
    }

    /// Returns the number of calls.
    pub(crate) fn calls(&self) -> usize {
        self.http.requests.lock().unwrap().len()
    }
}
