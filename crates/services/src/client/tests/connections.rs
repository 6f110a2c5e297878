//! Connections: how many, how long, and what happens when one dies.

use super::*;

#[tokio::test]
async fn connections_are_kept_and_used_again() {
    let (url, connections) = server(|mut stream, _| async move {
        while !request(&mut stream).await.is_empty() {
            answer(&mut stream, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", b"ok").await;
        }
    })
    .await;
    let target = target(&url, bounds(5000, KIB));
    for _ in 0..20 {
        target.get("/").await.unwrap();
    }
    assert_eq!(connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_kept_connection_that_died_is_replaced_unseen() {
    // As llama.cpp does: it answers, says nothing of closing, and closes.
    let (url, _) = server(|mut stream, _| async move {
        request(&mut stream).await;
        answer(&mut stream, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", b"ok").await;
    })
    .await;
    let target = target(&url, bounds(5000, KIB));
    for _ in 0..50 {
        assert_eq!(target.get("/").await.unwrap().text().unwrap(), "ok");
    }
}

#[tokio::test]
async fn a_server_that_only_closes_is_asked_twice_and_no_more() {
    let (url, connections) = server(|mut stream, _| async move {
        request(&mut stream).await;
    })
    .await;
    let error = target(&url, bounds(5000, KIB)).get("/").await.unwrap_err();
    assert!(matches!(error, CallError::Closed { began: false, .. }), "{error:?}");
    assert_eq!(connections.load(Ordering::SeqCst), 2);
    // What may change something is not sent twice.
    let error = target(&url, bounds(5000, KIB)).post("/", &serde_json::json!({})).await;
    assert!(matches!(error, Err(CallError::Closed { .. })), "{error:?}");
    assert_eq!(connections.load(Ordering::SeqCst), 3);
}

// AR3
#[tokio::test]
async fn no_place_has_more_connections_than_its_limit() {
    const CALLS: usize = 60;
    let held = Arc::new(AtomicUsize::new(0));
    let most = Arc::new(AtomicUsize::new(0));
    let gate = Arc::new(Semaphore::new(0));
    let (counter, peak, wait) = (held.clone(), most.clone(), gate.clone());
    let (url, _) = server(move |mut stream, _| {
        let (held, most, gate) = (counter.clone(), peak.clone(), wait.clone());
        async move {
            while !request(&mut stream).await.is_empty() {
                most.fetch_max(held.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                gate.acquire().await.unwrap().forget();
                held.fetch_sub(1, Ordering::SeqCst);
                answer(&mut stream, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", b"").await;
            }
        }
    })
    .await;
    let client = client();
    for (own, limit) in [(None, client.limits().connections), (Some(2), 2)] {
        most.store(0, Ordering::SeqCst);
        let bounds = Bounds { connections: own, ..bounds(60_000, KIB) };
        // Two who ask the same place share its limit.
        let targets: Vec<Target> =
            (0..2).map(|_| Target::new(&client, &url, None, bounds).unwrap()).collect();
        let calls: Vec<_> = (0..CALLS)
            .map(|i| {
                let target = targets[i % 2].clone();
                tokio::spawn(async move { target.get("/").await })
            })
            .collect();
        // Every call is held open until as many are as there may be.
        while held.load(Ordering::SeqCst) < limit {
            tokio::task::yield_now().await;
        }
        gate.add_permits(CALLS);
        for call in calls {
            call.await.unwrap().unwrap();
        }
        assert_eq!(most.load(Ordering::SeqCst), limit);
    }
}

// MV9
