//! Which images a command works on, and the references that documents use for them.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use assembly::component::Bundle;
use assembly::values::InterpolationError;
use assembly::{Catalog, Values};
use clap::Args;
use registry::{BUILT_IMAGES, Reference};
use task_definition::ImageReference;

use crate::arguments::ValueArguments;
use crate::commands::lock;
use crate::error::CliError;
use crate::project::Project;

/// Arguments that choose images.
#[derive(Debug, Clone, Args)]
pub(super) struct TargetArguments {
    /// Images, by name [default: all that were built; `prune`: of all components and bundles, too].
    #[arg(value_name = "IMAGE", conflicts_with = "assemblies")]
    names: Vec<String>,
    /// The images of an assembly, by name or path. Repeatable.
    #[arg(long = "assembly", value_name = "NAME")]
    assemblies: Vec<String>,
    /// Registry and path prefix, in place of the value `registry`.
    #[arg(long, value_name = "HOST/PREFIX", value_parser = parse_registry)]
    registry: Option<String>,
    /// Directory of the built images [default: `.assemble/images`].
    #[arg(long, value_name = "DIR")]
    layouts: Option<PathBuf>,
    #[command(flatten)]
    values: ValueArguments,
}

/// An image of the project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    /// The name, which is also that of its layout.
    pub(super) name: String,
    /// The reference with a tag, as documents have it.
    pub(super) image: String,
}

impl Target {
    /// Parses the reference.
    pub(super) fn reference(&self) -> Result<Reference, CliError> {
        let parsed = self.image.parse::<Reference>();
        parsed.map_err(|error| CliError::Usage(format!("image `{}`: {error}", self.name)))
    }
}

impl TargetArguments {
    /// Returns the values with the chosen registry.
    pub(super) fn values(&self) -> ValueArguments {
        let mut values = self.values.clone();
        if let Some(registry) = &self.registry {
            values.value.push(("registry".to_owned(), registry.clone()));
        }
        values
    }

    /// Returns the directory of the built images.
    pub(super) fn layouts(&self, project: &Project) -> PathBuf {
        let default = || project.root().join(BUILT_IMAGES);
        self.layouts.clone().unwrap_or_else(default)
    }

    /// Returns the chosen images, sorted; `tag` replaces their tags.
    pub(super) fn targets(
        &self,
        project: &Project,
        tag: Option<&str>,
    ) -> Result<Vec<Target>, CliError> {
        let mut targets = if self.assemblies.is_empty() {
            self.by_name(project)?
        } else {
            self.of_assemblies(project)?
        };

        targets.sort_by(|a, b| a.name.cmp(&b.name));
        // Containers of several assemblies often have the same image.
        targets.dedup();
        if let Some(tag) = tag {
            for target in &mut targets {
                let repository = ImageReference::parse(&target.image).repository();
                target.image = format!("{repository}:{tag}");
            }
        }

        Ok(targets)
    }

    /// Returns one image of each repository that may be pruned: the chosen ones, or all of this project that are under
    /// the value `registry`. Other repositories, such as those of third-party images, are never ours to delete from.
    pub(super) fn repositories(&self, project: &Project) -> Result<Vec<Target>, CliError> {
        if !self.names.is_empty() || !self.assemblies.is_empty() {
            return self.targets(project, None);
        }

        let (catalog, values) = (
            project.catalog()?,
            project.values(&self.values(), "example")?,
        );
        let prefix = interpolate("${registry}/", "registry", &values)?;
        let built = built_images(&self.layouts(project));
        let bundles = catalog.bundles().filter_map(Result::ok);
        let names: BTreeSet<&str> = catalog
            .names()
            .chain(bundles.map(Bundle::name))
            .chain(built.iter().map(String::as_str))
            .collect();
        let targets = names.into_iter().filter_map(|name| {
            // A component that cannot be read, or has no valid image, is not in the registry.
            let target = target(name, &catalog, &values).ok()?;
            target.image.starts_with(&prefix).then_some(target)
        });
        let targets: Vec<Target> = targets.collect();

        if targets.is_empty() {
            return Err(CliError::Usage(format!(
                "no component has an image in `{prefix}`; choose the registry with --registry or the value `registry`"
            )));
        }
        Ok(targets)
    }

    fn by_name(&self, project: &Project) -> Result<Vec<Target>, CliError> {
        let (catalog, values) = (
            project.catalog()?,
            project.values(&self.values(), "example")?,
        );
        let built = built_images(&self.layouts(project));
        let names = if self.names.is_empty() {
            &built
        } else {
            &self.names
        };

        if names.is_empty() {
            return Err(CliError::Usage(format!(
                "no images in `{}`; build them with `assemble images build`",
                self.layouts(project).display()
            )));
        }
        names
            .iter()
            .map(|name| target(name, &catalog, &values))
            .collect()
    }

    /// Returns the images of the plans that are under the value `registry`: the others are not ours to push.
    fn of_assemblies(&self, project: &Project) -> Result<Vec<Target>, CliError> {
        let values = project.values(&self.values(), "example")?;
        let prefix = interpolate("${registry}/", "registry", &values)?;
        let plans = lock::plans(&self.assemblies, &self.values(), project)?;

        let containers = plans
            .iter()
            .flat_map(|plan| &plan.definition().container_definitions);
        let targets: Vec<Target> = containers
            .map(|container| &container.image)
            .filter(|image| image.starts_with(&prefix) && !image.contains('@'))
            .map(|image| Target {
                name: ImageReference::parse(image).name().to_owned(),
                image: image.clone(),
            })
            .collect();

        if targets.is_empty() {
            return Err(CliError::Usage(format!(
                "no image of {} is in `{prefix}`; choose the registry with --registry or the value `registry`",
                self.assemblies.join(", ")
            )));
        }
        Ok(targets)
    }
}

/// Returns the image of a component or bundle, or of another image that was built.
fn target(name: &str, catalog: &Catalog, values: &Values) -> Result<Target, CliError> {
    // The name becomes part of a path.
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if name.starts_with('.') || !name.chars().all(is_allowed) {
        return Err(CliError::Usage(format!(
            "`{name}` is not the name of an image; names consist of letters, digits and `-_.`"
        )));
    }

    let component = catalog.component(name);
    let declared = component.map(|found| found.map(|component| &component.file().image));
    let declared = declared.or_else(|| {
        let bundle = catalog.bundle(name);
        bundle.map(|found| found.map(|bundle| &bundle.file().image))
    });
    let template = match declared {
        Some(Ok(image)) => image.clone(),
        Some(Err(findings)) => return Err(CliError::Findings(findings.to_vec())),
        None => format!("${{registry}}/{name}:${{version}}"),
    };
    Ok(Target {
        name: name.to_owned(),
        image: interpolate(&template, name, values)?,
    })
}

fn interpolate(template: &str, name: &str, values: &Values) -> Result<String, CliError> {
    values.interpolate(template).map_err(|errors| {
        let reasons = errors.iter().map(|error| match error {
            InterpolationError::Missing(value) => {
                format!("the value `{value}` is missing; set it in assemblies/values/, or with --value {value}=…")
            }
            InterpolationError::Cycle(names) => {
                format!("the values {} refer to each other", names.join(", "))
            }
        });
        let reasons: Vec<String> = reasons.collect();
        CliError::Usage(format!("image `{name}`: {}", reasons.join("; ")))
    })
}

/// Returns the names of the layouts in a directory, sorted.
pub(super) fn built_images(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries
        .filter(|entry| entry.path().join("oci-layout").is_file())
        .filter_map(|entry| entry.file_name().into_string().ok())
        // Left of an interrupted build with `--base`.
        .filter(|name| !name.starts_with('.'))
        .collect();
    names.sort();
    names
}

fn parse_registry(text: &str) -> Result<String, String> {
    if text.contains("://") {
        return Err("leave out the scheme: a registry is a host with an optional path".to_owned());
    }
    Ok(text.trim_end_matches('/').to_owned())
}
