//! The APIs of AWS: names, endpoints and protocols.

use std::fmt;

use crate::partition::Partition;

/// An API of AWS.
///
/// Requests and responses are JSON as in the API reference. APIs of the query protocol (CloudFormation, EC2, Elastic
/// Load Balancing, IAM, STS) take forms and return XML; a form has the same structure as the JSON of the call, and the
/// XML becomes JSON whose values are strings, lists and objects. In requests to EC2, lists have the names of the form,
/// in the singular: `{ "SubnetId": ["subnet-1"] }`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Service {
    /// AWS Certificate Manager.
    Acm,
    /// Application Auto Scaling.
    AutoScaling,
    /// CloudFormation.
    CloudFormation,
    /// EC2, which also has the API of VPCs.
    Ec2,
    /// Amazon ECR.
    Ecr,
    /// Amazon ECS.
    Ecs,
    /// Elastic Load Balancing, version 2.
    Elb,
    /// IAM.
    Iam,
    /// CloudWatch Logs.
    Logs,
    /// Secrets Manager.
    SecretsManager,
    /// Service Quotas.
    ServiceQuotas,
    /// Systems Manager, for its parameters.
    Ssm,
    /// AWS STS.
    Sts,
}

/// The protocol of an API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// AWS JSON 1.1; the start of `X-Amz-Target`.
    Json(&'static str),
    /// AWS query; the version of the API. Lists are `Name.member.1`.
    Query(&'static str),
    /// EC2 query; the version of the API. Lists are `Name.1`.
    Ec2(&'static str),
}

/// What differs between the APIs.
struct Facts {
    name: &'static str,
    /// In `AWS_ENDPOINT_URL_…` and in the `services` section of a profile.
    id: &'static str,
    /// The first label of the host name.
    host: &'static str,
    /// In signatures and in IAM actions.
    signing_name: &'static str,
    protocol: Protocol,
}

impl Service {
    /// Returns the name of the API in messages.
    pub fn as_str(self) -> &'static str {
        self.facts().name
    }

    /// Returns the prefix of its actions in IAM policies.
    pub fn prefix(self) -> &'static str {
        self.facts().signing_name
    }

    /// Returns the name of the API in the configuration: `CloudWatch Logs` for `AWS_ENDPOINT_URL_CLOUDWATCH_LOGS`.
    pub(crate) fn id(self) -> &'static str {
        self.facts().id
    }

    pub(crate) fn signing_name(self) -> &'static str {
        self.facts().signing_name
    }

    pub(crate) fn protocol(self) -> Protocol {
        self.facts().protocol
    }

    /// Returns the URL of the endpoint in a region, and the region that signatures name.
    pub(crate) fn endpoint(self, region: &str, variant: EndpointVariant) -> (String, String) {
        let partition = Partition::from_region(region);
        // IAM is global: one endpoint for each partition.
        if self == Self::Iam {
            let (host, region) = partition.iam();
            return (format!("https://{host}"), region.to_owned());
        }

        let host = self.facts().host;
        let host = match variant {
            EndpointVariant::Regular => format!("{host}.{region}.{}", partition.suffix()),
            EndpointVariant::Fips => format!("{host}-fips.{region}.{}", partition.suffix()),
            EndpointVariant::DualStack => {
                format!("{host}.{region}.{}", partition.dual_stack_suffix())
            }
        };
        (format!("https://{host}"), region.to_owned())
    }

    /// Source: the models of the SDKs (`endpointPrefix`, `signingName`, `serviceId`, `targetPrefix`, `apiVersion`).
    fn facts(self) -> Facts {
        use Protocol::{Ec2, Json, Query};
        let facts = |name, id, host, signing_name, protocol| Facts {
            name,
            id,
            host,
            signing_name,
            protocol,
        };

        match self {
            Self::Acm => facts("ACM", "ACM", "acm", "acm", Json("CertificateManager")),
            Self::AutoScaling => {
                let (name, host) = ("Application Auto Scaling", "application-autoscaling");
                facts(name, name, host, host, Json("AnyScaleFrontendService"))
            }
            Self::CloudFormation => {
                let (name, host) = ("CloudFormation", "cloudformation");
                facts(name, name, host, host, Query("2010-05-15"))
            }
            Self::Ec2 => facts("EC2", "EC2", "ec2", "ec2", Ec2("2016-11-15")),
            Self::Ecr => {
                let target = Json("AmazonEC2ContainerRegistry_V20150921");
                facts("ECR", "ECR", "api.ecr", "ecr", target)
            }
            Self::Ecs => {
                let target = Json("AmazonEC2ContainerServiceV20141113");
                facts("ECS", "ECS", "ecs", "ecs", target)
            }
            Self::Elb => {
                let (name, host) = ("Elastic Load Balancing", "elasticloadbalancing");
                let id = "Elastic Load Balancing v2";
                facts(name, id, host, host, Query("2015-12-01"))
            }
            Self::Iam => facts("IAM", "IAM", "iam", "iam", Query("2010-05-08")),
            Self::Logs => {
                let name = "CloudWatch Logs";
                facts(name, name, "logs", "logs", Json("Logs_20140328"))
            }
            Self::SecretsManager => {
                let (name, host) = ("Secrets Manager", "secretsmanager");
                facts(name, name, host, host, Json(host))
            }
            Self::ServiceQuotas => {
                let (name, host) = ("Service Quotas", "servicequotas");
                facts(name, name, host, host, Json("ServiceQuotasV20190624"))
            }
            Self::Ssm => facts("Systems Manager", "SSM", "ssm", "ssm", Json("AmazonSSM")),
            Self::Sts => facts("STS", "STS", "sts", "sts", Query("2011-06-15")),
        }
    }
}

/// A kind of endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EndpointVariant {
    /// The endpoint that is used unless another one is configured.
    Regular,
    /// FIPS 140-3 (`AWS_USE_FIPS_ENDPOINT`).
    Fips,
    /// IPv4 and IPv6 (`AWS_USE_DUALSTACK_ENDPOINT`).
    DualStack,
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::{EndpointVariant, Service};

    fn endpoint(service: Service, region: &str) -> (String, String) {
        service.endpoint(region, EndpointVariant::Regular)
    }

    #[test]
    fn endpoints_depend_on_the_partition() {
        let owned = |url: &str, region: &str| (url.to_owned(), region.to_owned());
        assert_eq!(
            endpoint(Service::Ecs, "eu-central-1"),
            owned("https://ecs.eu-central-1.amazonaws.com", "eu-central-1")
        );
        assert_eq!(
            endpoint(Service::Ecr, "cn-north-1"),
            owned("https://api.ecr.cn-north-1.amazonaws.com.cn", "cn-north-1")
        );
        assert_eq!(
            endpoint(Service::Iam, "eu-central-1"),
            owned("https://iam.amazonaws.com", "us-east-1")
        );
        assert_eq!(
            endpoint(Service::Iam, "us-gov-east-1"),
            owned("https://iam.us-gov.amazonaws.com", "us-gov-west-1")
        );
    }

    #[test]
    fn variants_have_their_own_hosts() {
        let url = |variant| Service::Logs.endpoint("us-east-1", variant).0;
        assert_eq!(
            url(EndpointVariant::Fips),
            "https://logs-fips.us-east-1.amazonaws.com"
        );
        assert_eq!(
            url(EndpointVariant::DualStack),
            "https://logs.us-east-1.api.aws"
        );
    }
}
