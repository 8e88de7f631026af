//! Rules about containers.

crate::rule_modules! {
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
    mod c16_empty_variable_name;
    mod c17_password_in_url;
    mod c18_one_string_command;
    mod c19_split_shell_line;
    mod c20_invalid_entry_point;
    mod c21_shell_syntax;
}
