//! The server's address in a world that it does not run in.

use std::net::{SocketAddr, TcpListener as StdListener};

use anyhow::{Context, Result};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::task::{JoinHandle, JoinSet};

use super::programs::PORT;
use crate::cluster::Place;
use crate::plan;

/// Hands connections on to the server, byte for byte; those that it has end when it is dropped.
///
/// Worlds have the same addresses, so that packets of several cannot come to one namespace unless they are translated
/// on the way; and a link from each node to the server would be a device that no node of a cluster has.
#[derive(Debug)]
#[must_use]
pub struct Door {
    task: JoinHandle<()>,
}

impl Door {
    /// Listens at the server's address in `place`; the runtime's threads are in the server's namespace.
    pub(super) fn open(runtime: &Runtime, place: &Place) -> Result<Self> {
        let at = SocketAddr::new(plan::router().v4.into(), PORT);
        let listen = || {
            let listener = StdListener::bind(at)?;
            listener.set_nonblocking(true)?;
            Ok(listener)
        };
        let listener = place
            .netns()
            .run(listen)?
            .map_err(|error: std::io::Error| error)
            .with_context(|| format!("{at} in {}", place.netns().name()))?;
        let _entered = runtime.enter();
        let listener = TcpListener::from_std(listener)?;
        Ok(Self {
            task: runtime.spawn(hand_on(listener, at)),
        })
    }
}

async fn hand_on(listener: TcpListener, server: SocketAddr) {
    let mut open = JoinSet::new();
    // An error of `accept` is that of no more descriptors: the world then has no server, and its agents say so.
    while let Ok((near, _)) = listener.accept().await {
        while open.try_join_next().is_some() {}
        open.spawn(connect(near, server));
    }
}

async fn connect(mut near: TcpStream, server: SocketAddr) -> std::io::Result<()> {
    let mut far = TcpStream::connect(server).await?;
    near.set_nodelay(true)?;
    far.set_nodelay(true)?;
    copy_bidirectional(&mut near, &mut far).await.map(drop)
}

impl Drop for Door {
    fn drop(&mut self) {
        self.task.abort();
    }
}
