//! The gateway of a whole engine, on the simulated workstation: a request goes through its
//! port, and is shown, counted and kept.

use std::{
    net::{SocketAddr, TcpStream},
    path::Path,
    time::Duration,
};

use plimsoll_app::{
    api::{
        Command, ConfigEdit, Connect, Done, FaultCode, GatewayState, GatewayTest, GatewayTested,
        Nothing, RequestId, RequestPage, RequestsAsk, ServicesFound, Status, Traffic,
    },
    gateway::requests_alone,
    offline,
    session::{Options, Session},
};
use plimsoll_core::{
    config::wire::{Change, ConfigView, Revision, SettingValue},
    request::{Endpoint, Finish, Priority},
    traffic::{ClientBasis, RoomBasis},
};
use tokio::time::{sleep, timeout};

fn options(folder: &Path) -> Options {
    Options {
        data_dir: Some(folder.to_path_buf()),
        demo: true,
        gateway: Some("127.0.0.1:0".parse().unwrap()),
        ..Options::default()
    }
}

/// Asks again until the answer is as it should be in the end.
async fn until<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let asking = async {
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            sleep(Duration::from_millis(100)).await;
        }
    };
    timeout(Duration::from_secs(60), asking).await.unwrap_or_else(|_| panic!("never: {what}"))
}

async fn traffic(session: &Session) -> Traffic {
    session.call(Command::Traffic(Nothing {})).await.unwrap()
}

// DE3
// AA6: the live figures by client, model and backend that capacity is told from
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_goes_through_the_gateway_and_is_shown_counted_and_kept() {
    let dir = tempfile::tempdir().unwrap();
    let session = Session::start(options(dir.path())).await.unwrap();
    let status: Status = session.call(Command::Status(Nothing {})).await.unwrap();
    let address = status.gateway.expect("it listens");
    let connect = until("its models are known", async || {
        let connect: Connect = session.call(Command::GatewayConnect(Nothing {})).await.unwrap();
        connect.models.iter().any(|model| model.services == ["chat"]).then_some(connect)
    })
    .await;
    assert_eq!(connect.local_url, format!("http://{address}/v1"));
    assert!(!connect.beyond);
    let chat = connect.models.iter().find(|model| model.services == ["chat"]).unwrap();
    assert_eq!(chat.endpoint, Endpoint::Chat);

    let test = GatewayTest { model: chat.name.clone(), key: String::new() };
    let tested: GatewayTested = session.call(Command::GatewayTest(test)).await.unwrap();
    assert!(tested.steps.iter().all(|step| step.ok), "{:?}", tested.steps);
    assert!(!tested.text.is_empty());
    let row = tested.row.expect("it is in the log");
    assert_eq!(
        (row.finish, row.status, row.backend.as_deref()),
        (Finish::Answered, 200, Some("chat"))
    );
    assert_eq!((row.model.as_str(), row.stream), (chat.name.as_str(), true));
    assert!(row.ttft_us.is_some() && row.tokens_out.is_some(), "{row:?}");

    let now = traffic(&session).await;
    assert_eq!(now.state, GatewayState::Listening);
    assert!(now.totals.ended > 0);
    // `127.0.0.1` brings `[::1]` with it, where this machine has one.
    assert_eq!(now.addresses.first(), Some(&address));
    let backend = now.backends.iter().find(|backend| backend.id == "chat").unwrap();
    assert_eq!((backend.room, backend.room_basis), (Some(4), RoomBasis::Told));
    // The demo's clients ask, too.
    assert!(backend.story.iter().any(|minute| minute.answered > 0), "{:?}", backend.story);
    let client = now.clients.iter().find(|client| client.name == row.client).unwrap();
    assert_eq!((client.requests, client.failed), (1, 0));

    let unknown = GatewayTest { model: "nobody-has-this".into(), key: String::new() };
    let tested: GatewayTested = session.call(Command::GatewayTest(unknown)).await.unwrap();
    assert!(tested.steps.iter().any(|step| !step.ok), "{:?}", tested.steps);
    let refused = RequestsAsk {
        finish: vec![Finish::Refused],
        client: Some(row.client.clone()),
        ..RequestsAsk::default()
    };
    let page = until("the refusal is in the log", async || {
        let page: RequestPage = session.call(Command::Requests(refused.clone())).await.unwrap();
        (!page.rows.is_empty()).then_some(page)
    })
    .await;
    assert_eq!((page.rows.len(), page.rows[0].model.as_str()), (1, "nobody-has-this"));
    let gone = session.call::<Done>(Command::RequestCancel(RequestId { id: row.id })).await;
    assert_eq!(gone.unwrap_err().code, FaultCode::NotFound);

    // Somebody else who wants this very address is told that it is taken.
    let other = tempfile::tempdir().unwrap();
    let taken = Options { gateway: Some(address.parse().unwrap()), ..options(other.path()) };
    let refused = Session::start(taken).await.err().expect("the port is taken");
    assert!(refused.message.contains(&address), "{refused}");

    // It stands in the history itself, and not only in memory.
    let reader = offline::reader(&options(dir.path())).await.unwrap();
    until("it is written", async || {
        let page = requests_alone(&reader, RequestsAsk::default()).await.unwrap();
        page.rows.iter().any(|kept| kept.id == row.id).then_some(())
    })
    .await;
    session.stop().await;
}

// The demo's clients are really there: told apart by their names, at work through the gateway,
// and gone with it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_demos_traffic_shows_its_clients_and_a_stop_ends_them() {
    let dir = tempfile::tempdir().unwrap();
    let session = Session::start(options(dir.path())).await.unwrap();
    let status: Status = session.call(Command::Status(Nothing {})).await.unwrap();
    let address: SocketAddr = status.gateway.expect("it listens").parse().unwrap();
    // The agent reads several sources at once, at least every 37 s.
    let now = until("its clients ask", async || {
        let now = traffic(&session).await;
        let agent = now.clients.iter().any(|client| client.name == "research-agent");
        let answered = now.clients.iter().any(|client| client.requests > 0);
        (agent && answered && now.clients.len() >= 3).then_some(now)
    })
    .await;
    let names: Vec<_> = now.clients.iter().map(|client| client.name.as_str()).collect();
    let known = "open-webui research-agent continue voice-assistant rag-indexer mail-sorter";
    // None of them is taken for the program that plays it.
    assert!(names.iter().all(|name| known.split(' ').any(|known| known == *name)), "{names:?}");
    for client in &now.clients {
        assert_eq!(client.basis, ClientBasis::UserAgent, "{client:?}");
    }
    let agent = now.clients.iter().find(|client| client.name == "research-agent").unwrap();
    assert_eq!(agent.priority, Priority::Batch);
    until("one of theirs is in the log", async || {
        let all = RequestsAsk::default();
        let page: RequestPage = session.call(Command::Requests(all)).await.unwrap();
        page.rows.iter().any(|row| row.finish == Finish::Answered).then_some(())
    })
    .await;

    timeout(Duration::from_secs(20), session.stop()).await.expect("nobody holds the stop up");
    assert!(TcpStream::connect(address).is_err(), "nobody listens any more");
}

// A limit of a service that stands in no file, by its id alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_limit_of_a_service_that_was_found_is_obeyed_at_once_and_one_of_nobody_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let session = Session::start(options(dir.path())).await.unwrap();
    let set = async |key: &str, value: i64| {
        let view: ConfigView = session.call(Command::Config(Nothing {})).await.unwrap();
        let change = Change { key: key.into(), value: Some(SettingValue::Integer(value)) };
        let edit = ConfigEdit {
            base: Some(view.digest),
            changes: vec![change],
            by: "terminal".into(),
            ..ConfigEdit::default()
        };
        session.call::<Revision>(Command::ConfigApply(edit)).await
    };
    let room = async || {
        let now = traffic(&session).await;
        let chat = now.backends.iter().find(|backend| backend.id == "chat");
        chat.map(|backend| (backend.room, backend.room_basis))
    };
    until("it is known", async || room().await.filter(|room| room.1 == RoomBasis::Told)).await;
    set("services.chat.max_in_flight", 2).await.unwrap();
    let now =
        until("it is obeyed", async || room().await.filter(|room| room.1 == RoomBasis::Configured))
            .await;
    assert_eq!(now.0, Some(2));
    let refused = set("services.chatt.max_in_flight", 2).await.unwrap_err();
    assert_eq!(refused.code, FaultCode::Invalid);
    assert!(refused.message.contains("There is no service \"chatt\""), "{refused}");
    let found: ServicesFound = session.call(Command::ServicesFound(Nothing {})).await.unwrap();
    assert_eq!(found.unclaimed, Vec::<String>::new());
    session.stop().await;
}
