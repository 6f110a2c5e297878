//! With real processes. Nothing is asserted about time: what is waited for comes, or
//! the patience of the whole test ends. Whatever runs at a test's end is killed.

mod again;
mod processes;

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use plimsoll_core::{
    clock::SystemClock,
    config::Restart,
    mark::Mark,
    record::{Layer, Nowhere},
};
use tempfile::TempDir;

use self::processes::{Bystander, Rest, group, lives};
use super::{
    ledger::Ledger,
    process::{Order, Stat, TOKEN},
    *,
};
use crate::service::{Run, RunState};

const PATIENCE: Duration = Duration::from_secs(60);

/// Serves once a file `ID.serves` is in the folder.
struct ByFile {
    folder: PathBuf,
    taken: AtomicBool,
}

#[async_trait]
impl Ready for ByFile {
    async fn listens(&self, _: &Spec) -> bool {
        self.taken.load(Ordering::SeqCst)
    }

    async fn serves(&self, spec: &Spec) -> bool {
        self.folder.join(format!("{}.serves", spec.id)).exists()
    }
}

#[derive(Default)]
struct Marks(Mutex<Vec<String>>);

impl Layer for Marks {
    fn below(&self) -> &dyn Record {
        &Nowhere
    }
    fn on_mark(&self, mark: Mark) {
        assert!(mark.reference.is_some_and(|to| to.starts_with("service:")));
        self.0.lock().unwrap().push(mark.title);
    }
}

struct Bench {
    dir: TempDir,
    managed: Managed,
    specs: watch::Sender<Arc<Vec<Spec>>>,
    marks: Arc<Marks>,
    _vram: watch::Sender<Option<Vram>>,
    _view: watch::Sender<Arc<FleetView>>,
}

fn spec(id: &str, program: &str, arguments: &[&str]) -> Spec {
    Spec {
        id: id.into(),
        name: id.into(),
        url: "http://127.0.0.1:1".into(),
        launch: Launch {
            program: program.into(),
            arguments: arguments.iter().map(|&word| word.into()).collect(),
            cwd: "/".into(),
            env: vec![("GREETING".into(), "hush".into())],
        },
        autostart: true,
        order: 0,
        restart: Restart::Never,
        grace: Duration::from_secs(30),
        planned: None,
        on_gpu: false,
        watched: true,
    }
}

fn shell(id: &str, script: &str) -> Spec {
    spec(id, "sh", &["-c", script])
}

impl Bench {
    fn new(specs: Vec<Spec>) -> Self {
        Self::within(tempfile::tempdir().unwrap(), specs, false)
    }

    fn within(dir: TempDir, specs: Vec<Spec>, taken: bool) -> Self {
        Self::kept_off(dir, specs, taken, Arc::new(|_| false))
    }

    fn kept_off(
        dir: TempDir,
        specs: Vec<Spec>,
        taken: bool,
        kept_off: Arc<dyn Fn(&str) -> bool + Send + Sync>,
    ) -> Self {
        let (specs, specs_read) = watch::channel(Arc::new(specs));
        let (vram, vram_read) = watch::channel(None);
        let (view, view_read) = watch::channel(Arc::default());
        let marks = Arc::new(Marks::default());
        let ready = ByFile { folder: dir.path().into(), taken: AtomicBool::new(taken) };
        let managed = Managed::start(Parts {
            folder: dir.path().join("services"),
            specs: specs_read,
            vram: vram_read,
            view: view_read,
            ready: Arc::new(ready),
            kept_off,
            clock: Arc::new(SystemClock),
            record: marks.clone(),
        });
        Self { dir, managed, specs, marks, _vram: vram, _view: view }
    }

    fn serve(&self, id: &str) {
        fs::write(self.dir.path().join(format!("{id}.serves")), "").unwrap();
    }

    async fn until(&self, id: &str, wanted: impl Fn(&Run) -> bool) -> Run {
        let mut states = self.managed.states();
        let found = states.wait_for(|states| states.get(id).is_some_and(|s| wanted(&s.run)));
        match tokio::time::timeout(PATIENCE, found).await {
            Ok(states) => states.unwrap()[id].run.clone(),
            Err(_) => panic!("{id}: {:?}", self.managed.states().borrow()),
        }
    }

    async fn until_state(&self, id: &str, state: RunState) -> Run {
        self.until(id, |run| run.state == state).await
    }

    /// Until a line with that text was read.
    async fn until_line(&self, id: &str, text: &str) -> Vec<Line> {
        let found = async {
            loop {
                let (lines, _) = self.managed.output(id, MAX_LINES, 7).await.unwrap();
                if lines.iter().any(|line| line.text.contains(text)) {
                    return lines;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(PATIENCE, found).await.expect(text)
    }

    fn folder(&self) -> PathBuf {
        self.dir.path().join("services")
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        // Also when the test fails; the keeper may still hold some of it.
        for note in Ledger::new(self.folder()).notes() {
            if let Some(process) = note.find() {
                process.tell(Order::Die);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_is_started_read_and_stopped() {
    let script = "echo one; echo two >&2; echo three; echo $GREETING-$0-$1; exec sleep 600";
    let bench = Bench::new(vec![spec("a", "sh", &["-c", script, "-np", "4"])]);
    let run = bench.until("a", |run| run.pid.is_some()).await;
    assert_eq!((run.state, run.restarts), (RunState::Starting, 0));
    assert_eq!(run.command[..2], ["sh", "-c"]);
    bench.serve("a");
    let run = bench.until_state("a", RunState::Running).await;
    let lines = bench.until_line("a", "hush--np-4").await;
    let texts: Vec<&str> = lines.iter().map(|line| &*line.text).collect();
    assert!(texts[0].starts_with("[plimsoll] started: sh -c"), "{texts:?}");
    // Both streams, in the order in which they were written.
    assert_eq!(texts[1..], ["one", "two", "three", "hush--np-4"]);
    assert!(lines.iter().all(|line| line.at_ms.is_some()));
    bench.managed.stop_service("a").await.unwrap();
    bench.until_state("a", RunState::Stopped).await;
    assert!(!lives(run.pid.unwrap()));
    assert_eq!(*bench.marks.0.lock().unwrap(), ["a was started", "a was stopped"]);
    assert_eq!(bench.managed.stop_service("a").await, Err(Refused::Already(RunState::Stopped)));
    assert_eq!(bench.managed.start_service("b").await, Err(Refused::NoSuchService));
    assert!(bench.managed.output("b", 1, 0).await.is_none());
    assert!(Ledger::new(bench.folder()).notes().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_started_says_so_with_its_key() {
    let mut folder = shell("folder", "true");
    folder.launch.cwd = "/nonexistent".into();
    let bench = Bench::new(vec![
        spec("name", "no-such-program", &[]),
        spec("path", "/nonexistent/x", &[]),
        spec("file", "/etc/passwd", &[]),
        folder,
    ]);
    let reason = async |id: &str| bench.until_state(id, RunState::Failed).await.reason;
    assert_eq!(
        reason("name").await,
        "services.name.command: there is no program no-such-program in PATH; name its whole path."
    );
    let path = "services.path.command: there is no program /nonexistent/x.";
    assert_eq!(reason("path").await, path);
    assert_eq!(reason("file").await, "services.file.command: /etc/passwd may not be run.");
    assert_eq!(reason("folder").await, "services.folder.cwd: /nonexistent is no folder.");
    assert!(Ledger::new(bench.folder()).notes().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_does_not_end_when_asked_is_killed_with_all_that_it_started() {
    let script = "trap '' TERM; sleep 600 & echo up; while :; do sleep 600; done";
    let stubborn = Spec { grace: Duration::from_millis(100), ..shell("a", script) };
    let bench = Bench::new(vec![stubborn]);
    bench.until_line("a", "up").await;
    let pid = bench.until("a", |run| run.pid.is_some()).await.pid.unwrap();
    assert!(group(pid) >= 2);
    bench.managed.stop_service("a").await.unwrap();
    bench.until_state("a", RunState::Stopped).await;
    assert_eq!(group(pid), 0);
    let marks = bench.marks.0.lock().unwrap().clone();
    assert!(marks.last().unwrap().contains("was killed"), "{marks:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_left_the_group_ends_with_it_and_another_program_does_not() {
    let script = r#"setsid sh -c 'echo worker i""s $$; sleep 600; :' &
                  setsid sh -c 'echo other i""s $$; exec sleep 600' & wait"#;
    let bench = Bench::new(vec![shell("a", script)]);
    let number = async |name: &str| {
        // Not as in the command, which stands there, too.
        let says = format!("{name} is ");
        let lines = bench.until_line("a", &says).await;
        let told = |line: &Line| line.text.strip_prefix(&says)?.trim().parse().ok();
        Rest::new(lines.iter().find_map(told).unwrap())
    };
    let (worker, other) = (number("worker").await, number("other").await);
    other.until_it_runs("sleep").await;
    bench.managed.stop_service("a").await.unwrap();
    bench.until_state("a", RunState::Stopped).await;
    assert!(!worker.lives());
    assert!(other.lives());
    assert_eq!(group(worker.0.pid), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn those_behind_a_shell_have_their_grace_when_the_shell_is_gone() {
    // The shell ends at once; what it started has something to keep first.
    let script = "sh -c 'trap \"sleep 0.3; echo kept; exit\" TERM; echo up; while :; do sleep 0.1; done' & \
                  trap 'exit 0' TERM; wait";
    let bench = Bench::new(vec![shell("a", script)]);
    bench.until_line("a", "up").await;
    let pid = bench.until("a", |run| run.pid.is_some()).await.pid.unwrap();
    bench.managed.stop_service("a").await.unwrap();
    bench.until_state("a", RunState::Stopped).await;
    bench.until_line("a", "kept").await;
    assert_eq!(group(pid), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_ends_by_itself_says_its_last_line_and_leaves_nothing_behind() {
    let script = "sleep 600 & echo loading; echo 'no such model'; echo; exit 3";
    let bench = Bench::new(vec![shell("a", script)]);
    let run = bench.until_state("a", RunState::Failed).await;
    assert_eq!(run.reason, "It ended with code 3; its last line: no such model");
    let pid = bench.until_line("a", "loading").await;
    assert_eq!(pid.len(), 4);
    assert_eq!(run.pid, None);
    let left = Stat::all().filter(|s| s.lives() && holds(s.pid, "GREETING=hush", bench.dir.path()));
    assert_eq!(left.count(), 0);
}

/// Whether a process has that variable, and writes into that folder.
fn holds(pid: i32, variable: &str, folder: &Path) -> bool {
    let environ = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    let has = environ.split(|byte| *byte == 0).any(|held| held == variable.as_bytes());
    has && fs::read_link(format!("/proc/{pid}/fd/1")).is_ok_and(|to| to.starts_with(folder))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_crashes_is_started_again_as_often_as_it_says() {
    let crashing = Spec { restart: Restart::OnFailure, ..shell("a", "echo up; kill -SEGV $$") };
    let bench = Bench::new(vec![crashing]);
    let run = bench.until_state("a", RunState::Restarting).await;
    assert!(run.reason.starts_with("It ended by signal 11") && run.next_ms.is_some(), "{run:?}");
    let run = bench.until("a", |run| run.restarts == 1).await;
    assert_eq!(run.next_ms.filter(|_| run.state == RunState::Starting), None);
    bench.managed.stop_service("a").await.ok();
    bench.until_state("a", RunState::Stopped).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_crashes_is_not_started_again_into_a_gpu_that_is_kept_free() {
    let dir = tempfile::tempdir().unwrap();
    let held = dir.path().join("held");
    let script = format!("echo up; touch {}; exit 1", held.display());
    let crashing = Spec { restart: Restart::OnFailure, on_gpu: true, ..shell("a", &script) };
    // The hold begins while the service runs.
    let bench = Bench::kept_off(dir, vec![crashing], false, Arc::new(move |_| held.exists()));
    let run = bench.until("a", |run| run.restarts == 1).await;
    assert_eq!((run.state, run.pid), (RunState::Waiting, None));
    assert!(run.reason.starts_with("Waits for the end of the hold"), "{}", run.reason);
    let lines = bench.until_line("a", "up").await;
    assert_eq!(lines.iter().filter(|line| line.text == "up").count(), 1, "{lines:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_are_stopped_in_the_reverse_order_of_their_start() {
    let say = |id: &str, order| Spec {
        on_gpu: true,
        order,
        ..shell(id, "trap 'sleep 0.2; exit 0' TERM; while :; do sleep 0.05; done")
    };
    let bench = Bench::new(vec![say("first", 0), say("second", 1)]);
    bench.until("first", |run| run.pid.is_some()).await;
    assert!(bench.until_state("second", RunState::Waiting).await.reason.contains("first"));
    bench.serve("first");
    bench.until("second", |run| run.pid.is_some()).await;
    bench.managed.close().await;
    let marks = bench.marks.0.lock().unwrap().clone();
    let expected =
        ["first was started", "second was started", "second was stopped", "first was stopped"];
    assert_eq!(marks, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_that_answers_already_is_left_to_who_answers() {
    let bench = Bench::within(tempfile::tempdir().unwrap(), vec![shell("a", "sleep 600")], true);
    let run = bench.until_state("a", RunState::Failed).await;
    assert!(run.reason.starts_with("http://127.0.0.1:1 is answered already"), "{}", run.reason);
    assert!(!bench.folder().join("a.log").exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_is_taken_out_of_the_configuration_is_stopped_and_its_output_stays() {
    let bench = Bench::new(vec![shell("a", "echo up; exec sleep 600")]);
    bench.until_line("a", "up").await;
    let pid = bench.until("a", |run| run.pid.is_some()).await.pid.unwrap();
    bench.specs.send_replace(Arc::default());
    let mut states = bench.managed.states();
    states.wait_for(|states| states.is_empty()).await.unwrap();
    assert!(!lives(pid));
    assert!(bench.folder().join("a.log").exists());
}
