//! Requests in parallel.

use tokio::task::JoinSet;

use crate::error::ErrorKind;

/// Returns the results of all tasks, in the order in which they end. The first error cancels the others.
pub(crate) async fn join_all<T: 'static>(
    mut tasks: JoinSet<Result<T, ErrorKind>>,
) -> Result<Vec<T>, ErrorKind> {
    let mut results = Vec::new();
    while let Some(outcome) = tasks.join_next().await {
        match outcome.map_err(tokio::task::JoinError::try_into_panic) {
            Ok(result) => results.push(result?),
            Err(Ok(panic)) => std::panic::resume_unwind(panic),
            // Cancelled, which only dropping the set does.
            Err(Err(_)) => {}
        }
    }

    Ok(results)
}
