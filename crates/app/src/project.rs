//! From the whole of something, such as the configuration, to the part that one of the others
//! wants.

use plimsoll_core::config::Config;
use plimsoll_history::{Keep, Options as HistoryOptions};
use plimsoll_sense::Options as SenseOptions;
use tokio::sync::watch;

/// Follows a channel and publishes what `part` makes of it, when that changed.
/// Ends with the channel, or when nobody reads any more.
pub fn project<S, T, F>(mut whole: watch::Receiver<S>, part: F) -> watch::Receiver<T>
where
    S: Send + Sync + 'static,
    T: PartialEq + Send + Sync + 'static,
    F: Fn(&S) -> T + Send + 'static,
{
    let (publish, read) = watch::channel(part(&whole.borrow_and_update()));
    tokio::spawn(async move {
        loop {
            tokio::select! {
                () = publish.closed() => return,
                changed = whole.changed() => if changed.is_err() { return },
            }
            let fresh = part(&whole.borrow_and_update());
            publish.send_if_modified(|now| {
                let changed = *now != fresh;
                *now = fresh;
                changed
            });
        }
    });
    read
}

pub fn sense_options(config: &Config) -> SenseOptions {
    SenseOptions {
        interval_ms: config.sampling.interval_ms,
        processes_ms: config.sampling.processes_ms,
        disk_space_ms: config.sampling.disk_space_ms,
        gpu_enabled: config.gpu.enabled,
        nvml_path: config.gpu.nvml_path.clone(),
    }
}

pub fn history_options(config: &Config) -> HistoryOptions {
    const HOUR: i64 = 3_600_000;
    const DAY: i64 = 24 * HOUR;
    let history = &config.history;
    let keep = &history.keep;
    HistoryOptions {
        enabled: history.enabled,
        max_bytes: history.max_mib << 20,
        max_series: config.sampling.max_series,
        keep: Keep {
            raw_ms: i64::from(keep.raw_hours) * HOUR,
            s10_ms: i64::from(keep.s10_days) * DAY,
            m1_ms: i64::from(keep.m1_days) * DAY,
            m15_ms: i64::from(keep.m15_days) * DAY,
            h1_ms: i64::from(keep.h1_days) * DAY,
            marks_ms: i64::from(keep.marks_days) * DAY,
            log_ms: i64::from(keep.log_days) * DAY,
            requests_ms: i64::from(keep.requests_days) * DAY,
            requests_bytes: u64::from(keep.requests_mib) << 20,
        },
        checkpoint_ms: u64::from(history.checkpoint_s) * 1000,
        tick_ms: config.sampling.interval_ms,
        processes_ms: config.sampling.processes_ms,
        space_ms: config.sampling.disk_space_ms,
        ..HistoryOptions::default()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[tokio::test]
    async fn only_a_change_of_its_own_part_is_told() {
        let (tell, config) = watch::channel(Arc::new(Config::default()));
        let mut options = project(config, |config: &Arc<Config>| sense_options(config));
        assert_eq!(options.borrow_and_update().interval_ms, 1000);
        let mut other = Config::default();
        other.power.price_per_kwh = 1.0;
        tell.send_replace(Arc::new(other.clone()));
        other.sampling.interval_ms = 2000;
        tell.send_replace(Arc::new(other));
        options.changed().await.unwrap();
        assert_eq!(options.borrow_and_update().interval_ms, 2000);
        drop(tell);
        assert!(options.changed().await.is_err());
    }
}
