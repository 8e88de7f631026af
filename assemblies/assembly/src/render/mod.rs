//! The documents of a plan, as text.

use crate::graph::{self, Diagram};
use crate::plan::Plan;

mod cloudformation;
mod compose;
mod iam;
mod index;
mod yaml;

pub use index::{Entry, index};

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
    let diagram = Diagram::from(plan);
    let own = |(path, text): (&str, String)| (path.to_owned(), text);
    let mut documents = vec![own(("task-definition.json", plan.definition().to_json()))];
    documents.push(own(("cloudformation.yaml", cloudformation::text(plan))));
    documents.extend(iam::documents(plan));
    documents.push(own(("compose.yaml", compose::compose(plan))));
    documents.extend(compose::example(plan).map(|text| own((".env.example", text))));
    documents.push(own(("graph.mmd", graph::mermaid(&diagram))));
    documents.push(own(("graph.svg", graph::svg(&diagram))));
    let named = documents.into_iter();

    named.map(|(path, text)| Document { path, text }).collect()
}
