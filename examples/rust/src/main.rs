//! sqlx over DATABASE_URL as it comes: a pool of ten connections, each with a cache of prepared
//! statements; migrations under an advisory lock; and a listener.
//!
//! Prints "ok ..." for all that went as it should; the first surprise ends the program.

use std::path::Path;

use futures_util::future::try_join_all;
use futures_util::TryStreamExt;
use sqlx::migrate::Migrator;
use sqlx::postgres::{PgListener, PgPool};
use sqlx::{Acquire, Row};

type Outcome = Result<(), Box<dyn std::error::Error>>;

const WORKERS: i32 = 30;

#[tokio::main]
async fn main() -> Outcome {
    let pool = PgPool::connect(&std::env::var("DATABASE_URL")?).await?;
    clean(&pool).await?;
    migrations(&pool).await?;
    prepared_statements(&pool).await?;
    transactions(&pool).await?;
    rows_one_by_one(&pool).await?;
    errors(&pool).await?;
    notifications(&pool).await?;
    clean(&pool).await?;
    pool.close().await;
    Ok(())
}

async fn clean(pool: &PgPool) -> Outcome {
    sqlx::raw_sql("drop table if exists parcel; drop table if exists _sqlx_migrations")
        .execute(pool)
        .await?;
    Ok(())
}

/// As when several copies of a program start at once: one migrates, the others wait for its lock.
async fn migrations(pool: &PgPool) -> Outcome {
    let migrator = Migrator::new(Path::new("migrations")).await?;
    try_join_all((0..5).map(|_| migrator.run(pool))).await?;
    let (done,): (i64,) = sqlx::query_as("select count(*) from _sqlx_migrations where success")
        .fetch_one(pool)
        .await?;
    assert_eq!(done, 2);
    println!("ok migrations");
    Ok(())
}

async fn prepared_statements(pool: &PgPool) -> Outcome {
    for turn in 0..5 {
        try_join_all((0..WORKERS).map(|worker| async move {
            sqlx::query("insert into parcel (id, shelf, grams) values ($1, $2, $3)")
                .bind(worker * 10 + turn)
                .bind(format!("shelf {worker}"))
                .bind(turn)
                .execute(pool)
                .await?;
            let sum: i64 = sqlx::query_scalar("select sum(grams) from parcel where shelf = $1")
                .bind(format!("shelf {worker}"))
                .fetch_one(pool)
                .await?;
            assert_eq!(sum, (0..=i64::from(turn)).sum::<i64>());
            Ok::<_, sqlx::Error>(())
        }))
        .await?;
    }
    println!("ok prepared statements");
    Ok(())
}

async fn transactions(pool: &PgPool) -> Outcome {
    try_join_all((0..WORKERS).map(|worker| async move {
        let mut transaction = pool.begin().await?;
        let update = "update parcel set grams = grams + $1 where id = $2";
        sqlx::query(update)
            .bind(100)
            .bind(worker * 10)
            .execute(&mut *transaction)
            .await?;
        let mut savepoint = transaction.begin().await?;
        sqlx::query("delete from parcel where id = $1")
            .bind(worker * 10)
            .execute(&mut *savepoint)
            .await?;
        savepoint.rollback().await?;
        let prepared: bool = sqlx::query_scalar(
            "select count(*) = 1 from pg_prepared_statements where statement = $1",
        )
        .bind(update)
        .fetch_one(&mut *transaction)
        .await?;
        assert!(prepared);
        transaction.commit().await
    }))
    .await?;
    // A transaction that is dropped is taken back.
    let mut forgotten = pool.begin().await?;
    sqlx::query("delete from parcel")
        .execute(&mut *forgotten)
        .await?;
    drop(forgotten);
    let (count, heavy): (i64, i64) =
        sqlx::query_as("select count(*), count(*) filter (where grams >= 100) from parcel")
            .fetch_one(pool)
            .await?;
    assert_eq!((count, heavy), (i64::from(WORKERS) * 5, i64::from(WORKERS)));
    println!("ok transactions");
    Ok(())
}

async fn rows_one_by_one(pool: &PgPool) -> Outcome {
    try_join_all((0..WORKERS).map(|worker| async move {
        let mut rows = sqlx::query("select generate_series(1, $1)")
            .bind(worker)
            .fetch(pool);
        let mut seen = 0;
        while let Some(row) = rows.try_next().await? {
            seen += 1;
            assert_eq!(row.get::<i32, _>(0), seen);
        }
        assert_eq!(seen, worker);
        Ok::<_, sqlx::Error>(())
    }))
    .await?;
    println!("ok rows one by one");
    Ok(())
}

async fn errors(pool: &PgPool) -> Outcome {
    try_join_all((0..WORKERS).map(|worker| async move {
        let twice = sqlx::query("insert into parcel (id, shelf) values ($1, 'twice')")
            .bind(worker * 10)
            .execute(pool)
            .await;
        let refused = twice.expect_err("a duplicate key");
        let error = refused.as_database_error().expect("the server's own error");
        assert!(error.is_unique_violation());
        let answer: i32 = sqlx::query_scalar("select $1 + 1")
            .bind(worker)
            .fetch_one(pool)
            .await?;
        assert_eq!(answer, worker + 1);
        Ok::<_, sqlx::Error>(())
    }))
    .await?;
    println!("ok errors");
    Ok(())
}

async fn notifications(pool: &PgPool) -> Outcome {
    let mut listener = PgListener::connect_with(pool).await?;
    listener.listen("parcels").await?;
    try_join_all((0..WORKERS).map(|worker| {
        sqlx::query("select pg_notify('parcels', $1)")
            .bind(worker.to_string())
            .execute(pool)
    }))
    .await?;
    let mut heard = Vec::new();
    for _ in 0..WORKERS {
        heard.push(listener.recv().await?.payload().parse::<i32>()?);
    }
    heard.sort_unstable();
    assert_eq!(heard, (0..WORKERS).collect::<Vec<_>>());
    listener.unlisten_all().await?;
    println!("ok notifications");
    Ok(())
}
