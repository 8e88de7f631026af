//! Why tasks stop: the stop codes and reasons of ECS, with their cause and the next step.
//!
//! [`STOP_REASONS`] is the table, one entry for each reason. [`explain`] finds the entry for a text, such as the
//! `stoppedReason` of a task or the `reason` of a container.

mod table;

pub use table::STOP_REASONS;

/// A reason why tasks stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StopReason {
    /// Texts that ECS reports, in lower case; one of them must occur. `*` matches any text.
    pub patterns: &'static [&'static str],
    /// What happened, and why.
    pub cause: &'static str,
    /// What to do.
    pub next_step: &'static str,
    /// The page that documents it.
    pub source: &'static str,
}

/// Returns the most specific reason for a text.
pub fn explain(text: &str) -> Option<&'static StopReason> {
    // Texts are pasted from consoles and logs, with line breaks anywhere.
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let text = with_exit_codes(text.to_lowercase());
    // The table is sorted from specific to general.
    STOP_REASONS
        .iter()
        .find(|reason| reason.patterns.iter().any(|pattern| occurs(pattern, &text)))
}

/// Returns the text in which [`explain`] finds an exit code.
pub fn exit_code_text(code: i32) -> String {
    format!("exit code {code}.")
}

/// Appends the exit codes of a text (`exit 137`, `exited with code 137`, `"exitCode": 137`) in one form.
fn with_exit_codes(text: String) -> String {
    let mut codes = String::new();
    for (at, word) in text.match_indices("exit") {
        let rest = &text[at + word.len()..];
        let rest = rest.trim_start_matches("ed").trim_start_matches(" with");
        let rest = rest.trim_start_matches([' ', '_']);
        let rest = ["code", "status"]
            .iter()
            .find_map(|word| rest.strip_prefix(word))
            .unwrap_or(rest);
        let rest = rest.trim_start_matches([' ', ':', '=', '"']);
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        if digits > 0 {
            codes += " exit code ";
            codes += &rest[..digits];
            codes.push('.');
        }
    }
    text + &codes
}

/// Returns whether the parts of a pattern occur in this order.
fn occurs(pattern: &str, text: &str) -> bool {
    let mut rest = text;
    pattern.split('*').all(|part| match rest.find(part) {
        Some(at) => {
            rest = &rest[at + part.len()..];
            true
        }
        None => false,
    })
}

/// Where to look for a reason that the table does not have.
pub const UNKNOWN_REASON: &str = "see the last output of the container that exited (`aws logs tail GROUP`), and \
     https://docs.aws.amazon.com/AmazonECS/latest/developerguide/stopped-task-error-codes.html";

#[cfg(test)]
mod tests {
    use super::{STOP_REASONS, exit_code_text, explain, occurs};

    #[test]
    fn finds_every_entry_by_each_of_its_patterns() {
        for (index, reason) in STOP_REASONS.iter().enumerate() {
            for pattern in reason.patterns {
                let text = pattern.replace('*', " … ");
                let found = explain(&text).map(|found| found.cause);
                assert_eq!(found, Some(reason.cause), "entry {index}: {pattern}");
            }
        }
    }

    #[test]
    fn every_entry_is_complete() {
        for reason in STOP_REASONS {
            let is_lower = |pattern: &str| pattern == pattern.to_lowercase();
            assert!(
                !reason.patterns.is_empty()
                    && reason.patterns.iter().all(|pattern| is_lower(pattern)),
                "{reason:?}"
            );
            assert!(
                !reason.cause.is_empty() && !reason.next_step.is_empty(),
                "{reason:?}"
            );
            let is_aws = ["https://docs.aws.amazon.com/", "https://repost.aws/"]
                .iter()
                .any(|start| reason.source.starts_with(start));
            assert!(is_aws, "{}", reason.source);
        }
    }

    /// The values of `stopCode` in the API model.
    #[test]
    fn knows_every_stop_code() {
        for code in [
            "EssentialContainerExited",
            "InfrastructureHealth",
            "ServiceSchedulerInitiated",
            "SpotInterruption",
            "TaskFailedToStart",
            "TerminationNotice",
            "UserInitiated",
        ] {
            assert!(explain(code).is_some(), "{code}");
        }
    }

    /// Complete texts, as reported by ECS, with a word of the expected cause.
    #[test]
    fn explains_the_texts_of_ecs() {
        let cases = [
            (
                "CannotPullContainerError: pull image manifest has been retried 5 time(s): failed to resolve ref docker.io/tryretool/backend:2.110.5: failed to do request: Head \"https://registry-1.docker.io/v2/tryretool/backend/manifests/2.110.5\": dial tcp 34.205.13.154:443: i/o timeout",
                "network",
            ),
            (
                "CannotPullContainerError: pull image manifest has been retried 1 time(s): failed to resolve ref 111122223333.dkr.ecr.eu-west-1.amazonaws.com/web:1@sha256:0a: not found",
                "does not exist",
            ),
            (
                "CannotPullContainerError: ref pull has been retried 1 time(s): failed to pull and unpack image \"111122223333.dkr.ecr.us-east-1.amazonaws.com/myapp:latest\": failed to resolve reference: unexpected status code 403 Forbidden",
                "may not pull",
            ),
            (
                "CannotPullContainerError: inspect image has been retried 5 time(s): httpReaderSeeker: failed open: unexpected status code https://registry-1.docker.io/v2/library/nginx/manifests/sha256:0a: 429 Too Many Requests - Server message: toomanyrequests: You have reached your pull rate limit.",
                "limit",
            ),
            (
                "CannotPullContainerError: pull image manifest has been retried 1 time(s): image Manifest does not contain descriptor matching platform 'linux/amd64'.",
                "architecture",
            ),
            (
                "CannotPullContainerError: failed to extract layer: write /var/lib/containerd/x: no space left on device",
                "storage",
            ),
            (
                "ResourceInitializationError: unable to pull secrets or registry auth: execution resource retrieval failed: unable to retrieve secret from asm: service call has been retried 1 time(s): failed to fetch secret arn:aws:secretsmanager:x from secrets manager: AccessDeniedException: User is not authorized to perform: secretsmanager:GetSecretValue",
                "execution role",
            ),
            (
                "ResourceInitializationError: unable to pull secrets or registry auth: execution resource retrieval failed: unable to retrieve ecr registry auth: service call has been retried 3 time(s): RequestError: send request failed caused by: Post \"https://api.ecr.eu-central-1.amazonaws.com/\": dial tcp: i/o timeout",
                "network",
            ),
            (
                "ResourceInitializationError: failed to validate logger args: create stream has been retried 1 times: failed to create Cloudwatch log stream: ResourceNotFoundException: The specified log group does not exist.",
                "log group",
            ),
            (
                "ResourceInitializationError: failed to invoke EFS utils commands to set up EFS volumes: stderr: Failed to resolve \"fs-1.efs.eu-central-1.amazonaws.com\"",
                "EFS",
            ),
            (
                "CannotStartContainerError: exec /docker-entrypoint.sh: exec format error",
                "architecture",
            ),
            (
                "CannotStartContainerError: ResourceInitializationError: failed to create new container runtime task: failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: exec: \"serve\": executable file not found in $PATH: unknown",
                "program",
            ),
            (
                "OutOfMemoryError: Container killed due to memory usage",
                "memory",
            ),
            ("Task failed container health checks", "health check"),
            (
                "Task failed ELB health checks in (target-group arn:aws:elasticloadbalancing:x)",
                "load balancer",
            ),
            (
                "Scaling activity initiated by (deployment ecs-svc/1234567890123456789)",
                "service",
            ),
            ("Your Spot Task was interrupted.", "Spot"),
            (
                "Capacity is unavailable at this time. Please try again later or in a different availability zone",
                "capacity",
            ),
            (
                "Timeout waiting for network interface provisioning to complete.",
                "network interface",
            ),
            ("Essential container in task exited", "essential"),
        ];

        for (text, word) in cases {
            let reason = explain(text).unwrap_or_else(|| panic!("unknown: {text}"));
            assert!(reason.cause.contains(word), "{text}\n{}", reason.cause);
        }
    }

    #[test]
    fn explains_exit_codes() {
        for (code, word) in [
            (137, "SIGKILL"),
            (139, "SIGSEGV"),
            (143, "SIGTERM"),
            (127, "not found"),
        ] {
            let reason = explain(&exit_code_text(code)).expect("known");
            assert!(reason.cause.contains(word), "{code}: {}", reason.cause);
        }

        for text in [
            "exited with code 137",
            "app exit 137",
            "\"exitCode\": 137,",
            "exit_code=137",
            "exit status 137",
        ] {
            let reason = explain(text).unwrap_or_else(|| panic!("unknown: {text}"));
            assert!(reason.cause.contains("SIGKILL"), "{text}");
        }

        // Not the start of another code.
        assert_eq!(explain("exit code 1270."), None);
    }

    #[test]
    fn an_unknown_text_is_unknown() {
        assert_eq!(explain("the quick brown fox"), None);
        assert_eq!(explain(""), None);
        assert!(occurs("a*c", "a b c") && !occurs("c*a", "a b c"));
    }

    #[test]
    fn ignores_line_breaks() {
        let text = "OutOfMemoryError: Container killed\n   due to\n   memory usage";
        assert!(explain(text).is_some_and(|reason| reason.cause.contains("memory")));
    }
}
