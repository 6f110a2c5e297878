//! Backends that are spoken with over https: who is believed, and connections that die.

use std::{net::SocketAddr, sync::Arc};

use plimsoll_gateway::route::Backend;
use plimsoll_services::client::{Bounds, CallError, Client, Limits, Target, Trust};
use plimsoll_sim::server::{Fault, Handle, Planned};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd,
};
use rustls::{ServerConfig, crypto::ring, pki_types::PrivateKeyDer};
use tokio::{
    io::{AsyncWriteExt as _, copy_bidirectional},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
};
use tokio_rustls::TlsAcceptor;

use crate::house::{CHAT, House, Reply, backend, chat, double, options, room, tokens_of};

/// Signs certificates.
struct Authority(CertifiedIssuer<'static, KeyPair>);

/// What a server shows, with its key.
struct Shown {
    pem: String,
    config: Arc<ServerConfig>,
}

/// TLS before a double.
struct Front {
    address: SocketAddr,
    /// Connections that were made.
    made: watch::Receiver<usize>,
    cut: watch::Sender<()>,
    _task: tokio::task::AbortHandle,
}

// === impl Authority ===

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn trust(&self) -> Trust {
        Trust::of(self.0.pem().as_bytes()).unwrap()
    }

    fn signs(&self, names: &[&str]) -> Shown {
        self.signs_with(names, |_| {})
    }

    fn signs_with(&self, names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> Shown {
        let names: Vec<String> = names.iter().map(|name| (*name).into()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        Shown::of(&certificate, &key)
    }
}

// === impl Shown ===

impl Shown {
    fn of(certificate: &rcgen::Certificate, key: &KeyPair) -> Self {
        let der = PrivateKeyDer::Pkcs8(key.serialize_der().into());
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], der)
            .unwrap();
        Self { pem: certificate.pem(), config: Arc::new(config) }
    }
}

// === impl Front ===

impl Front {
    async fn before(double: &Handle, shown: &Shown) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (acceptor, to) = (TlsAcceptor::from(shown.config.clone()), double.address());
        let (count, made) = watch::channel(0);
        let (cut, cuts) = watch::channel(());
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                count.send_modify(|made| *made += 1);
                let (acceptor, mut cuts) = (acceptor.clone(), cuts.clone());
                cuts.mark_unchanged();
                connections.spawn(async move {
                    let Ok(mut inner) = acceptor.accept(stream).await else { return };
                    let mut outer = TcpStream::connect(to).await.unwrap();
                    tokio::select! {
                        // With no word of TLS: as where a machine loses its power.
                        _ = cuts.changed() => {}
                        _ = copy_bidirectional(&mut inner, &mut outer) => {
                            let _ = inner.shutdown().await;
                        }
                    }
                });
            }
        });
        Self { address, made, cut, _task: task.abort_handle() }
    }

    fn made(&self) -> usize {
        *self.made.borrow()
    }

    /// Every connection that there is ends without a word.
    fn cut(&self) {
        self.cut.send_replace(());
    }

    /// As a service at that host's name.
    fn backend(&self, host: &str, trust: Option<Trust>) -> Backend {
        let url = format!("https://{host}:{}", self.address.port());
        Backend { trust, ..backend("one", &url) }
    }
}

async fn house(backend: Backend) -> House {
    House::open(vec![backend], room(2), options()).await
}

async fn ask(house: &House, stream: bool) -> Reply {
    house.client().await.post(CHAT, chat(stream, 8)).await
}

/// The refusal of a backend whose certificate is not believed.
async fn refusal(front: &Front, host: &str, trust: Option<Trust>) -> String {
    let house = house(front.backend(host, trust)).await;
    let reply = ask(&house, false).await;
    assert_eq!(reply.status, 502, "{}", reply.text());
    let error = reply.json();
    assert_eq!(error["error"]["code"], "backend_failed");
    house.until(|flying, _| flying == 0).await;
    error["error"]["message"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_chat_and_a_stream_pass_over_https() {
    let (double, house_ca) = (double(2, 8, 0.0).await, Authority::new("House"));
    let front = Front::before(&double, &house_ca.signs(&["localhost", "127.0.0.1"])).await;
    for host in ["localhost", "127.0.0.1"] {
        let house = house(front.backend(host, Some(house_ca.trust()))).await;
        let whole = ask(&house, false).await;
        assert_eq!(whole.status, 200, "{}", whole.text());
        let stream = ask(&house, true).await;
        assert_eq!((stream.status, tokens_of(stream.text())), (200, 8), "{}", stream.text());
        assert!(stream.text().ends_with("data: [DONE]\n\n"));
    }
    // One connection for each of the two houses: those of TLS are kept, too.
    assert_eq!((front.made(), double.stats().connections_in_all), (2, 2));
}

#[tokio::test]
async fn a_certificate_that_nobody_trusted_has_signed_is_refused_with_what_to_do() {
    let (double, stranger) = (double(2, 8, 0.0).await, Authority::new("Stranger"));
    let front = Front::before(&double, &stranger.signs(&["localhost"])).await;
    let said = refusal(&front, "localhost", Some(Authority::new("House").trust())).await;
    let place = format!("localhost:{}", front.address.port());
    assert!(said.starts_with(&format!("The certificate of {place} is not believed: ")), "{said}");
    assert!(said.contains("nobody who is trusted here") && said.contains("ca_file"), "{said}");
    // Nor does this machine trust it, nor one that is to believe nobody.
    refusal(&front, "localhost", None).await;
    refusal(&front, "localhost", Some(Trust::nobody())).await;
    assert_eq!(double.stats().requests, 0, "it was never asked");
}

#[tokio::test]
async fn a_certificate_is_for_a_name_and_for_a_time() {
    let (double, house_ca) = (double(2, 8, 0.0).await, Authority::new("House"));
    let front = Front::before(&double, &house_ca.signs(&["localhost", "gpu.example"])).await;
    let said = refusal(&front, "127.0.0.1", Some(house_ca.trust())).await;
    assert!(said.contains("it is for localhost, gpu.example and not for that name"), "{said}");

    let old = house_ca.signs_with(&["localhost"], |params| {
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2021, 1, 1);
    });
    let front = Front::before(&double, &old).await;
    let said = refusal(&front, "localhost", Some(house_ca.trust())).await;
    assert!(said.contains("it has expired"), "{said}");
    assert_eq!(double.stats().requests, 0, "it was never asked");
}

#[tokio::test]
async fn a_certificate_that_signed_itself_is_believed_where_it_is_the_one_that_was_given() {
    let double = double(2, 8, 0.0).await;
    // As `openssl req -x509` makes it: an authority of its own, for no host's name.
    let own = || {
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "gpu");
        let key = KeyPair::generate().unwrap();
        Shown::of(&params.self_signed(&key).unwrap(), &key)
    };
    let (mine, other) = (own(), own());
    let trust = |shown: &Shown| Some(Trust::of(shown.pem.as_bytes()).unwrap());
    let front = Front::before(&double, &mine).await;
    let house = house(front.backend("127.0.0.1", trust(&mine))).await;
    assert_eq!(ask(&house, false).await.status, 200);
    assert_eq!(double.stats().requests, 1);
    let said = refusal(&front, "127.0.0.1", trust(&other)).await;
    assert!(said.contains("ca_file"), "{said}");
    assert_eq!(double.stats().requests, 1);
}

// MV9
#[tokio::test]
async fn a_resting_connection_under_tls_that_died_is_replaced_unseen() {
    let (double, house_ca) = (double(2, 8, 0.0).await, Authority::new("House"));
    let front = Front::before(&double, &house_ca.signs(&["localhost"])).await;
    let house = house(front.backend("localhost", Some(house_ca.trust()))).await;
    let mut client = house.client().await;
    for turn in 0..10 {
        assert_eq!(client.post(CHAT, chat(turn % 2 == 0, 2)).await.status, 200);
        match turn % 2 {
            // While it rests, and without TLS's own farewell.
            0 => front.cut(),
            // Under the next request, before a byte of its answer.
            _ => double.set_fault(Planned::new(Fault::HangsUp).times(1)),
        }
        let reply = client.post(CHAT, chat(false, 2)).await;
        assert_eq!(reply.status, 200, "{turn}: {}", reply.text());
    }
    assert!(front.made() >= 10, "{}", front.made());
}

#[tokio::test]
async fn a_look_at_a_service_believes_whom_the_gateway_believes() {
    let (double, house_ca) = (double(2, 8, 0.0).await, Authority::new("House"));
    let front = Front::before(&double, &house_ca.signs(&["localhost"])).await;
    let client = Client::new(Limits::of(2, false)).unwrap();
    let at = |host: &str, trust| {
        let url = format!("https://{host}:{}", front.address.port());
        Target::new(&client, &url, None, Bounds::default()).unwrap().trusting(trust)
    };
    let answer = at("localhost", Some(house_ca.trust())).get("/v1/models").await.unwrap();
    assert_eq!(answer.status, 200);
    for (host, trust, why) in [
        ("127.0.0.1", house_ca.trust(), "it is for localhost and not"),
        ("localhost", Authority::new("Other").trust(), "ca_file"),
    ] {
        let error = at(host, Some(trust)).get("/v1/models").await.unwrap_err();
        let CallError::Unreachable { detail, .. } = &error else { panic!("{error}") };
        assert!(detail.contains("its certificate is not believed"), "{detail}");
        assert!(detail.contains(why), "{detail}");
    }
}
