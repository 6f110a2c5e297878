//! The gateway as a program meets it that knows nothing of Plimsoll: bytes on a connection of its
//! own, one for each request.

use std::net::SocketAddr;

use anyhow::{Context as _, Result};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::{program::Home, wait};

/// Somebody who asks for a stream of text.
#[derive(Clone, Debug)]
pub struct Program {
    pub gateway: SocketAddr,
    /// What it says of itself, e.g. `notebook/1.0`.
    pub name: String,
    pub model: String,
    /// The most that it asks for.
    pub tokens: u32,
}

/// Where the gateway of the window, or of `plimsoll up`, with this data folder listens.
pub async fn listening(home: &Home) -> Result<SocketAddr> {
    let address = wait::until("the gateway to listen", || async {
        let status = home.plimsoll(&["status"])?;
        Ok(status["gateway"].as_str().map(str::to_owned))
    })
    .await?;
    address.parse().context("an address")
}

// === impl Program ===

impl Program {
    pub fn new(gateway: SocketAddr, name: &str) -> Self {
        Self { gateway, name: name.into(), model: "chat".into(), tokens: 4000 }
    }

    /// Everything that it is answered until the connection ends, head included. One that is cut off
    /// may end with an error: what came until then is the answer.
    ///
    /// # Errors
    /// Where nobody takes the connection or the request.
    pub async fn asks(&self) -> Result<String> {
        let Self { gateway, name, model, tokens } = self;
        let body = format!(
            r#"{{"model":"{model}","stream":true,"max_tokens":{tokens},"messages":[{{"role":"user","content":"Write on."}}]}}"#
        );
        let head = format!(
            "POST /v1/chat/completions HTTP/1.1\r\nHost: {gateway}\r\nUser-Agent: {name}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            body.len()
        );
        let mut stream = TcpStream::connect(gateway).await?;
        stream.write_all(head.as_bytes()).await?;
        stream.write_all(body.as_bytes()).await?;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        Ok(String::from_utf8_lossy(&answer).into_owned())
    }
}
