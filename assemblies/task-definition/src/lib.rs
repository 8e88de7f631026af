//! The ECS task definition as a type, its normal form, and its rules.
