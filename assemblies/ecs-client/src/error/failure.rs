//! Failures that ECS returns in a response with HTTP 200.

use serde_json::Value;

/// A failure that ECS returned instead of a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The resource: a capacity provider, a container instance, a task.
    pub arn: Option<String>,
    /// The reason, such as `RESOURCE:MEMORY` or `MISSING`.
    pub reason: String,
    /// Details.
    pub detail: Option<String>,
}

impl Failure {
    /// Reads the `failures` of a response.
    pub(crate) fn read_all(response: &Value) -> Vec<Self> {
        let entries = response["failures"]
            .as_array()
            .map_or(&[][..], Vec::as_slice);
        let text = |entry: &Value, name: &str| entry[name].as_str().map(str::to_owned);
        let read = |entry: &Value| Self {
            arn: text(entry, "arn"),
            reason: text(entry, "reason").unwrap_or_else(|| "no reason given".to_owned()),
            detail: text(entry, "detail"),
        };
        entries.iter().map(read).collect()
    }

    /// Returns whether there may be capacity later.
    ///
    /// Source: "API failure reasons" in the ECS developer guide: `RESOURCE:*`, and the text of Fargate.
    pub(crate) fn is_about_capacity(&self) -> bool {
        let text = format!(
            "{} {}",
            self.reason,
            self.detail.as_deref().unwrap_or_default()
        );
        self.reason.starts_with("RESOURCE:")
            || [
                "Capacity is unavailable",
                "Rate exceeded",
                "Too many concurrent",
            ]
            .iter()
            .any(|known| text.contains(known))
    }
}

pub(super) fn format_failures(failures: &[Failure]) -> String {
    let each = failures.iter().map(|failure| {
        let resource = failure
            .arn
            .as_deref()
            .map(|arn| format!(" ({arn})"))
            .unwrap_or_default();
        let detail = failure
            .detail
            .as_deref()
            .map(|text| format!(": {text}"))
            .unwrap_or_default();
        format!("{}{detail}{resource}", failure.reason)
    });

    // An emulator may return an empty list.
    match each.collect::<Vec<_>>().join("; ") {
        text if text.is_empty() => "ECS returned neither a task nor a reason".to_owned(),
        text => text,
    }
}
