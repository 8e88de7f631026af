//! Adds what the images of definitions contain to the facts that rules need.

use ecs_rules::ImageFacts;
use ecs_rules::inputs::{DocumentKind, ParsedInput};
use task_definition::TaskDefinition;

use super::Arguments;
#[cfg(feature = "lock")]
use super::images::ImageInspector;
use crate::error::CliError;
use crate::project::Project;
use crate::ui::Ui;

/// Reads images if that is asked for, and if this program was built with it.
pub(super) struct Inspector<'a> {
    #[cfg(feature = "lock")]
    images: Option<ImageInspector<'a>>,
    #[cfg(not(feature = "lock"))]
    nothing: std::marker::PhantomData<&'a ()>,
}

impl<'a> Inspector<'a> {
    #[cfg(feature = "lock")]
    pub(super) fn new(
        arguments: &'a Arguments,
        project: &Project,
        ui: &Ui,
    ) -> Result<Self, CliError> {
        let images = ImageInspector::new(&arguments.images, project, ui)?;
        Ok(Self { images })
    }

    #[cfg(not(feature = "lock"))]
    #[expect(clippy::unnecessary_wraps, reason = "reading images can fail")]
    pub(super) fn new(_: &'a Arguments, _: &Project, _: &Ui) -> Result<Self, CliError> {
        let nothing = std::marker::PhantomData;
        Ok(Self { nothing })
    }

    /// Returns an error if the arguments name containers that no definition has.
    #[cfg(feature = "lock")]
    pub(super) fn unknown_containers(&self) -> Option<CliError> {
        self.images.as_ref()?.unknown_containers()
    }

    #[cfg(not(feature = "lock"))]
    #[expect(clippy::unused_self, reason = "the same call as with the feature")]
    pub(super) fn unknown_containers(&self) -> Option<CliError> {
        None
    }

    /// Adds what the images of all definitions in a text contain.
    pub(super) fn add_documents(&mut self, input: &ParsedInput, facts: &mut ImageFacts) {
        for document in input.documents() {
            if let DocumentKind::Definition(located) = &document.kind {
                self.add(&located.definition, facts);
            }
        }
    }

    /// Adds what the images of a definition contain, and returns whether there is anything to add.
    #[cfg(feature = "lock")]
    pub(super) fn add(&mut self, definition: &TaskDefinition, facts: &mut ImageFacts) -> bool {
        if let Some(images) = &mut self.images {
            images.add(definition, facts);
        }
        self.images.is_some()
    }

    #[cfg(not(feature = "lock"))]
    #[expect(clippy::unused_self, reason = "the same call as with the feature")]
    pub(super) fn add(&mut self, _: &TaskDefinition, _: &mut ImageFacts) -> bool {
        false
    }
}
