//! The options of `up` for a task.

use std::ffi::OsString;

use task_definition::TaskDefinition;

use crate::Config;

/// Returns the options of a task: those for all tasks, those for tasks with a role, and those for its containers.
pub(super) fn options_for(config: &Config, definition: &TaskDefinition) -> Vec<OsString> {
    let mut options = config.options.clone();
    if definition.task_role_arn.is_some() {
        options.extend(config.role_options.iter().cloned());
    }
    // `up` rejects options for containers that a definition does not have.
    let own = config.container_options.iter();
    let own = own.filter(|option| definition.container(&option.container).is_some());
    options.extend(own.map(|option| option.argument.clone()));
    options
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn options_for_roles_and_containers_reach_only_tasks_that_have_them() {
        let mut config = Config::new(PathBuf::new(), PathBuf::new());
        config.options = vec!["--images".into()];
        config.role_options = vec!["--credentials=role".into()];
        config.container_options = vec![crate::ContainerOption {
            container: "app".to_owned(),
            argument: "--skip=app".into(),
        }];

        let mut definition = TaskDefinition::default();
        assert_eq!(options_for(&config, &definition), ["--images"]);
        definition.task_role_arn = Some("arn:aws:iam::000000000000:role/app".to_owned());
        assert_eq!(
            options_for(&config, &definition),
            ["--images", "--credentials=role"]
        );
    }
}
