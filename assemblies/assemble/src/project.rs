//! The project's files: the only place where the command reads assemblies, components and values.

use std::env;
use std::fs;
use std::path::{Path, PathBuf, absolute};

use assembly::{Catalog, Plan, Prices, Values};
use task_definition::nearest;
use task_definition::source::Source;

use crate::cli::{PriceArguments, ValueArguments};
use crate::failure::Failure;
use crate::judging::{Judging, RuleArguments};
use crate::reading;

/// A folder that holds `assemblies/`, and perhaps `sidecars/` and `apps/`.
#[derive(Debug, Clone)]
pub(crate) struct Project {
    root: PathBuf,
}

impl Project {
    /// The named folder, or the nearest one upwards from here that holds `assemblies/`.
    pub(crate) fn find(named: Option<&Path>) -> Result<Self, Failure> {
        if let Some(root) = named {
            return Ok(Self {
                root: root.to_owned(),
            });
        }

        let here = env::current_dir().map_err(|source| Failure::File {
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

    /// The folder.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Whether a file lies in it. A folder without `assemblies/` is no project and holds nothing.
    pub(crate) fn holds(&self, path: &Path) -> bool {
        let root = absolute(&self.root).unwrap_or_else(|_| self.root.clone());
        root.join("assemblies").is_dir() && path.starts_with(root)
    }

    /// A file's name as somebody at the project's folder knows it, with `/`.
    pub(crate) fn path_of(&self, name: &str) -> String {
        let root = absolute(&self.root).unwrap_or_else(|_| self.root.clone());
        let path = Path::new(name);
        let from_here = absolute(path).unwrap_or_else(|_| path.to_owned());
        // Names are from the project's folder already, unless a file beside us was named.
        let inside = if root.join(path).is_file() {
            path.strip_prefix(&root).unwrap_or(path)
        } else {
            from_here.strip_prefix(&root).unwrap_or(&from_here)
        };
        inside.to_string_lossy().replace('\\', "/")
    }

    /// What the project says about rules, if it does.
    pub(crate) fn rules_file(&self) -> Option<PathBuf> {
        let file = self.root.join("assemblies").join(RULES);
        file.is_file().then_some(file)
    }

    /// The names of the assemblies that are there, sorted.
    pub(crate) fn assemblies(&self) -> Result<Vec<String>, Failure> {
        let folder = self.root.join("assemblies");
        if !folder.is_dir() {
            return Err(Failure::Usage(format!(
                "there is no folder `assemblies` in `{}` or above it; name a file, or begin with: \
                 assemble new assembly NAME",
                self.root.display()
            )));
        }

        let mut names: Vec<String> = list(&folder)?
            .iter()
            .filter(|path| path.is_file() && path.extension().is_some_and(|end| end == "yaml"))
            .filter(|path| !path.ends_with(RULES))
            .filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()))
            .filter(|name| name != PRICES)
            .collect();

        names.sort();
        Ok(names)
    }

    /// Where the manifest of that name is, or the file itself.
    pub(crate) fn manifest_path(&self, what: &str) -> PathBuf {
        let named = self.root.join("assemblies").join(format!("{what}.yaml"));
        if named.is_file() { named } else { what.into() }
    }

    /// The manifest of that name, or in that file.
    pub(crate) fn manifest(&self, what: &str) -> Result<Source, Failure> {
        let path = self.manifest_path(what);
        if !path.is_file() {
            return Err(self.no_assembly(what));
        }
        self.source(&path)
    }

    fn no_assembly(&self, what: &str) -> Failure {
        let known = match self.assemblies() {
            Ok(known) => known,
            Err(failure) => return failure,
        };

        let misnamed = format!("{what}.yml");
        let hint = if self.root.join("assemblies").join(&misnamed).is_file() {
            format!("rename `assemblies/{misnamed}` to `.yaml`")
        } else if let Some(meant) = nearest(what, known.iter().map(String::as_str)) {
            format!("did you mean `{meant}`?")
        } else if known.is_empty() {
            "`assemble new assembly NAME` writes a first one".to_owned()
        } else {
            format!("choose one of: {}", known.join(", "))
        };

        Failure::Usage(format!("there is no assembly `{what}`; {hint}"))
    }

    /// Every `component.yaml` of the project, read.
    pub(crate) fn catalog(&self) -> Result<Catalog, Failure> {
        Ok(Catalog::read(&self.components()?))
    }

    /// Every `component.yaml` of the project.
    pub(crate) fn components(&self) -> Result<Vec<Source>, Failure> {
        let mut sources = Vec::new();
        for folder in ["sidecars", "apps", "assemblies/components"] {
            let folder = self.root.join(folder);
            if !folder.is_dir() {
                continue;
            }

            for component in list(&folder)? {
                let file = component.join("component.yaml");
                if file.is_file() {
                    sources.push(self.source(&file)?);
                }
            }
        }

        Ok(sources)
    }

    /// The values of the environments, a later one over an earlier one, and those of the command line over
    /// them all.
    pub(crate) fn values(
        &self,
        arguments: &ValueArguments,
        otherwise: &str,
    ) -> Result<Values, Failure> {
        let mut values = Values::default();
        for chosen in &arguments.values {
            let Some(more) = self.environment(chosen)? else {
                return Err(Failure::Usage(format!(
                    "there are no values `{chosen}`; write them into `assemblies/values/{chosen}.yaml`"
                )));
            };
            values = values.and(more);
        }

        if arguments.values.is_empty() {
            values = self.environment(otherwise)?.unwrap_or_default();
        }
        let values = values.locked(self.lock(arguments, otherwise)?);
        let over = arguments.value.iter();

        Ok(over.fold(values, |values, (name, value)| values.with(name, value)))
    }

    /// The values of one environment, by name or file; it is called as its file is.
    fn environment(&self, chosen: &str) -> Result<Option<Values>, Failure> {
        let named = self.root.join(format!("assemblies/values/{chosen}.yaml"));
        let file = if named.is_file() {
            &named
        } else {
            Path::new(chosen)
        };

        if !file.is_file() {
            return Ok(None);
        }
        let values = Values::read(&self.source(file)?).map_err(Failure::Findings)?;
        let name = file.file_stem().unwrap_or_default();

        Ok(Some(values.of_environment(&name.to_string_lossy())))
    }

    /// The prices that are named, or else the project's, or else those that come with the library.
    pub(crate) fn prices(&self, arguments: &PriceArguments) -> Result<Prices, Failure> {
        let own = self.root.join(format!("assemblies/{PRICES}.yaml"));
        let file = match &arguments.prices {
            Some(named) => named.clone(),
            None if own.is_file() => own,
            None => return Ok(Prices::built_in().clone()),
        };
        Prices::read(&self.source(&file)?).map_err(Failure::Findings)
    }

    /// The plan of an assembly, by name or file.
    pub(crate) fn plan(
        &self,
        what: &str,
        arguments: &ValueArguments,
        otherwise: &str,
    ) -> Result<Plan, Failure> {
        let manifest = self.manifest(what)?;
        let values = self.values(arguments, otherwise)?;
        let judgement =
            Judging::new(&RuleArguments::default(), self)?.of(&self.manifest_path(what))?;
        assembly::plan_under(&manifest, &self.catalog()?, &values, &judgement)
            .map_err(|judged| Failure::Findings(judged.findings))
    }

    /// A file's text under the name by which the user knows it.
    pub(crate) fn source(&self, path: &Path) -> Result<Source, Failure> {
        let text = reading::text(path)?;
        let name = path.strip_prefix(&self.root).unwrap_or(path);
        Ok(Source::new(name.display().to_string(), text))
    }
}

/// What is said about rules: a file beside the assemblies that is none.
const RULES: &str = "rules.yaml";

/// What a task costs: another.
const PRICES: &str = "prices";

/// The entries of a folder, sorted.
fn list(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let failure = |source| Failure::File {
        act: "list",
        path: folder.to_owned(),
        source,
    };
    let entries = fs::read_dir(folder).map_err(failure)?;
    let mut paths: Vec<PathBuf> = entries
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .collect();

    paths.sort();
    Ok(paths)
}
