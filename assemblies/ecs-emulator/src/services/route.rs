//! The listeners of a service: one for each of its load balancers, and one for test traffic.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::SystemTime;

use serde_json::{Value, json};
use task_definition::LoadBalancer;
use tokio::runtime::Handle;

use super::Service;
use crate::listener::{Listener, Targets};
use crate::tasks::Task;

/// A listener and its targets.
#[derive(Debug)]
pub(super) struct Route {
    id: u64,
    group_arn: String,
    container: String,
    port: u16,
    traffic: Traffic,
    targets: Arc<Targets>,
    listener: Option<Listener>,
}

/// What a listener is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Traffic {
    Production,
    Test,
}

impl Route {
    fn new(balancer: &LoadBalancer, traffic: Traffic) -> Option<Self> {
        let group = balancer
            .target_group_arn
            .as_ref()
            .or(balancer.load_balancer_name.as_ref())?;
        Some(Self {
            id: 0,
            group_arn: group.clone(),
            container: balancer.container_name.clone()?,
            port: u16::try_from(balancer.container_port?).ok()?,
            traffic,
            targets: Arc::default(),
            listener: None,
        })
    }

    fn is_same(&self, other: &Self) -> bool {
        let key = |route: &Self| (route.group_arn.clone(), route.container.clone(), route.port);
        key(self) == key(other) && self.traffic == other.traffic
    }

    /// Returns its number, unique in the service.
    pub(super) fn id(&self) -> u64 {
        self.id
    }

    /// Returns whether it belongs to one of these load balancers.
    pub(super) fn serves(&self, balancers: &[LoadBalancer]) -> bool {
        balancers
            .iter()
            .flat_map(routes)
            .any(|route| route.is_same(self))
    }

    pub(super) fn group_arn(&self) -> &str {
        &self.group_arn
    }

    /// Returns the name under which the user chooses its port: that of the target group, for test traffic with
    /// `:test`.
    fn name(&self) -> String {
        // arn:aws:elasticloadbalancing:REGION:ACCOUNT:targetgroup/NAME/ID
        let mut parts = self.group_arn.split('/');
        let name = match (parts.next(), parts.next()) {
            (Some(kind), Some(name)) if kind.ends_with(":targetgroup") => name,
            _ => &self.group_arn,
        };
        match self.traffic {
            Traffic::Production => name.to_owned(),
            Traffic::Test => format!("{name}:test"),
        }
    }

    /// Returns where the target of a task is reachable, once it is.
    pub(super) fn address_of(&self, task: &Task) -> Option<SocketAddr> {
        task.host_address(&self.container, self.port)
    }

    pub(super) fn register(&self, task: u64, revision: u64, address: SocketAddr) {
        self.targets.register(task, revision, address);
    }

    pub(super) fn drain(&self, task: u64) {
        self.targets.drain(task);
    }

    pub(super) fn remove(&self, task: u64) {
        self.targets.remove(task);
    }

    pub(super) fn open_connections(&self, task: u64) -> usize {
        self.targets.open_connections(task)
    }

    /// Opens the port. The error names it.
    fn open(&mut self, port: u16, runtime: &Handle) -> Result<SocketAddr, String> {
        let bound = TcpListener::bind((Ipv4Addr::LOCALHOST, port));
        let bound = bound.map_err(|why| format!("cannot listen on 127.0.0.1:{port}: {why}"))?;
        let listener = Listener::start(bound, Arc::clone(&self.targets), runtime);
        let listener = listener.map_err(|why| format!("cannot listen: {why}"))?;
        let address = listener.address();
        self.listener = Some(listener);
        Ok(address)
    }
}

impl Service {
    /// Opens the listeners of the settings. The ports are those that the user chose, or free ones.
    pub(super) fn open_routes(
        &mut self,
        ports: &BTreeMap<String, u16>,
        runtime: &Handle,
        now: SystemTime,
    ) {
        let input = Arc::clone(&self.settings.input);
        let wanted: Vec<Route> = input.load_balancers.iter().flat_map(routes).collect();
        // Tasks of the revision before may still have connections.
        // A rollback may need the old ones again.
        if self.scheduler.current().is_none() {
            self.routes
                .retain(|route| wanted.iter().any(|wanted| wanted.is_same(route)));
        }

        for mut route in wanted {
            // Open already; its connections survive an update.
            if self.routes.iter().any(|own| own.is_same(&route)) {
                continue;
            }
            let name = route.name();
            // A port that the user chose stays the same in each run.
            let port = ports.get(&name).copied().unwrap_or(0);
            let text = match route.open(port, runtime) {
                Ok(address) => format!("listens on {address} for (target-group {name})"),
                Err(why) => format!("{why}; (target-group {name}) has no listener"),
            };
            self.say(&text, now);
            self.route_count += 1;
            route.id = self.route_count;
            self.routes.push(route);
        }
    }

    /// Gives the listeners the shares of the revisions.
    pub(super) fn update_weights(&self) {
        let weights = self.scheduler.weights();
        for route in &self.routes {
            let of = |(revision, production, test): &(u64, f64, f64)| match route.traffic {
                // Test traffic has its own shares: all of it moves first.
                Traffic::Production => (*revision, *production),
                Traffic::Test => (*revision, *test),
            };
            let shares = weights
                .as_ref()
                .map(|weights| weights.iter().map(of).collect());
            route.targets.set_weights(shares);
        }
    }

    /// Returns the listeners, for the file that names them.
    pub(super) fn listeners(&self) -> Vec<Value> {
        let open = self.routes.iter().filter_map(|route| {
            let address = route.listener.as_ref()?.address();
            Some(json!({
                "cluster": self.cluster,
                "service": self.name,
                "name": route.name(),
                "targetGroupArn": route.group_arn,
                "address": address.to_string(),
            }))
        });
        open.collect()
    }
}

/// Returns the listeners of a load balancer.
fn routes(balancer: &LoadBalancer) -> Vec<Route> {
    let advanced = balancer.advanced_configuration.as_ref();
    let has_test = advanced.is_some_and(|advanced| advanced.test_listener_rule.is_some());
    let test = has_test.then_some(Traffic::Test);
    let all = [Some(Traffic::Production), test];
    let all = all.into_iter().flatten();
    all.filter_map(|traffic| Route::new(balancer, traffic))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_has_the_name_of_its_target_group() {
        let balancer = LoadBalancer {
            target_group_arn: Some(
                "arn:aws:elasticloadbalancing:us-east-1:1:targetgroup/web/6d0ecf831eec9f09".into(),
            ),
            load_balancer_name: None,
            container_name: Some("web".into()),
            container_port: Some(80),
            advanced_configuration: None,
        };

        let names = [Traffic::Production, Traffic::Test]
            .map(|traffic| Route::new(&balancer, traffic).unwrap().name());
        assert_eq!(names, ["web", "web:test"]);

        let plain = LoadBalancer {
            target_group_arn: Some("blue".into()),
            ..balancer
        };

        assert_eq!(
            Route::new(&plain, Traffic::Production).unwrap().name(),
            "blue"
        );
    }
}
