//! `up` and `demo`: host the engine until told to end.

use plimsoll_app::{
    api::{Command, Fault, FaultCode, Nothing, Status, Traffic},
    session::Session,
};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::{
    args::{Global, Up},
    commands::options,
    out::{self, Outcome},
};

/// SIGINT, SIGTERM and a terminal that closes; caught before anything starts, so that none is lost.
struct Ends {
    hangup: Signal,
    interrupt: Signal,
    terminate: Signal,
}

// === impl Ends ===

impl Ends {
    fn catch() -> std::io::Result<Self> {
        Ok(Self {
            hangup: signal(SignalKind::hangup())?,
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.hangup.recv() => {}
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

pub async fn run(global: &Global, args: Up, demo: bool) -> Outcome {
    let mut ends = Ends::catch().map_err(|error| {
        Fault::new(FaultCode::Internal, format!("Signals cannot be caught: {error}."))
    })?;
    let mut options = options(global);
    options.demo = demo;
    options.ui = args.ui;
    options.gateway = args.gateway;
    let session = tokio::select! {
        session = Session::start(options) => session?,
        () = ends.next() => return Ok(()),
    };
    // Whether or not somebody reads this, it records.
    let traffic: Traffic = session.call(Command::Traffic(Nothing {})).await?;
    let status: Status = session.call(Command::Status(Nothing {})).await?;
    // It runs on, and whoever started it is to know what it does not do.
    for trouble in [&status.config_trouble, &status.gateway_trouble].into_iter().flatten() {
        out::aside(trouble);
    }
    let _ = match global.json {
        true => ready_line(&session, &traffic),
        false => ready_words(&session, &traffic, demo),
    };
    ends.next().await;
    tokio::select! {
        () = session.stop() => {}
        // Asked twice: what is not written by now is not waited for.
        () = ends.next() => {}
    }
    Ok(())
}

/// The line that scripts wait for; its fields keep their order.
#[derive(serde::Serialize)]
struct Ready<'a> {
    ready: bool,
    pid: u32,
    data_dir: &'a str,
    socket: &'a str,
    /// Address of the page with its token.
    ui: Option<&'a str>,
    /// The first address where the gateway listens.
    gateway: Option<&'a str>,
}

fn ready_line(session: &Session, traffic: &Traffic) -> Outcome {
    let about = session.about();
    out::json(&Ready {
        ready: true,
        pid: about.pid,
        data_dir: &about.data_dir,
        socket: &about.socket,
        ui: session.page_link(),
        gateway: traffic.addresses.first().map(String::as_str),
    })
}

fn ready_words(session: &Session, traffic: &Traffic, demo: bool) -> Outcome {
    let about = session.about();
    out::line(if demo {
        "Plimsoll runs a simulated workstation: nothing here is measured."
    } else {
        "Plimsoll records this machine."
    })?;
    out::line(format_args!("  data           {}", about.data_dir))?;
    out::line(format_args!("  configuration  {}", about.config_path))?;
    out::line(format_args!("  socket         {}", about.socket))?;
    out::line(match traffic.addresses.first() {
        Some(address) => format!("  gateway        http://{address}/v1"),
        None => format!("  gateway        none: {}", traffic.reason),
    })?;
    if let Some(link) = session.page_link() {
        out::line(format_args!("  window         {link}"))?;
        out::line(
            "                 (this link opens one browser, once; another: `plimsoll link`)",
        )?;
    }
    out::line("Ctrl-C ends it.")
}
