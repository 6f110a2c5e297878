//! A whole engine in this process, on the simulated workstation, and one attached to it.

use std::{path::Path, time::Duration};

use futures::StreamExt;
use plimsoll_app::{
    api::{Command, FaultCode, Live, Nothing, Status, Subscription},
    session::{Options, Session},
};
use tokio::time::timeout;

fn options(folder: &Path) -> Options {
    Options { data_dir: Some(folder.to_path_buf()), demo: true, ..Options::default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_session_attaches_and_both_see_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let owner = Session::start_or_attach(options(dir.path())).await.unwrap();
    assert!(owner.hosted() && owner.about().simulated);
    let guest = Session::start_or_attach(options(dir.path())).await.unwrap();
    assert!(!guest.hosted());
    assert_eq!(guest.about(), owner.about());
    let refused = Session::start(options(dir.path())).await.err().unwrap();
    assert_eq!(refused.code, FaultCode::Conflict);
    assert!(refused.message.contains(&std::process::id().to_string()), "{refused}");

    let all = Subscription { metrics: vec!["gpu.".into()] };
    let mut heard = [
        Box::pin(owner.subscribe(all.clone()))
            as std::pin::Pin<Box<dyn futures::Stream<Item = Live> + Send>>,
        Box::pin(guest.subscribe(all)),
    ];
    for live in &mut heard {
        let tick = timeout(Duration::from_secs(30), async {
            loop {
                match live.next().await {
                    Some(Live::Tick { values, .. }) => return values,
                    Some(_) => {}
                    None => panic!("the stream ended"),
                }
            }
        });
        let values = tick.await.expect("a tick comes");
        assert!(values.iter().all(|value| value.key.metric.starts_with("gpu.")));
        assert!(values.iter().any(|value| value.key.metric == "gpu.vram.used"));
    }

    let status: Status = guest.call(Command::Status(Nothing {})).await.unwrap();
    assert!(status.sources.iter().any(|source| source.name == "gpu"));
    let raw = guest.call_json(r#"{"command":"metrics"}"#).await.unwrap();
    assert!(raw.contains("gpu.vram.used"));

    owner.stop().await;
    timeout(Duration::from_secs(10), guest.owner_ended()).await.expect("the guest is told");
    let fault = guest.call::<Status>(Command::Status(Nothing {})).await.unwrap_err();
    assert_eq!(fault.code, FaultCode::Unavailable);
    // The folder is free again.
    let next = Session::start_or_attach(options(dir.path())).await.unwrap();
    assert!(next.hosted());
    next.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_subscription_ends_the_one_before() {
    let dir = tempfile::tempdir().unwrap();
    let session = Session::start_or_attach(options(dir.path())).await.unwrap();
    let first = session.subscribe(Subscription::default());
    let _second = session.subscribe(Subscription::default());
    let rest = timeout(Duration::from_secs(10), first.collect::<Vec<_>>());
    rest.await.expect("the first one has ended");
    session.stop().await;
}
