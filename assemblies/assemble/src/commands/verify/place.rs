//! Where a task shall run: the values of the environment, or a service that exists.

use ecs_client::{Place, PublicEndpoint, ServiceName, describe_service};
use serde_json::Value;

use crate::arguments::ValueArguments;
use crate::commands::remote::{Connection, Target};
use crate::error::CliError;
use crate::project::Project;

/// The place, and the port of a service's load balancer.
#[derive(Debug)]
pub(super) struct Location {
    pub(super) place: Place,
    pub(super) public: Option<PublicEndpoint>,
}

impl Location {
    /// Reads the values, which have the names of the parameters of the stack.
    pub(super) fn from_values(
        target: &Target,
        arguments: &ValueArguments,
        project: &Project,
    ) -> Result<Self, CliError> {
        // A plain definition has only the values that are passed: the examples are for another account.
        let otherwise = if target.plan.is_some() { "example" } else { "" };
        let values = project.values(arguments, otherwise)?;
        let get = |name: &str| {
            let text = values.get(name)?.trim();
            (!text.is_empty()).then(|| text.to_owned())
        };

        let list = |name: &str| {
            let text = get(name).unwrap_or_default();
            let items = text.split(',').map(str::trim);
            items
                .filter(|item| !item.is_empty())
                .map(str::to_owned)
                .collect()
        };

        let has_public_address = match get("public_address").as_deref() {
            None | Some("DISABLED" | "false") => false,
            Some("ENABLED" | "true") => true,
            Some(other) => {
                return Err(CliError::Usage(format!(
                    "the value `public_address` is `{other}`; expected ENABLED or DISABLED"
                )));
            }
        };

        Ok(Self {
            place: Place {
                cluster: get("cluster"),
                vpc: get("vpc"),
                subnets: list("subnets"),
                security_groups: list("security_groups"),
                has_public_address,
                target_group: get("target_group_arn"),
                listener: get("listener_arn"),
                balancer_group: get("shared_security_group"),
                certificate: get("certificate_arn"),
                hosts: list("hosts"),
            },
            public: None,
        })
    }

    /// Reads the network and the target group of a service; certificate and hosts stay those of the values.
    pub(super) async fn from_service(
        connection: &Connection,
        name: &ServiceName,
        values: Self,
    ) -> Result<Self, CliError> {
        let state = describe_service(connection, name).await?;
        let document = state.document();
        let network = &document["networkConfiguration"]["awsvpcConfiguration"];
        let list = |value: &Value| {
            let items = value.as_array().into_iter().flatten();
            let texts = items.filter_map(Value::as_str);
            texts.map(str::to_owned).collect()
        };

        // A service has several target groups at most for several ports; the first one is checked.
        let balancer = &document["loadBalancers"][0];
        let text = |field: &str| balancer[field].as_str().map(str::to_owned);

        let public = text("containerName").map(|container| PublicEndpoint {
            container,
            port: balancer["containerPort"]
                .as_u64()
                .and_then(|port| u16::try_from(port).ok())
                .unwrap_or_default(),
            // What the container of a plain definition serves is not known.
            protocols: PROTOCOLS.iter().map(|it| (*it).to_owned()).collect(),
        });

        Ok(Self {
            place: Place {
                cluster: Some(name.cluster().to_owned()),
                vpc: None,
                subnets: list(&network["subnets"]),
                security_groups: list(&network["securityGroups"]),
                has_public_address: network["assignPublicIp"] == "ENABLED",
                target_group: text("targetGroupArn"),
                ..values.place
            },
            public,
        })
    }
}

/// The protocols of target groups for addresses.
const PROTOCOLS: [&str; 6] = ["HTTP", "HTTPS", "TCP", "TLS", "TCP_UDP", "UDP"];
