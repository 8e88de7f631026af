//! Serves the task metadata endpoint, and sets the variables through which containers find it.

use std::io;
use std::net::{SocketAddr, TcpListener as Bound};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use task_runner::metadata::{
    CredentialsSource, Endpoint, Origin, TaskView, apply_event, credentials_variable, serve,
    variables,
};
use task_runner::sandbox::METADATA_ADDRESS;
use task_runner::{RunPlan, RunnerEvent};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::role::Role;
use super::run_dir::PROTECTION;
use super::target::Target;
use crate::EventSink;
use crate::Messages;

/// Returns the task before it starts, with its ids, which every output uses.
pub(super) fn view(plan: &RunPlan, target: &Target, role: &Role) -> TaskView {
    let now = SystemTime::now();
    let id = role
        .identity()
        .map_or_else(|| id(now), |identity| identity.id.clone());
    let mut view = TaskView::new(plan, &id, &target.region, now);
    view.service = role.replica().map(|_| view.family.clone());
    if let Some(identity) = role.identity() {
        view.account.clone_from(&identity.account);
        view.cluster.clone_from(&identity.cluster);
        view.revision = identity.revision.to_string();
        view.service.clone_from(&identity.service);
    }
    view
}

/// The metadata server of a task. Stops when dropped.
pub(super) struct Metadata {
    server: JoinHandle<()>,
    view: Arc<Mutex<TaskView>>,
}

impl Metadata {
    /// Starts the server, and sets the variables in the plan. Without a free port the task runs without the
    /// endpoint.
    pub(super) fn open(
        plan: &mut RunPlan,
        target: &Target,
        view: TaskView,
        role: &Role,
        source: Option<CredentialsSource>,
        (folder, ui): (&Path, &dyn Messages),
    ) -> Option<Self> {
        let own = plan
            .sandbox
            .as_ref()
            .filter(|sandbox| sandbox.isolation().network);
        // In its own network the task has the same address as on AWS, 169.254.170.2.
        let bound = match own {
            Some(sandbox) => sandbox.listen(METADATA_ADDRESS),
            None => Bound::bind("127.0.0.1:0"),
        };

        let (listener, address) = match bound.and_then(to_listener) {
            Ok(bound) => bound,
            Err(failure) => {
                ui.message(&format!("no task metadata endpoint: {failure}"));
                return None;
            }
        };

        let faults = own.map(|sandbox| Arc::clone(sandbox.faults()));
        // With a task role an SDK asks for credentials; without them the endpoint's error message explains why.
        let asks = source.is_some() || target.definition.task_role_arn.is_some();
        let given = asks.then_some(own.is_some());

        set_variables(plan, &view, address, given);
        let view = Arc::new(Mutex::new(view));
        // A replica is a task of a service, also without a manifest.
        let is_of_service = role.is_replica()
            || role
                .identity()
                .is_some_and(|identity| identity.service.is_some());
        let origin = if is_of_service {
            Origin::Service
        } else {
            target.origin
        };

        let mut endpoint = Endpoint::new(Arc::clone(&view), origin, faults, source);
        // The process that gave the task its identity protects it too.
        if role.identity().is_some() {
            endpoint = endpoint.with_protection_file(folder.join(PROTECTION));
        }
        let server = tokio::spawn(serve(endpoint, listener));

        Some(Self { server, view })
    }

    /// Wraps a sink so that the endpoint is updated before each event is printed.
    pub(super) fn before(&self, sink: Box<dyn EventSink>) -> Box<dyn EventSink> {
        let view = Arc::clone(&self.view);
        Box::new(MetadataSink { view, sink })
    }
}

impl Drop for Metadata {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn to_listener(bound: Bound) -> io::Result<(TcpListener, SocketAddr)> {
    bound.set_nonblocking(true)?;
    let address = bound.local_addr()?;
    Ok((TcpListener::from_std(bound)?, address))
}

/// Sets the variables of the endpoint in every container. With `given`, those for credentials too; it is true if the
/// task has its own network.
fn set_variables(plan: &mut RunPlan, view: &TaskView, address: SocketAddr, given: Option<bool>) {
    for container in &view.containers {
        let own = plan
            .environment
            .entry(container.definition.name.clone())
            .or_default();

        // An SDK prefers these variables, so an endpoint set by the user stays in use.
        let is_set = (own.keys()).any(|name| name.starts_with("AWS_CONTAINER_CREDENTIALS_"));
        let credentials = given
            .filter(|_| !is_set)
            .map(|own| credentials_variable(address, own, &view.id));

        for (name, value) in variables(address, &container.id)
            .into_iter()
            .chain(credentials)
        {
            own.entry(name.to_owned()).or_insert(value);
        }
    }
}

struct MetadataSink {
    view: Arc<Mutex<TaskView>>,
    sink: Box<dyn EventSink>,
}

impl EventSink for MetadataSink {
    fn event(&mut self, event: &RunnerEvent) {
        apply_event(
            &mut self.view.lock().unwrap_or_else(PoisonError::into_inner),
            event,
        );
        self.sink.event(event);
    }

    fn idle(&mut self) {
        self.sink.idle();
    }
}

/// Returns 32 hexadecimal digits, unique on this host.
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
