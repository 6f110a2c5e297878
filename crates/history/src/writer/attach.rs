//! Opening the database, and taking up where it ended.

use std::{path::Path, sync::Arc};

use plimsoll_core::clock::Clock;
use sqlx::{Row as _, SqliteConnection};
use tokio::sync::watch;

use super::Writer;
use crate::{
    catalog::Catalog,
    db::{self, HISTORY},
    error::{Fault, OpenError, fault_of, reason_of},
    history::Shared,
    lane::Lane,
    options::Options,
    recorder::Queue,
    retention::Round,
    status::RecordingStatus,
    timeline::Timeline,
};

impl Writer {
    pub(crate) async fn open(
        folder: &Path,
        shared: Arc<Shared>,
        queue: Arc<Queue>,
        mut options_rx: watch::Receiver<Options>,
        clock: Arc<dyn Clock>,
        status: watch::Sender<RecordingStatus>,
    ) -> Result<Self, OpenError> {
        let options = *options_rx.borrow_and_update();
        let mut writer = Self {
            folder: folder.to_owned(),
            shared,
            queue,
            options_rx,
            options,
            clock,
            status,
            set_aside: db::set_aside_in(folder),
            commits: 0,
            bytes: 0,
            connection: None,
            catalog: Catalog::default(),
            lanes: Vec::new(),
            timeline: Timeline::default(),
            epoch: 0,
            seq: 0,
            samples: Vec::new(),
            paused: None,
            retry_at_ms: 0,
            job: None,
            spent_ticks: None,
            round: None,
            rounds: 0,
            seal_at_ms: i64::MIN,
            purge_at_ms: i64::MIN,
            purge_waits: false,
            hold_purge_until_ms: i64::MIN,
        };
        match writer.attach().await {
            Ok(()) => {}
            Err(OpenError::Unusable { reason, .. }) => {
                writer.pause(reason);
            }
            Err(error) => return Err(error),
        }
        writer.apply_options();
        writer.publish();
        Ok(writer)
    }

    /// Opens the database and takes up where it ended. A damaged one is set aside.
    pub(crate) async fn attach(&mut self) -> Result<(), OpenError> {
        for _ in 0..2 {
            let error = match HISTORY.open(&self.folder).await {
                Ok(mut connection) => match self.load(&mut connection).await {
                    Ok(()) => {
                        self.connection = Some(connection);
                        return Ok(());
                    }
                    Err(e) => {
                        db::close(connection).await;
                        let path = self.shared.path.clone();
                        match fault_of(&e) {
                            Fault::Damaged => OpenError::Damaged { path, reason: e.to_string() },
                            Fault::Pause => OpenError::Unusable { path, reason: reason_of(&e) },
                        }
                    }
                },
                Err(error) => error,
            };
            let OpenError::Damaged { reason, .. } = &error else { return Err(error) };
            self.put_aside(reason)?;
        }
        Err(OpenError::Unusable {
            path: self.shared.path.clone(),
            reason: "a new database is damaged at once".into(),
        })
    }

    async fn load(&mut self, connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
        self.catalog = Catalog::load(connection).await?;
        self.job = None;
        // What was half sealed is made again.
        sqlx::query("UPDATE slot SET state = 2 WHERE state = 0").execute(&mut *connection).await?;
        self.lanes = Lane::load_all(connection).await?;
        let row = sqlx::query(
            "SELECT coalesce((SELECT max(seq) FROM tick), 0),
                    coalesce((SELECT max(id) FROM epoch), 0),
                    (SELECT at_ms FROM tick ORDER BY seq DESC LIMIT 1)",
        )
        .fetch_one(&mut *connection)
        .await?;
        let sealed = self.lanes.iter().map(|lane| lane.sealed_seq).max().unwrap_or(0);
        self.seq = row.try_get::<i64, _>(0)?.max(sealed);
        self.epoch = row.try_get(1)?;
        let newest: Option<i64> = row.try_get(2)?;
        if let Some(lane) = self.lanes.last_mut() {
            lane.last_ms = lane.last_ms.max(newest.unwrap_or(i64::MIN));
        }
        // Ticks of the last lane that is not sealed to its end mark where spent ones end.
        self.spent_ticks = self
            .lanes
            .iter()
            .find(|lane| !lane.exhausted(plimsoll_core::series::Level::Raw))
            .map(|lane| lane.sealed_seq);
        self.round = Some(Round::Rows);
        self.timeline.resume(self.lanes.last().map(|lane| lane.last_ms));
        Ok(())
    }
}
