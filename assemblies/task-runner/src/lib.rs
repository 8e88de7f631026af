//! The local hand: runs a task definition as Fargate would.
