//! A managed service behind the gateway is started anew: what runs there ends first, and who
//! asks meanwhile waits.

use std::{fs, net::TcpListener, path::Path, pin::Pin, time::Duration};

use futures::{Stream, StreamExt as _};
use plimsoll_app::{
    api::{
        Command, ConfigEdit, Done, Fault, FaultCode, JobId, JobProgress, JobStarted, JobState,
        Live, Nothing, ServiceId, Status, Subscription, Traffic,
    },
    session::{Options, Session},
};
use plimsoll_core::config::wire::{Change, ConfigView, Revision, SettingValue};
use plimsoll_services::service::{Run, RunState, Service};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::{sleep, timeout},
};

/// A server of a few lines. It listens once the file `open` is there, and has one model; an
/// answer begins with the number of its process, and ends once the file `end` is there.
const SERVER: &str = r#"sub await { select undef, undef, undef, .01 until -e "$dir/@_" }
($port, $dir) = @ARGV; $SIG{CHLD} = "IGNORE"; await("open");
$s = IO::Socket::INET->new(LocalAddr => "127.0.0.1", LocalPort => $port, Listen => 9,
  ReuseAddr => 1) or die "no port";
while ($c = $s->accept) {
  if (fork) { close $c; next }
  $c->autoflush(1); $what = <$c>; $n = 0;
  while (<$c>) { $n = $1 if /^content-length: *(\d+)/i; last if /^\r?\n$/ }
  read $c, $body, $n if $n;
  print $c "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: ";
  if ($what !~ /^POST/) {
    print $c "application/json\r\n\r\n", q({"object":"list","data":[{"id":"m","object":"model"}]});
    exit;
  }
  print $c "text/event-stream\r\n\r\n", q(data: {"choices":[{"index":0,"delta":{"content":");
  print $c "of ", getppid, q("}}]}), "\n\n"; await("end"); print $c "data: [DONE]\n\n"; exit;
}"#;

/// One that waits for no file, and answers every question with 200.
const PLAIN: &str = r#"$s = IO::Socket::INET->new(LocalAddr => "127.0.0.1", LocalPort => shift,
  Listen => 9, ReuseAddr => 1) or die "no port"; while ($c = $s->accept) { while (<$c>) {
  last if /^\r?\n$/ } print $c "HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
  close $c }"#;

type Heard = Pin<Box<dyn Stream<Item = Live> + Send>>;

struct Bench {
    session: Session,
    heard: Heard,
    gateway: String,
    dir: TempDir,
}

// === impl Bench ===

impl Bench {
    async fn open(kind: &str, server: &str, drain_s: u32) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let place = dir.path().display();
        let text = format!(
            "[gateway]\ndrain_s = {drain_s}\n[services]\ndiscover = false\n[services.a]\n\
             url = \"http://127.0.0.1:{port}\"\nkind = \"{kind}\"\nscrape_ms = 250\nstop_s = 5\n\
             command = [\"perl\", \"-MIO::Socket::INET\", \"-e\", '''{server}''', \"{port}\", \
             \"{place}\"]\n[services.b]\nurl = \"http://127.0.0.1:1\"\nenabled = false\n"
        );
        fs::write(dir.path().join("plimsoll.toml"), text).unwrap();
        let gateway = Some("127.0.0.1:0".parse().unwrap());
        let data_dir = Some(dir.path().to_path_buf());
        let options = Options { data_dir, gateway, ..Options::default() };
        touch(dir.path(), "open");
        let session = Session::start(options).await.unwrap();
        let heard = Box::pin(session.subscribe(Subscription::default()));
        let status: Status = session.call(Command::Status(Nothing {})).await.unwrap();
        Self { session, heard, gateway: status.gateway.expect("it listens"), dir }
    }

    async fn run(&self) -> Option<Run> {
        let services: Vec<Service> =
            self.session.call(Command::Services(Nothing {})).await.unwrap();
        services.into_iter().find(|service| service.id == "a").and_then(|a| a.run)
    }

    /// The process of the service, once it is so.
    async fn process(&self, state: RunState) -> i32 {
        until(&format!("it is {state:?}"), async || {
            self.run().await.filter(|run| run.state == state)?.pid
        })
        .await
    }

    async fn stop(&self, id: &str) -> Result<JobStarted, Fault> {
        self.session.call(Command::ServiceStop(ServiceId { id: id.into() })).await
    }

    /// Whether the page shows that it takes nothing new.
    async fn rests(&self) -> bool {
        let now: Traffic = self.session.call(Command::Traffic(Nothing {})).await.unwrap();
        now.backends.iter().any(|backend| backend.id == "a" && backend.resting)
    }

    async fn restart(&self, id: &str) -> Result<JobStarted, Fault> {
        self.session.call(Command::ServiceRestart(ServiceId { id: id.into() })).await
    }

    /// The next word of a job that is so.
    async fn job(&mut self, job: u64, is: impl Fn(&JobProgress) -> bool) -> JobProgress {
        let hearing = async {
            loop {
                if let Live::Job { job: told } = self.heard.next().await.expect("it goes on")
                    && told.job == job
                    && is(&told)
                {
                    return told;
                }
            }
        };
        timeout(Duration::from_secs(60), hearing).await.expect("the job says so")
    }

    async fn ended(&mut self, job: u64) -> JobProgress {
        self.job(job, |job| job.state != JobState::Running).await
    }

    /// Waits until so many requests are in flight, and so many wait.
    async fn traffic(&self, in_flight: u32, queued: u32) {
        until(&format!("{in_flight} run and {queued} wait"), async || {
            let now: Traffic = self.session.call(Command::Traffic(Nothing {})).await.unwrap();
            ((now.totals.in_flight, now.totals.queued) == (in_flight, queued)).then_some(())
        })
        .await;
    }

    /// Asks, and answers at the first sign of an answer.
    async fn ask(&self) -> Answer {
        let body = r#"{"model":"m","stream":true,"messages":[{"role":"user","content":"x"}]}"#;
        let mut stream = TcpStream::connect(&self.gateway).await.unwrap();
        let head = format!(
            "POST /v1/chat/completions HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\n\
             connection: close\r\ncontent-length: {}\r\n\r\n{body}",
            self.gateway,
            body.len()
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        Answer { stream, text: String::new() }
    }

    /// Waits until its model is known.
    async fn known(&self) {
        until("its model is known", async || {
            let mut stream = TcpStream::connect(&self.gateway).await.unwrap();
            let head = format!(
                "GET /v1/models HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n",
                self.gateway
            );
            stream.write_all(head.as_bytes()).await.unwrap();
            let mut answer = Answer { stream, text: String::new() };
            answer.all().await.contains("\"m\"").then_some(())
        })
        .await;
    }
}

/// What comes back, as far as it was read.
struct Answer {
    stream: TcpStream,
    text: String,
}

// === impl Answer ===

impl Answer {
    /// Reads until that stands in it.
    async fn says(&mut self, wanted: &str) {
        let reading = async {
            let mut bytes = [0; 4096];
            while !self.text.contains(wanted) {
                let many = self.stream.read(&mut bytes).await.unwrap();
                assert!(many > 0, "it ended without {wanted:?}: {}", self.text);
                self.text.push_str(&String::from_utf8_lossy(&bytes[..many]));
            }
        };
        timeout(Duration::from_secs(60), reading).await.unwrap_or_else(|_| panic!("no {wanted:?}"));
    }

    /// Reads to its end, however it ends.
    async fn all(&mut self) -> &str {
        let mut rest = Vec::new();
        let reading = self.stream.read_to_end(&mut rest);
        let _ = timeout(Duration::from_secs(60), reading).await.expect("it ends");
        self.text.push_str(&String::from_utf8_lossy(&rest));
        &self.text
    }
}

fn touch(folder: &Path, file: &str) {
    fs::write(folder.join(file), "").unwrap();
}

/// Asks again until there is an answer.
async fn until<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let asking = async {
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(Duration::from_secs(60), asking).await.unwrap_or_else(|_| panic!("never: {what}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_launch_setting_needs_is_a_restart_that_says_how_long_it_took() {
    let mut bench = Bench::open("http", PLAIN, 30).await;
    let before = bench.process(RunState::Running).await;
    let started = bench.restart("a").await.unwrap();
    let ended = bench.ended(started.job).await;
    assert_eq!(ended.state, JobState::Done, "{}", ended.message);
    assert!(ended.message.starts_with("a serves again after "), "{}", ended.message);
    assert_ne!(bench.process(RunState::Running).await, before, "another process");
    let fault = bench.restart("b").await.unwrap_err();
    assert_eq!(fault.code, FaultCode::Invalid, "nobody here starts it");
    bench.session.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_lets_a_stream_end_whole_and_who_asks_meanwhile_is_answered_after_it() {
    let mut bench = Bench::open("openai", SERVER, 3600).await;
    let before = bench.process(RunState::Running).await;
    bench.known().await;
    let mut first = bench.ask().await;
    first.says(&format!("of {before}")).await;

    // A word is enough while nothing was stopped, and nothing has happened then.
    let started = bench.restart("a").await.unwrap();
    bench.job(started.job, |job| job.message.starts_with("Waits for 1 request to end")).await;
    let mut second = bench.ask().await;
    bench.traffic(1, 1).await;
    let _: Done = bench.session.call(Command::JobCancel(JobId { job: started.job })).await.unwrap();
    assert_eq!(bench.ended(started.job).await.state, JobState::Cancelled);
    second.says(&format!("of {before}")).await;

    let started = bench.restart("a").await.unwrap();
    bench.job(started.job, |job| job.message.starts_with("Waits for 2 requests to end")).await;
    let mut third = bench.ask().await;
    bench.traffic(2, 1).await;
    fs::remove_file(bench.dir.path().join("open")).unwrap();
    touch(bench.dir.path(), "end");
    for answer in [&mut first, &mut second] {
        let text = answer.all().await;
        assert!(text.contains("data: [DONE]"), "it ended whole: {text}");
    }
    // The next one stands, and does not listen yet.
    let after = bench.process(RunState::Starting).await;
    assert_ne!(after, before);
    let mut fourth = bench.ask().await;
    bench.traffic(0, 2).await;
    touch(bench.dir.path(), "open");
    let ended = bench.ended(started.job).await;
    assert_eq!(ended.state, JobState::Done, "{}", ended.message);
    for answer in [&mut third, &mut fourth] {
        let text = answer.all().await;
        assert!(text.contains(&format!("of {after}")) && text.contains("data: [DONE]"), "{text}");
    }
    bench.session.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_does_not_end_in_its_time_does_not_hold_a_restart_up() {
    let mut bench = Bench::open("openai", SERVER, 0).await;
    let before = bench.process(RunState::Running).await;
    bench.known().await;
    let mut endless = bench.ask().await;
    endless.says(&format!("of {before}")).await;
    let started = bench.restart("a").await.unwrap();
    let ended = bench.ended(started.job).await;
    assert_eq!(ended.state, JobState::Done, "{}", ended.message);
    let text = endless.all().await;
    assert!(!text.contains("data: [DONE]"), "it is told that it was cut off: {text}");
    // And the one after it is answered.
    touch(bench.dir.path(), "end");
    let mut next = bench.ask().await;
    next.says("data: [DONE]").await;
    assert!(!next.text.contains(&format!("of {before}\"")), "{}", next.text);
    bench.session.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_lets_a_stream_end_whole_refuses_who_asks_and_a_word_leaves_it_as_it_is() {
    let mut bench = Bench::open("openai", SERVER, 3600).await;
    let process = bench.process(RunState::Running).await;
    bench.known().await;
    let mut first = bench.ask().await;
    first.says(&format!("of {process}")).await;

    let started = bench.stop("a").await.unwrap();
    bench.job(started.job, |job| job.message.starts_with("Waits for 1 request to end")).await;
    assert_eq!(bench.stop("a").await.unwrap().job, started.job, "one, whoever asks again");
    assert_eq!(bench.restart("a").await.unwrap_err().code, FaultCode::Conflict);
    assert!(bench.rests().await);
    // It does not come back by itself: nobody is left waiting for it.
    let text = bench.ask().await.all().await.to_owned();
    assert!(text.starts_with("HTTP/1.1 503") && text.contains("a is being stopped"), "{text}");
    let _: Done = bench.session.call(Command::JobCancel(JobId { job: started.job })).await.unwrap();
    assert_eq!(bench.ended(started.job).await.state, JobState::Cancelled);
    assert!(!bench.rests().await, "it takes requests again");
    let mut second = bench.ask().await;
    second.says(&format!("of {process}")).await;

    let started = bench.stop("a").await.unwrap();
    bench.job(started.job, |job| job.message.starts_with("Waits for 2 requests to end")).await;
    assert_eq!(bench.process(RunState::Running).await, process);
    touch(bench.dir.path(), "end");
    for answer in [&mut first, &mut second] {
        let text = answer.all().await;
        assert!(text.contains("data: [DONE]"), "it ended whole: {text}");
    }
    let ended = bench.ended(started.job).await;
    assert_eq!((ended.state, &*ended.message), (JobState::Done, "a is stopped."));
    assert_eq!(bench.run().await.unwrap().state, RunState::Stopped);
    assert!(!bench.rests().await);
    let started = bench.stop("a").await.unwrap();
    assert_eq!(bench.ended(started.job).await.message, "a does not run.");
    assert_eq!(bench.stop("b").await.unwrap_err().code, FaultCode::Invalid);
    assert_eq!(bench.stop("nobody").await.unwrap_err().code, FaultCode::NotFound);
    bench.session.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_takes_the_place_of_a_restart_and_says_what_had_not_ended() {
    let mut bench = Bench::open("openai", SERVER, 3600).await;
    let process = bench.process(RunState::Running).await;
    bench.known().await;
    let mut endless = bench.ask().await;
    endless.says(&format!("of {process}")).await;
    let restart = bench.restart("a").await.unwrap();
    bench.job(restart.job, |job| job.message.starts_with("Waits for 1 request to end")).await;
    let change = Change { key: "gateway.drain_s".into(), value: Some(SettingValue::Integer(0)) };
    let view: ConfigView = bench.session.call(Command::Config(Nothing {})).await.unwrap();
    let edit =
        ConfigEdit { base: Some(view.digest), changes: vec![change], ..ConfigEdit::default() };
    let _: Revision = bench.session.call(Command::ConfigApply(edit)).await.unwrap();
    let stop = bench.stop("a").await.unwrap();
    let ended = bench.ended(stop.job).await;
    assert_eq!(ended.message, "a is stopped; 1 request had not ended in its time.");
    until("nothing starts it again", async || {
        let jobs: Vec<JobProgress> = bench.session.call(Command::Jobs(Nothing {})).await.unwrap();
        let restart = jobs.into_iter().find(|job| job.job == restart.job)?;
        (restart.state == JobState::Cancelled).then_some(())
    })
    .await;
    assert_eq!(bench.run().await.unwrap().state, RunState::Stopped);
    assert!(!endless.all().await.contains("data: [DONE]"));
    bench.session.stop().await;
}
