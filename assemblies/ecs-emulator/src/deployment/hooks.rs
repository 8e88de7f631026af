//! The lifecycle hooks of a stage.

use super::config::{DeploymentConfig, TimeoutAction};
use super::scheduler::Time;
use super::status::Stage;
use super::timing::Timing;

/// A hook that a stage waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HookState {
    /// Unique in the service.
    pub(crate) number: u64,
    pub(crate) function: Option<String>,
    pub(crate) status: HookStatus,
    pub(crate) expires_at: Time,
    pub(crate) timeout_action: TimeoutAction,
}

/// The status of a hook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HookStatus {
    AwaitingAction,
    Succeeded,
    Failed,
    TimedOut,
}

impl HookStatus {
    /// Returns the value in the API.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::AwaitingAction => "AWAITING_ACTION",
            Self::Succeeded => "SUCCEEDED",
            Self::Failed => "FAILED",
            Self::TimedOut => "TIMED_OUT",
        }
    }
}

/// What the hooks of a stage say about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HookResult {
    Waiting,
    Continue,
    Failed,
    TimedOut,
}

/// Creates the hooks of a stage, numbered from `first`.
pub(super) fn hooks_of(
    config: &DeploymentConfig,
    stage: Stage,
    first: u64,
    timing: Timing,
    now: Time,
) -> Vec<HookState> {
    let hooks = config.hooks.iter();
    let hooks = hooks.filter(|hook| hook.stages.contains(&stage));
    hooks
        .zip(first..)
        .map(|(hook, number)| HookState {
            number,
            function: hook.function.clone(),
            status: HookStatus::AwaitingAction,
            expires_at: now + timing.scale(hook.timeout),
            timeout_action: hook.timeout_action,
        })
        .collect()
}

/// Applies the timeouts and returns the result of all hooks together.
pub(super) fn check(hooks: &mut [HookState], now: Time) -> HookResult {
    for hook in hooks.iter_mut() {
        if hook.status == HookStatus::AwaitingAction && hook.expires_at <= now {
            hook.status = HookStatus::TimedOut;
        }
    }

    let any = |test: fn(&HookState) -> bool| hooks.iter().any(test);
    // One refusal decides, whatever the others say.
    if any(|hook| hook.status == HookStatus::Failed) {
        return HookResult::Failed;
    }

    if any(|hook| {
        hook.status == HookStatus::TimedOut && hook.timeout_action == TimeoutAction::Rollback
    }) {
        return HookResult::TimedOut;
    }

    if any(|hook| hook.status == HookStatus::AwaitingAction) {
        HookResult::Waiting
    } else {
        HookResult::Continue
    }
}
