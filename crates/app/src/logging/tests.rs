use std::{
    sync::{
        Mutex,
        atomic::AtomicUsize,
        mpsc::{Receiver, sync_channel},
    },
    time::Duration,
};

use plimsoll_core::{
    clock::ManualClock,
    log::{LogEntry, LogLevel},
    record::{Layer, Nowhere},
};
use tracing::{Metadata, dispatcher::with_default, subscriber::Interest};

use super::*;

#[derive(Default)]
struct Noted(Mutex<Vec<LogEntry>>);

impl Layer for Noted {
    fn below(&self) -> &dyn Record {
        &Nowhere
    }
    fn on_log(&self, entries: Vec<LogEntry>) {
        self.0.lock().unwrap().extend(entries);
    }
}

fn settings() -> config::Log {
    Config::default().log
}

fn started(folder: Option<PathBuf>) -> (Logging, Dispatch) {
    let places = Places { folder, name: file::OWNER, stderr: false };
    Logging::start(places, &settings(), Arc::new(ManualClock::at(1_763_650_000_000)))
}

fn all() -> Wanted {
    Wanted { level: LogLevel::Trace, contains: String::new(), before_ms: None, limit: 1000 }
}

// MV14: a log line that is off costs nothing
#[test]
fn a_line_that_is_off_does_not_evaluate_its_fields() {
    static EVALUATED: AtomicUsize = AtomicUsize::new(0);
    fn costly() -> u64 {
        EVALUATED.fetch_add(1, Ordering::SeqCst) as u64
    }
    let line = || tracing::debug!(target: "plimsoll_costly", value = costly(), "a line");
    let (logging, dispatch) = started(None);
    with_default(&dispatch, || {
        for _ in 0..1000 {
            line();
        }
        assert_eq!(EVALUATED.load(Ordering::SeqCst), 0);
        // The same line, switched on while it runs, and off again.
        let modules = vec!["plimsoll_costly=debug".to_string()];
        logging.apply(&config::Log { modules, ..settings() });
        line();
        assert_eq!(EVALUATED.load(Ordering::SeqCst), 1);
        logging.apply(&settings());
        line();
        assert_eq!(EVALUATED.load(Ordering::SeqCst), 1);
    });
}

/// Asks the log behind it, and counts how often it is asked at all.
struct Counting(Dispatch, Arc<AtomicUsize>);

impl tracing::Subscriber for Counting {
    fn register_callsite(&self, m: &'static Metadata<'static>) -> Interest {
        self.0.register_callsite(m)
    }
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        self.1.fetch_add(1, Ordering::SeqCst);
        self.0.enabled(metadata)
    }
    fn event(&self, event: &tracing::Event<'_>) {
        self.1.fetch_add(1, Ordering::SeqCst);
        self.0.event(event);
    }
    fn new_span(&self, span: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        self.0.new_span(span)
    }
    fn record(&self, span: &tracing::span::Id, values: &tracing::span::Record<'_>) {
        self.0.record(span, values);
    }
    fn record_follows_from(&self, span: &tracing::span::Id, follows: &tracing::span::Id) {
        self.0.record_follows_from(span, follows);
    }
    fn enter(&self, span: &tracing::span::Id) {
        self.0.enter(span);
    }
    fn exit(&self, span: &tracing::span::Id) {
        self.0.exit(span);
    }
}

// MV14: the flag of the line is all that is looked at
#[test]
fn a_line_that_is_off_asks_nobody_each_time() {
    let line = || tracing::debug!(target: "plimsoll_quiet", text = "words", "a line");
    let (logging, dispatch) = started(None);
    let asked = Arc::new(AtomicUsize::new(0));
    let dispatch = Dispatch::new(Counting(dispatch, asked.clone()));
    with_default(&dispatch, || {
        (0..1000).for_each(|_| line());
        assert_eq!(asked.load(Ordering::SeqCst), 0);
        let modules = vec!["plimsoll_quiet=debug".to_string()];
        logging.apply(&config::Log { modules, ..settings() });
        (0..1000).for_each(|_| line());
        assert!(asked.load(Ordering::SeqCst) >= 1000, "the counter counts");
    });
}

// MV6: into the file, and warnings and above into the history
#[test]
fn lines_reach_the_file_and_warnings_the_history_also_those_from_before_it_opened() {
    let dir = tempfile::tempdir().unwrap();
    let (logging, dispatch) = started(Some(dir.path().into()));
    let noted = Arc::new(Noted::default());
    with_default(&dispatch, || {
        tracing::warn!(target: "plimsoll_x", disk = "/home", "early {}", 1);
        logging.flush();
        logging.record_into(noted.clone());
        tracing::info!(target: "plimsoll_x", count = 3, ok = true, why = %"two words", list = ?["a"], "plain");
        tracing::error!(target: "plimsoll_x", "late");
    });
    logging.flush();
    let lines = tail(dir.path(), &all()).unwrap();
    let messages: Vec<_> = lines.iter().map(|e| e.message.as_str()).collect();
    assert_eq!(messages, ["late", "plain", "early 1"]);
    assert_eq!(lines[1].fields, "count=3 ok=true why=\"two words\" list=\"[\\\"a\\\"]\"");
    assert_eq!(lines[1].at_ms, 1_763_650_000_000);
    let kept = noted.0.lock().unwrap();
    let kept: Vec<_> = kept.iter().map(|e| (e.level, e.message.as_str())).collect();
    assert_eq!(kept, [(LogLevel::Warn, "early 1"), (LogLevel::Error, "late")]);
    assert_eq!(logging.counts(), LogCounts::default());
}

#[test]
fn secrets_reach_neither_the_file_nor_the_history() {
    let dir = tempfile::tempdir().unwrap();
    let (logging, dispatch) = started(Some(dir.path().into()));
    let noted = Arc::new(Noted::default());
    logging.record_into(noted.clone());
    with_default(&dispatch, || {
        tracing::warn!(target: "plimsoll_x", api_key = "verysecret", url = "redis://u:verysecret@db", "x");
        tracing::warn!(target: "plimsoll_x", "header Authorization: Bearer verysecret");
    });
    logging.flush();
    for entry in tail(dir.path(), &all()).unwrap().iter().chain(noted.0.lock().unwrap().iter()) {
        assert!(!format!("{entry:?}").contains("verysecret"), "{entry:?}");
    }
    assert_eq!(noted.0.lock().unwrap().len(), 2);
}

/// A record that lets nobody on until it is told to: a disk that hangs.
struct Hanging(Mutex<Receiver<()>>, Noted, std::sync::mpsc::SyncSender<()>);

impl Layer for Hanging {
    fn below(&self) -> &dyn Record {
        &self.1
    }
    fn on_log(&self, entries: Vec<LogEntry>) {
        let _ = self.2.try_send(());
        let _ = self.0.lock().unwrap().recv_timeout(Duration::from_secs(60));
        self.1.log(entries);
    }
}

// MV6: never blocks: a queue of 10,000, drops counted
#[test]
fn a_writer_that_hangs_blocks_nobody_and_drops_are_counted() {
    let (release, hold) = sync_channel(1000);
    let (entered, inside) = sync_channel(1);
    let (logging, dispatch) = started(None);
    let hanging = Arc::new(Hanging(Mutex::new(hold), Noted::default(), entered));
    logging.record_into(hanging.clone());
    with_default(&dispatch, || {
        // An error is written at once: the writer now hangs in it.
        tracing::error!(target: "plimsoll_x", "first");
        inside.recv_timeout(Duration::from_secs(60)).unwrap();
        for n in 0..QUEUE + 500 {
            tracing::warn!(target: "plimsoll_x", n, "more");
        }
    });
    let counts = logging.counts();
    assert_eq!((counts.waiting, counts.dropped), (QUEUE as u64, 500));
    // A history that opens again meanwhile does not wait for the queue either.
    logging.record_into(hanging.clone());
    for _ in 0..500 {
        release.send(()).unwrap();
    }
    logging.flush();
    let kept = hanging.1.0.lock().unwrap();
    let told: Vec<_> = kept.iter().filter(|e| e.fields.contains("lines=500")).collect();
    assert_eq!(told.len(), 1, "the drops are told once");
    assert_eq!(kept.len(), 1 + QUEUE + 1);
}

#[test]
fn a_file_that_cannot_be_written_is_counted_told_once_and_tried_again() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("logs");
    // A file where the folder should be.
    std::fs::write(&folder, "").unwrap();
    let (logging, dispatch) = started(Some(folder.clone()));
    let noted = Arc::new(Noted::default());
    logging.record_into(noted.clone());
    let told = || noted.0.lock().unwrap().iter().map(|e| e.message.clone()).collect::<Vec<_>>();
    with_default(&dispatch, || {
        for n in 1..=3 {
            tracing::info!(target: "plimsoll_x", "lost {n}");
            logging.flush();
            assert_eq!(logging.counts().unwritten, n);
        }
        assert_eq!(told().len(), 1, "{:?}", told());
        assert!(told()[0].contains("cannot be written"), "{:?}", told());
        std::fs::remove_file(&folder).unwrap();
        tracing::info!(target: "plimsoll_x", "kept");
        logging.flush();
        // Well again: the next trouble is worth a word again.
        std::fs::remove_dir_all(&folder).unwrap();
        std::fs::create_dir_all(folder.join(file::OWNER)).unwrap();
        logging.go_to(Places { folder: Some(folder.clone()), name: file::OWNER, stderr: false });
        tracing::info!(target: "plimsoll_x", "lost");
        logging.flush();
        assert_eq!(told().len(), 2, "{:?}", told());
    });
}

#[test]
fn a_log_that_cannot_put_files_aside_goes_on_within_its_bound_and_says_so_once() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(file::nth(dir.path(), file::OWNER, 1)).unwrap();
    let (logging, dispatch) = started(Some(dir.path().into()));
    logging.apply(&config::Log { file_mib: 1, files: 2, ..settings() });
    let noted = Arc::new(Noted::default());
    logging.record_into(noted.clone());
    let long = "x".repeat(2000);
    with_default(&dispatch, || {
        for _ in 0..20 {
            for _ in 0..BATCH {
                tracing::info!(target: "plimsoll_x", "{long}");
            }
            logging.flush();
        }
        tracing::info!(target: "plimsoll_x", "the last line");
    });
    logging.flush();
    let size = std::fs::metadata(file::nth(dir.path(), file::OWNER, 0)).unwrap().len();
    // A file is closed with the batch that fills it.
    assert!(size < (1 << 20) + 300_000, "{size}");
    assert_eq!(tail(dir.path(), &all()).unwrap()[0].message, "the last line");
    let told = noted.0.lock().unwrap();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].message.contains("could not be put aside"), "{told:?}");
    assert_eq!(logging.counts(), LogCounts::default());
}

#[test]
fn a_log_that_moves_keeps_what_was_said_before_where_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let (logging, dispatch) = started(None);
    let read = |name| std::fs::read_to_string(file::nth(dir.path(), name, 0)).unwrap();
    logging.go_to(Places::of_window(dir.path().into()));
    with_default(&dispatch, || {
        tracing::info!(target: "plimsoll_x", "attached");
        logging.go_to(Places::of_owner(dir.path().into(), false));
        tracing::info!(target: "plimsoll_x", "hosting");
    });
    logging.flush();
    assert!(read(file::WINDOW).contains("attached") && !read(file::WINDOW).contains("hosting"));
    assert!(read(file::OWNER).contains("hosting") && !read(file::OWNER).contains("attached"));
}

#[test]
fn a_very_long_line_is_cut() {
    let dir = tempfile::tempdir().unwrap();
    let (logging, dispatch) = started(Some(dir.path().into()));
    with_default(&dispatch, || {
        tracing::info!(target: "plimsoll_x", body = "é".repeat(100_000), "{}", "x".repeat(100_000));
    });
    logging.flush();
    let entry = &tail(dir.path(), &all()).unwrap()[0];
    assert!(entry.message.len() <= 2048 && entry.fields.len() <= 2048);
}

#[tokio::test]
async fn levels_follow_the_configuration() {
    let dir = tempfile::tempdir().unwrap();
    let (logging, dispatch) = started(Some(dir.path().into()));
    let logging = Arc::new(logging);
    let (sender, config) = watch::channel(Arc::new(Config::default()));
    let task = logging.follow(config);
    let mut next = Config::default();
    next.log.level = LogLevel::Debug;
    sender.send(Arc::new(next)).unwrap();
    // The task ends when the sender is gone, after it has seen the last value.
    drop(sender);
    task.await.unwrap();
    with_default(&dispatch, || tracing::debug!(target: "plimsoll_x", "now on"));
    logging.flush();
    assert_eq!(tail(dir.path(), &all()).unwrap().len(), 1);
}
