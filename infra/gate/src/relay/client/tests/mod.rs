//! Clients and servers that are not ours, with nothing but transports between them.

mod attacks;
mod combinations;
mod server;

use std::io::{self, BufReader};
use std::os::unix::net::UnixStream;

use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::{http, stdio};
use crate::relay::Channel;
use crate::relay::message::{Kind, Message};
use crate::relay::upstream::Upstream;

/// A gate that lets everything through.
async fn pass(client: Channel, server: Channel) {
    tokio::select! {
        () = pump(client.from, server.to) => {}
        () = pump(server.from, client.to) => {}
    }
}

async fn pump(mut from: mpsc::Receiver<Message>, to: mpsc::Sender<Message>) {
    while let Some(message) = from.recv().await {
        if matches!(message.kind(), Kind::Gone { .. }) {
            continue;
        }
        if to.send(message).await.is_err() {
            return;
        }
    }
}

/// A gate over HTTP, until the test ends: its URL.
async fn over_http(upstream: Upstream) -> String {
    serving(upstream).await.0
}

async fn serving(upstream: Upstream) -> (String, JoinHandle<io::Result<()>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/mcp", listener.local_addr().expect("an address"));
    (url, tokio::spawn(http::serve(listener, pass, upstream, Vec::new())))
}

/// A gate over standard streams, until they end: the client's ends of what it reads and writes.
async fn over_streams(upstream: Upstream) -> (tokio::net::UnixStream, tokio::net::UnixStream) {
    let (input, to) = UnixStream::pair().expect("a socket");
    let (output, from) = tokio::net::UnixStream::pair().expect("a socket");
    to.set_nonblocking(true).expect("a socket");
    let to = tokio::net::UnixStream::from_std(to).expect("a socket");
    let (client, _) = stdio::line_over(BufReader::new(input), output);
    let server = upstream.open().await.expect("a server");
    tokio::spawn(pass(client, server));
    (from, to)
}
