//! Databases of other versions and of other programs.

use std::sync::Arc;

use plimsoll_core::clock::ManualClock;
use plimsoll_history::{OpenError, Options, Reader};

use crate::damage::{connect, record};
use crate::world::{DAY, START, World};

#[tokio::test]
async fn a_database_of_a_newer_version_is_refused_and_untouched() {
    let folder = tempfile::tempdir().unwrap();
    record(folder.path(), 100).await;
    let path = folder.path().join("history.db");
    let mut connection = connect(&path).await;
    sqlx::query("PRAGMA user_version = 99").execute(&mut connection).await.unwrap();
    sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(&mut connection).await.unwrap();
    sqlx::Connection::close(connection).await.unwrap();
    let before = std::fs::read(&path).unwrap();
    let clock = Arc::new(ManualClock::at(START + DAY));
    let error = World::try_with(folder.path(), clock, Options::default()).await.err().unwrap();
    assert!(matches!(error, OpenError::Newer { found: 99, .. }), "{error}");
    assert!(error.to_string().contains("newer Plimsoll"), "{error}");
    let error = Reader::open_readonly(folder.path()).await.err().unwrap();
    assert!(matches!(error, OpenError::Newer { .. }), "{error}");
    assert_eq!(std::fs::read(&path).unwrap(), before);
    let names = std::fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(names, 1, "something was left beside it");
}

#[tokio::test]
async fn a_database_of_another_program_is_refused_and_untouched() {
    for head in ["PRAGMA application_id = 77;", ""] {
        foreign(head).await;
    }
}

async fn foreign(head: &str) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history.db");
    {
        use sqlx::ConnectOptions as _;
        let mut connection = sqlx::sqlite::SqliteConnectOptions::new()
            .filename(&path)
            .create_if_missing(true)
            .connect()
            .await
            .unwrap();
        sqlx::raw_sql(sqlx::AssertSqlSafe(format!("{head} CREATE TABLE theirs (a)")))
            .execute(&mut connection)
            .await
            .unwrap();
    }
    let before = std::fs::read(&path).unwrap();
    let clock = Arc::new(ManualClock::at(START));
    let error = World::try_with(folder.path(), clock, Options::default()).await.err().unwrap();
    assert!(matches!(error, OpenError::Foreign { .. }), "{error}");
    assert_eq!(std::fs::read(&path).unwrap(), before);
    assert!(Reader::open_readonly(&folder.path().join("none")).await.is_err());
}
