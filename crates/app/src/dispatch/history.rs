//! Commands about the past.

use plimsoll_core::{alert::AlertRow, mark::Mark};

use super::super::export;
use crate::{
    api::{EnergyReport, ExportRequest, Fault, FaultCode, HistoryStats, JobStarted, Range},
    app::App,
    energy,
};

impl App {
    pub(super) async fn history_stats(&self) -> Result<HistoryStats, Fault> {
        Ok(self.reader.stats().await?.into())
    }

    pub(super) fn export(&self, request: ExportRequest) -> Result<JobStarted, Fault> {
        check(Range { from_ms: request.from_ms, to_ms: request.to_ms })?;
        let path = Self::absolute(&request.path)?;
        let reader = self.reader.clone();
        let title = format!("Export to {}", path.display());
        self.jobs.start(title, |job| export::to_file(job, reader, request, path))
    }

    pub(super) async fn marks(&self, range: Range) -> Result<Vec<Mark>, Fault> {
        check(range)?;
        Ok(self.reader.marks(range.from_ms, range.to_ms).await?)
    }

    pub(super) async fn alerts_history(&self, range: Range) -> Result<Vec<AlertRow>, Fault> {
        check(range)?;
        Ok(self.reader.alerts(range.from_ms, range.to_ms).await?)
    }

    pub(super) async fn energy(&self, range: Range) -> Result<EnergyReport, Fault> {
        let config = self.config.config();
        energy::report(&self.reader, range, config.power.price_per_kwh, &config.power.currency)
            .await
    }
}

/// The end lies after the beginning.
pub(super) fn check(range: Range) -> Result<(), Fault> {
    if range.from_ms < range.to_ms {
        return Ok(());
    }
    Err(Fault::new(
        FaultCode::Invalid,
        format!("The range ends ({}) before it begins ({}).", range.to_ms, range.from_ms),
    ))
}

impl From<plimsoll_history::Stats> for HistoryStats {
    fn from(stats: plimsoll_history::Stats) -> Self {
        Self {
            bytes: stats.bytes,
            samples: stats.samples,
            bytes_per_sample: stats.bytes_per_sample,
            series: stats.series,
            oldest_ms: stats.oldest_ms,
            newest_ms: stats.newest_ms,
            epochs: stats.epochs,
        }
    }
}
