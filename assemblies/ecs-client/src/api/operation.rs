//! The operations that this crate calls.

use std::fmt;

use super::service::Service;

/// Defines [`Operation`] from the operations of each API.
macro_rules! operations {
    ($($service:ident { $($name:ident),* $(,)? })*) => {
        /// An operation of an AWS API that this crate calls; named as in its API reference.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Operation {
            $($(
                #[doc = concat!("`", stringify!($name), "` of [`Service::", stringify!($service), "`].")]
                $name,
            )*)*
        }

        impl Operation {
            /// All operations.
            pub const ALL: &[Self] = &[$($(Self::$name,)*)*];

            /// Returns the name of the operation in its API.
            pub fn as_str(self) -> &'static str {
                match self {
                    $($(Self::$name => stringify!($name),)*)*
                }
            }

            /// Returns the API.
            pub fn service(self) -> Service {
                match self {
                    $($(Self::$name => Service::$service,)*)*
                }
            }
        }
    };
}

operations! {
    Sts { GetCallerIdentity }
    Ecs {
        ContinueServiceDeployment,
        DescribeClusters,
        DescribeServiceDeployments,
        DescribeServiceRevisions,
        DescribeServices,
        DescribeTaskDefinition,
        DescribeTasks,
        ExecuteCommand,
        ListClusters,
        ListServiceDeployments,
        ListServices,
        ListTaskDefinitionFamilies,
        ListTaskDefinitions,
        ListTasks,
        RegisterTaskDefinition,
        RunTask,
        StopServiceDeployment,
        StopTask,
        UpdateService,
    }
    Logs { DescribeLogGroups, FilterLogEvents, GetLogEvents }
    CloudFormation {
        CreateChangeSet,
        DeleteChangeSet,
        DeleteStack,
        DescribeChangeSet,
        DescribeStackEvents,
        DescribeStackResources,
        DescribeStacks,
        ExecuteChangeSet,
        GetTemplate,
        ListChangeSets,
        ValidateTemplate,
    }
    Ec2 {
        DescribeNatGateways,
        DescribeNetworkAcls,
        DescribeNetworkInterfaces,
        DescribeRouteTables,
        DescribeSecurityGroups,
        DescribeSubnets,
        DescribeVpcAttribute,
        DescribeVpcEndpoints,
        DescribeVpcs,
    }
    Elb {
        DescribeListeners,
        DescribeLoadBalancers,
        DescribeRules,
        DescribeTargetGroupAttributes,
        DescribeTargetGroups,
        DescribeTargetHealth,
    }
    Iam {
        GetPolicy,
        GetPolicyVersion,
        GetRole,
        GetRolePolicy,
        ListAttachedRolePolicies,
        ListRolePolicies,
        SimulatePrincipalPolicy,
    }
    SecretsManager { DescribeSecret, GetSecretValue }
    Ssm { DescribeParameters, GetParameters, StartSession }
    Ecr { BatchGetImage, DescribeImages, DescribeRepositories }
    Acm { DescribeCertificate }
    ServiceQuotas { GetServiceQuota, ListServiceQuotas }
    AutoScaling {
        DescribeScalableTargets,
        DescribeScalingActivities,
        DescribeScalingPolicies,
        RegisterScalableTarget,
    }
}

impl Operation {
    /// Returns the action in an IAM policy.
    pub fn action(self) -> String {
        format!("{}:{}", self.service().prefix(), self.as_str())
    }

    /// Returns whether the same request may be sent again when it is unknown whether the first one arrived.
    ///
    /// RunTask needs a client token for it, and CreateChangeSet has a name. A second RegisterTaskDefinition leaves a revision that
    /// nothing uses.
    pub(super) fn is_repeatable(self) -> bool {
        // The second answer to a hook, or the second stop, would be refused, although the first one was accepted;
        // ExecuteCommand starts a session each time.
        !matches!(
            self,
            Self::ContinueServiceDeployment
                | Self::StopServiceDeployment
                | Self::ExecuteChangeSet
                | Self::ExecuteCommand
                | Self::StartSession
        )
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::Operation;

    #[test]
    fn actions_are_those_of_iam() {
        assert_eq!(Operation::UpdateService.action(), "ecs:UpdateService");
        assert_eq!(
            Operation::DescribeTargetHealth.action(),
            "elasticloadbalancing:DescribeTargetHealth"
        );
        let actions: BTreeSet<_> = Operation::ALL.iter().map(|it| it.action()).collect();
        assert_eq!(actions.len(), Operation::ALL.len());
    }
}
