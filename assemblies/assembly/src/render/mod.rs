//! The documents of a plan, as text.

use crate::graph::{self, Picture};
use crate::plan::Plan;

mod compose;
mod iam;
mod yaml;

/// A file of an assembly's folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// The path inside the folder, with `/`.
    pub path: String,
    /// The text.
    pub text: String,
}

/// Every document, always in the same order and with the same bytes.
pub fn render(plan: &Plan) -> Vec<Document> {
    let picture = Picture::from(plan);
    let mut documents = vec![("task-definition.json", plan.definition().to_json())];
    documents.push(("iam/README.md", iam::readme(plan)));
    documents.push(("iam/trust.json", iam::trust()));
    documents.push(("iam/execution-role.json", iam::policy(&plan.execution_role)));
    // A policy without statements is no policy; such a task has no task role.
    if !plan.task_role.is_empty() {
        documents.push(("iam/task-role.json", iam::policy(&plan.task_role)));
    }
    documents.push(("compose.yaml", compose::compose(plan)));
    documents.extend(compose::example(plan).map(|text| (".env.example", text)));
    documents.push(("graph.mmd", graph::mermaid(&picture)));
    documents.push(("graph.svg", graph::svg(&picture)));
    let named = documents.into_iter();
    named
        .map(|(path, text)| Document {
            path: path.to_owned(),
            text,
        })
        .collect()
}
