//! tokio-postgres with its default settings: `prepare` names statements, `query` with a text
//! prepares a fresh one, and dropping a statement closes it.
//!
//! DATABASE_URL says where to, ERRANDS which table to use. Prints "ok <scenario>" for each scenario
//! that held; any other ends the program, after the rest, with a non-zero exit status.

mod clients;
mod statements;
mod transactions;

use std::future::Future;
use std::process::ExitCode;

/// Runs a scenario in a task of its own, so that its panic ends only the scenario.
async fn holds(name: &str, scenario: impl Future<Output = ()> + Send + 'static) -> bool {
    let held = tokio::spawn(scenario).await.is_ok();
    if held {
        println!("ok {name}");
    } else {
        eprintln!("FAILED {name}");
    }
    held
}

#[tokio::main]
async fn main() -> ExitCode {
    let held = [
        holds("statements prepared once", statements::prepared_once()).await,
        holds(
            "statements prepared for each query",
            statements::prepared_for_each_query(),
        )
        .await,
        holds("type lookup", statements::types_are_looked_up()).await,
        holds("deadpool", statements::pooled_by_deadpool()).await,
        holds("pipelined queries", transactions::pipelined()).await,
        holds("portals", transactions::portals()).await,
        holds(
            "errors and savepoints",
            transactions::errors_and_savepoints(),
        )
        .await,
        holds("copy", transactions::copies()).await,
        holds("cancel", transactions::cancelled()).await,
    ];
    if held.contains(&false) {
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
