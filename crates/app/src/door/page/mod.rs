//! The loopback page: the same window in a browser on this machine.
//!
//! A page on the loopback address is reachable by every program and every web
//! site that this machine's browser shows, so each request passes, in order:
//! host (a foreign name that resolves to 127.0.0.1 is refused), origin (another
//! site's script is refused), cookie (got once, for the link that `plimsoll up`
//! or `plimsoll link` printed). Anything but a loopback address is refused at
//! start, and who is in lets in nobody else: links are given at the socket. Nor may
//! a browser change what Plimsoll starts, loads or sends as a key: see the guard.

mod assets;
mod gate;
mod guard;
mod listener;

use std::{convert::Infallible, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use axum::{
    Json, Router,
    body::{Body, Bytes},
    extract::{DefaultBodyLimit, Query, Request, State},
    http::{HeaderValue, StatusCode, header},
    middleware::{self, Next},
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
    routing::{get, post},
};
use futures::{Stream, StreamExt};
use serde::Deserialize;
use tokio::{net::TcpListener, sync::Semaphore, task::JoinHandle, time::timeout};
use tokio_util::sync::CancellationToken;

use self::{assets::Assets, gate::Gate, listener::Bounded};
use super::{
    Host,
    wire::{self, MAX_REQUEST},
};
use crate::api::{Fault, FaultCode, Subscription};

pub use assets::find_ui;

/// Browsers open six connections a tab.
const CONNECTIONS: usize = 128;
/// Tabs that follow the live stream at once.
const STREAMS: usize = 32;
const GRACE: Duration = Duration::from_secs(2);

/// Scripts come from us alone and nothing is loaded from elsewhere. Styles may stand in the page:
/// the editor and the charts make theirs while they run.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
    img-src 'self' data: blob:; font-src 'self'; connect-src 'self'; manifest-src 'self'; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Gives links to the page. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Links(Arc<Gate>);

/// The page while it is served.
#[derive(Debug)]
pub struct PageDoor {
    address: SocketAddr,
    gate: Arc<Gate>,
    stop: CancellationToken,
    server: JoinHandle<()>,
}

/// An address that nobody else can take any more.
#[derive(Debug)]
pub struct PagePlace {
    socket: TcpListener,
    address: SocketAddr,
    gate: Arc<Gate>,
}

struct Page<H> {
    host: H,
    gate: Arc<Gate>,
    assets: Assets,
    streams: Arc<Semaphore>,
    stop: CancellationToken,
}

// === impl PageDoor ===

impl PageDoor {
    /// Takes a loopback address, port 0 a free one. Browsers wait until the page is served.
    pub async fn reserve(address: SocketAddr) -> Result<PagePlace, Fault> {
        if !address.ip().is_loopback() {
            return Err(Fault::new(
                FaultCode::Invalid,
                format!("The page is served on a loopback address only, and {address} is none."),
            )
            .hint("Use 127.0.0.1:PORT or [::1]:PORT; from afar, forward the port with ssh -L."));
        }
        let socket = TcpListener::bind(address).await.map_err(|error| {
            Fault::new(FaultCode::Unavailable, format!("Cannot listen at {address}: {error}."))
                .hint("Choose another port; 0 takes a free one.")
        })?;
        let address = socket.local_addr().map_err(|error| {
            Fault::new(FaultCode::Internal, format!("The page has no address: {error}."))
        })?;
        Ok(PagePlace { socket, address, gate: Arc::new(Gate::new(address)?) })
    }

    /// Serves the page at a loopback address; see [`PageDoor::reserve`] and [`PageDoor::serve`].
    pub async fn open<H: Host>(
        address: SocketAddr,
        host: H,
        ui: Option<PathBuf>,
    ) -> Result<Self, Fault> {
        Ok(Self::serve(Self::reserve(address).await?, host, ui))
    }

    /// Serves the page. `ui` is the folder of the built window; without one the page says how to
    /// get it, and the rest works.
    pub fn serve<H: Host>(place: PagePlace, host: H, ui: Option<PathBuf>) -> Self {
        let PagePlace { socket, address, gate } = place;
        let stop = CancellationToken::new();
        let page = Arc::new(Page {
            host,
            gate: gate.clone(),
            assets: Assets::load(ui.as_deref()),
            streams: Arc::new(Semaphore::new(STREAMS)),
            stop: stop.clone(),
        });
        let (served, ending) = (routes(page), stop.clone());
        let server = tokio::spawn(async move {
            let listener = Bounded::new(socket, CONNECTIONS);
            let serving =
                axum::serve(listener, served).with_graceful_shutdown(ending.cancelled_owned());
            if let Err(error) = serving.await {
                tracing::error!(%error, "the loopback page ended");
            }
        });
        Self { address, gate, stop, server }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn links(&self) -> Links {
        Links(self.gate.clone())
    }

    pub async fn close(mut self) {
        self.stop.cancel();
        if timeout(GRACE, &mut self.server).await.is_err() {
            self.server.abort();
        }
    }
}

// === impl Links ===

impl Links {
    /// The page's address, which opens nothing yet.
    pub fn address(&self) -> String {
        self.0.page()
    }

    /// The address with a token that opens it, once; the unused one from before is void.
    pub fn fresh(&self) -> Result<String, Fault> {
        self.0.fresh_link()
    }
}

fn routes<H: Host>(page: Arc<Page<H>>) -> Router {
    Router::new()
        // Probes carry no cookie; they learn only whether it works.
        .route("/health", get(health::<H>))
        .route("/ready", get(ready::<H>))
        .route("/api/call", post(call::<H>))
        .route("/api/live", get(live::<H>))
        .fallback(get(file::<H>))
        // A request that is longer than any command is refused before it is read.
        .layer(DefaultBodyLimit::max(MAX_REQUEST))
        // Host, origin, cookie: see the gate.
        .layer(middleware::from_fn_with_state(page.clone(), pass::<H>))
        // Every answer, refusals too, says what a browser may do with it.
        .layer(middleware::map_response(armour))
        .with_state(page)
}

async fn pass<H: Host>(State(page): State<Arc<Page<H>>>, request: Request, next: Next) -> Response {
    match page.gate.judge(request.method(), request.uri(), request.headers()) {
        gate::Verdict::Pass => next.run(request).await,
        gate::Verdict::Enter(cookie) => (
            StatusCode::SEE_OTHER,
            [(header::LOCATION, "/".to_owned()), (header::SET_COOKIE, cookie)],
        )
            .into_response(),
        gate::Verdict::Refuse(status, fault) => {
            tracing::debug!(%fault, path = request.uri().path(), "the page refused a request");
            if request.uri().path().starts_with("/api/") {
                (status, Json(fault)).into_response()
            } else {
                words(status, &fault)
            }
        }
    }
}

async fn armour(mut response: Response) -> Response {
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        // The token stands in the first address.
        (header::REFERRER_POLICY, "no-referrer"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.insert("cross-origin-opener-policy", HeaderValue::from_static("same-origin"));
    headers.insert("cross-origin-resource-policy", HeaderValue::from_static("same-origin"));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

async fn health<H: Host>(State(page): State<Arc<Page<H>>>) -> Response {
    let health = page.host.health();
    let status = if health.healthy { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(health)).into_response()
}

async fn ready<H: Host>(State(page): State<Arc<Page<H>>>) -> Response {
    let health = page.host.health();
    let status = if health.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(health)).into_response()
}

async fn call<H: Host>(State(page): State<Arc<Page<H>>>, body: Bytes) -> Response {
    let outcome = match std::str::from_utf8(&body) {
        Ok(text) => match wire::command_from_json(text) {
            Ok(command) => match guard::of_a_browser(command) {
                Ok(command) => page.host.call(command).await,
                Err(fault) => Err(fault),
            },
            Err(fault) => Err(fault),
        },
        Err(_) => Err(Fault::new(FaultCode::Invalid, "A command is text in UTF-8.")),
    };
    match outcome {
        Ok(answer) => (
            [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))],
            Body::from(Box::<str>::from(answer).into_string()),
        )
            .into_response(),
        Err(fault) => (status_of(fault.code), Json(fault)).into_response(),
    }
}

#[derive(Deserialize)]
struct Wanted {
    /// Prefixes of metric names, joined by commas.
    #[serde(default)]
    metrics: String,
}

/// The live stream as server-sent events: one [`crate::api::Live`] as JSON in each.
async fn live<H: Host>(
    State(page): State<Arc<Page<H>>>,
    Query(wanted): Query<Wanted>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Response> {
    let Ok(place) = page.streams.clone().try_acquire_owned() else {
        let fault = Fault::new(
            FaultCode::Unavailable,
            format!("{STREAMS} tabs follow this Plimsoll already."),
        )
        .hint("Close one of them.");
        return Err((StatusCode::SERVICE_UNAVAILABLE, Json(fault)).into_response());
    };
    let metrics = wanted.metrics.split(',').filter(|m| !m.is_empty()).map(str::to_owned).collect();
    let stream = page
        .host
        .listen(&Subscription { metrics })
        .into_stream()
        .take_until(page.stop.clone().cancelled_owned())
        .filter_map(move |live| {
            // The place is given back with the stream.
            let _held = &place;
            std::future::ready(Event::default().json_data(&live).ok().map(Ok))
        });
    Ok(Sse::new(stream).keep_alive(KeepAlive::new().interval(Duration::from_secs(15))))
}

async fn file<H: Host>(State(page): State<Arc<Page<H>>>, request: Request) -> Response {
    match page.assets.find(request.uri().path()) {
        Some(asset) => asset.response().await,
        None if page.assets.is_empty() => words(
            StatusCode::SERVICE_UNAVAILABLE,
            &Fault::new(
                FaultCode::Unavailable,
                "Plimsoll runs, but the files of its window are not installed here.",
            )
            .hint(
                "In a checkout: npm ci && npm run build in ui/. Elsewhere: name their folder in \
                 PLIMSOLL_UI_DIR.",
            ),
        ),
        None => {
            words(StatusCode::NOT_FOUND, &Fault::new(FaultCode::NotFound, "There is no such page."))
        }
    }
}

/// A page of two sentences, for a person who came without a window.
fn words(status: StatusCode, fault: &Fault) -> Response {
    let escape = |text: &str| {
        text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
    };
    let html = format!(
        "<!doctype html><html lang=en><meta charset=utf-8><title>Plimsoll</title>\
         <style>body{{font:16px/1.5 system-ui;margin:15vh auto;max-width:34em;padding:0 1em}}</style>\
         <h1>Plimsoll</h1><p>{}</p><p>{}</p></html>",
        escape(&fault.message),
        escape(fault.hint.as_deref().unwrap_or_default()),
    );
    let content = [(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"))];
    (status, content, html).into_response()
}

fn status_of(code: FaultCode) -> StatusCode {
    match code {
        FaultCode::Invalid | FaultCode::Protocol => StatusCode::BAD_REQUEST,
        FaultCode::NotFound => StatusCode::NOT_FOUND,
        FaultCode::Conflict => StatusCode::CONFLICT,
        FaultCode::Denied => StatusCode::FORBIDDEN,
        FaultCode::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        FaultCode::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}
