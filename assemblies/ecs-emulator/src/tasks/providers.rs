//! Chooses the capacity provider of each task of a call: first the bases, then in proportion to the weights.

use task_definition::CapacityProviderItem;

use crate::api_error::ApiError;

/// Returns the capacity providers of `count` tasks.
pub(crate) fn choose(
    strategy: &[CapacityProviderItem],
    count: usize,
) -> Result<Vec<String>, ApiError> {
    check(strategy)?;
    let mut assigned = vec![0_u32; strategy.len()];
    let mut chosen = Vec::new();
    for _ in 0..count {
        // The base comes first, whatever the weights are.
        let needs_base = |index: &usize| assigned[*index] < strategy[*index].base.unwrap_or(0);
        let index = (0..strategy.len())
            .find(needs_base)
            .or_else(|| least_loaded(strategy, &assigned));
        // A strategy that was checked has a weight.
        let Some(index) = index else {
            break;
        };
        // Counted before the next choice, which depends on it.
        assigned[index] += 1;
        chosen.push(strategy[index].capacity_provider.clone());
    }
    Ok(chosen)
}

/// Returns the provider with the fewest tasks beyond its base for its weight.
fn least_loaded(strategy: &[CapacityProviderItem], assigned: &[u32]) -> Option<usize> {
    let load = |index: usize| {
        let item = &strategy[index];
        let beyond_base = assigned[index].saturating_sub(item.base.unwrap_or(0));
        f64::from(beyond_base + 1) / f64::from(item.weight.unwrap_or(0))
    };
    let weighted = (0..strategy.len()).filter(|index| strategy[*index].weight.unwrap_or(0) > 0);
    weighted.min_by(|a, b| load(*a).total_cmp(&load(*b)))
}

fn check(strategy: &[CapacityProviderItem]) -> Result<(), ApiError> {
    let invalid = |message: &str| Err(ApiError::invalid_parameter(message));
    if strategy.len() > 20 {
        return invalid("capacityProviderStrategy cannot have more than 20 items");
    }
    for item in strategy {
        if !matches!(item.capacity_provider.as_str(), "FARGATE" | "FARGATE_SPOT") {
            return invalid(
                "The specified capacity provider was not found; the emulator has FARGATE and FARGATE_SPOT",
            );
        }
    }
    if strategy
        .iter()
        .filter(|item| item.base.unwrap_or(0) > 0)
        .count()
        > 1
    {
        return invalid(
            "Only one capacity provider in a capacity provider strategy can have a base greater than 0",
        );
    }
    if strategy.iter().all(|item| item.weight.unwrap_or(0) == 0) {
        return invalid(
            "At least one capacity provider in a capacity provider strategy must have a weight greater than 0",
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn strategy(value: serde_json::Value) -> Vec<CapacityProviderItem> {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn fills_the_base_before_the_weights_count() {
        let strategy = strategy(json!([
            { "capacityProvider": "FARGATE", "base": 2, "weight": 1 },
            { "capacityProvider": "FARGATE_SPOT", "weight": 3 } ]));
        let chosen = choose(&strategy, 10).unwrap();
        assert_eq!(&chosen[..2], ["FARGATE", "FARGATE"]);
        // Eight beyond the base: two and six.
        assert_eq!(
            chosen.iter().filter(|name| *name == "FARGATE_SPOT").count(),
            6
        );
    }

    #[test]
    fn rejects_strategies_that_ecs_rejects() {
        for value in [
            json!([{ "capacityProvider": "mine", "weight": 1 }]),
            json!([{ "capacityProvider": "FARGATE", "weight": 0 }]),
            json!([{ "capacityProvider": "FARGATE", "base": 1, "weight": 1 },
                { "capacityProvider": "FARGATE_SPOT", "base": 1, "weight": 1 }]),
        ] {
            assert!(choose(&strategy(value.clone()), 1).is_err(), "{value}");
        }
    }
}
