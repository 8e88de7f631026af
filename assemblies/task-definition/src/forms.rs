//! The forms in which people hold task definitions, services and requests to run tasks.

pub mod names;
