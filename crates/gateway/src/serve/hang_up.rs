//! Sees a client leave without reading what it has sent.
//!
//! A client that sends on while its request is under way fills buffers that nobody reads, and
//! its leave stands behind all of that. The system knows of it before: it tells that the other
//! side has closed as soon as the last byte is here, read or not.

use std::{
    future::Future,
    io,
    net::TcpStream as Plain,
    os::fd::AsFd as _,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::{io::Interest, net::TcpStream};

/// Ready when the other side has closed its sending half, or all of it: TCP does not tell the
/// two apart.
pub struct HangUp(Pin<Box<dyn Future<Output = ()> + Send + Sync>>);

// === impl HangUp ===

impl HangUp {
    /// Takes a descriptor of its own, which hears only of this: to wait on the connection's
    /// would wait for bytes that are there already. An error: the system gives none.
    pub fn of(stream: &TcpStream) -> io::Result<Self> {
        let own = Plain::from(stream.as_fd().try_clone_to_owned()?);
        let own = TcpStream::from_std(own)?;
        Ok(Self(Box::pin(async move {
            // Of all interests the one that bytes do not satisfy.
            while own.ready(Interest::PRIORITY).await.is_ok_and(|ready| !ready.is_read_closed()) {}
        })))
    }

    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.0.as_mut().poll(cx)
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
    };

    use super::*;

    async fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        (client, listener.accept().await.unwrap().0)
    }

    async fn hears(mut hang_up: HangUp) {
        std::future::poll_fn(|cx| hang_up.poll(cx)).await;
    }

    #[tokio::test]
    async fn it_is_heard_behind_bytes_that_nobody_reads_and_they_stay_to_be_read() {
        let (mut client, mut server) = pair().await;
        client.write_all(b"more").await.unwrap();
        server.readable().await.unwrap();
        let mut waits = Box::pin(hears(HangUp::of(&server).unwrap()));
        assert!(waits.as_mut().now_or_never().is_none(), "bytes are no leave");
        client.write_all(b" and more").await.unwrap();
        client.shutdown().await.unwrap();
        waits.await;
        let mut read = String::new();
        server.read_to_string(&mut read).await.unwrap();
        assert_eq!(read, "more and more");
    }

    #[tokio::test]
    async fn it_is_heard_where_it_was_before_anybody_listened_and_where_it_is_a_reset() {
        let (client, server) = pair().await;
        drop(client);
        server.readable().await.unwrap();
        hears(HangUp::of(&server).unwrap()).await;

        let (client, mut server) = pair().await;
        server.write_all(b"unread").await.unwrap();
        client.readable().await.unwrap();
        drop(client);
        hears(HangUp::of(&server).unwrap()).await;
    }
}
