//! The AWS hand: registers, compares and runs task definitions.
