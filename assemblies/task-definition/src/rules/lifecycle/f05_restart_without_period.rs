use crate::finding::Severity;
use crate::read::LocatedDefinition;
use crate::rules::shared::{containers, edges, waits_for_exit};
use crate::rules::{Check, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "F05",
    name: "restart-without-period",
    severity: Severity::Warning,
    title: "restart policy without restartAttemptPeriod",
    explanation: "A restart policy starts a container again only when it has run for \
                  restartAttemptPeriod seconds: 300 when nothing is said, 60 at the least. A helper \
                  that is not essential and ends earlier, for instance because its backend was not \
                  there yet, stays away for the whole life of the task, and nothing else tells.",
    source: "ECS API, ContainerRestartPolicy, field restartAttemptPeriod; Amazon ECS agent, \
                  restart tracker",
    hint: "Write restartAttemptPeriod: 60 is the least.",
    passing: r#"{
  "family": "web",
  "containerDefinitions": [
    { "name": "app", "image": "app:1", "memory": 128 },
    {
      "name": "helper",
      "image": "helper:1",
      "essential": false,
      "restartPolicy": { "enabled": true, "restartAttemptPeriod": 60 },
      "memory": 128
    }
  ]
}"#,
    failing: r#"{
  "family": "web",
  "containerDefinitions": [
    { "name": "app", "image": "app:1", "memory": 128 },
    {
      "name": "helper",
      "image": "helper:1",
      "essential": false,
      "restartPolicy": { "enabled": true },
      "memory": 128
    }
  ]
}"#,
    check: Check::Definition(check),
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    for (pointer, one) in containers(located) {
        let policy = one.restart_policy.as_ref();
        let silent =
            policy.is_some_and(|policy| policy.enabled && policy.restart_attempt_period.is_none());

        // What others wait to end is C13's to tell.
        let ending =
            edges(located).any(|edge| edge.target == one.name && waits_for_exit(edge.condition));
        if silent && !one.is_essential() && !ending {
            let message = format!(
                "`{}` is not started again when it ends in its first 300 s",
                one.name
            );
            let hint = "add \"restartAttemptPeriod\": 60, or as long as it should have run";
            report.add(format!("{pointer}/restartPolicy"), message, hint);
        }
    }
}
