//! What happens inside transactions, and what goes wrong in them.

use std::time::Duration;

use futures_util::future::{join3, join_all};
use futures_util::{pin_mut, SinkExt, TryStreamExt};
use tokio_postgres::error::SqlState;
use tokio_postgres::NoTls;

use crate::clients::{crowd, errands, in_turns};

/// Futures polled together are sent together: the driver's pipeline.
pub async fn pipelined() {
    in_turns(crowd().await, |client, worker, turn| async move {
        let text = format!("select $1::int * 100 + {worker}");
        let statement = client.prepare(&text).await.unwrap();
        let numbers: Vec<i32> = (0..10).map(|n| n + turn).collect();
        let rows = join_all(numbers.iter().map(|n| async {
            let row = client.query_one(&statement, &[n]).await.unwrap();
            row.get::<_, i32>(0)
        }))
        .await;
        assert_eq!(
            rows,
            numbers.iter().map(|n| n * 100 + worker).collect::<Vec<_>>()
        );

        let (first, failed, last) = join3(
            client.query_one("select 1::int", &[]),
            client.query_one("select 1 / $1::int", &[&0]),
            client.query_one(&statement, &[&turn]),
        )
        .await;
        assert_eq!(first.unwrap().get::<_, i32>(0), 1);
        assert_eq!(
            failed.unwrap_err().code(),
            Some(&SqlState::DIVISION_BY_ZERO)
        );
        assert_eq!(last.unwrap().get::<_, i32>(0), turn * 100 + worker);
        drop(statement);
        client
    })
    .await;
}

pub async fn portals() {
    in_turns(crowd().await, |mut client, worker, _| async move {
        let transaction = client.transaction().await.unwrap();
        let text = format!("select n + {worker} from generate_series(1, $1) as n");
        let portal = transaction.bind(&text, &[&25i32]).await.unwrap();
        let mut seen: Vec<i32> = Vec::new();
        loop {
            let rows = transaction.query_portal(&portal, 10).await.unwrap();
            if rows.is_empty() {
                break;
            }
            seen.extend(rows.iter().map(|row| row.get::<_, i32>(0)));
        }
        assert_eq!(seen, (1..=25).map(|n| n + worker).collect::<Vec<_>>());
        transaction.commit().await.unwrap();
        client
    })
    .await;
}

pub async fn errors_and_savepoints() {
    let insert = format!("insert into {} values ($1, $2, 'kept')", errands());
    let insert = insert.as_str();
    in_turns(crowd().await, |mut client, worker, turn| async move {
        let mut transaction = client.transaction().await.unwrap();
        assert_eq!(
            transaction
                .execute(insert, &[&worker, &turn])
                .await
                .unwrap(),
            1
        );
        let savepoint = transaction.savepoint("same_name").await.unwrap();
        let twice = savepoint.execute(insert, &[&worker, &turn]).await;
        assert_eq!(twice.unwrap_err().code(), Some(&SqlState::UNIQUE_VIOLATION));
        savepoint.rollback().await.unwrap();
        transaction.commit().await.unwrap();
        let wrong = client.prepare("selec 1").await;
        assert_eq!(wrong.unwrap_err().code(), Some(&SqlState::SYNTAX_ERROR));
        client
    })
    .await;
}

pub async fn copies() {
    let table = errands();
    let table = table.as_str();
    in_turns(crowd().await, |client, worker, turn| async move {
        let sink = client
            .copy_in(&format!("copy {table} from stdin"))
            .await
            .unwrap();
        pin_mut!(sink);
        for n in 0..10 {
            let line = format!("{worker}\t{}\tcopied\n", 1000 + turn * 10 + n);
            sink.send(std::io::Cursor::new(line.into_bytes()))
                .await
                .unwrap();
        }
        assert_eq!(sink.finish().await.unwrap(), 10);

        let query = format!(
            "copy (select turn from {table} where worker = {worker} and turn >= 1000) to stdout"
        );
        let chunks: Vec<_> = client
            .copy_out(&query)
            .await
            .unwrap()
            .try_collect()
            .await
            .unwrap();
        let lines = chunks
            .concat()
            .iter()
            .filter(|byte| **byte == b'\n')
            .count();
        assert_eq!(lines, (turn as usize + 1) * 10);
        client
    })
    .await;
}

pub async fn cancelled() {
    let clients = crowd().await;
    let token = clients[0].cancel_token();
    let refused = {
        let slow = clients[0].query("select pg_sleep(600)", &[]);
        pin_mut!(slow);
        // A cancel that arrives too early is lost, in PostgreSQL as here: ask until it is heard.
        loop {
            match tokio::time::timeout(Duration::from_millis(200), &mut slow).await {
                Ok(answer) => break answer.unwrap_err(),
                Err(_) => token.cancel_query(NoTls).await.unwrap(),
            }
        }
    };
    assert_eq!(refused.code(), Some(&SqlState::QUERY_CANCELED));
    in_turns(clients, |client, worker, turn| async move {
        let text = format!("select $1::int + {worker}");
        let row = client.query_one(&text, &[&turn]).await.unwrap();
        assert_eq!(row.get::<_, i32>(0), turn + worker);
        client
    })
    .await;
}
