//! A model server that never was, in a process of its own: for trying out by hand what
//! stands before one, and for measuring it.
//!
//! `cargo run -p plimsoll-sim --example double -- vllm 127.0.0.1:8000`
//!
//! The first word is a built-in server or the path of a file like those in `servers/`.
//! Its counts are at `/double/stats`; a fault is told by POST to `/double/fault`, e.g.
//! `{"kind":"dies","after_tokens":3,"times":1}`.

use std::{error::Error, path::Path};

use plimsoll_sim::server::{Double, Spec, server_names};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut words = std::env::args().skip(1);
    let Some(name) = words.next() else {
        let known: Vec<_> = server_names().collect();
        return Err(
            format!("Which server? {} or a file; then an address.", known.join(", ")).into()
        );
    };
    let mut spec = match Path::new(&name).exists() {
        true => Spec::parse(&std::fs::read_to_string(&name)?)?,
        false => Spec::named(&name)?,
    };
    if let Some(address) = words.next() {
        spec.address = Some(address.parse()?);
    }
    let double = Double::start(spec).await?;
    println!("{name} answers at {}, its counts at {}/double/stats", double.url(), double.url());
    tokio::signal::ctrl_c().await?;
    double.stop().await;
    Ok(())
}
