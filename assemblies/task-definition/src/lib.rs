//! The ECS task definition as a type, its normal form, and the rules that check it.
//!
//! # Tour
//!
//! ```text
//! text ──source::parse──▶ Node ──read──▶ LocatedDefinition ──check──▶ findings ──apply_fixes──▶ text
//!                                              │
//!                                              └─normalise─▶ comparable definition ──diff──▶ changes
//! ```
//!
//! - [`TaskDefinition`] and [`ContainerDefinition`] are the input of RegisterTaskDefinition. One declaration per
//!   record defines the type, its JSON names and the [`Schema`] that [`read`] validates against (`record.rs`).
//! - [`Service`] and [`RunTask`] are the inputs of CreateService and RunTask, declared in the same way.
//! - [`source`] parses YAML or JSON and keeps the span of every value.
//! - [`inputs`] reads them from CloudFormation templates, responses of ECS and Terraform's container lists.
//!   [`inputs::check_input`] reports all findings with the names and pointers of the file.
//! - [`rules`] lists the rules, one file each in `src/rules/<group>/`; [`check`] runs all of them.
//! - [`RuleConfig`] suppresses, lowers and raises findings, each with a reason.
//! - [`apply_fixes`] applies the fixes of findings to the text and keeps the rest byte for byte.
//! - [`fargate_sizes`] is the table of CPU and memory combinations that Fargate supports.
//!
//! The crate is pure: it reads no file, no clock, no environment, and prints nothing.
//!
//! ```
//! use task_definition::{Color, check, read, source::Source};
//!
//! let source = Source::new("web.json", r#"{ "family": "my web", "containerDefinitions": [] }"#);
//! let located = read(&source).expect("well-formed");
//! let findings = check(&located);
//! assert!(findings[0].render(Color::No).starts_with("error[T01]"));
//! ```
//!
//! A template with values that are unknown before the stack is created:
//!
//! ```
//! use task_definition::{inputs::check_input, source::Source};
//!
//! let text = "
//! Resources:
//!   Task:
//!     Type: AWS::ECS::TaskDefinition
//!     Properties:
//!       RequiresCompatibilities: [FARGATE]
//!       NetworkMode: bridge
//!       Cpu: !Ref Cpu
//!       Memory: 512
//!       ContainerDefinitions: [{ Name: app, Image: !Ref Image }]
//! ";
//! let findings = check_input(&Source::new("stack.yaml", text));
//! assert_eq!(findings.len(), 1);
//! assert_eq!(findings[0].rule, "T04");
//! assert_eq!(findings[0].pointer.as_deref(), Some("/Resources/Task/Properties/NetworkMode"));
//! ```

mod container;
mod diff;
pub mod fargate_sizes;
mod finding;
mod fixes;
pub mod inputs;
mod location;
mod normal;
mod placeholder;
mod read;
mod record;
mod request;
mod rule_config;
mod rules;
mod run_task;
mod service;
pub mod source;
mod spelling;
mod task;
mod volume;

pub use container::*;
pub use diff::{Change, diff};
pub use finding::{Color, Edit, Finding, Fix, Severity};
pub use fixes::{FixError, apply_fixes};
pub use location::{Location, LocationMap, escape};
pub use normal::normalise;
pub use placeholder::find_placeholder;
pub use read::{LocatedDefinition, read, read_node, read_value};
pub use record::{Field, HasSchema, Required, Schema};
pub use request::{LaunchContext, Request};
pub use rule_config::{Level, LevelOverride, LevelSource, Outcome, RuleConfig, SuppressedFinding};
pub use rules::{Check, Report, Rule, check, rule, rules};
pub use run_task::*;
pub use service::*;
pub use spelling::nearest;
pub use task::*;
pub use volume::*;
