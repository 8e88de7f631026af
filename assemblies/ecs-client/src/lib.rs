//! An ECS client: registers, compares, runs and deploys task definitions.
//!
//! # Overview
//!
//! ```text
//! TaskDefinition ──register──▶ Revision                     latest ──▶ TaskDefinition ──difference──▶ Changes
//! Change ──Plan::new──▶ Plan ──apply──▶ StartedDeployment ──follow──▶ DeploymentOutcome
//! RunRequest ──start──▶ StartedTask ──wait──▶ StoppedTask { exit code, stop reason, containers }
//! all of them ──Call──▶ Api: Client (AWS), Recorder (tests, dry run)
//! ```
//!
//! - [`Client`] sends the calls; [`Client::from_environment`] reads the standard AWS configuration, [`Login`] chooses a
//!   profile, region or endpoint, and `AWS_ENDPOINT_URL` selects an emulator.
//! - [`Api`] is the trait that it implements; a [`Call`] is an operation and its request as JSON. [`Recorder`] records
//!   calls, and with [`Offline`] behind it nothing is sent.
//! - [`check_account`] compares the account of the credentials with the expected one, before anything is changed.
//! - [`register`] and [`latest`] pass the JSON document itself, as [`TaskDefinition::to_json`] writes it, so no field
//!   is lost in a conversion to other types.
//! - [`run`] starts tasks and waits until they stop.
//! - [`verify`](fn@verify) checks that an account has what a task needs: network, images, secrets, roles, quotas.
//! - [`places`](fn@places) lists clusters, VPCs and subnets.
//! - [`Plan`] compares a [`Change`] with what a service runs and deploys it; [`follow`] waits for the end.
//! - [`prepare`], [`StackPlan`] and [`follow_stack`] do the same for the CloudFormation stack of an assembly.
//! - [`LogReader`] reads the output of containers, [`container_target`] finds one to run a command in.
//! - [`images_in_use`] lists the images of recent task definitions and services.
//! - [`AwsVerb::policy`] returns the permissions that a verb of the command line needs.
//! - [`RequestSigner`] signs requests to other APIs, such as that of Amazon ECR.
//! - [`Error`] has messages for users, without details of the transport.
//!
//! Only this crate depends on the AWS SDK: `ecs` sends the calls of ECS with it, `transport` those of the other APIs
//! over its connections. It prints nothing.
//!
//! [`TaskDefinition::to_json`]: task_definition::TaskDefinition::to_json

mod account;
mod api;
mod backoff;
mod client;
mod credentials;
mod deploy;
mod ecs;
mod error;
mod in_use;
mod login;
mod output;
mod partition;
mod permissions;
mod places;
mod profile;
mod recorder;
mod register;
mod run;
mod signed;
mod stack;
mod target;
mod transport;
mod verify;

pub use account::{
    AccountMismatch, Caller, ExpectedAccount, account_of_roles, caller, check_account, parse_arn,
};
pub use api::{Api, Call, Operation, Service};
pub use client::Client;
pub use credentials::{CredentialSource, TaskCredentials};
pub use deploy::{
    Answer, Change, DeployEvent, DeploymentOutcome, DeploymentState, FailedTask, FollowWait,
    Images, Pause, Plan, RevisionTasks, ScalableTarget, Scaling, ServiceName, ServiceState,
    StartedDeployment, TaskName, Update, answer, describe_deployment, describe_service, follow,
    rollback_target, scalable_target, scale, set_limits,
};
pub use error::{Error, Failure};
pub use in_use::images_in_use;
pub use login::Login;
pub use output::{LogLine, LogReader};
pub use permissions::{AwsVerb, PERMISSIONS, Permission, Resources, Scope};
pub use places::{Places, Subnet, SubnetKind, Vpc, places};
pub use recorder::{Offline, Recorder};
pub use register::{
    Comparison, DescribedDefinition, Revision, compare, describe, difference, latest, register,
};
pub use run::{
    Capacity, ContainerExit, FollowLogs, Interrupt, Override, Progress, PublicAddress, RunRequest,
    StartedTask, StoppedTask, TaskOutcome, Wait, WaitUntil, find_task, run, start, stop, wait,
};
pub use signed::RequestSigner;
pub use stack::{
    ExecutedChangeSet, FailedResource, PropertyChange, Readiness, Replacement, ResourceChange,
    StackChange, StackEvent, StackOutcome, StackPlan, StackResource, StackState, delete_stack,
    describe_stack, follow_stack, prepare, stack_resources,
};
pub use target::{ContainerTarget, Session, container_target, running_task};
pub use verify::{
    Check, CheckGroup, CheckOutcome, Place, PublicEndpoint, RoleKind, RoleStatement, VerifyReport,
    VerifyRequest, verify,
};
