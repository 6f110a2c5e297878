//! A connection of a client to the gateway.

use std::{io, net::SocketAddr, time::Duration};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{Request, client::conn::http1};
use hyper_util::rt::TokioIo;
use tokio::{
    net::{TcpSocket, TcpStream},
    task::JoinHandle,
    time::timeout,
};

use super::CLIENTS_FROM;

/// Longest time of one request: the gateway gives up before.
const PATIENCE: Duration = Duration::from_secs(600);

pub struct Lane {
    to: SocketAddr,
    sender: http1::SendRequest<Full<Bytes>>,
    connection: JoinHandle<()>,
}

// === impl Lane ===

impl Lane {
    pub async fn open(to: SocketAddr) -> io::Result<Self> {
        let stream = match to.is_ipv4() && to.ip().is_loopback() {
            true => {
                let socket = TcpSocket::new_v4()?;
                socket.bind((CLIENTS_FROM, 0).into())?;
                socket.connect(to).await?
            }
            false => TcpStream::connect(to).await?,
        };
        stream.set_nodelay(true)?;
        let broke = |error| io::Error::new(io::ErrorKind::ConnectionReset, error);
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(broke)?;
        // How it ends shows in the answer that is read.
        let connection = tokio::spawn(async move { drop(connection.await) });
        Ok(Self { to, sender, connection })
    }

    pub fn is_open_to(&self, gateway: SocketAddr) -> bool {
        self.to == gateway && !self.sender.is_closed()
    }

    /// Sends and reads to the end; `None` where the connection is of no more use.
    /// Who leaves closes it in the middle of the answer.
    pub async fn ask(
        mut self,
        request: Request<Full<Bytes>>,
        leaves: Option<Duration>,
    ) -> Option<Self> {
        let answer = async {
            self.sender.ready().await.ok()?;
            let mut answer = self.sender.send_request(request).await.ok()?.into_body();
            while let Some(frame) = answer.frame().await {
                frame.ok()?;
            }
            Some(())
        };
        timeout(leaves.unwrap_or(PATIENCE), answer).await.ok()??;
        Some(self)
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        self.connection.abort();
    }
}
