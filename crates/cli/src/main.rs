//! Plimsoll in a terminal: the commands without a desktop library.

mod args;
mod commands;
mod out;
mod words;

use std::process::ExitCode;

use clap::Parser;

use self::args::Cli;

/// The system's own keeps what thousands of connections held once they rest again, and takes
/// a twelfth of the gateway's time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // What we write is for its owner alone: databases, logs, exports.
    rustix::process::umask(rustix::fs::Mode::RWXG | rustix::fs::Mode::RWXO);
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version go to standard output and are no error.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { 2 } else { 0 });
        }
    };
    // Two threads: one may be busy for a moment without the other being late.
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("plimsoll: the system gives no threads: {error}");
            return ExitCode::from(1);
        }
    };
    let json = cli.global.json;
    let outcome = runtime.block_on(commands::run(cli));
    // A read that hangs in a driver must not keep the program from ending.
    runtime.shutdown_timeout(std::time::Duration::from_millis(500));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => ExitCode::from(failure.report(json)),
    }
}
