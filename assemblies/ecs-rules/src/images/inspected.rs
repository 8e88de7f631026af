//! What an image declares and contains, as the caller has read it.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use task_definition::ContainerDefinition;

/// What was read of a container's image.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Inspection {
    /// The image could not be read.
    Unread {
        /// Why, without the name of the image.
        unread: String,
        /// What to do about it.
        #[serde(default)]
        advice: Option<String>,
    },
    /// The image was read.
    Read(Box<InspectedImage>),
}

/// The configuration and the files of an image.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct InspectedImage {
    /// Operating systems and architectures: `linux/amd64`.
    pub platforms: BTreeSet<String>,
    /// The sum of the compressed layers, which every task downloads.
    pub compressed_bytes: u64,
    /// `User`; empty is root.
    pub user: String,
    /// `Entrypoint`.
    pub entry_point: Vec<String>,
    /// `Cmd`.
    pub command: Vec<String>,
    /// `WorkingDir`.
    pub working_directory: String,
    /// The variable `PATH` of `Env`.
    pub path: Option<String>,
    /// `ExposedPorts`: `8080/tcp`.
    pub exposed_ports: BTreeSet<String>,
    /// `Volumes`.
    pub volumes: BTreeSet<String>,
    /// What the layers contain; `None` if they were not read.
    pub files: Option<ImageFiles>,
    /// Why the layers could not be read.
    pub unread_files: Option<String>,
    /// What to do about it.
    pub unread_files_advice: Option<String>,
}

/// The part of an image's files that rules use.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct ImageFiles {
    /// Absolute paths of executable files, links to them included.
    pub programs: BTreeSet<String>,
    /// Directories, with their owner.
    pub folders: BTreeMap<String, FolderOwner>,
    /// Links to directories, with the path that each leads to: `/bin` → `/usr/bin`.
    pub links: BTreeMap<String, String>,
    /// The user ids in `/etc/passwd`, by name.
    pub users: BTreeMap<String, u64>,
}

/// The owner and mode of a directory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FolderOwner {
    /// The user id.
    pub user: u64,
    /// The group id.
    pub group: u64,
    /// The permission bits.
    pub mode: u32,
}

impl InspectedImage {
    /// Returns what a container of this image runs.
    ///
    /// As in Docker, `entryPoint` replaces the image's entry point and command, `command` only its command.
    pub(crate) fn command_line<'c>(&'c self, container: &'c ContainerDefinition) -> Vec<&'c str> {
        let (entry_point, image_command) = if container.entry_point.is_empty() {
            (&self.entry_point, &self.command[..])
        } else {
            (&container.entry_point, &[][..])
        };
        let command = if container.command.is_empty() {
            image_command
        } else {
            &container.command[..]
        };
        let words = entry_point.iter().chain(command);
        words.map(String::as_str).collect()
    }

    /// Returns the user of a container, without its group; `None` for root.
    pub(crate) fn user_of<'c>(&'c self, container: &'c ContainerDefinition) -> Option<&'c str> {
        let user = container.user.as_deref().unwrap_or(&self.user);
        let user = user.split(':').next().unwrap_or_default();
        (!matches!(user, "" | "0" | "root")).then_some(user)
    }

    /// Returns whether a container finds a program. Without the files of the image it is assumed.
    pub(crate) fn has_program(&self, container: &ContainerDefinition, program: &str) -> bool {
        let Some(files) = &self.files else {
            return true;
        };
        if program.contains('/') {
            let folder = container.working_directory.as_deref();
            return files.is_program(&join(folder.unwrap_or(&self.working_directory), program));
        }

        let own = container
            .environment
            .iter()
            .find(|variable| variable.name == "PATH");
        let path = own
            .map(|variable| variable.value.as_str())
            .or(self.path.as_deref());
        path.unwrap_or(DEFAULT_PATH)
            .split(':')
            .any(|folder| files.is_program(&join(folder, program)))
    }

    /// Returns whether the image declares a volume at a path that a user can write to.
    ///
    /// On Fargate an empty volume takes content, owner and mode of the image's folder only if the image declares the
    /// same path with VOLUME.
    pub(crate) fn owns_volume(&self, path: &str, user: &str) -> bool {
        let same = |declared: &String| join("/", declared) == join("/", path);
        if !self.volumes.iter().any(same) {
            return false;
        }
        // Without the files, declaring the volume is taken as having prepared it.
        let Some(files) = &self.files else {
            return true;
        };
        let id = files.users.get(user).copied().or_else(|| user.parse().ok());
        let folder = files.folders.get(&files.resolve(&join("/", path)));
        folder.is_some_and(|folder| {
            let owns = id == Some(folder.user) && folder.mode & 0o200 != 0;
            owns || folder.mode & 0o022 != 0
        })
    }
}

impl ImageFiles {
    /// Returns whether a path leads to an executable file.
    fn is_program(&self, path: &str) -> bool {
        self.programs.contains(path) || self.programs.contains(&self.resolve(path))
    }

    /// Follows the links to directories in a path, at most 40 as Linux does.
    fn resolve(&self, path: &str) -> String {
        let mut path = path.to_owned();
        for _ in 0..40 {
            let ends = path.match_indices('/').map(|(at, _)| at).skip(1);
            let parents = ends.chain([path.len()]).map(|end| &path[..end]);
            let link = parents.filter_map(|parent| Some((parent, self.links.get(parent)?)));
            let Some((parent, target)) = link.last() else {
                break;
            };
            path = format!("{target}{}", &path[parent.len()..]);
        }
        path
    }
}

/// Joins a path to a folder and removes `.`, `..` and double slashes.
fn join(folder: &str, path: &str) -> String {
    let both = if path.starts_with('/') {
        path.to_owned()
    } else {
        format!("{folder}/{path}")
    };
    let mut parts = Vec::new();
    for part in both.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

/// The PATH of an image without one, as in Docker.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

#[cfg(test)]
mod tests {
    use super::*;

    fn image() -> InspectedImage {
        let text = r#"{ "entryPoint": ["/app"], "command": ["serve"], "user": "app:app", "volumes": ["/data/"],
            "files": { "programs": ["/app", "/usr/bin/sh"], "links": { "/bin": "/usr/bin" }, "users": { "app": 7 },
                       "folders": { "/data": { "user": 7, "mode": 493 } } } }"#;
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn a_command_line_is_combined_as_in_docker() {
        let image = image();
        let mut container = ContainerDefinition::default();
        assert_eq!(image.command_line(&container), ["/app", "serve"]);
        container.command = vec!["check".to_owned()];
        assert_eq!(image.command_line(&container), ["/app", "check"]);
        container.entry_point = vec!["/tool".to_owned()];
        container.command.clear();
        // The image's command would be the argument of another program.
        assert_eq!(image.command_line(&container), ["/tool"]);
    }

    #[test]
    fn programs_are_found_through_path_links_and_the_working_directory() {
        let image = image();
        let mut container = ContainerDefinition::default();
        for (program, expected) in [
            ("sh", true),
            ("/bin/sh", true),
            ("./app", true),
            ("/usr/../app", true),
            ("curl", false),
            ("/bin/curl", false),
        ] {
            assert_eq!(
                image.has_program(&container, program),
                expected,
                "{program}"
            );
        }
        container.working_directory = Some("/srv".to_owned());
        assert!(!image.has_program(&container, "./app"));
    }

    #[test]
    fn a_volume_belongs_to_its_user_only() {
        let image = image();
        assert!(image.owns_volume("/data", "app") && image.owns_volume("/data", "7"));
        assert!(!image.owns_volume("/data", "8") && !image.owns_volume("/other", "app"));
    }
}
