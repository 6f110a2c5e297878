//! From a configured service to the commands, the live stream, the ticks and the marks.

use std::{fs, pin::Pin, time::Duration};

use axum::{Router, http::StatusCode, routing::get};
use futures::{Stream, StreamExt};
use plimsoll_app::{
    api::{
        Command, ConfigEdit, FaultCode, Live, Nothing, ServiceId, ServiceTest, ServiceTested,
        Subscription,
    },
    session::{Options, Session},
};
use plimsoll_core::{
    config::wire::{ConfigView, Revision},
    mark::MarkKind,
};
use plimsoll_services::{
    kind::ServiceKind,
    service::{Service, ServiceState},
};
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle, time::timeout};

/// Servers of other tests are none of this one's.
const ALONE: &str = "[services]\ndiscover = false\n";

type LiveStream = Pin<Box<dyn Stream<Item = Live> + Send>>;

/// A plain HTTP service with a health path.
struct Web {
    port: u16,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<()>,
}

// === impl Web ===

impl Web {
    async fn start(port: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let router = Router::new()
            .route("/health", get(async || "ok"))
            .route("/sick/health", get(async || (StatusCode::INTERNAL_SERVER_ERROR, "no disk")))
            .route("/sick/", get(async || "a page"))
            .route("/", get(async || "a page"));
        let (stop, stopped) = oneshot::channel::<()>();
        let serve = axum::serve(listener, router).with_graceful_shutdown(async {
            let _ = stopped.await;
        });
        let serving = tokio::spawn(async { serve.await.unwrap() });
        Self { port, stop, serving }
    }

    /// Closes every connection, and then the port.
    async fn stop(self) {
        self.stop.send(()).unwrap();
        self.serving.await.unwrap();
    }
}

async fn show(session: &Session, id: &str) -> Service {
    session.call(Command::ServiceShow(ServiceId { id: id.into() })).await.unwrap()
}

async fn list(session: &Session) -> Vec<Service> {
    session.call(Command::Services(Nothing {})).await.unwrap()
}

/// Listens to the stream and asks for the services whenever it tells of them, as the window does.
async fn until(session: &Session, live: &mut LiveStream, is: impl Fn(&[Service]) -> bool) {
    let wait = timeout(Duration::from_secs(60), async {
        while !is(&list(session).await) {
            while !matches!(live.next().await.expect("the stream goes on"), Live::Services { .. }) {
            }
        }
    });
    wait.await.expect("it comes to pass");
}

/// What the next mark about a service says.
async fn next_mark(live: &mut LiveStream) -> String {
    let wait = timeout(Duration::from_secs(60), async {
        loop {
            match live.next().await.expect("the stream goes on") {
                Live::Mark { mark } if mark.kind == MarkKind::Service => return mark.title.clone(),
                _ => {}
            }
        }
    });
    wait.await.expect("there is a mark")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_configured_service_is_watched_down_and_up_again_and_let_go() {
    let web = Web::start(0).await;
    let (port, url) = (web.port, format!("http://127.0.0.1:{}", web.port));
    let dir = tempfile::tempdir().unwrap();
    let text =
        format!("{ALONE}[services.web]\nurl = \"{url}\"\nname = \"The page\"\nscrape_ms = 250\n");
    fs::write(dir.path().join("plimsoll.toml"), text).unwrap();
    let data_dir = Some(dir.path().to_path_buf());
    let session = Session::start(Options { data_dir, ..Options::default() }).await.unwrap();
    let all = Subscription { metrics: vec!["service.".into()] };
    let mut live: LiveStream = Box::pin(session.subscribe(all));

    let is = |state| move |services: &[Service]| services[0].state == state;
    until(&session, &mut live, is(ServiceState::Healthy)).await;
    let service = show(&session, "web").await;
    assert_eq!((&*service.name, service.kind), ("The page", Some(ServiceKind::Http)));
    assert!(service.checked_ms.is_some() && service.reason.is_empty(), "{service:?}");
    let tick = timeout(Duration::from_secs(60), async {
        loop {
            if let Some(Live::Tick { values, .. }) = live.next().await {
                return values;
            }
        }
    });
    let values = tick.await.expect("its readings are in the tick");
    let up = values.iter().find(|value| value.key.metric == "service.up").unwrap();
    assert_eq!((&*up.key.subject, up.value), ("web", 1.0));

    web.stop().await;
    let refused = format!("refused on 127.0.0.1:{port}");
    assert_eq!(next_mark(&mut live).await, format!("The page is down: {refused}"));
    until(&session, &mut live, is(ServiceState::Down)).await;
    assert_eq!(list(&session).await[0].reason, refused);
    let _web = Web::start(port).await;
    let again = next_mark(&mut live).await;
    assert!(again.starts_with("The page is up again after "), "{again}");
    until(&session, &mut live, is(ServiceState::Healthy)).await;

    // What is taken out of the configuration is watched no more, at once.
    let view: ConfigView = session.call(Command::Config(Nothing {})).await.unwrap();
    let edit =
        ConfigEdit { base: Some(view.digest), text: Some(ALONE.into()), ..ConfigEdit::default() };
    session.call::<Revision>(Command::ConfigApply(edit)).await.unwrap();
    until(&session, &mut live, <[Service]>::is_empty).await;
    let gone = Command::ServiceShow(ServiceId { id: "web".into() });
    assert_eq!(session.call::<Service>(gone).await.unwrap_err().code, FaultCode::NotFound);
    session.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_is_tried_out_and_said_in_words() {
    let web = Web::start(0).await;
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("plimsoll.toml"), ALONE).unwrap();
    let data_dir = Some(dir.path().to_path_buf());
    let session = Session::start(Options { data_dir, ..Options::default() }).await.unwrap();
    let test = async |target: &str| {
        let test = ServiceTest { target: target.into(), ..ServiceTest::default() };
        session.call::<ServiceTested>(Command::ServiceTest(test)).await
    };
    let url = format!("http://127.0.0.1:{}", web.port);
    let well = test(&url).await.unwrap();
    assert_eq!((well.kind, well.state), (ServiceKind::Http, ServiceState::Healthy));
    assert!(
        well.message.starts_with(&format!("HTTP service answers at {url} within ")),
        "{well:?}"
    );
    let sick = test(&format!("{url}/sick")).await.unwrap();
    assert_eq!(sick.state, ServiceState::Degraded);
    assert!(sick.message.ends_with("is not well: answers /health with 500: no disk."), "{sick:?}");
    assert_eq!(list(&session).await, [], "nothing is watched for it");

    let place = format!("127.0.0.1:{}", web.port);
    web.stop().await;
    let fault = test(&url).await.unwrap_err();
    assert_eq!(
        (fault.code, fault.message),
        (FaultCode::Unavailable, format!("Refused on {place}."))
    );
    session.stop().await;
}
