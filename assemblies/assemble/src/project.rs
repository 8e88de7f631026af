//! The project's files. Nothing else reads assemblies, components and values.

use std::env;
use std::fs;
use std::path::{Path, PathBuf, absolute};

use assembly::{Catalog, Plan, Prices, Values};
use diagnostics::nearest;
use diagnostics::source::Source;

use crate::arguments::{PriceArguments, ValueArguments};
use crate::error::CliError;
use crate::reading;
use crate::rule_config::{RuleArguments, RuleConfigLoader};

/// A directory with `assemblies/`, and usually `sidecars/` and `apps/`.
#[derive(Debug, Clone)]
pub(crate) struct Project {
    root: PathBuf,
}

impl Project {
    /// Returns the given directory, or the nearest parent of the current one with `assemblies/`.
    pub(crate) fn find(chosen: Option<&Path>) -> Result<Self, CliError> {
        if let Some(root) = chosen {
            return Ok(Self {
                root: root.to_owned(),
            });
        }

        let here = env::current_dir().map_err(|source| CliError::File {
            act: "find",
            path: ".".into(),
            source,
        })?;
        let found = here
            .ancestors()
            .find(|folder| folder.join("assemblies").is_dir());

        // `check` of a plain task definition works anywhere.
        Ok(Self {
            root: found.unwrap_or(&here).to_owned(),
        })
    }

    /// Returns the project's directory.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Returns whether a file is in the project. A directory without `assemblies/` is not a project.
    pub(crate) fn holds(&self, path: &Path) -> bool {
        let root = absolute(&self.root).unwrap_or_else(|_| self.root.clone());
        root.join("assemblies").is_dir() && path.starts_with(root)
    }

    /// Returns a file's path relative to the project, with `/` as separator.
    pub(crate) fn path_of(&self, name: &str) -> String {
        let root = absolute(&self.root).unwrap_or_else(|_| self.root.clone());
        let path = Path::new(name);
        let from_here = absolute(path).unwrap_or_else(|_| path.to_owned());
        // Source names are relative to the project already, unless a file outside of it was passed.
        let inside = if root.join(path).is_file() {
            path.strip_prefix(&root).unwrap_or(path)
        } else {
            from_here.strip_prefix(&root).unwrap_or(&from_here)
        };
        inside.to_string_lossy().replace('\\', "/")
    }

    /// Returns the project's rule configuration file, if there is one.
    pub(crate) fn rules_file(&self) -> Option<PathBuf> {
        let file = self.root.join("assemblies").join(RULES);
        file.is_file().then_some(file)
    }

    /// Returns the names of all assemblies, sorted.
    pub(crate) fn assemblies(&self) -> Result<Vec<String>, CliError> {
        let folder = self.root.join("assemblies");
        if !folder.is_dir() {
            return Err(CliError::Usage(format!(
                "found no `assemblies/` in `{}` or its parents; pass a file, or create an assembly: \
                 assemble new assembly NAME",
                self.root.display()
            )));
        }

        let mut names: Vec<String> = list(&folder)?
            .iter()
            .filter(|path| path.is_file() && path.extension().is_some_and(|end| end == "yaml"))
            // These files are in `assemblies/` too but are not manifests.
            .filter(|path| !path.ends_with(RULES))
            .filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()))
            .filter(|name| name != PRICES)
            .collect();

        names.sort();
        Ok(names)
    }

    /// Returns the path of the manifest with this name, or the name itself as a path.
    pub(crate) fn manifest_path(&self, what: &str) -> PathBuf {
        let by_name = self.root.join("assemblies").join(format!("{what}.yaml"));
        if by_name.is_file() {
            by_name
        } else {
            what.into()
        }
    }

    /// Reads a manifest, by name or path.
    pub(crate) fn manifest(&self, what: &str) -> Result<Source, CliError> {
        let path = self.manifest_path(what);
        if !path.is_file() {
            return Err(self.no_assembly(what));
        }
        self.source(&path)
    }

    fn no_assembly(&self, what: &str) -> CliError {
        let names = match self.assemblies() {
            Ok(names) => names,
            Err(failure) => return failure,
        };

        // A common slip: the file exists, but with the other YAML extension.
        let misnamed = format!("{what}.yml");
        let hint = if self.root.join("assemblies").join(&misnamed).is_file() {
            format!("rename `assemblies/{misnamed}` to `.yaml`")
        } else if let Some(meant) = nearest(what, names.iter().map(String::as_str)) {
            format!("did you mean `{meant}`?")
        } else if names.is_empty() {
            "create one with `assemble new assembly NAME`".to_owned()
        } else {
            format!("choose one of: {}", names.join(", "))
        };

        CliError::Usage(format!("assembly `{what}` not found; {hint}"))
    }

    /// Reads all components and bundles of the project.
    pub(crate) fn catalog(&self) -> Result<Catalog, CliError> {
        Ok(Catalog::read(&self.components()?))
    }

    /// Reads the source of every `component.yaml` and `bundle.yaml` of the project.
    pub(crate) fn components(&self) -> Result<Vec<Source>, CliError> {
        let mut sources = Vec::new();
        for folder in ["sidecars", "apps", "assemblies/components"] {
            let folder = self.root.join(folder);
            if !folder.is_dir() {
                continue;
            }

            for component in list(&folder)? {
                let files = ["component.yaml", "bundle.yaml"].map(|name| component.join(name));
                for file in files.iter().filter(|file| file.is_file()) {
                    sources.push(self.source(file)?);
                }
            }
        }

        Ok(sources)
    }

    /// Returns the values of the chosen environments; later ones override earlier ones, and `--value` overrides
    /// all of them.
    pub(crate) fn values(
        &self,
        arguments: &ValueArguments,
        otherwise: &str,
    ) -> Result<Values, CliError> {
        let mut values = Values::default();
        for chosen in &arguments.values {
            let Some(more) = self.environment(chosen)? else {
                return Err(CliError::Usage(format!(
                    "found no values `{chosen}`; create `assemblies/values/{chosen}.yaml`"
                )));
            };
            values = values.and(more);
        }

        if arguments.values.is_empty() {
            values = self.environment(otherwise)?.unwrap_or_default();
        }
        let values = values.with_lock(self.lock(arguments, otherwise)?);
        let overrides = arguments.value.iter();

        Ok(overrides.fold(values, |values, (name, value)| values.with(name, value)))
    }

    /// Reads the values of one environment, by name or path. The environment has the name of its file.
    fn environment(&self, chosen: &str) -> Result<Option<Values>, CliError> {
        let by_name = self.root.join(format!("assemblies/values/{chosen}.yaml"));
        let file = if by_name.is_file() {
            &by_name
        } else {
            Path::new(chosen)
        };

        if !file.is_file() {
            return Ok(None);
        }
        let values = Values::read(&self.source(file)?).map_err(CliError::Findings)?;
        let name = file.file_stem().unwrap_or_default();

        Ok(Some(values.with_environment(&name.to_string_lossy())))
    }

    /// Reads the values of all environments, except those that cannot be read, which the commands that use them report.
    pub(crate) fn environments(&self) -> Vec<Values> {
        let folder = self.root.join("assemblies/values");
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        let mut names: Vec<String> = entries
            .filter_map(|entry| {
                let name = entry.file_name().into_string().ok()?;
                name.strip_suffix(".yaml").map(str::to_owned)
            })
            .collect();
        // The order of a folder is not defined.
        names.sort();
        names
            .iter()
            .filter_map(|name| self.environment(name).ok().flatten())
            .collect()
    }

    /// Reads the price table: the given one, else the project's, else the built-in one.
    pub(crate) fn prices(&self, arguments: &PriceArguments) -> Result<Prices, CliError> {
        let own = self.root.join(format!("assemblies/{PRICES}.yaml"));
        let file = match &arguments.prices {
            Some(file) => file.clone(),
            None if own.is_file() => own,
            None => return Ok(Prices::built_in().clone()),
        };
        Prices::read(&self.source(&file)?).map_err(CliError::Findings)
    }

    /// Plans an assembly, by name or path.
    pub(crate) fn plan(
        &self,
        what: &str,
        arguments: &ValueArguments,
        otherwise: &str,
    ) -> Result<Plan, CliError> {
        let manifest = self.manifest(what)?;
        let values = self.values(arguments, otherwise)?;
        let levels = RuleConfigLoader::new(&RuleArguments::default(), self)?
            .for_file(&self.manifest_path(what))?;
        assembly::plan_under(&manifest, &self.catalog()?, &values, &levels)
            .map_err(|outcome| CliError::Findings(outcome.findings))
    }

    /// Reads a file. The source's name is its path as the user knows it.
    pub(crate) fn source(&self, path: &Path) -> Result<Source, CliError> {
        let text = reading::text(path)?;
        let name = path.strip_prefix(&self.root).unwrap_or(path);
        Ok(Source::new(name.display().to_string(), text))
    }
}

/// The project's rule configuration, in `assemblies/`.
const RULES: &str = "rules.yaml";

/// The project's price table, in `assemblies/`, without its extension.
const PRICES: &str = "prices";

/// Lists a directory, sorted.
fn list(folder: &Path) -> Result<Vec<PathBuf>, CliError> {
    let failure = |source| CliError::File {
        act: "list",
        path: folder.to_owned(),
        source,
    };
    let entries = fs::read_dir(folder).map_err(failure)?;
    let mut paths: Vec<PathBuf> = entries
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .collect();

    // `read_dir` has no order; output must not depend on the file system.
    paths.sort();
    Ok(paths)
}
