//! Named statements across transactions.

use deadpool_postgres::{Config, Runtime};
use futures_util::future::join_all;
use tokio_postgres::types::Type;
use tokio_postgres::NoTls;

use crate::clients::{connect, crowd, errands, in_turns, url, TURNS};

const IS_PREPARED: &str = "select count(*) > 0 from pg_prepared_statements where statement = $1";

pub async fn prepared_once() {
    let mut prepared = Vec::new();
    for (worker, client) in (0..).zip(crowd().await) {
        let text = format!("select $1::int + {worker} as sum, 'worker {worker}' as who");
        let statement = client.prepare(&text).await.unwrap();
        assert_eq!(statement.params(), [Type::INT4]);
        prepared.push((client, statement, text));
    }
    in_turns(
        prepared,
        |(mut client, statement, text), worker, turn| async move {
            let transaction = client.transaction().await.unwrap();
            let row = transaction.query_one(&statement, &[&turn]).await.unwrap();
            assert_eq!(row.get::<_, i32>("sum"), turn + worker);
            assert_eq!(row.get::<_, &str>("who"), format!("worker {worker}"));
            let asked = transaction.query_one(IS_PREPARED, &[&text]).await.unwrap();
            assert!(asked.get::<_, bool>(0));
            transaction.commit().await.unwrap();
            let row = client.query_one(&statement, &[&-turn]).await.unwrap();
            assert_eq!(row.get::<_, i32>(0), worker - turn);
            (client, statement, text)
        },
    )
    .await;
}

/// `query` with a text: Parse, Describe, Sync; Bind, Execute, Sync; and Close when dropped.
pub async fn prepared_for_each_query() {
    in_turns(crowd().await, |client, worker, turn| async move {
        for number in 0..5 {
            let text = format!("select $1::text || '#{worker}.{number}'");
            let row = client.query_one(&text, &[&turn.to_string()]).await.unwrap();
            assert_eq!(row.get::<_, String>(0), format!("{turn}#{worker}.{number}"));
        }
        client
    })
    .await;
}

/// A type the driver does not know makes it prepare its own queries to the catalogue.
pub async fn types_are_looked_up() {
    let name = format!("mood_of_{}", errands());
    let owner = connect().await;
    let create = format!("create type {name} as enum ('calm', 'keen')");
    owner.batch_execute(&create).await.unwrap();
    let moods = name.as_str();
    in_turns(crowd().await, |client, _, _| async move {
        let text = format!("select 'keen'::{moods}, array['calm']::{moods}[]");
        let statement = client.prepare(&text).await.unwrap();
        assert_eq!(statement.columns()[0].type_().name(), moods);
        client.query_one(&statement, &[]).await.unwrap();
        client
    })
    .await;
    owner
        .batch_execute(&format!("drop type {name}"))
        .await
        .unwrap();
}

/// Statements cached by a pool of clients in front of ours.
pub async fn pooled_by_deadpool() {
    let mut config = Config::new();
    config.url = Some(url());
    let pool = config.create_pool(Some(Runtime::Tokio1), NoTls).unwrap();
    for turn in 0..TURNS {
        let tasks = (0..12).map(|task| {
            let pool = pool.clone();
            async move {
                let client = pool.get().await.unwrap();
                let text = format!("select $1::int + {}", task % 5);
                let statement = client.prepare_cached(&text).await.unwrap();
                let row = client.query_one(&statement, &[&turn]).await.unwrap();
                assert_eq!(row.get::<_, i32>(0), turn + task % 5);
            }
        });
        join_all(tasks).await;
    }
}
