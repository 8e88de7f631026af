//! What `deploy NAME`, `rollback NAME` and `destroy NAME` do with the CloudFormation stack of an assembly.
//!
//! | file | does |
//! |---|---|
//! | `changes` | prints a change set |
//! | `report` | prints what happens to the stack, and how it ended |
//! | `session` | questions, signals and timeouts |

use ecs_client::{
    Change, FollowWait, Plan, Readiness, ServiceName, StackChange, StackOutcome, StackPlan,
    StackState, delete_stack, describe, describe_service, describe_stack, follow_stack, prepare,
};
use serde_json::Value;
use task_definition::TaskDefinition;

use super::deploy::{self, WaitArguments, Waiting};
use super::remote::Connection;
use crate::error::CliError;
use crate::ui::Ui;

mod changes;
mod report;
mod session;

use report::Reporter;
pub(crate) use report::failure;
use session::Session;
pub(crate) use session::{StackArguments, Stop};

/// A stack, and how it is changed.
pub(crate) struct StackRun<'a> {
    connection: &'a Connection,
    name: &'a str,
    /// The environment of the values.
    environment: &'a str,
    waiting: &'a WaitArguments,
    arguments: StackArguments,
    session: Session,
    ui: &'a Ui,
}

impl<'a> StackRun<'a> {
    pub(crate) fn new(
        connection: &'a Connection,
        (name, environment): (&'a str, &'a str),
        waiting: &'a WaitArguments,
        arguments: StackArguments,
        ui: &'a Ui,
    ) -> Result<Self, CliError> {
        Ok(Self {
            connection,
            name,
            environment,
            waiting,
            arguments,
            session: Session::new()?,
            ui,
        })
    }

    /// Returns the stack once it can be changed; `None` if it does not exist. One that could not be created is deleted.
    pub(crate) async fn ready(&self) -> Result<Option<StackState>, Stop> {
        let mut reporter = Reporter::new(self.ui);
        // Boxed as all of them: the calls of a stack make a large future.
        let work = Box::pin(prepare(self.connection, self.name, self.wait(), |event| {
            reporter.print(event);
        }));
        match self.interruptible(work, NOTHING_CHANGED).await? {
            Readiness::New => Ok(None),
            Readiness::Existing(state) => {
                self.check_environment(&state)?;
                Ok(Some(*state))
            }
            Readiness::FailedCreation(state) => {
                self.delete_failed(&state).await?;
                Ok(None)
            }
        }
    }

    /// Refuses the stack of another environment: two environments of one account have one stack if the assembly has one
    /// name.
    pub(crate) fn check_environment(&self, state: &StackState) -> Result<(), CliError> {
        let deployed = state.environment().unwrap_or(self.environment);
        if deployed == self.environment {
            return Ok(());
        }
        Err(CliError::Refused(format!(
            "the stack `{}` has the values of `{deployed}`, and this command those of `{}`; pass `--values {deployed}`, or \
             give each environment its own stack: `name: NAME-${{stage}}` in the assembly",
            self.name, self.environment
        )))
    }

    /// Deletes a stack that could not be created: CloudFormation cannot update it.
    async fn delete_failed(&self, state: &StackState) -> Result<(), Stop> {
        self.ui.message(&format!(
            "the stack `{}` could not be created before ({}), and cannot be updated: it must be deleted and created anew",
            self.name,
            state.status()
        ));
        if self.arguments.dry_run {
            self.ui.message("dry run: nothing was changed");
            return Err(Stop::Code(0));
        }
        self.confirm("delete it?").await?;
        match self.delete(state).await? {
            StackOutcome::Succeeded => Ok(()),
            failed @ StackOutcome::Failed { .. } => Err(failure(self.name, &failed).into()),
        }
    }

    /// Deletes the stack and waits.
    pub(crate) async fn delete(&self, state: &StackState) -> Result<StackOutcome, Stop> {
        let mut reporter = Reporter::new(self.ui);
        let work = Box::pin(delete_stack(self.connection, state, self.wait(), |event| {
            reporter.print(event);
        }));
        self.interruptible(work, "the deletion goes on on AWS")
            .await
    }

    /// Changes the stack, follows it, and returns the exit code. `wanted` is the definition that the service will run.
    pub(crate) async fn change(
        &self,
        state: Option<&StackState>,
        change: &StackChange,
        wanted: &TaskDefinition,
    ) -> Result<u8, Stop> {
        let work = Box::pin(StackPlan::new(
            self.connection,
            self.name,
            state,
            change,
            self.wait(),
        ));
        let Some(plan) = self.interruptible(work, NOTHING_CHANGED).await? else {
            return match state {
                Some(state) => self.compare_service(state, Done::Nothing).await,
                None => Err(CliError::Refused(format!(
                    "the stack `{}` has no resources",
                    self.name
                ))
                .into()),
            };
        };

        let running = self.difference(state, wanted).await?;
        changes::print(self.name, &plan, running.as_deref(), self.ui);
        if self.arguments.dry_run {
            Box::pin(self.discard(plan)).await?;
            self.ui.message("dry run: nothing was changed");
            return Ok(0);
        }
        if let Err(stop) = self.confirm("deploy?").await {
            Box::pin(self.discard(plan)).await?;
            return Err(stop);
        }
        Box::pin(self.execute(plan)).await
    }

    async fn execute(&self, plan: StackPlan) -> Result<u8, Stop> {
        let name = self.name;
        let look = format!(
            "to look: aws cloudformation describe-stack-events --stack-name {name}; the same command again waits for its end"
        );
        let may_go_on = format!("the stack may be changing already; {look}");
        let work = plan.execute(self.connection);
        let executed = self
            .interruptible(work, &may_go_on)
            .await
            .map_err(|stop| match stop {
                Stop::Error(CliError::Refused(message)) => CliError::Refused(format!(
                    "{message}\nthe stack may be changing already; run the same command again"
                ))
                .into(),
                other => other,
            })?;
        if self.waiting.no_wait {
            self.ui
                .message(&format!("the stack `{name}` is changing; {look}"));
            return Ok(0);
        }

        let mut reporter = Reporter::new(self.ui);
        let work = Box::pin(follow_stack(
            self.connection,
            &executed,
            self.wait(),
            |event| {
                reporter.print(event);
            },
        ));
        let goes_on = format!("the change goes on on AWS; {look}");
        let outcome = self.interruptible(work, &goes_on).await?;
        if outcome != StackOutcome::Succeeded {
            return Err(failure(name, &outcome).into());
        }

        let state = self
            .interruptible(
                describe_stack(self.connection, name),
                "the stack was changed",
            )
            .await?;
        match state {
            Some(state) => self.compare_service(&state, Done::Stack).await,
            None => {
                Err(CliError::Refused(format!("the stack `{name}` was deleted meanwhile")).into())
            }
        }
    }

    /// Compares the revision that the service runs with that of the stack, and deploys the latter if they differ:
    /// `deploy --service` or another tool may have changed the service, which a change set does not show.
    async fn compare_service(&self, state: &StackState, done: Done) -> Result<u8, Stop> {
        let Some((service, revision)) = state.service().zip(state.revision()) else {
            self.finish(done, state.output("TaskDefinition"));
            return Ok(0);
        };
        let running = describe_service(self.connection, &service);
        let running = self
            .interruptible(running, done.message())
            .await
            .map_err(|stop| deleted_by_hand(stop, self.name))?;
        if running.revision() == revision {
            self.finish(done, Some(revision));
            return Ok(0);
        }

        self.ui.message(&format!(
            "{service} runs {}, and the stack has {revision}",
            running.revision()
        ));
        if self.arguments.dry_run {
            self.ui.message("dry run: nothing was changed");
            return Ok(0);
        }
        if done == Done::Nothing {
            self.confirm("deploy the revision of the stack?").await?;
        }
        self.deploy_revision(&service, revision).await
    }

    async fn deploy_revision(&self, service: &ServiceName, revision: &str) -> Result<u8, Stop> {
        let change = Change::Revision(revision.to_owned());
        let work = Box::pin(Plan::new(self.connection, service, change));
        let plan = self.interruptible(work, NOTHING_CHANGED).await?;
        deploy::changes::print_plan(&plan, self.ui);
        let waiting = Waiting::new(self.waiting)?;
        let deployment = deploy::apply(plan, self.connection, service, waiting, self.ui);
        Ok(Box::pin(deployment).await?)
    }

    fn finish(&self, done: Done, revision: Option<&str>) {
        match (done, revision) {
            (Done::Nothing, _) => self.ui.message(&format!(
                "the stack `{}` and what runs are as they should be already; nothing was done",
                self.name
            )),
            (Done::Stack, Some(revision)) => self.ui.data(&format!("{revision}\n")),
            (Done::Stack, None) => {}
        }
    }

    /// Returns the difference between what the service runs and what it will run, as text; `None` without a service.
    async fn difference(
        &self,
        state: Option<&StackState>,
        wanted: &TaskDefinition,
    ) -> Result<Option<String>, Stop> {
        let Some(service) = state.and_then(StackState::service) else {
            return Ok(None);
        };
        let work = async {
            let running = describe_service(self.connection, &service).await?;
            describe(self.connection, running.revision()).await
        };
        let Some(running) = self.interruptible(work, NOTHING_CHANGED).await? else {
            return Ok(None);
        };

        let to_json =
            |definition: &TaskDefinition| serde_json::to_value(definition).unwrap_or(Value::Null);
        let found = deploy::changes::compare(&to_json(&running.definition), &to_json(wanted));
        let color = self.ui.color_of_messages();
        Ok(found.map(|changes| deploy::changes::format(&changes, color)))
    }

    async fn discard(&self, plan: StackPlan) -> Result<(), Stop> {
        let work = plan.discard(self.connection);
        Box::pin(self.interruptible(work, NOTHING_CHANGED)).await
    }

    pub(crate) async fn confirm(&self, question: &str) -> Result<(), Stop> {
        self.session
            .confirm(question, self.arguments, self.ui)
            .await
    }

    async fn interruptible<T>(
        &self,
        work: impl Future<Output = Result<T, ecs_client::Error>>,
        on_signal: &str,
    ) -> Result<T, Stop> {
        self.session.interruptible(work, on_signal, self.ui).await
    }

    fn wait(&self) -> FollowWait {
        FollowWait {
            timeout: self.waiting.timeout,
            ..FollowWait::default()
        }
    }
}

/// What was done before the service is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Done {
    Nothing,
    /// The stack was changed.
    Stack,
}

impl Done {
    fn message(self) -> &'static str {
        match self {
            Self::Nothing => NOTHING_CHANGED,
            Self::Stack => "the stack was changed",
        }
    }
}

/// Adds what to do about a service that the stack has, and ECS has not.
fn deleted_by_hand(stop: Stop, stack: &str) -> Stop {
    match stop {
        Stop::Error(CliError::Refused(message)) if message.starts_with("there is no service") => {
            CliError::Refused(format!(
                "{message}\nthe stack `{stack}` still has the service, which was deleted outside of it; CloudFormation does \
                 not create it again: delete the stack with `aws cloudformation delete-stack --stack-name {stack}`, then \
                 deploy again"
            ))
            .into()
        }
        other => other,
    }
}

const NOTHING_CHANGED: &str =
    "nothing was changed; a change set that is left is deleted by the next deploy";
