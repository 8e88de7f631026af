//! Facts about images that rules use: a table of well-known third-party images, the caller's own, and what was read
//! of the images themselves.

mod inspected;

use std::collections::{BTreeMap, BTreeSet};

use task_definition::{ContainerDefinition, ImageReference};

pub use self::inspected::{FolderOwner, ImageFiles, InspectedImage, Inspection};

use self::ImageFact::{NeedsTaskRole, NoShell, Server, TelemetryAgent, WritesAtStartup};

/// A property of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ImageFact {
    /// The image contains neither a shell nor `curl`.
    NoShell,
    /// The program collects metrics, traces or logs.
    TelemetryAgent,
    /// The program is a server, which does not exit by itself.
    Server,
    /// The program writes to its root file system at startup: a pid file, a socket, a cache or data.
    WritesAtStartup,
    /// The image declares the folders it writes to with VOLUME, and its user owns them.
    OwnsVolumes,
    /// The program only calls AWS, so it needs a task role or static credentials.
    NeedsTaskRole,
}

/// Facts about images, by repository.
///
/// Well-known third-party images are always included; a new value adds nothing to them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ImageFacts {
    images: BTreeMap<String, BTreeSet<ImageFact>>,
    /// Facts about single programs of an image that contains several, by repository and program.
    programs: BTreeMap<String, BTreeMap<String, BTreeSet<ImageFact>>>,
    /// By container and image; an empty container name is any container.
    inspections: BTreeMap<(String, String), Inspection>,
}

impl ImageFacts {
    /// Creates a value without facts of the caller.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds facts about the images of a repository, with or without its registry and leading folders: `web`
    /// covers `example.com/team/web:1`, and so does `team/web`.
    pub fn insert(
        &mut self,
        repository: impl Into<String>,
        facts: impl IntoIterator<Item = ImageFact>,
    ) {
        let known = self.images.entry(repository.into()).or_default();
        known.extend(facts);
    }

    /// Adds facts about one program of a multi-call image: a container runs it if `program` is the first argument of
    /// the image's program, or the name of a link to it.
    pub fn insert_program(
        &mut self,
        repository: impl Into<String>,
        program: impl Into<String>,
        facts: impl IntoIterator<Item = ImageFact>,
    ) {
        let programs = self.programs.entry(repository.into()).or_default();
        programs.entry(program.into()).or_default().extend(facts);
    }

    /// Adds what was read of the image of a container; without a container it is that of all with this image.
    pub fn insert_inspection(
        &mut self,
        container: Option<&str>,
        image: impl Into<String>,
        inspection: Inspection,
    ) {
        let key = (container.unwrap_or_default().to_owned(), image.into());
        self.inspections.insert(key, inspection);
    }

    /// Adds everything that another value knows.
    pub fn merge(&mut self, other: &Self) {
        for (repository, facts) in &other.images {
            self.insert(repository, facts.iter().copied());
        }
        for (repository, programs) in &other.programs {
            for (program, facts) in programs {
                self.insert_program(repository, program, facts.iter().copied());
            }
        }
        self.inspections.extend(other.inspections.clone());
    }

    /// Returns what was read of a container's image, if anything was tried.
    pub(crate) fn inspection(&self, container: &ContainerDefinition) -> Option<&Inspection> {
        let get = |name: &str| {
            let key = (name.to_owned(), container.image.clone());
            self.inspections.get(&key)
        };
        get(&container.name).or_else(|| get(""))
    }

    /// Returns a container's image, if it was read.
    pub(crate) fn find_inspected(
        &self,
        container: &ContainerDefinition,
    ) -> Option<&InspectedImage> {
        match self.inspection(container)? {
            Inspection::Read(image) => Some(image),
            Inspection::Unread { .. } => None,
        }
    }

    /// Returns whether a fact is known about an image.
    pub fn has(&self, image: &str, fact: ImageFact) -> bool {
        suffixes(ImageReference::parse(image).repository()).any(|suffix| {
            let own = self.images.get(suffix);
            let is_own = own.is_some_and(|facts| facts.contains(&fact));
            let mut well_known = WELL_KNOWN.iter();
            is_own || well_known.any(|(name, facts)| *name == suffix && facts.contains(&fact))
        })
    }

    /// Returns whether the container is a known collector of metrics, traces or logs, and not the log router.
    pub(crate) fn is_telemetry_agent(&self, container: &ContainerDefinition) -> bool {
        let is_agent = || {
            self.has(&container.image, TelemetryAgent)
                || self.program_has(container, TelemetryAgent)
        };
        container.firelens_configuration.is_none() && is_agent()
    }

    /// Returns whether a fact is known about the program that a container runs of a multi-call image.
    fn program_has(&self, container: &ContainerDefinition, fact: ImageFact) -> bool {
        // Without an entry point the image's own runs, and the program's name is in the command.
        let words = container.entry_point.iter().chain(&container.command);
        let names: Vec<&str> = words
            .take(2)
            .map(|word| word.trim_start_matches('/'))
            .collect();

        suffixes(ImageReference::parse(&container.image).repository()).any(|suffix| {
            let mut programs = self.programs.get(suffix).into_iter().flatten();
            programs
                .any(|(program, facts)| names.contains(&program.as_str()) && facts.contains(&fact))
        })
    }

    /// Returns whether the container runs a known server or collector, which does not exit by itself.
    pub(crate) fn is_long_running(&self, container: &ContainerDefinition) -> bool {
        // A command may run something else from the image, such as a migration.
        let runs_default = container.command.is_empty() && container.entry_point.is_empty();
        runs_default && (self.is_telemetry_agent(container) || self.has(&container.image, Server))
    }

    /// Returns whether the image is known to contain neither a shell nor `curl`.
    pub(crate) fn has_no_shell(&self, image: &str) -> bool {
        // Debug variants of distroless and Chainguard images contain a shell.
        let tag = ImageReference::parse(image).tag();
        let is_debug = tag.is_some_and(|tag| tag.contains("debug") || tag.ends_with("-dev"));
        let is_minimal = || MINIMAL_BASES.iter().any(|base| image.contains(base));
        !is_debug && (self.has(image, NoShell) || is_minimal())
    }
}

/// Returns the repository without its first steps: `a/b/c`, `b/c`, `c`.
fn suffixes(repository: &str) -> impl Iterator<Item = &str> {
    let after = repository.match_indices('/').map(|(slash, _)| slash + 1);
    std::iter::once(0)
        .chain(after)
        .map(|start| &repository[start..])
}

/// Parts of the names of images without a shell.
const MINIMAL_BASES: [&str; 2] = ["chainguard/static", "distroless"];

/// Facts about third-party images, from their Dockerfiles and documentation.
const WELL_KNOWN: &[(&str, &[ImageFact])] = &[
    ("aws-for-fluent-bit", &[TelemetryAgent]),
    ("aws-otel-collector", &[NoShell, TelemetryAgent]),
    ("aws-xray-daemon", &[TelemetryAgent, NeedsTaskRole]),
    ("cloudwatch-agent", &[TelemetryAgent, NeedsTaskRole]),
    ("datadog-agent", &[TelemetryAgent]),
    // Datadog's image is named just `agent`.
    ("datadog/agent", &[TelemetryAgent]),
    ("datadoghq/agent", &[TelemetryAgent]),
    ("envoy", &[Server]),
    ("fluent-bit", &[TelemetryAgent]),
    ("fluentd", &[TelemetryAgent]),
    ("grafana", &[Server, WritesAtStartup]),
    ("haproxy", &[Server]),
    ("httpd", &[Server, WritesAtStartup]),
    ("mariadb", &[Server, WritesAtStartup]),
    ("memcached", &[Server]),
    ("mongo", &[WritesAtStartup]),
    ("mysql", &[Server, WritesAtStartup]),
    ("nginx", &[Server, WritesAtStartup]),
    ("nginx-unprivileged", &[WritesAtStartup]),
    ("opentelemetry-collector", &[NoShell, TelemetryAgent]),
    (
        "opentelemetry-collector-contrib",
        &[NoShell, TelemetryAgent],
    ),
    ("postgres", &[Server, WritesAtStartup]),
    ("prometheus", &[Server]),
    ("rabbitmq", &[Server, WritesAtStartup]),
    ("redis", &[Server]),
    ("splunk-otel-collector", &[TelemetryAgent]),
    ("traefik", &[Server]),
    ("xray-daemon", &[TelemetryAgent, NeedsTaskRole]),
];

#[cfg(test)]
mod tests {
    use super::{ContainerDefinition, ImageFact, ImageFacts};

    #[test]
    fn finds_facts_by_any_suffix_of_the_repository() {
        let mut images = ImageFacts::new();
        images.insert("team/web", [ImageFact::OwnsVolumes]);
        for (image, expected) in [
            ("team/web", true),
            ("localhost:5000/team/web:1", true),
            ("team/web@sha256:0123", true),
            ("other/web:1", false),
            ("big-team/web:1", false),
        ] {
            assert_eq!(
                images.has(image, ImageFact::OwnsVolumes),
                expected,
                "{image}"
            );
        }
    }

    #[test]
    fn a_program_of_a_multi_call_image_has_its_own_facts() {
        let mut images = ImageFacts::new();
        images.insert_program("tools", "collect", [ImageFact::TelemetryAgent]);
        let container = |entry_point: &[&str], command: &[&str]| ContainerDefinition {
            image: "registry.example/tools:1".to_owned(),
            entry_point: entry_point.iter().map(|word| (*word).to_owned()).collect(),
            command: command.iter().map(|word| (*word).to_owned()).collect(),
            ..ContainerDefinition::default()
        };

        assert!(images.is_telemetry_agent(&container(&["/tools", "collect"], &["serve"])));
        assert!(images.is_telemetry_agent(&container(&[], &["collect"])));
        assert!(images.is_telemetry_agent(&container(&["/collect"], &[])));
        assert!(!images.is_telemetry_agent(&container(&["/tools", "proxy"], &["serve"])));
        assert!(!images.is_telemetry_agent(&container(&["/tools", "proxy"], &["collect"])));
        assert!(!images.is_telemetry_agent(&container(&[], &[])));
    }

    #[test]
    fn debug_variants_have_a_shell() {
        let images = ImageFacts::new();
        assert!(images.has_no_shell("gcr.io/distroless/static:nonroot"));
        assert!(!images.has_no_shell("gcr.io/distroless/static:debug"));
        assert!(images.has_no_shell("aws-otel-collector:v0.43.0"));
        assert!(!images.has_no_shell("nginx:1"));
    }
}
