//! What the agent waits for: sources, the host, and the end.

use std::time::Duration;

use tokio::{runtime::Handle, sync::mpsc, time::timeout};

use crate::watch::Notice;

/// Everything that may wake the agent.
#[derive(Debug)]
pub struct Inbox<N> {
    runtime: Handle,
    notices: mpsc::Receiver<Notice>,
    news: mpsc::Receiver<N>,
    stop: mpsc::Receiver<()>,
    /// How many more may be taken in before what is taken in is acted on.
    room: usize,
}

/// What woke the agent.
#[derive(Debug)]
pub enum Wake<N> {
    /// It is to end.
    Stop,
    /// A source has something.
    Notice(Notice),
    /// The host has something.
    News(N),
    /// The time is up, or nothing more is queued.
    Nothing,
}

/// How much is taken in at once. A flood of changes must not keep the first of them from the maps.
const ROOM: usize = 4096;

impl<N> Inbox<N> {
    /// An inbox. `runtime` is where its ends are filled.
    #[must_use]
    pub const fn new(
        runtime: Handle,
        notices: mpsc::Receiver<Notice>,
        news: mpsc::Receiver<N>,
        stop: mpsc::Receiver<()>,
    ) -> Self {
        Inbox {
            runtime,
            notices,
            news,
            stop,
            room: ROOM,
        }
    }

    /// Waits for the next thing, up to a time. Everybody gone who could send something is the end, too.
    #[expect(
        clippy::disallowed_methods,
        reason = "the agent's thread is none of the runtime's workers"
    )]
    pub fn next(&mut self, wait: Duration) -> Wake<N> {
        self.room = ROOM;
        let Inbox {
            runtime,
            notices,
            news,
            stop,
            ..
        } = self;
        let wake = runtime.block_on(async {
            let first = async {
                tokio::select! {
                    biased;
                    _ = stop.recv() => Wake::Stop,
                    Some(news) = news.recv() => Wake::News(news),
                    Some(notice) = notices.recv() => Wake::Notice(notice),
                    else => Wake::Stop,
                }
            };
            timeout(wait, first).await
        });
        wake.unwrap_or(Wake::Nothing)
    }

    /// The next thing that is there already.
    pub fn queued(&mut self) -> Wake<N> {
        let Some(room) = self.room.checked_sub(1) else {
            return Wake::Nothing;
        };
        self.room = room;
        if let Ok(news) = self.news.try_recv() {
            Wake::News(news)
        } else if let Ok(notice) = self.notices.try_recv() {
            Wake::Notice(notice)
        } else {
            Wake::Nothing
        }
    }
}
