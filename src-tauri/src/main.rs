//! The desktop program: window, tray, notifications. It holds no logic of its
//! own: every command goes to [`plimsoll_app`], which hosts the engine in this
//! process or attaches to the one that already owns the data folder.

mod args;
mod commands;
mod desktop;
mod follow;
mod graphics;
mod host;
mod login;
mod notices;
mod pump;
mod tray;
mod window;

use std::process::ExitCode;

use clap::Parser as _;

/// As in the terminal's program: what thousands of connections held goes back to the system.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // First of all, while this is the only thread: it changes the environment.
    let graphics = graphics::prepare();
    // What we write is for its owner alone: databases, logs, exports.
    rustix::process::umask(rustix::fs::Mode::RWXG | rustix::fs::Mode::RWXO);
    let args = args::Args::parse();
    if let Err(reason) = args::open_display() {
        eprintln!(
            "plimsoll-desktop: {reason}\nRun `plimsoll up` to record without a window, or \
             `plimsoll up --ui 127.0.0.1:1877` to see it in a browser."
        );
        return ExitCode::FAILURE;
    }
    match desktop::run(args, graphics) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("plimsoll-desktop: {error}");
            ExitCode::FAILURE
        }
    }
}
