//! The steps in which containers start and stop, derived from `dependsOn`.

use task_definition::{Condition, ContainerDefinition, TaskDefinition};

/// The start and stop step of each container, from 1; containers of one step start or stop together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Steps {
    pub(super) start: Vec<usize>,
    pub(super) stop: Vec<usize>,
    /// The longest possible stop in seconds: the slowest chain of containers that stop one after another.
    pub(super) stops_within: u32,
}

/// ECS's default `stopTimeout` in seconds.
pub(super) const STOP_TIMEOUT: u32 = 30;

/// Returns the steps of a task.
///
/// A container starts after its dependencies and stops after its dependents. A dependency that must complete
/// has exited by the time the others stop, so it takes no time then.
pub(super) fn steps(task: &TaskDefinition) -> Steps {
    let containers = &task.container_definitions;
    let (mut starts, mut stops) = (Vec::new(), Vec::new());
    let mut timeouts: Vec<usize> = containers.iter().map(timeout).collect();

    for (from, container) in containers.iter().enumerate() {
        for edge in &container.depends_on {
            let is_dependency = |other: &ContainerDefinition| other.name == edge.container_name;
            // A dependency on a missing container has a finding elsewhere.
            let Some(to) = containers.iter().position(is_dependency) else {
                continue;
            };

            starts.push((from, to));
            if matches!(edge.condition, Condition::Start | Condition::Healthy) {
                stops.push((to, from));
            } else {
                timeouts[to] = 0;
            }
        }
    }

    // With weight 1 each, the heaviest path is the number of steps.
    let ones = vec![1; containers.len()];
    let slowest = longest(&timeouts, &stops).into_iter().max();
    Steps {
        start: longest(&ones, &starts),
        stop: longest(&ones, &stops),
        stops_within: slowest
            .and_then(|sum| u32::try_from(sum).ok())
            .unwrap_or_default(),
    }
}

fn timeout(container: &ContainerDefinition) -> usize {
    container.stop_timeout.unwrap_or(STOP_TIMEOUT) as usize
}

/// Returns the weight of the heaviest path from each node.
fn longest(weights: &[usize], edges: &[(usize, usize)]) -> Vec<usize> {
    let mut sums = weights.to_vec();
    // A path has at most n - 1 edges. The bound also ends the search in a cycle, which a rule reports.
    for _ in 1..weights.len() {
        for (from, to) in edges {
            sums[*from] = sums[*from].max(weights[*from] + sums[*to]);
        }
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::longest;

    #[test]
    fn finds_the_heaviest_path() {
        // 0 → 1 → 2 and 0 → 2.
        assert_eq!(longest(&[1, 1, 1], &[(0, 2), (0, 1), (1, 2)]), [3, 2, 1]);
        assert_eq!(longest(&[30, 5, 7], &[(0, 2), (0, 1), (1, 2)]), [42, 12, 7]);
    }

    #[test]
    fn terminates_on_a_cycle() {
        assert_eq!(longest(&[1, 1], &[(0, 1), (1, 0)]).len(), 2);
    }
}
