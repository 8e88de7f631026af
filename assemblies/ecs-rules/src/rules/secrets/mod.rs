//! Rules about secrets.

crate::rule_modules! {
    mod s01_invalid_secret_reference;
    mod s02_parameter_region;
}
