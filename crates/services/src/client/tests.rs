//! The client against servers that mean harm, or are only broken. Each server
//! is a listener of the test on this machine; budgets are short, and no test
//! asserts how long anything took.

mod connections;

use std::{
    io::Write as _,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use super::*;

const KIB: usize = 1024;

/// A server that hands every connection to `serve`, and counts them.
async fn server<F, S>(serve: S) -> (String, Arc<AtomicUsize>)
where
    S: Fn(TcpStream, usize) -> F + Send + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let connections = Arc::new(AtomicUsize::new(0));
    let count = connections.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let nth = count.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(serve(stream, nth));
        }
    });
    (url, connections)
}

/// Reads one request's head.
async fn request(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    let mut byte = [0u8; 1];
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read(&mut byte).await {
            Ok(1) => head.push(byte[0]),
            _ => break,
        }
    }
    String::from_utf8_lossy(&head).into_owned()
}

async fn answer(stream: &mut TcpStream, head: &str, body: &[u8]) {
    let _ = stream.write_all(head.as_bytes()).await;
    let _ = stream.write_all(body).await;
}

fn bounds(ms: u64, max_body: usize) -> Bounds {
    Bounds { budget: Duration::from_millis(ms), max_body, connections: None }
}

fn client() -> Client {
    Client::new(Limits::of(2, false)).unwrap()
}

fn target(url: &str, bounds: Bounds) -> Target {
    Target::new(&client(), url, None, bounds).unwrap()
}

/// What one raw answer of a server comes to.
async fn told(raw: impl Into<Vec<u8>>, ms: u64) -> Result<Answer, CallError> {
    let raw = Arc::new(raw.into());
    let (url, _) = server(move |mut stream, _| {
        let raw = raw.clone();
        async move {
            request(&mut stream).await;
            let _ = stream.write_all(&raw).await;
            // Held open: the client must not need the end of the connection.
            tokio::time::sleep(Duration::from_secs(30)).await;
        }
    })
    .await;
    target(&url, bounds(ms, 64 * KIB)).get("/metrics").await
}

#[tokio::test]
async fn an_answer_is_taken_whole() {
    let told = told("HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\nServer: llama.cpp\r\nContent-Length: 4\r\n\r\nx 1\n", 5000)
        .await
        .unwrap();
    assert_eq!((told.status, told.text().unwrap()), (200, "x 1\n"));
    assert_eq!(told.content_type.as_deref(), Some("text/plain"));
    assert_eq!(told.server.as_deref(), Some("llama.cpp"));
}

#[tokio::test]
async fn a_body_of_gigabytes_is_refused_by_its_announced_length_alone() {
    let error = told("HTTP/1.1 200 OK\r\nContent-Length: 5000000000\r\n\r\n", 5000).await;
    assert!(matches!(error, Err(CallError::TooLarge { limit_bytes: 65_536, .. })), "{error:?}");
}

#[tokio::test]
async fn a_body_without_end_is_left_at_the_bound() {
    let sent = Arc::new(AtomicUsize::new(0));
    let counted = sent.clone();
    let (url, _) = server(move |mut stream, _| {
        let sent = counted.clone();
        async move {
            request(&mut stream).await;
            answer(&mut stream, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"").await;
            let chunk = [b"4000\r\n".as_slice(), &[b'x'; 0x4000], b"\r\n"].concat();
            while stream.write_all(&chunk).await.is_ok() {
                sent.fetch_add(chunk.len(), Ordering::SeqCst);
            }
        }
    })
    .await;
    let error = target(&url, bounds(10_000, 64 * KIB)).get("/metrics").await.unwrap_err();
    assert_eq!(error.to_string().split_once(" sent ").unwrap().1, "more than 64 KiB");
    // What lies in the sockets' buffers was sent, and no more than that is taken.
    assert!(sent.load(Ordering::SeqCst) < 64 << 20);
}

// MV9
#[tokio::test]
async fn what_never_ends_in_time_is_left_at_the_budget() {
    // Nothing at all, then a head without end, then a body that stops half-way.
    let error = told("", 150).await.unwrap_err();
    assert!(matches!(error, CallError::TooSlow { began: false, budget_ms: 150, .. }), "{error}");
    let error = told("HTTP/1.1 200 OK\r\nContent-Len", 150).await.unwrap_err();
    assert!(matches!(error, CallError::TooSlow { began: false, .. }), "{error}");
    let error = told("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", 150).await.unwrap_err();
    assert!(matches!(error, CallError::TooSlow { began: true, .. }), "{error}");
}

#[tokio::test]
async fn headers_that_trickle_in_for_ever_are_left_at_the_budget() {
    let (url, _) = server(|mut stream, _| async move {
        request(&mut stream).await;
        answer(&mut stream, "HTTP/1.1 200 OK\r\n", b"").await;
        while stream.write_all(b"X-A: 1\r\n").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    let error = target(&url, bounds(300, KIB)).get("/").await.unwrap_err();
    // Whichever is met first: the time, or the number of headers.
    assert!(matches!(error, CallError::TooSlow { .. } | CallError::NotHttp { .. }), "{error:?}");
}

#[tokio::test]
async fn a_head_of_megabytes_is_refused() {
    let head = format!("HTTP/1.1 200 OK\r\nX-A: {}\r\n\r\n", "x".repeat(8 << 20));
    let error = told(head, 10_000).await.unwrap_err();
    assert!(matches!(error, CallError::NotHttp { .. }), "{error:?}");
}

#[tokio::test]
async fn a_redirect_to_elsewhere_is_told_and_not_followed() {
    let (elsewhere, asked) = server(|_, _| async {}).await;
    let head =
        format!("HTTP/1.1 302 Found\r\nLocation: {elsewhere}/x\r\nContent-Length: 0\r\n\r\n");
    let error = told(head, 5000).await.unwrap_err();
    assert!(error.to_string().contains(&format!("sends on to {elsewhere}/x")), "{error}");
    assert_eq!(asked.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_redirect_within_the_place_is_followed_and_a_circle_is_left() {
    let (url, _) = server(|mut stream, _| async move {
        loop {
            let head = request(&mut stream).await;
            if head.is_empty() {
                return;
            }
            let to = if head.starts_with("GET /metrics ") { "/metrics/" } else { "/round" };
            if head.starts_with("GET /metrics/ ") {
                answer(&mut stream, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", b"ok").await;
            } else {
                let head = format!(
                    "HTTP/1.1 307 Temporary Redirect\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n"
                );
                answer(&mut stream, &head, b"").await;
            }
        }
    })
    .await;
    let target = target(&url, bounds(5000, KIB));
    assert_eq!(target.get("/metrics").await.unwrap().text().unwrap(), "ok");
    let error = target.get("/round").await.unwrap_err();
    assert!(matches!(error, CallError::Redirected { .. }), "{error:?}");
}

#[tokio::test]
async fn what_is_no_text_and_what_is_no_http_are_told_apart() {
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n";
    let told_bytes = told([head.as_bytes(), &[0xff, 0xfe, 0, 1]].concat(), 5000).await.unwrap();
    assert!(matches!(told_bytes.text(), Err(CallError::NotText { .. })));
    for raw in ["-ERR unknown command 'GET'\r\n", "SSH-2.0-OpenSSH_9.2\r\n", "\u{0}\u{1}\u{2}\r\n"]
    {
        let error = told(raw, 5000).await.unwrap_err();
        assert!(matches!(error, CallError::NotHttp { .. }), "{raw:?}: {error:?}");
    }
}

#[tokio::test]
async fn nothing_there_and_a_key_that_is_wanted_are_said_in_words() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let place = listener.local_addr().unwrap();
    drop(listener);
    let error = target(&format!("http://{place}"), bounds(5000, KIB)).get("/").await.unwrap_err();
    assert_eq!(error.to_string(), format!("refused on {place}"));
    let error = told("HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n", 5000).await;
    let error = error.unwrap().ok().unwrap_err();
    assert!(error.to_string().ends_with("answers 401: it wants a key"), "{error}");
}

#[tokio::test]
async fn the_key_goes_to_its_place_and_shows_nowhere() {
    let seen = Arc::new(Mutex::new(String::new()));
    let keep = seen.clone();
    let (url, _) = server(move |mut stream, _| {
        let seen = keep.clone();
        async move {
            *seen.lock().unwrap() = request(&mut stream).await;
            answer(&mut stream, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", b"").await;
        }
    })
    .await;
    let key = Some(Secret::new(" s3cret\n"));
    let target = Target::new(&client(), &url, key, bounds(5000, KIB)).unwrap();
    target.get("/v1/models").await.unwrap();
    let head = seen.lock().unwrap().to_lowercase();
    assert!(head.contains("authorization: bearer s3cret\r\n"), "{head}");
    assert!(head.contains("accept-encoding: identity"), "nothing is packed on this machine");
    assert!(!format!("{target:?}").contains("s3cret"));
}

// MV9
#[tokio::test]
async fn what_was_packed_small_is_still_bounded_when_unpacked() {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    packed.write_all(&vec![b'x'; 32 << 20]).unwrap();
    let packed = packed.finish().unwrap();
    assert!(packed.len() < 64 * KIB, "it would pass by its own size");
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n",
        packed.len()
    );
    // Packed though nobody asked for it: then it is not unpacked, or bounded where it is.
    let answer = told([head.into_bytes(), packed].concat(), 10_000).await;
    match answer {
        Err(CallError::TooLarge { .. }) => {}
        Ok(answer) => assert!(answer.body.len() <= 64 * KIB),
        Err(error) => panic!("{error}"),
    }
}

#[tokio::test]
async fn a_plain_conversation_has_the_same_bounds() {
    let (url, _) = server(|mut stream, nth| async move {
        let mut word = [0u8; 6];
        let _ = stream.read_exact(&mut word).await;
        match nth {
            0 => answer(&mut stream, "+PO", b"NG\r\n").await,
            1 => while stream.write_all(&[b'x'; 4096]).await.is_ok() {},
            2 => answer(&mut stream, "+PO", b"").await,
            _ => tokio::time::sleep(Duration::from_secs(30)).await,
        }
    })
    .await;
    let target = target(&url, bounds(500, 16 * KIB));
    let talk = || target.talk(b"PING\r\n", |so_far| so_far.ends_with(b"\r\n"));
    assert_eq!(&talk().await.unwrap()[..], b"+PONG\r\n");
    assert!(matches!(talk().await, Err(CallError::TooLarge { .. })));
    assert!(matches!(talk().await, Err(CallError::Closed { began: true, .. })));
    assert!(matches!(talk().await, Err(CallError::TooSlow { began: false, .. })));
}

#[test]
fn addresses_are_judged_with_words() {
    let client = client();
    let of = |url: &str| Target::new(&client, url, None, Bounds::default());
    let said = |url: &str| of(url).unwrap_err().to_string();
    assert!(said("127.0.0.1:8080").contains("is not an address"), "{}", said("127.0.0.1:8080"));
    assert!(said("ftp://x").contains("use http://"));
    assert!(said("http://me:secret@x").contains("key file"));
    assert!(!said("http://me:secret@x").contains("secret"));
    let place = |url: &str| of(url).unwrap().place().to_string();
    assert_eq!(place("http://localhost"), "localhost:80");
    assert_eq!(place("https://example.org/llama/"), "example.org:443");
    assert_eq!(place("redis://127.0.0.1"), "127.0.0.1:6379");
    assert_eq!(place("http://[::1]:8080/"), "[::1]:8080");
    assert_eq!(of("https://example.org/llama/").unwrap().url(), "https://example.org/llama");
    let local = |url: &str| of(url).unwrap().is_local();
    assert!(local("http://127.0.0.1:1") && local("http://localhost:1") && local("http://[::1]:1"));
    assert!(!local("http://10.0.0.1:1") && !local("http://localhost.example.org"));
    assert_eq!(of("redis://127.0.0.1").unwrap().port(), 6379);
}

#[tokio::test]
async fn a_redis_over_tls_is_told_nothing_in_the_clear() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let keep = seen.clone();
    let (url, connections) = server(move |mut stream, _| {
        let keep = keep.clone();
        async move {
            let mut first = vec![0; KIB];
            let length = stream.read(&mut first).await.unwrap_or(0);
            keep.lock().unwrap().extend_from_slice(&first[..length]);
            let _ = stream.write_all(b"-ERR it speaks no TLS\r\n").await;
        }
    })
    .await;
    let url = url.replace("http://", "rediss://");
    let target =
        Target::new(&client(), &url, Some(Secret::new("s3cret")), bounds(5000, KIB)).unwrap();
    assert!(target.is_redis());
    let refused = target.talk(b"AUTH s3cret\r\n", |_| true).await.unwrap_err();
    assert!(matches!(refused, CallError::Unreachable { .. }), "{refused}");
    // Over HTTP it is not asked at all.
    assert!(matches!(target.get("/health").await, Err(CallError::BadUrl(_))));
    assert_eq!(connections.load(Ordering::SeqCst), 1);
    let seen = seen.lock().unwrap();
    // A record of a handshake, and no word of what was to be said.
    assert_eq!(seen[0], 0x16);
    assert!(!seen.windows(6).any(|part| part == b"s3cret"));
}
