//! When each container starts and stops, as far as dependsOn says.

use task_definition::{Condition, ContainerDefinition, TaskDefinition};

/// Steps, counted from 1; containers of one step go together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Order {
    pub(super) start: Vec<usize>,
    pub(super) stop: Vec<usize>,
    /// The longest a stop can take, in seconds: the slowest chain of containers that stop one after the other.
    pub(super) stops_within: u32,
}

/// What ECS takes when a container does not say, in seconds.
pub(super) const STOP_TIMEOUT: u32 = 30;

/// A container starts after all that it depends on, and stops after all that depend on it. One whose end
/// somebody has awaited is gone when the others stop.
pub(super) fn order(task: &TaskDefinition) -> Order {
    let containers = &task.container_definitions;
    let (mut starts, mut stops) = (Vec::new(), Vec::new());
    let mut timeouts: Vec<usize> = containers.iter().map(timeout).collect();

    for (from, one) in containers.iter().enumerate() {
        for edge in &one.depends_on {
            let named = |other: &ContainerDefinition| other.name == edge.container_name;
            let Some(to) = containers.iter().position(named) else {
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

    let ones = vec![1; containers.len()];
    let slowest = longest(&timeouts, &stops).into_iter().max();
    Order {
        start: longest(&ones, &starts),
        stop: longest(&ones, &stops),
        stops_within: slowest
            .and_then(|sum| u32::try_from(sum).ok())
            .unwrap_or_default(),
    }
}

fn timeout(one: &ContainerDefinition) -> usize {
    one.stop_timeout.unwrap_or(STOP_TIMEOUT) as usize
}

/// The weight of the heaviest path from each one. A circle, which a rule reports, is walked only so often
/// as there are containers.
fn longest(weights: &[usize], edges: &[(usize, usize)]) -> Vec<usize> {
    let mut sums = weights.to_vec();
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
    fn takes_the_longest_way_round() {
        // 0 → 1 → 2 and 0 → 2.
        assert_eq!(longest(&[1, 1, 1], &[(0, 2), (0, 1), (1, 2)]), [3, 2, 1]);
        assert_eq!(longest(&[30, 5, 7], &[(0, 2), (0, 1), (1, 2)]), [42, 12, 7]);
    }

    #[test]
    fn a_circle_does_not_hang_it() {
        assert_eq!(longest(&[1, 1], &[(0, 1), (1, 0)]).len(), 2);
    }
}
