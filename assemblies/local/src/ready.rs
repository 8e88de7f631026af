//! Waits until all containers are ready, and prints a sample command.

use std::env;
use std::path::{Path, PathBuf};
use std::time::Duration;

use task_definition::ContainerDefinition;
use task_runner::{Image, RunPlan, run_probe};
use tokio::sync::oneshot;
use tokio::time::sleep;

use super::events::Processes;
use super::target::Target;
use crate::Messages;
use crate::Project;

/// Waits for the containers that are not ready yet.
#[derive(Debug)]
pub(super) struct ReadinessWait {
    plan: RunPlan,
    names: Vec<String>,
    processes: Processes,
}

impl ReadinessWait {
    /// Creates a wait for every container with a readiness probe.
    pub(super) fn new(plan: &RunPlan, target: &Target, processes: Processes) -> Self {
        Self {
            plan: plan.clone(),
            names: target.containers_with_readiness(),
            processes,
        }
    }

    /// Waits until the task is RUNNING, and then probes each container, innermost first, until it is ready.
    pub(super) async fn all(self, running: oneshot::Receiver<()>) {
        // The sender is dropped when the task ends first; the session then ends by itself.
        if running.await.is_err() {
            return std::future::pending().await;
        }
        // Innermost first: an outer proxy is ready only after its upstream.
        for name in self.names.iter().rev() {
            while !self.is_ready(name).await {
                sleep(PROBE_INTERVAL).await;
            }
        }
    }

    async fn is_ready(&self, name: &str) -> bool {
        let image = self.plan.programs.get(name);
        let image = image.and_then(|program| program.image.as_ref());
        let container = self.plan.definition.container(name);
        let member = image.zip(container);
        let member = member.map_or(&[][..], |(image, container)| member_words(image, container));
        let words = member.iter().map(String::as_str);
        let arguments: Vec<&str> = words.chain(["probe", "--ready"]).collect();

        let process = self.processes.get(name);
        run_probe(&self.plan, name, &arguments, process, PROBE_TIMEOUT).await
    }
}

/// Returns what selects the component in an image with several, such as `tls-proxy` after `/sidecars`.
fn member_words<'w>(image: &'w Image, container: &'w ContainerDefinition) -> &'w [String] {
    // As in Docker, the entry point of the definition replaces that of the image.
    let words = [&container.entry_point, &image.entry_point];
    let entry_point = words.into_iter().find(|words| !words.is_empty());
    let rest = entry_point.and_then(|words| words.get(1..));
    rest.unwrap_or_default()
}

/// Prints a `curl` command for the task, ready to paste.
pub(super) fn print_curl_hint(target: &Target, project: &Project, ui: &dyn Messages) {
    let Some(public) = &target.public else {
        return ui.message("ready");
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
    let mut command = vec!["curl".to_owned()];
    // The certificate of local runs is signed by the development CA.
    if public.interface == "https" {
        command.push(format!(
            "--cacert {}",
            relative_path(&project.root().join(".assemble/dev/ca.pem"))
        ));
    }

    command.extend(bearer(target, project));
    if let Some(attempt) = attempt {
        command.extend(
            attempt
                .content_type
                .iter()
                .map(|kind| format!("-H 'content-type: {kind}'")),
        );

        let sample = attempt.sample.iter().map(|file| project.root().join(file));
        command.extend(sample.map(|file| format!("--data-binary @{}", relative_path(&file))));
        // With data, curl uses POST by itself.
        if attempt.sample.is_none() && attempt.method != "GET" {
            command.push(format!("-X {}", attempt.method));
        }
    }

    command.push(format!(
        "{}://localhost:{}{path}",
        public.interface, public.port
    ));
    ui.message(&format!("ready; try:\n  {}", command.join(" ")));
}

/// Returns an authorization header with a token, if a component of the task checks tokens.
fn bearer(target: &Target, project: &Project) -> Option<String> {
    let (container, component, token) =
        target.components.iter().find_map(|(name, component)| {
            let container = target.definition.container(name)?;
            Some((container, component, component.token()?))
        })?;
    let mut arguments = vec![own_command(), "dev-token".to_owned()];
    if let Some(audience) = container.variable(&component.variable(&token.audience)) {
        arguments.push(format!("--audience {audience}"));
    }

    let issuer = container.variable(&component.variable(&token.issuer));
    if let Some(issuer) = issuer.filter(|issuer| *issuer != project.issuer()) {
        arguments.push(format!("--issuer {issuer}"));
    }

    Some(format!(
        "-H \"Authorization: Bearer $({})\"",
        arguments.join(" ")
    ))
}

/// Returns how to call this binary from the current directory.
fn own_command() -> String {
    env::current_exe().map_or_else(|_| "assemble".to_owned(), |exe| relative_path(&exe))
}

/// Formats a path relative to the current directory.
fn relative_path(path: &Path) -> String {
    let here = env::current_dir().unwrap_or_default();
    let path = path.canonicalize().unwrap_or_else(|_| PathBuf::from(path));
    path.strip_prefix(here)
        .unwrap_or(&path)
        .display()
        .to_string()
}

const PROBE_TIMEOUT: Duration = Duration::from_secs(5);
const PROBE_INTERVAL: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_of_a_bundle_is_probed_by_its_name() {
        let words = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect();
        let cases: [(&[&str], &[&str], &[&str]); 4] = [
            (&["/sidecars"], &["/sidecars", "tls-proxy"], &["tls-proxy"]),
            (&["/sidecars", "tls-proxy"], &[], &["tls-proxy"]),
            (&["/sidecars", "tls-proxy"], &["/coins"], &[]),
            (&[], &[], &[]),
        ];

        for (of_image, of_container, expected) in cases {
            let image = Image {
                entry_point: words(of_image),
                ..Image::default()
            };
            let container = ContainerDefinition {
                entry_point: words(of_container),
                ..ContainerDefinition::default()
            };
            assert_eq!(member_words(&image, &container), expected);
        }
    }
}
