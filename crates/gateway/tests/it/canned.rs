//! A server that is no double: it says what a test has it say, byte for byte.

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    task::JoinHandle,
};

pub struct Canned {
    pub url: String,
    server: JoinHandle<()>,
}

impl Canned {
    /// Answers each request by what its first line says, and hangs up. `OWN` in an answer
    /// stands for the server's own address.
    pub async fn answers(answer: impl Fn(&str) -> String + Send + 'static) -> Self {
        Self::open(answer, false).await
    }

    /// Answers each request alike, and leaves its connection open.
    pub async fn stays(answer: String) -> Self {
        Self::open(move |_| answer.clone(), true).await
    }

    async fn open(answer: impl Fn(&str) -> String + Send + 'static, stays: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let own = url.clone();
        let server = tokio::spawn(async move {
            let mut kept = Vec::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut asked = Vec::new();
                while !is_whole(&asked) {
                    let Ok(1..) = stream.read_buf(&mut asked).await else { break };
                }
                let asked = String::from_utf8_lossy(&asked);
                let answer = answer(asked.lines().next().unwrap_or_default());
                let answer = answer.replace("OWN", &own);
                let _ = stream.write_all(answer.as_bytes()).await;
                if stays {
                    kept.push(stream);
                }
            }
        });
        Self { url, server }
    }
}

impl Drop for Canned {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// Whether as much has come as the head promises.
fn is_whole(asked: &[u8]) -> bool {
    let asked = String::from_utf8_lossy(asked);
    let Some((head, body)) = asked.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().unwrap())
    });
    body.len() >= length.unwrap_or(0)
}
