//! A connection that reads, and who else reads for it.

use std::sync::Arc;

use sqlx::SqliteConnection;

use crate::{
    chunks::Helper,
    db::{self, Found, HISTORY},
    error::{Fault, OpenError, ReadError, fault_of},
    history::Shared,
    recorder::Queue,
    tail::Tail,
};

pub(crate) struct Desk {
    pub shared: Arc<Shared>,
    /// In the process of the writer: ticks that wait.
    pub queue: Option<Arc<Queue>>,
    pub(crate) link: Option<(u64, SqliteConnection)>,
    pub tail: Tail,
    /// Read chunks beside this one; none for what may take its time.
    pub(crate) helpers: Vec<Helper>,
    /// Nobody asks any more.
    pub closed: bool,
}

// === impl Desk ===

impl Desk {
    pub(crate) fn new(shared: Arc<Shared>, queue: Option<Arc<Queue>>, helpers: usize) -> Self {
        let helpers = std::iter::repeat_with(Helper::default).take(helpers).collect();
        Self { shared, queue, link: None, tail: Tail::default(), helpers, closed: false }
    }

    pub(crate) async fn close(&mut self) {
        self.closed = true;
        if let Some((_, connection)) = self.link.take() {
            db::close(connection).await;
        }
        for helper in &mut self.helpers {
            helper.close().await;
        }
    }

    /// Opens the database, or again after it was replaced.
    pub(crate) async fn ready(&mut self) -> Result<(), ReadError> {
        if self.closed {
            return Err(ReadError::Closed);
        }
        let generation = self.shared.generation();
        if self.link.as_ref().is_some_and(|(g, _)| *g == generation) {
            return Ok(());
        }
        if let Some((_, old)) = self.link.take() {
            db::close(old).await;
        }
        self.tail = Tail::default();
        let path = self.shared.path.clone();
        let unusable = |reason: String| OpenError::Unusable { path: path.clone(), reason };
        match HISTORY.look_at(&path).map_err(|e| unusable(e.to_string()))? {
            Found::Nothing | Found::Ours(0) => {
                let folder = path.parent().unwrap_or(&path).to_owned();
                return Err(OpenError::Missing { path: folder }.into());
            }
            Found::Ours(found) if found > HISTORY.version() => {
                return Err(OpenError::Newer { path, found, known: HISTORY.version() }.into());
            }
            Found::Ours(found) if found < HISTORY.version() => {
                return Err(unusable(
                    "it is of an older version; start Plimsoll once, which brings it up to date"
                        .into(),
                )
                .into());
            }
            Found::Ours(_) => {}
            Found::Foreign => return Err(OpenError::Foreign { path }.into()),
            Found::Damaged => {
                self.report(generation, None);
                return Err(OpenError::Damaged {
                    path,
                    reason: "it does not begin like a database".into(),
                }
                .into());
            }
        }
        let connection = HISTORY.reader(&path).await.map_err(|e| unusable(e.to_string()))?;
        self.link = Some((generation, connection));
        Ok(())
    }

    /// Opens what a question would open, and reads the ticks that wait: after that
    /// the first question waits for its own chunks alone.
    pub(crate) async fn warm(&mut self) -> Result<(), ReadError> {
        self.begin(&[]).await?;
        self.end().await?;
        for helper in &mut self.helpers {
            // Without one a question is answered by fewer.
            let _ = helper.open(&self.shared).await;
        }
        Ok(())
    }

    pub(crate) fn connection(&mut self) -> Result<&mut SqliteConnection, ReadError> {
        self.link.as_mut().map(|(_, connection)| connection).ok_or(ReadError::Closed)
    }

    /// Ready, and the connection.
    pub(crate) async fn open(&mut self) -> Result<&mut SqliteConnection, ReadError> {
        self.ready().await?;
        self.connection()
    }

    /// After an error: the connection is made anew, and the writer hears of damage.
    pub(crate) async fn failed(&mut self, error: &ReadError) {
        if let ReadError::Database(error) = error
            && let Some((generation, connection)) = self.link.take()
        {
            db::close(connection).await;
            self.report(generation, Some(error));
        }
    }

    fn report(&self, generation: u64, error: Option<&sqlx::Error>) {
        if error.is_none_or(|e| fault_of(e) == Fault::Damaged)
            && let Some(queue) = &self.queue
        {
            self.shared.report_damage(generation);
            queue.wake.notify_one();
        }
    }

    /// Ends the read transaction of [`Self::begin`].
    pub(crate) async fn end(&mut self) -> Result<(), ReadError> {
        sqlx::query("COMMIT").execute(self.connection()?).await?;
        Ok(())
    }
}
