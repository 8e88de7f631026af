//! The rules for ECS task definitions, services and RunTask requests.
//!
//! # Tour
//!
//! ```text
//! text ──inputs::read_input──▶ documents ──inputs::check_input──▶ findings
//!                                              │
//! LocatedDefinition ───────────────────────────┴──check──▶ findings
//! ```
//!
//! - [`rules`] lists the rules, one file each in `src/rules/<group>/`; [`check`] runs those for definitions.
//! - A [`Rule`] has its texts, two examples and a [`Check`], which adds findings to a [`Report`].
//! - [`Request`] and [`LaunchContext`] are the input of rules about services and RunTask requests.
//! - [`ImageFacts`] is what rules know about images: a table of third-party images, the facts of the
//!   caller, and an [`InspectedImage`] for each image that the caller has read.
//! - [`inputs`] reads CloudFormation templates, responses of ECS and Terraform's container lists.
//!   [`inputs::check_input`] reports all findings with the names and pointers of the file.
//!
//! Types and reading are in `task-definition`; findings, fixes and rule levels are in `diagnostics`. The crate is
//! pure: it reads no file, no clock, no environment, and prints nothing.
//!
//! ```
//! use diagnostics::{Color, source::Source};
//! use ecs_rules::check;
//! use task_definition::read;
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
//! use diagnostics::source::Source;
//! use ecs_rules::inputs::check_input;
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

mod images;
pub mod inputs;
mod launch;
mod report;
mod rule;
mod rules;

pub use images::{FolderOwner, ImageFact, ImageFacts, ImageFiles, InspectedImage, Inspection};
pub use launch::{LaunchContext, Request};
pub use report::Report;
pub use rule::{Check, Failing, Rule};
pub use rules::{check, check_with, platform_of, rule, rules};
