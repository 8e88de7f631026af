//! The ECS task definition as a type, its normal form, and its rules.
//!
//! # A tour
//!
//! ```text
//! text ──source::parse──▶ Node ──read──▶ Located { definition, places } ──check──▶ findings
//!                                              │
//!                                              └─normalise─▶ the form in which two can be compared ─▶ difference
//! ```
//!
//! - [`TaskDefinition`] and [`ContainerDefinition`] are the input of RegisterTaskDefinition, field by field.
//!   The type, its JSON names and the table that [`read`] checks a text against are one declaration
//!   (`record.rs`).
//! - [`Service`] and [`RunTask`] are what uses a definition, in the same way.
//! - [`source`] parses YAML or JSON and keeps the place of every value.
//! - [`forms`] reads them from whatever people hold them in: CloudFormation templates, answers of ECS,
//!   Terraform's lists of containers. [`forms::judge`] tells all that is wrong, in the words of the file.
//! - [`rules`] are one file each in `src/rules/`; [`check`] runs them all and reports all they find.
//! - A [`Judgement`] silences, lowers and raises findings, with reasons.
//! - [`mend`] applies the fixes of findings to the text, and keeps all the rest of it byte for byte.
//! - [`fargate_sizes`] is the table of CPU and memory that Fargate sells.
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
//! A template, with values that nobody knows before there is a stack:
//!
//! ```
//! use task_definition::{forms::judge, source::Source};
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
//! let findings = judge(&Source::new("stack.yaml", text));
//! assert_eq!(findings.len(), 1);
//! assert_eq!(findings[0].rule, "T04");
//! assert_eq!(findings[0].pointer.as_deref(), Some("/Resources/Task/Properties/NetworkMode"));
//! ```

mod container;
mod difference;
pub mod fargate_sizes;
mod finding;
pub mod forms;
mod judgement;
mod mend;
mod normal;
mod place;
mod placeholder;
mod read;
mod record;
mod request;
mod rules;
mod run_task;
mod service;
pub mod source;
mod spelling;
mod task;
mod volume;

pub use container::*;
pub use difference::{Change, difference};
pub use finding::{Color, Edit, Finding, Fix, Severity};
pub use judgement::{Authority, Judged, Judgement, Ruling, Silenced, Verdict};
pub use mend::{Unmendable, mend};
pub use normal::normalise;
pub use place::{Place, Places, escape};
pub use placeholder::placeholder;
pub use read::{Located, read, read_node, read_value};
pub use record::{Field, Required, Shape, Shaped};
pub use request::{Request, Situation};
pub use rules::{Report, Rule, check, rule, rules};
pub use run_task::*;
pub use service::*;
pub use spelling::nearest;
pub use task::*;
pub use volume::*;
