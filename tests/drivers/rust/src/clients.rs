//! Six clients that work at the same time, turn by turn.

use std::future::Future;

use futures_util::future::join_all;
use tokio_postgres::{Client, NoTls};

pub const WORKERS: i32 = 6;
pub const TURNS: i32 = 8;

pub fn url() -> String {
    std::env::var("DATABASE_URL").expect("DATABASE_URL")
}

pub fn errands() -> String {
    std::env::var("ERRANDS").expect("ERRANDS")
}

pub async fn connect() -> Client {
    let (client, connection) = tokio_postgres::connect(&url(), NoTls)
        .await
        .expect("connect");
    tokio::spawn(async move { connection.await.expect("the connection ends in peace") });
    client
}

/// All errands of a turn at the same time; nobody begins a turn before everybody has ended the
/// last. The errand takes its client and gives it back.
pub async fn in_turns<C, F>(mut crowd: Vec<C>, errand: impl Fn(C, i32, i32) -> F)
where
    F: Future<Output = C>,
{
    for turn in 0..TURNS {
        let running = crowd
            .into_iter()
            .zip(0..)
            .map(|(c, worker)| errand(c, worker, turn));
        crowd = join_all(running).await;
    }
}

pub async fn crowd() -> Vec<Client> {
    join_all((0..WORKERS).map(|_| connect())).await
}
