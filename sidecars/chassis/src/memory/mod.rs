//! The memory of the container, and budgets for what holds bytes.
//!
//! ```text
//! container_memory() ─▶ the component divides it ─▶ MemoryBudget ─▶ Reservation, held with the bytes
//! ```

mod budget;
mod container;

pub use budget::{MemoryBudget, Reservation};
pub use container::container_memory;
