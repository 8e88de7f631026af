//! Waits until everybody is ready, and then says what to try.

use std::env;
use std::path::{Path, PathBuf};
use std::time::Duration;

use task_runner::{RunPlan, once};
use tokio::sync::oneshot;
use tokio::time::sleep;

use super::target::Target;
use crate::commands::dev_token;
use crate::project::Project;
use crate::talk::Talk;

/// Those who have not yet said that they are ready.
#[derive(Debug)]
pub(super) struct Waiting {
    plan: RunPlan,
    names: Vec<String>,
}

impl Waiting {
    /// Everybody who can be asked.
    pub(super) fn new(plan: &RunPlan, target: &Target) -> Self {
        Self {
            plan: plan.clone(),
            names: target.can_be_ready(),
        }
    }

    /// Once the task is RUNNING, asks each, innermost first, until it says yes.
    pub(super) async fn all(self, running: oneshot::Receiver<()>) {
        if running.await.is_err() {
            return std::future::pending().await;
        }
        for name in self.names.iter().rev() {
            while !once(&self.plan, name, &["probe", "--ready"], LIMIT).await {
                sleep(PAUSE).await;
            }
        }
    }
}

/// A command ready to paste.
pub(super) fn invite(target: &Target, project: &Project, talk: &Talk) {
    let Some(public) = &target.public else {
        return talk.say("ready");
    };
    let attempt = target.app.as_ref().and_then(|app| {
        target
            .components
            .get(app)?
            .local
            .as_ref()?
            .program()?
            .attempt
            .as_ref()
    });

    let path = attempt.map_or("/", |attempt| attempt.path.as_str());
    let mut words = vec!["curl".to_owned()];
    if public.interface == "https" {
        words.push(format!(
            "--cacert {}",
            shown(&project.root().join(".assemble/dev/ca.pem"))
        ));
    }

    words.extend(bearer(target, project));
    if let Some(attempt) = attempt {
        words.extend(
            attempt
                .content_type
                .iter()
                .map(|kind| format!("-H 'content-type: {kind}'")),
        );

        let sample = attempt.sample.iter().map(|file| project.root().join(file));
        words.extend(sample.map(|file| format!("--data-binary @{}", shown(&file))));
        if attempt.sample.is_none() && attempt.method != "GET" {
            words.push(format!("-X {}", attempt.method));
        }
    }

    words.push(format!(
        "{}://localhost:{}{path}",
        public.interface, public.port
    ));
    talk.say(&format!("ready; try:\n  {}", words.join(" ")));
}

/// A token, when somebody in front wants one.
fn bearer(target: &Target, project: &Project) -> Option<String> {
    let filter = target.definition.container("auth-filter")?;
    let mut words = vec![command(), "dev-token".to_owned()];
    if let Some(audience) = filter.variable("AUTH_FILTER_AUDIENCE") {
        words.push(format!("--audience {audience}"));
    }

    let issuer = filter.variable("AUTH_FILTER_ISSUER");
    if let Some(issuer) = issuer.filter(|issuer| **issuer != dev_token::issuer(project)) {
        words.push(format!("--issuer {issuer}"));
    }

    Some(format!(
        "-H \"Authorization: Bearer $({})\"",
        words.join(" ")
    ))
}

/// This command as somebody in this folder would call it.
fn command() -> String {
    env::current_exe().map_or_else(|_| "assemble".to_owned(), |exe| shown(&exe))
}

/// A path as seen from here.
fn shown(path: &Path) -> String {
    let here = env::current_dir().unwrap_or_default();
    let path = path.canonicalize().unwrap_or_else(|_| PathBuf::from(path));
    path.strip_prefix(here)
        .unwrap_or(&path)
        .display()
        .to_string()
}

const LIMIT: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(100);
