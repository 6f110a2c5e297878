//! The least client that there can be: it should cost less than what it measures.

use std::{io, net::SocketAddr, time::Instant};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

pub struct Wire {
    at: SocketAddr,
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Wire {
    pub async fn open(at: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(at).await?;
        stream.set_nodelay(true)?;
        Ok(Self { at, stream, buffer: Vec::with_capacity(64 << 10) })
    }

    pub async fn again(&mut self) -> io::Result<()> {
        *self = Self::open(self.at).await?;
        Ok(())
    }

    /// Holds no more than the connection.
    pub fn rest(&mut self) {
        self.buffer = Vec::new();
    }

    /// Asks and takes the whole answer; answers its status.
    pub async fn ask(&mut self, request: &[u8]) -> io::Result<u16> {
        self.stream.write_all(request).await?;
        self.buffer.clear();
        loop {
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let Some(end) = find(&self.buffer, b"\r\n\r\n") else { continue };
            let head = &self.buffer[..end];
            let whole = match length(head) {
                Some(length) => self.buffer.len() >= end + 4 + length,
                None => self.buffer.ends_with(b"0\r\n\r\n"),
            };
            if whole {
                return Ok(status(head));
            }
        }
    }

    /// Asks for a stream, and tells when each event came, until its end.
    pub async fn stream(
        &mut self,
        request: &[u8],
        mut event: impl FnMut(Instant),
    ) -> io::Result<()> {
        self.stream.write_all(request).await?;
        self.buffer.clear();
        let mut seen = 0;
        loop {
            let read = self.stream.read_buf(&mut self.buffer).await?;
            let now = Instant::now();
            while let Some(at) = find(&self.buffer[seen..], b"data: {") {
                seen += at + 7;
                event(now);
            }
            if find(&self.buffer[seen.saturating_sub(8)..], b"[DONE]").is_some() {
                return Ok(());
            }
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if self.buffer.len() > 32 << 10 {
                let keep = self.buffer.len() - 16;
                let from = keep.max(seen);
                self.buffer.drain(..from);
                seen = 0;
            }
        }
    }
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

fn status(head: &[u8]) -> u16 {
    let text = head.get(9..12).and_then(|text| std::str::from_utf8(text).ok());
    text.and_then(|text| text.parse().ok()).unwrap_or(0)
}

fn length(head: &[u8]) -> Option<usize> {
    let head = std::str::from_utf8(head).ok()?;
    head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
    })
}
