//! A client that sees what was really sent: where an answer breaks, and whether its
//! connection lives on.

use std::net::SocketAddr;

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// One connection.
pub struct Wire {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// An answer as it came.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    /// In lower case.
    pub head: String,
    pub body: Vec<u8>,
    /// It came to its end.
    pub whole: bool,
}

// === impl Wire ===

impl Wire {
    pub async fn to(address: SocketAddr) -> Self {
        Self { stream: TcpStream::connect(address).await.unwrap(), buffer: Vec::new() }
    }

    pub async fn send(&mut self, method: &str, path: &str, body: &str) {
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: double\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        self.stream.write_all(head.as_bytes()).await.unwrap();
    }

    /// Reads more; false at the end of the connection.
    async fn more(&mut self) -> bool {
        matches!(self.stream.read_buf(&mut self.buffer).await, Ok(n) if n > 0)
    }

    /// Reads up to and with a line; `None` where the connection ends before.
    async fn line(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.buffer.windows(2).position(|two| two == b"\r\n") {
                let line = self.buffer.drain(..end + 2).take(end).collect();
                return Some(String::from_utf8(line).unwrap());
            }
            if !self.more().await {
                return None;
            }
        }
    }

    /// The status and the head; `None` where the connection ends without.
    pub async fn head(&mut self) -> Option<(u16, String)> {
        let first = self.line().await?;
        let mut head = String::new();
        loop {
            match self.line().await?.as_str() {
                "" => break,
                line => head = head + &line.to_lowercase() + "\n",
            }
        }
        Some((first.split(' ').nth(1)?.parse().ok()?, head))
    }

    async fn exactly(&mut self, size: usize) -> Option<Vec<u8>> {
        while self.buffer.len() < size {
            if !self.more().await {
                return None;
            }
        }
        Some(self.buffer.drain(..size).collect())
    }

    /// One chunk of a stream; empty at its end, `None` where it breaks.
    pub async fn chunk(&mut self) -> Option<Vec<u8>> {
        let size = usize::from_str_radix(&self.line().await?, 16).ok()?;
        let chunk = self.exactly(size).await?;
        self.line().await?;
        Some(chunk)
    }

    pub async fn reply(&mut self) -> Option<Reply> {
        let (status, head) = self.head().await?;
        let (mut body, mut whole) = (Vec::new(), true);
        if head.contains("transfer-encoding: chunked") {
            loop {
                match self.chunk().await {
                    Some(chunk) if chunk.is_empty() => break,
                    Some(chunk) => body.extend(chunk),
                    None => {
                        whole = false;
                        body.append(&mut self.buffer);
                        break;
                    }
                }
            }
        } else {
            let told = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            let size = told.map_or(0, |size| size.parse().unwrap());
            match self.exactly(size).await {
                Some(all) => body = all,
                None => {
                    whole = false;
                    body.append(&mut self.buffer);
                }
            }
        }
        Some(Reply { status, head, body, whole })
    }

    pub async fn ask(&mut self, method: &str, path: &str, body: &str) -> Option<Reply> {
        self.send(method, path, body).await;
        self.reply().await
    }

    /// Whether the other side closes without another word.
    pub async fn ends(&mut self) -> bool {
        !self.more().await && self.buffer.is_empty()
    }
}

// === impl Reply ===

impl Reply {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The events of a stream, without `[DONE]`.
    pub fn events(&self) -> Vec<Value> {
        let text = self.text();
        let datas = text.split("\n\n").filter_map(|event| event.strip_prefix("data: "));
        datas
            .filter(|data| *data != "[DONE]")
            .map(|data| serde_json::from_str(data).unwrap())
            .collect()
    }
}

/// Asks once, over a connection of its own.
pub async fn ask(address: SocketAddr, method: &str, path: &str, body: &str) -> Option<Reply> {
    Wire::to(address).await.ask(method, path, body).await
}

/// A chat with so many tokens of answer.
pub fn chat(stream: bool, tokens: u32) -> String {
    format!(
        r#"{{"model":"m","stream":{stream},"max_tokens":{tokens},"stream_options":{{"include_usage":true}},"messages":[{{"role":"user","content":"What is a load line, and why does every ship have one?"}}]}}"#
    )
}
