//! What containers can ask of themselves: the endpoint is told to them, and kept up with what happens.

use std::net::TcpListener as Bound;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use task_runner::metadata::{
    Endpoint, Origin, Source, TaskView, credentials_variable, follow, serve, variables,
};
use task_runner::sandbox::METADATA;
use task_runner::{RunPlan, RunnerEvent};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::screen::Show;
use super::several;
use super::target::Target;
use crate::talk::Talk;

/// The task before anything has happened, numbered as ECS would: everybody who tells of it has its names from here.
pub(super) fn view(plan: &RunPlan, target: &Target) -> TaskView {
    let now = SystemTime::now();
    let mut view = TaskView::new(plan, &id(now), &target.region, now);
    view.service = several::number().map(|_| view.family.clone());
    view
}

/// The endpoint of a task; it goes when this does.
pub(super) struct Metadata {
    server: JoinHandle<()>,
    view: Arc<Mutex<TaskView>>,
}

impl Metadata {
    /// Begins to answer, and tells the containers of the plan where. A machine without a port to spare costs
    /// the endpoint only.
    pub(super) fn open(
        plan: &mut RunPlan,
        target: &Target,
        view: TaskView,
        source: Option<Source>,
        talk: &Talk,
    ) -> Option<Self> {
        let own = plan.sandbox.as_ref().filter(|one| one.shape().network);
        let bound = match own {
            Some(sandbox) => sandbox.listen(METADATA),
            None => Bound::bind("127.0.0.1:0"),
        };

        let bound = bound.and_then(|bound| {
            bound.set_nonblocking(true)?;
            let address = bound.local_addr()?;
            Ok((TcpListener::from_std(bound)?, address))
        });
        let (listener, address) = match bound {
            Ok(bound) => bound,
            Err(failure) => {
                talk.say(&format!("no task metadata here: {failure}"));
                return None;
            }
        };

        let faults = own.map(|sandbox| Arc::clone(sandbox.faults()));
        // Who has a role asks for its keys: where they are off, the answer says so, and an SDK repeats it.
        let asks = source.is_some() || target.definition.task_role_arn.is_some();
        let given = asks.then_some(own.is_some());

        for container in &view.containers {
            let own = plan
                .environment
                .entry(container.definition.name.clone())
                .or_default();

            // An endpoint of somebody's own would otherwise be passed over.
            let named = (own.keys()).any(|name| name.starts_with("AWS_CONTAINER_CREDENTIALS_"));
            let credentials = given
                .filter(|_| !named)
                .map(|own| credentials_variable(address, own, &view.id));

            for (name, value) in variables(address, &container.id)
                .into_iter()
                .chain(credentials)
            {
                own.entry(name.to_owned()).or_insert(value);
            }
        }

        let view = Arc::new(Mutex::new(view));
        let origin = if several::number().is_some() {
            Origin::Service
        } else {
            target.origin
        };

        let server = tokio::spawn(serve(
            Endpoint::new(Arc::clone(&view), origin, faults, source),
            listener,
        ));

        Some(Self { server, view })
    }

    /// Whoever shows what happens, with the endpoint kept up before.
    pub(super) fn before(&self, show: Box<dyn Show>) -> Box<dyn Show> {
        let view = Arc::clone(&self.view);
        Box::new(Followed { view, show })
    }
}

impl Drop for Metadata {
    fn drop(&mut self) {
        self.server.abort();
    }
}

struct Followed {
    view: Arc<Mutex<TaskView>>,
    show: Box<dyn Show>,
}

impl Show for Followed {
    fn event(&mut self, event: &RunnerEvent) {
        follow(
            &mut self.view.lock().unwrap_or_else(PoisonError::into_inner),
            event,
        );
        self.show.event(event);
    }

    fn silence(&mut self) {
        self.show.silence();
    }
}

/// 32 hexadecimal digits that no other task of this machine has.
fn id(now: SystemTime) -> String {
    let since = now
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    format!(
        "{:016x}{:016x}",
        since.as_nanos() & u128::from(u64::MAX),
        std::process::id()
    )
}
