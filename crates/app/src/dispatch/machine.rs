//! Commands about now: who runs, how it does, the processes, what the window remembers.

use plimsoll_core::{
    PROTOCOL, VERSION,
    metric::Metric,
    process::{EndProcess, ProcessDetail},
    source::SourceState,
};
use plimsoll_history::Recording;

use super::{blocking, done};
use crate::{
    api::{About, Done, Fault, FaultCode, PageLink, Pid, RecordingState, Remembered, Status},
    app::App,
    door::{Health, page::Links},
};

/// How often the age of the history is looked up.
const OLDEST_EVERY_MS: i64 = 60_000;
/// Longest value that the window may leave with us.
const MAX_REMEMBERED: usize = 64 << 10;

impl App {
    pub fn about(&self) -> About {
        About {
            version: VERSION.into(),
            protocol: PROTOCOL,
            pid: std::process::id(),
            started_ms: self.home.started_ms,
            data_dir: self.home.data.display().to_string(),
            config_path: self.home.config.display().to_string(),
            socket: self.home.socket.display().to_string(),
            ui: self.ui.get().map(Links::address),
            simulated: self.home.simulated,
            machine: self.machine.clone(),
            gpu: self.gpu.borrow().as_deref().cloned(),
            first_start: self.home.first_start,
        }
    }

    pub async fn status(&self) -> Status {
        let recording = self.recording.borrow().clone();
        let pulse = self.pulse.borrow().clone();
        let config = self.config.config();
        let (state, reason) = match recording.state {
            Recording::Recording => (RecordingState::Recording, None),
            Recording::Paused { reason, .. } => (RecordingState::Paused, Some(reason)),
            Recording::Off => (RecordingState::Off, None),
        };
        Status {
            at_ms: self.now_ms(),
            interval_ms: config.sampling.interval_ms,
            series: recording.series,
            series_limit: config.sampling.max_series,
            recording: state,
            recording_reason: reason,
            history_bytes: recording.bytes,
            history_limit_bytes: config.history.max_mib << 20,
            oldest_ms: self.oldest_ms().await,
            self_cpu_percent: self.own_cpu.mean(),
            self_rss_bytes: pulse.tick.get(Metric::SelfRss, "").map(whole),
            active_alerts: self.alerts.active(),
            sources: pulse.sources.to_vec(),
            gateway: self.traffic.address().map(|address| address.to_string()),
            gateway_trouble: self.traffic.trouble(),
            gateway_overhead_us: self.traffic.overhead_us(),
            config_trouble: self.config.trouble().borrow().clone(),
        }
    }

    /// A new one-time link to the page; the unused one from before is void.
    pub fn page_link(&self) -> Result<PageLink, Fault> {
        let links = self.ui.get().ok_or_else(|| {
            Fault::new(FaultCode::Unavailable, "This Plimsoll serves no page to a browser.")
                .hint("Start it with `plimsoll up --ui 127.0.0.1:1877`.")
        })?;
        Ok(PageLink { url: links.fresh()? })
    }

    /// The history grows at its young end: its old end is looked up now and then only.
    async fn oldest_ms(&self) -> Option<i64> {
        let now = self.clock.now().monotonic_ms;
        let mut known = self.oldest.lock().await;
        if known.is_none_or(|(at, found)| {
            let patience = if found.is_some() { OLDEST_EVERY_MS } else { 1000 };
            now - at >= patience
        }) {
            let found = self.reader.stats().await.ok().and_then(|stats| stats.oldest_ms);
            *known = Some((now, found));
        }
        known.and_then(|(_, found)| found)
    }

    /// For probes: well while it measures and records, ready once it has measured.
    pub fn how_it_is(&self) -> Health {
        let pulse = self.pulse.borrow().clone();
        let measured = |state| matches!(state, SourceState::Healthy);
        let ready = pulse.sources.iter().any(|source| measured(source.state));
        match &self.recording.borrow().state {
            Recording::Paused { reason, .. } => {
                Health { healthy: false, ready, reason: reason.clone() }
            }
            Recording::Recording | Recording::Off => {
                Health { healthy: true, ready, reason: String::new() }
            }
        }
    }

    pub(super) async fn process_detail(&self, process: Pid) -> Result<ProcessDetail, Fault> {
        let inspect = self.inspect.clone();
        Ok(blocking(move || inspect.detail(process.pid)).await??)
    }

    pub(super) async fn process_end(&self, request: EndProcess) -> Result<Done, Fault> {
        let inspect = self.inspect.clone();
        let message = blocking(move || inspect.end(&request)).await??;
        Ok(done(message))
    }

    pub(super) async fn remember(&self, remembered: Remembered) -> Result<Done, Fault> {
        check_key(&remembered.key)?;
        let value = remembered.value;
        if value.len() > MAX_REMEMBERED {
            return Err(Fault::new(
                FaultCode::Invalid,
                format!("A remembered value has {MAX_REMEMBERED} bytes at most."),
            ));
        }
        let parsed: serde_json::Value = serde_json::from_str(&value).map_err(|error| {
            Fault::new(FaultCode::Invalid, format!("A remembered value is JSON: {error}."))
        })?;
        let value = (!parsed.is_null()).then_some(value.as_str());
        self.state.remember(&remembered.key, value).await?;
        Ok(Done::default())
    }

    pub(super) async fn recall(&self, key: &str) -> Result<Option<String>, Fault> {
        check_key(key)?;
        Ok(self.state.recall(key).await?)
    }
}

fn check_key(key: &str) -> Result<(), Fault> {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '.' || c == '-';
    if (1..=64).contains(&key.len()) && key.chars().all(allowed) {
        return Ok(());
    }
    Err(Fault::new(
        FaultCode::Invalid,
        format!("{key:?} is no key: 1 to 64 small letters, digits, dots and hyphens."),
    ))
}

/// A level of bytes, which is never negative.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a size in bytes, cut at zero"
)]
fn whole(value: f64) -> u64 {
    value.max(0.0) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_short_and_plain() {
        for good in ["explore.metrics", "a", "window-2"] {
            assert!(check_key(good).is_ok(), "{good}");
        }
        for bad in ["", "A", "a b", "ä", &"a".repeat(65)] {
            assert!(check_key(bad).is_err(), "{bad}");
        }
    }
}
