//! Reads a `deploymentConfiguration` of the API.

use std::time::Duration;

use serde_json::Value;

use super::config::{
    AlarmConfig, BreakerConfig, Cleanup, DeploymentConfig, EarlySuccess, Hook, Strategy, Threshold,
    TimeoutAction,
};
use super::status::Stage;

impl DeploymentConfig {
    /// Parses and checks a configuration. The limits are those of the API reference; an error is the message of an
    /// InvalidParameterException.
    pub(crate) fn parse(value: &Value) -> Result<Self, String> {
        let percent = |name: &str, default: u32| match value.get(name) {
            None | Some(Value::Null) => Ok(default),
            Some(value) => whole(value, name),
        };

        let config = Self {
            strategy: parse_strategy(value)?,
            minimum_healthy_percent: percent("minimumHealthyPercent", 100)?,
            maximum_percent: percent("maximumPercent", 200)?,
            breaker: parse_breaker(&value["deploymentCircuitBreaker"])?,
            alarms: parse_alarms(&value["alarms"]),
            bake: minutes(value, "bakeTimeInMinutes", 0)?,
            hooks: parse_hooks(&value["lifecycleHooks"])?,
            early_success: parse_early_success(&value["earlySuccessCriteria"])?,
        };

        config.check(value)?;

        Ok(config)
    }

    fn check(&self, value: &Value) -> Result<(), String> {
        // More than all tasks can never be healthy.
        if self.minimum_healthy_percent > 100 {
            return Err("minimumHealthyPercent must be between 0 and 100.".to_owned());
        }

        if self.maximum_percent < 100 {
            return Err("maximumPercent must be at least 100.".to_owned());
        }

        if (self.minimum_healthy_percent, self.maximum_percent) == (100, 100) {
            let message = "Both maximumPercent and minimumHealthyPercent cannot be 100 as this will block deployments.";
            return Err(message.to_owned());
        }

        let is_rolling = self.strategy == Strategy::Rolling;
        // Required with BLUE_GREEN, without a default (bakeTimeInMinutes in the API reference).
        if self.strategy == Strategy::BlueGreen && value["bakeTimeInMinutes"].is_null() {
            let message = "bakeTimeInMinutes is required with the BLUE_GREEN deployment strategy.";
            return Err(message.to_owned());
        }

        let Some(early) = self.early_success else {
            return Ok(());
        };

        if !is_rolling {
            let message =
                "earlySuccessCriteria can only be used with the ROLLING deployment strategy.";
            return Err(message.to_owned());
        }

        // At least minimumHealthyPercent (DeploymentEarlySuccessCriteria in the API reference).
        if !(self.minimum_healthy_percent..=100).contains(&early.healthy_percent) {
            let message = "healthyPercent must be between minimumHealthyPercent and 100.";
            return Err(message.to_owned());
        }

        Ok(())
    }
}

fn parse_strategy(value: &Value) -> Result<Strategy, String> {
    let name = value["strategy"].as_str().unwrap_or("ROLLING");
    for (other, field) in [
        ("LINEAR", "linearConfiguration"),
        ("CANARY", "canaryConfiguration"),
    ] {
        if name != other && !value[field].is_null() {
            return Err(format!(
                "{field} can only be used with the {other} deployment strategy."
            ));
        }
    }

    Ok(match name {
        "ROLLING" => Strategy::Rolling,
        "BLUE_GREEN" => Strategy::BlueGreen,
        "LINEAR" => {
            let linear = &value["linearConfiguration"];
            Strategy::Linear {
                step_percent: share(linear, "stepPercent", 10.0, 3.0)?,
                bake: minutes(linear, "stepBakeTimeInMinutes", 6)?,
            }
        }
        "CANARY" => {
            let canary = &value["canaryConfiguration"];
            Strategy::Canary {
                percent: share(canary, "canaryPercent", 5.0, 0.1)?,
                bake: minutes(canary, "canaryBakeTimeInMinutes", 10)?,
            }
        }
        other => return Err(format!("Invalid deployment strategy: {other}.")),
    })
}

fn parse_breaker(value: &Value) -> Result<BreakerConfig, String> {
    let default = BreakerConfig::default();
    let threshold = &value["thresholdConfiguration"];
    let count = whole(&threshold["value"], "thresholdConfiguration.value");
    let threshold = match threshold["type"].as_str() {
        _ if threshold.is_null() => default.threshold,
        Some("COUNT") => Threshold::Count(count?),
        Some("BOUNDED_PERCENT") => Threshold::BoundedPercent(count?),
        Some("UNBOUNDED_PERCENT") => Threshold::UnboundedPercent(count?),
        other => {
            let other = other.unwrap_or("null");
            return Err(format!("Invalid type of thresholdConfiguration: {other}."));
        }
    };

    // A breaker with a threshold of 0 would end each deployment before its first task.
    if threshold == Threshold::Count(0) {
        return Err("thresholdConfiguration.value must be at least 1.".to_owned());
    }

    Ok(BreakerConfig {
        is_enabled: is_true(value, "enable"),
        rolls_back: is_true(value, "rollback"),
        resets_on_healthy: value["resetOnHealthyTask"].as_bool().unwrap_or(true),
        threshold,
    })
}

fn parse_alarms(value: &Value) -> AlarmConfig {
    let names = value["alarmNames"].as_array().into_iter().flatten();
    AlarmConfig {
        is_enabled: is_true(value, "enable"),
        rolls_back: is_true(value, "rollback"),
        names: names.filter_map(Value::as_str).map(str::to_owned).collect(),
    }
}

fn parse_hooks(value: &Value) -> Result<Vec<Hook>, String> {
    value
        .as_array()
        .into_iter()
        .flatten()
        .map(parse_hook)
        .collect()
}

fn parse_hook(value: &Value) -> Result<Hook, String> {
    // AWS_LAMBDA is the default.
    let pauses = value["targetType"] == "PAUSE";
    let function = value["hookTargetArn"].as_str().map(str::to_owned);
    if pauses == function.is_some() {
        let message = if pauses {
            "hookTargetArn is not applicable to PAUSE lifecycle hooks."
        } else {
            "hookTargetArn is required for AWS_LAMBDA lifecycle hooks."
        };
        return Err(message.to_owned());
    }

    let mut stages = Vec::new();

    for name in value["lifecycleStages"].as_array().into_iter().flatten() {
        let name = name.as_str().unwrap_or_default();
        let stage = Stage::parse_hook_stage(name);
        let stage = stage.ok_or_else(|| format!("Invalid lifecycle stage: {name}."))?;
        // PAUSE hooks have all other stages (DeploymentLifecycleHook).
        if pauses && stage.shifts_traffic() {
            return Err(format!(
                "PAUSE lifecycle hooks cannot be used at stage {name}."
            ));
        }
        stages.push(stage);
    }

    if stages.is_empty() {
        return Err("A lifecycle hook needs at least one lifecycle stage.".to_owned());
    }

    let timeout = &value["timeoutConfiguration"];

    Ok(Hook {
        function,
        stages,
        timeout: minutes(timeout, "timeoutInMinutes", 1440)?,
        timeout_action: match timeout["action"].as_str() {
            Some("CONTINUE") => TimeoutAction::Continue,
            _ => TimeoutAction::Rollback,
        },
    })
}

fn parse_early_success(value: &Value) -> Result<Option<EarlySuccess>, String> {
    if !is_true(value, "enable") {
        return Ok(None);
    }
    Ok(Some(EarlySuccess {
        healthy_percent: whole(&value["healthyPercent"], "healthyPercent")?,
        cleanup: match value["sourceServiceRevisionCleanup"].as_str() {
            Some("BLOCKING") => Cleanup::Blocking,
            Some("DEFERRED") => Cleanup::Deferred,
            _ => {
                return Err("sourceServiceRevisionCleanup must be BLOCKING or DEFERRED.".to_owned());
            }
        },
    }))
}

fn is_true(value: &Value, name: &str) -> bool {
    value[name].as_bool().unwrap_or(false)
}

fn whole(value: &Value, name: &str) -> Result<u32, String> {
    let number = value.as_u64().and_then(|number| u32::try_from(number).ok());
    let number = number.filter(|number| *number <= MAX_NUMBER);
    number.ok_or_else(|| format!("{name} must be a whole number from 0 to {MAX_NUMBER}."))
}

fn minutes(value: &Value, name: &str, default: u32) -> Result<Duration, String> {
    let minutes = match &value[name] {
        Value::Null => default,
        value => whole(value, name)?,
    };
    // 24 hours, the limit of all waits of a deployment.
    if minutes > 1440 {
        return Err(format!("{name} must be between 0 and 1440."));
    }
    Ok(Duration::from_secs(u64::from(minutes) * 60))
}

fn share(value: &Value, name: &str, default: f64, least: f64) -> Result<f64, String> {
    let share = match &value[name] {
        Value::Null => default,
        value => value.as_f64().unwrap_or(-1.0),
    };
    // Valid values are multiples of 0.1 (LinearConfiguration, CanaryConfiguration).
    let is_multiple = ((share * 10.0).round() - share * 10.0).abs() < 1e-6;
    if !(least..=100.0).contains(&share) || !is_multiple {
        return Err(format!(
            "{name} must be a multiple of 0.1 between {least:.1} and 100.0."
        ));
    }
    Ok(share)
}

/// Far above each limit of ECS; keeps sums within 32 bits.
const MAX_NUMBER: u32 = 100_000;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::with_defaults;
    use super::*;

    fn error(value: Value) -> String {
        DeploymentConfig::parse(&value).unwrap_err()
    }

    #[test]
    fn an_empty_configuration_is_the_default() {
        assert_eq!(
            DeploymentConfig::parse(&json!({})),
            Ok(DeploymentConfig::default())
        );
        let filled = with_defaults(&json!({}));
        assert_eq!(
            DeploymentConfig::parse(&filled),
            Ok(DeploymentConfig::default())
        );
    }

    #[test]
    fn strategies_have_the_defaults_of_the_api() {
        let strategy = |name: &str| {
            DeploymentConfig::parse(&with_defaults(&json!({ "strategy": name })))
                .unwrap()
                .strategy
        };

        let minutes = |minutes: u64| Duration::from_secs(minutes * 60);
        let canary = Strategy::Canary {
            percent: 5.0,
            bake: minutes(10),
        };

        assert_eq!(strategy("CANARY"), canary);
        let linear = Strategy::Linear {
            step_percent: 10.0,
            bake: minutes(6),
        };

        assert_eq!(strategy("LINEAR"), linear);
    }

    #[test]
    fn refuses_percentages_that_block_deployments() {
        let value = json!({ "maximumPercent": 100, "minimumHealthyPercent": 100 });
        assert!(error(value).contains("block deployments"));
        assert!(error(json!({ "maximumPercent": 99 })).contains("maximumPercent"));
        assert!(error(json!({ "minimumHealthyPercent": 101 })).contains("minimumHealthyPercent"));
        assert!(error(json!({ "maximumPercent": "200" })).contains("whole number"));
        assert!(error(json!({ "maximumPercent": 4_000_000_000_u64 })).contains("whole number"));
    }

    #[test]
    fn refuses_fields_of_another_strategy() {
        let value =
            json!({ "strategy": "LINEAR", "canaryConfiguration": { "canaryPercent": 5.0 } });
        assert!(error(value).contains("CANARY"));
        assert!(error(json!({ "strategy": "BLUE_GREEN" })).contains("bakeTimeInMinutes"));
        assert!(error(json!({ "strategy": "RECREATE" })).contains("RECREATE"));
        let early = json!({
            "strategy": "CANARY",
            "earlySuccessCriteria": {
                "enable": true, "healthyPercent": 100, "sourceServiceRevisionCleanup": "BLOCKING",
            },
        });
        assert!(error(early).contains("ROLLING"));
    }

    #[test]
    fn refuses_shares_out_of_range() {
        let linear = |percent: f64| {
            error(
                json!({ "strategy": "LINEAR", "linearConfiguration": { "stepPercent": percent } }),
            )
        };
        assert!(
            [2.9, 100.1, 10.05, f64::MAX]
                .map(linear)
                .iter()
                .all(|text| text.contains("0.1"))
        );
    }

    #[test]
    fn checks_hooks() {
        let hook = |hook: Value| DeploymentConfig::parse(&json!({ "lifecycleHooks": [hook] }));
        let at = |stage: &str| json!({ "targetType": "PAUSE", "lifecycleStages": [stage] });
        assert!(hook(at("POST_SCALE_UP")).is_ok());
        assert!(hook(at("SCALE_UP")).unwrap_err().contains("SCALE_UP"));
        assert!(
            hook(at("PRODUCTION_TRAFFIC_SHIFT"))
                .unwrap_err()
                .contains("PAUSE")
        );
        let lambda = json!({ "lifecycleStages": ["PRE_SCALE_UP"] });
        assert!(hook(lambda).unwrap_err().contains("hookTargetArn"));
    }
}
