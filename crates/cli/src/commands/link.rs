//! `link`: another browser is to be let in.

use plimsoll_app::api::{Command, Nothing, PageLink};

use crate::{
    args::Global,
    commands::running,
    out::{self, Outcome},
};

pub async fn run(global: &Global) -> Outcome {
    let session = running(global).await?;
    let link: PageLink = session.call(Command::PageLink(Nothing {})).await?;
    if global.json { out::json(&link) } else { out::line(link.url) }
}
