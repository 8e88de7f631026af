//! Rules about secrets.

use crate::rules::Rule;

mod s01_invalid_secret_reference;
mod s02_parameter_region;

/// The rules of group S.
pub(super) static RULES: &[Rule] = &[
    s01_invalid_secret_reference::RULE,
    s02_parameter_region::RULE,
];
