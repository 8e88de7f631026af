//! Rules about containers.

use crate::rules::Rule;

mod c01_invalid_container_name;
mod c02_duplicate_container_name;
mod c03_invalid_image;
pub(crate) mod c04_mutable_tag;
mod c05_unknown_field;
mod c06_wrong_type;
mod c07_duplicate_variable;
mod c08_too_many_variables;
mod c09_plaintext_secret;
mod c10_invalid_environment_file;
mod c11_invalid_user;
mod c12_invalid_restart_policy;
mod c13_restarted_dependency;
mod c14_invalid_repository_credentials;
mod c15_unknown_enum_value;

/// The rules of group C.
pub(super) static RULES: &[Rule] = &[
    c01_invalid_container_name::RULE,
    c02_duplicate_container_name::RULE,
    c03_invalid_image::RULE,
    c04_mutable_tag::RULE,
    c05_unknown_field::RULE,
    c06_wrong_type::RULE,
    c07_duplicate_variable::RULE,
    c08_too_many_variables::RULE,
    c09_plaintext_secret::RULE,
    c10_invalid_environment_file::RULE,
    c11_invalid_user::RULE,
    c12_invalid_restart_policy::RULE,
    c13_restarted_dependency::RULE,
    c14_invalid_repository_credentials::RULE,
    c15_unknown_enum_value::RULE,
];
