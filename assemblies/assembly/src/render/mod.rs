//! Renders the documents of a plan as text.

use crate::graph::{self, Diagram};
use crate::plan::Plan;

mod cloudformation;
mod compose;
mod iam;
mod index;

pub use cloudformation::{StackParameter, StackTemplate, stack_template};
pub use index::{Entry, index};

/// A file in an assembly's folder of rendered documents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// The path inside the folder, with `/`.
    pub path: String,
    /// The text.
    pub text: String,
}

/// Renders every document. The same plan always gives the same documents in the same order.
pub fn render(plan: &Plan) -> Vec<Document> {
    let diagram = Diagram::from(plan);
    let named = |(path, text): (&str, String)| (path.to_owned(), text);
    let mut documents = vec![named(("task-definition.json", plan.definition().to_json()))];
    // A fixed order, so that listings and the index page do not change between runs.
    let stack = stack_template(plan);
    let parameters = stack.file();
    documents.push(named(("cloudformation.yaml", stack.text)));
    documents.extend(parameters.map(|text| named(("parameters.json", text))));
    documents.extend(iam::documents(plan));
    documents.push(named(("compose.yaml", compose::compose(plan))));
    documents.extend(compose::example(plan).map(|text| named((".env.example", text))));
    documents.push(named(("graph.mmd", graph::mermaid(&diagram))));
    documents.push(named(("graph.svg", graph::svg(&diagram))));
    documents
        .into_iter()
        .map(|(path, text)| Document { path, text })
        .collect()
}
