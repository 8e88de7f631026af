//! The resource attributes to add: from the settings, and from the ECS metadata, which is fetched once
//! at the start.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::SetOnce;

use crate::ecs;
use crate::otlp::enrich::Attributes;

/// Attributes that become available shortly after the start; clones share them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Enrichment {
    attributes: Arc<SetOnce<Attributes>>,
}

impl Enrichment {
    /// Fetches the task's metadata and sets the attributes, even if that fails; takes a bounded time.
    pub(crate) async fn resolve(
        &self,
        resource: &BTreeMap<String, String>,
        metadata: Option<&str>,
    ) {
        let task_attributes = match metadata {
            None => Vec::new(),
            Some(base) => ecs::resource_attributes(base).await.unwrap_or_else(|error| {
                tracing::warn!(%error, "cannot read task metadata, continuing without its attributes");
                Vec::new()
            }),
        };

        let from_settings = resource
            .iter()
            .map(|(key, value)| (key.clone(), value.clone()));
        // The first of two attributes with the same key wins, so settings override the metadata.
        let attributes = Attributes::new(from_settings.chain(task_attributes));

        tracing::info!(keys = ?attributes.keys().collect::<Vec<_>>(), "resource attributes set");
        // Setting it twice is an error that cannot happen: there is one call, at the start.
        let _ = self.attributes.set(attributes);
    }

    /// Returns the attributes; requests right after the start wait here for the metadata.
    pub(crate) async fn attributes(&self) -> &Attributes {
        self.attributes.wait().await
    }
}
