//! The resource attributes that are added to everything: from settings, and from ECS once at the
//! start.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::SetOnce;

use crate::ecs;
use crate::otlp::enrich::Attributes;

/// Attributes that are known soon after the start; clones are the same.
#[derive(Debug, Clone, Default)]
pub(crate) struct Enrichment {
    attributes: Arc<SetOnce<Attributes>>,
}

impl Enrichment {
    /// Asks ECS about the task and settles the attributes, whatever comes of it; ends in bounded
    /// time.
    pub(crate) async fn resolve(
        &self,
        resource: &BTreeMap<String, String>,
        metadata: Option<&str>,
    ) {
        let about_task = match metadata {
            None => Vec::new(),
            Some(base) => ecs::resource_attributes(base).await.unwrap_or_else(|error| {
                tracing::warn!(%error, "ECS says nothing about the task, its attributes are missing");
                Vec::new()
            }),
        };

        let own = resource
            .iter()
            .map(|(key, value)| (key.clone(), value.clone()));
        let attributes = Attributes::new(own.chain(about_task));

        tracing::info!(keys = ?attributes.keys().collect::<Vec<_>>(), "resource attributes are known");
        // Only the first answer counts; a second is the same one.
        let _ = self.attributes.set(attributes);
    }

    /// The attributes; the first requests after a start wait here for ECS's answer.
    pub(crate) async fn attributes(&self) -> &Attributes {
        self.attributes.wait().await
    }
}
