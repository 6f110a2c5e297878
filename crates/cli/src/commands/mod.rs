//! One file a command.

mod alerts;
mod config;
mod doctor;
mod follow;
mod history;
mod hold;
mod interrupt;
mod keys;
mod limits;
mod link;
mod requests;
mod sample;
mod services;
mod shell;
mod status;
mod up;

use plimsoll_app::{
    api::{Fault, FaultCode},
    session::{Options, Session},
};

use crate::{
    args::{Cli, Command, Global},
    out::Outcome,
};

pub async fn run(cli: Cli) -> Outcome {
    let global = cli.global;
    match cli.command {
        Command::Up(args) => up::run(&global, args, global.demo).await,
        Command::Demo(args) => up::run(&global, args, true).await,
        Command::Sample(args) => sample::run(&global, args).await,
        Command::History(command) => history::run(&global, command).await,
        Command::Config(command) => config::run(&global, command).await,
        Command::Alerts(args) => alerts::run(&global, args).await,
        Command::Services(args) => services::run(&global, args).await,
        Command::Hold(args) => hold::run(&global, args).await,
        Command::Requests(args) => requests::run(&global, args).await,
        Command::Keys(args) => keys::run(&global, args).await,
        Command::Limits(args) => limits::run(&global, args).await,
        Command::Status => status::run(&global).await,
        Command::Link => link::run(&global).await,
        Command::Doctor(args) => doctor::run(&global, args).await,
        Command::Completions { shell } => shell::completions(shell),
        Command::Man => shell::man(),
    }
}

fn options(global: &Global) -> Options {
    Options {
        data_dir: global.data_dir.clone(),
        config: global.config.clone(),
        demo: global.demo,
        ..Options::default()
    }
}

/// The running Plimsoll, where one runs on the data folder.
async fn attach(global: &Global) -> Result<Option<Session>, Fault> {
    Session::attach_if_running(&options(global)).await
}

/// The running Plimsoll, or a fault that says how to start it.
async fn running(global: &Global) -> Result<Session, Fault> {
    match attach(global).await? {
        Some(session) => Ok(session),
        None => {
            let places = options(global).places()?;
            Err(Fault::new(
                FaultCode::Unavailable,
                format!("No Plimsoll runs on {}.", places.data.display()),
            )
            .hint("Start it with `plimsoll up`, or open the window."))
        }
    }
}
