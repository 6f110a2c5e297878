//! What is usual, from a real history.

use std::{path::Path, sync::Arc};

use plimsoll_core::{
    clock::{Clock, ManualClock},
    metric::Metric,
    reading::{Reading, Tick},
    record::Record,
};
use plimsoll_history::{History, Options};
use tokio::sync::watch;

use super::{
    super::{Minute, Past, Wish},
    bench::{GIB, START_MS},
};

/// A service at work, a second at a time.
struct Work {
    clock: Arc<ManualClock>,
    history: History,
    tokens: u64,
    _options: watch::Sender<Options>,
}

impl Work {
    async fn start(folder: &Path) -> Self {
        let clock = Arc::new(ManualClock::at(START_MS));
        let (sender, options) = watch::channel(Options::default());
        let history = History::open(folder, options, clock.clone()).await.unwrap();
        Self { clock, history, tokens: 0, _options: sender }
    }

    /// So many minutes with these models, and so many tokens a second.
    async fn minutes(&mut self, minutes: u64, models: &[&str], running: f64, speed: u64) {
        for second in 0..minutes * 60 {
            self.tokens += speed;
            let id: Arc<str> = "vllm".into();
            let mut readings = vec![
                Reading::gauge(Metric::RequestsRunning, &id, running),
                Reading::counter(Metric::TokensGenerated, &id, self.tokens),
                Reading::counter(Metric::TokensPrompt, &id, 2 * self.tokens),
            ];
            if second % 5 == 0 {
                readings.extend(models.iter().map(|model| {
                    let subject: Arc<str> = format!("vllm/{model}").into();
                    Reading::gauge(Metric::ModelSize, &subject, 9.0 * GIB)
                }));
            }
            let tick = Tick { at: self.clock.now(), readings };
            self.history.recorder().tick(Arc::new(tick));
            self.clock.advance_ms(1000);
        }
        assert!(self.history.settle().await);
    }

    async fn told(&self, models: &[&str], sized: bool, since_ms: Option<i64>) -> Vec<Minute> {
        let models = models.iter().map(|&model| model.into()).collect();
        let wish = Wish { service: "vllm".into(), models, sized, since_ms };
        self.history.reader().minutes(&wish, self.clock.now().wall_ms).await
    }
}

fn seconds(minutes: &[Minute]) -> f64 {
    minutes.iter().map(|minute| minute.span_s).sum()
}

#[tokio::test]
async fn the_history_tells_busy_minutes_of_the_same_models() {
    let folder = tempfile::tempdir().unwrap();
    let mut work = Work::start(folder.path()).await;
    work.minutes(40, &["a"], 2.0, 80).await;
    work.minutes(10, &["a"], 0.0, 0).await;
    let with_both = work.clock.now().wall_ms;
    work.minutes(20, &["a", "b"], 4.0, 40).await;
    work.minutes(5, &["b"], 1.0, 10).await;

    let near = |seconds: f64, minutes: f64| (seconds - 60.0 * minutes).abs() <= 120.0;
    let a = work.told(&["a"], true, None).await;
    assert!(near(seconds(&a), 40.0), "{}", seconds(&a));
    let middle = &a[a.len() / 2];
    assert_eq!((middle.running, middle.generated_per_s, middle.prompt_per_s), (2.0, 80.0, 160.0));
    assert!(a.is_sorted_by_key(|minute| minute.at_ms));
    let both = work.told(&["a", "b"], true, None).await;
    assert!(near(seconds(&both), 20.0), "{}", seconds(&both));
    assert_eq!(both[both.len() / 2].generated_per_s, 40.0);
    assert_eq!(work.told(&["c"], true, None).await, []);

    // Where sizes are not told, a process serves what it was started with.
    let since = work.told(&["x"], false, Some(with_both)).await;
    assert!(near(seconds(&since), 25.0), "{}", seconds(&since));
    assert!(since.iter().all(|minute| minute.at_ms >= with_both - 60_000));
    assert_eq!(work.told(&["x"], false, None).await, []);
    work.history.stop().await;
}
