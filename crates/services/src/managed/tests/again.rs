//! What a Plimsoll that was killed left behind, and how the next one finds it.

use std::{
    io::{BufRead, BufReader},
    os::unix::process::CommandExt,
};

use super::*;
use crate::managed::{
    ledger::{Note, Noted},
    process::{boot, with_token},
};

/// Not a test by itself: the Plimsoll that is killed in the next one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "is started by the test that kills it"]
async fn owner() {
    let Some(folder) = std::env::var_os("PLIMSOLL_TEST_OWNER") else { return };
    let (specs, vram, view) = (
        watch::channel(Arc::new(vec![survivor()])),
        watch::channel(None),
        watch::channel(Arc::default()),
    );
    let ready = ByFile { folder: folder.clone().into(), taken: AtomicBool::new(false) };
    let _managed = Managed::start(Parts {
        folder: Path::new(&folder).join("services"),
        specs: specs.1,
        vram: vram.1,
        view: view.1,
        ready: Arc::new(ready),
        kept_off: Arc::new(|_| false),
        clock: Arc::new(SystemClock),
        record: Arc::new(plimsoll_core::record::Nowhere),
    });
    tokio::time::sleep(PATIENCE).await;
}

fn survivor() -> Spec {
    shell("a", "echo up; while :; do sleep 0.1; echo still here; done")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_plimsoll_leaves_a_service_that_the_next_one_finds_again() {
    let dir = tempfile::tempdir().unwrap();
    let name = "managed::tests::again::owner";
    let mut owner = Command::new(std::env::current_exe().unwrap());
    owner.args(["--exact", name, "--ignored"]).env("PLIMSOLL_TEST_OWNER", dir.path());
    let mut owner = owner.stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
    let ledger = Ledger::new(dir.path().join("services"));
    let noted = async {
        loop {
            if let [Note { process: Some(noted), .. }] = ledger.notes()[..] {
                return noted;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let noted = tokio::time::timeout(PATIENCE, noted).await;
    // SIGKILL: it can do nothing more.
    owner.kill().unwrap();
    owner.wait().unwrap();
    let pid = noted.unwrap().pid;
    assert!(lives(pid));

    fs::write(dir.path().join("a.serves"), "").unwrap();
    let bench = Bench::within(dir, vec![survivor()], false);
    let run = bench.until_state("a", RunState::Running).await;
    assert_eq!(run.pid, Some(pid));
    assert_eq!(run.command, survivor().launch.shown());
    // It neither broke nor hung, and is read on.
    let before = bench.managed.output("a", MAX_LINES, 7).await.unwrap().0.len();
    let more = async {
        while bench.managed.output("a", MAX_LINES, 7).await.unwrap().0.len() <= before {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, more).await.unwrap();
    let lines = bench.managed.output("a", MAX_LINES, 7).await.unwrap().0;
    assert_eq!(lines.iter().filter(|line| line.text == "up").count(), 1, "started once");
    assert_eq!(*bench.marks.0.lock().unwrap(), ["a runs already and is taken over"]);
    bench.managed.close().await;
    assert_eq!(group(pid), 0);
    assert!(Ledger::new(bench.folder()).notes().is_empty());
}

fn note(token: &str, process: Option<Noted>) -> Note {
    Note {
        service: "a".into(),
        name: "a".into(),
        token: token.into(),
        boot: boot(),
        process,
        command: vec!["sleep".into()],
        fingerprint: 1,
        stop_s: 1,
        at_ms: 0,
    }
}

fn write(folder: &Path, note: &Note) {
    fs::create_dir_all(folder).unwrap();
    fs::write(folder.join("a.json"), serde_json::to_vec(note).unwrap()).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_only_has_the_number_is_neither_adopted_nor_harmed() {
    let bystander = Bystander::new(None);
    let stat = bystander.stat();
    let others = [
        note("none-1", Some(Noted { pid: stat.pid, started: stat.started - 1, session: None })),
        Note {
            boot: "another start of the machine".into(),
            ..note("none-2", Some(Noted { pid: stat.pid, started: stat.started, session: None }))
        },
    ];
    for note in others {
        let dir = tempfile::tempdir().unwrap();
        write(&dir.path().join("services"), &note);
        let bench = Bench::within(dir, vec![shell("a", "exec sleep 600")], false);
        let run = bench.until("a", |run| run.pid.is_some()).await;
        assert_ne!(run.pid, Some(stat.pid));
        bench.managed.close().await;
        assert!(lives(stat.pid));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_that_was_cut_off_before_its_number_was_noted_is_found_by_its_token() {
    let dir = tempfile::tempdir().unwrap();
    let token = format!("cut-off-{}", std::process::id());
    let output = output::Output::open(dir.path().join("x.log"));
    let lost = shell("a", "exec sleep 600");
    let lost = process::Process::start("a", &lost.launch, &token, &output).unwrap();
    // While one program becomes another, nobody can read what it was started with.
    let name = format!("/proc/{}/comm", lost.pid);
    while std::fs::read_to_string(&name).unwrap().trim() != "sleep" {
        tokio::task::yield_now().await;
    }
    write(&dir.path().join("services"), &note(&token, None));
    let bench = Bench::within(dir, vec![shell("a", "exec sleep 600")], false);
    let run = bench.until("a", |run| run.pid.is_some()).await;
    assert_eq!(run.pid, Some(lost.pid));
    // The configuration says something else by now, and nothing is done about it.
    assert!(bench.managed.states().borrow()["a"].changed);
    bench.managed.close().await;
    assert!(!lives(lost.pid));
}

/// A group whose first process is gone: that one, and who is left of it.
fn group_without_its_first(token: &str, left: &str) -> (Noted, Rest) {
    let mut first = Command::new("sh")
        .args(["-c", &format!("{left} >&2 & echo $!; read end")])
        .env(TOKEN, token)
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(first.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let left = Rest::new(line.trim().parse().unwrap());
    let stat = Stat::of(i32::try_from(first.id()).unwrap()).unwrap();
    drop(first.stdin.take());
    first.wait().unwrap();
    (Noted { pid: stat.pid, started: stat.started, session: Some(stat.session) }, left)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_left_of_a_group_whose_first_process_is_gone_is_killed_and_nobody_else() {
    let token = format!("left-{}", std::process::id());
    // One that wrote over its environment, as a worker does that gives itself a title.
    let (noted, left) = group_without_its_first(&token, &format!("exec env -u {TOKEN} sleep 600"));
    // One that a person started from within, in a group of its own.
    let job = Bystander::new(Some(&token));
    let dir = tempfile::tempdir().unwrap();
    write(&dir.path().join("services"), &note(&token, Some(noted)));
    let bench = Bench::within(dir, vec![shell("a", "exec sleep 600")], false);
    bench.until("a", |run| run.pid.is_some()).await;
    left.until_it_is_gone().await;
    assert!(lives(job.stat().pid));
    bench.managed.close().await;
}

#[tokio::test]
async fn where_the_session_is_not_known_only_the_token_tells_who_is_left() {
    let token = format!("old-{}", std::process::id());
    let (noted, with) = group_without_its_first(&token, "exec sleep 600");
    let (other, without) =
        group_without_its_first(&token, &format!("exec env -u {TOKEN} sleep 600"));
    without.until_it_runs("sleep").await;
    for noted in [noted, other] {
        assert!(note(&token, Some(Noted { session: None, ..noted })).find().is_none());
    }
    with.until_it_is_gone().await;
    assert!(without.lives());
    // Nor is it touched where the session is another.
    let elsewhere = Noted { session: Some(i32::MAX), ..other };
    assert!(note(&token, Some(elsewhere)).find().is_none());
    assert!(without.lives());
}

#[tokio::test]
async fn a_job_in_a_session_of_its_own_is_not_taken_for_the_first_process() {
    let token = format!("job-{}", std::process::id());
    let mut job = Command::new("setsid");
    let job = Bystander(job.args(["sleep", "600"]).env(TOKEN, &token).spawn().unwrap());
    let sleeps = Rest::new(job.stat().pid);
    sleeps.until_it_runs("sleep").await;
    // A program has its name before it has its variables.
    sleeps.until(|| with_token(&token).len() == 1).await;
    assert!(note(&token, None).find().is_none());
    assert!(lives(job.stat().pid));
}
