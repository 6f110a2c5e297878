//! Where the stores are spoken to: connections come in while the process is there, and
//! break when it goes.

use std::{io, net::SocketAddr, sync::Arc};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Request, Response, body::Incoming, header, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::{Duration, sleep},
};

use super::{Kind, Shop, resp};

/// How often it is looked whether the process is there.
const LOOK: Duration = Duration::from_secs(1);
/// Most connections at once; more are closed as they come.
const MOST_CONNECTIONS: usize = 256;

/// Listens for as long as the store lives.
pub(super) async fn listen(shop: Arc<Shop>, first: TcpListener, address: SocketAddr) {
    let mut listener = Some(first);
    loop {
        if !shop.is_present() {
            listener = None;
            sleep(LOOK).await;
            continue;
        }
        let open = match listener.take() {
            Some(open) => open,
            None => match TcpListener::bind(address).await {
                Ok(open) => open,
                Err(_) => {
                    // Somebody else has the port for the moment.
                    sleep(LOOK).await;
                    continue;
                }
            },
        };
        let mut connections = JoinSet::new();
        while shop.is_present() {
            tokio::select! {
                came = open.accept() => match came {
                    Ok((stream, _)) if connections.len() < MOST_CONNECTIONS => {
                        connections.spawn(connection(shop.clone(), stream));
                    }
                    Ok(_) => {}
                    Err(_) => sleep(LOOK).await,
                },
                Some(_) = connections.join_next() => {}
                () = sleep(LOOK) => {}
            }
        }
        // All of them break with the process.
        connections.shutdown().await;
    }
}

async fn connection(shop: Arc<Shop>, stream: TcpStream) {
    let _ = stream.set_nodelay(true);
    if shop.kind == Kind::Redis {
        return resp::converse(&shop, stream).await;
    }
    let service = service_fn(|request: Request<Incoming>| {
        let (method, path) = (request.method().as_str(), request.uri().path());
        let page = shop.with(|store| store.page(method, path));
        async move {
            let mut response = Response::builder().status(page.status);
            if !page.body.is_empty() {
                response = response.header(header::CONTENT_TYPE, page.kind);
            }
            response.body(Full::new(Bytes::from(page.body))).map_err(io::Error::other)
        }
    });
    let served = http1::Builder::new()
        .half_close(false)
        .auto_date_header(false)
        .serve_connection(TokioIo::new(stream), service);
    // A client that leaves is no error.
    let _ = served.await;
}
