//! Reads a response that is a stream of server-sent events.

use std::io;
use std::ops::RangeInclusive;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::{Stream, StreamExt};
use reqwest::Response;
use reqwest::header::HeaderValue;
use sse_stream::{Sse, SseStream};

use super::MAX_ANSWER_BYTES;

/// The shortest and the longest wait before a reconnect that a server may ask for.
const RETRY: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(60);

/// A stream of events, and where to resume it.
pub(super) struct Events {
    stream: Pin<Box<dyn Stream<Item = Result<Sse, sse_stream::Error>> + Send>>,
    /// The number of bytes since the last event.
    unread: Arc<AtomicUsize>,
    /// The id of the last event that has one.
    pub(super) last: Option<HeaderValue>,
    /// How long the server wants the gate to wait before it resumes.
    pub(super) retry: Option<Duration>,
}

impl Events {
    pub(super) fn of(response: Response) -> Self {
        let unread = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&unread);
        let bytes = response.bytes_stream().map(move |chunk| {
            let chunk = chunk.map_err(io::Error::other)?;
            if counter.fetch_add(chunk.len(), Ordering::Relaxed) > MAX_ANSWER_BYTES {
                return Err(io::Error::other("an event is too long"));
            }
            Ok(chunk)
        });
        Self { stream: Box::pin(SseStream::from_bytes_stream(bytes)), unread, last: None, retry: None }
    }

    /// The data of the next event that is a message; `None` once the stream has ended or broken off.
    pub(super) async fn next(&mut self) -> Option<String> {
        loop {
            let event = self.stream.next().await?.ok()?;
            self.unread.store(0, Ordering::Relaxed);
            if let Some(id) = event.id.and_then(|id| HeaderValue::from_str(&id).ok()) {
                self.last = Some(id);
            }
            if let Some(retry) = event.retry {
                self.retry = Some(Duration::from_millis(retry).clamp(*RETRY.start(), *RETRY.end()));
            }
            let named = event.event.is_some_and(|name| name != "message");
            match event.data {
                Some(data) if !named && !data.is_empty() => return Some(data),
                _ => {}
            }
        }
    }
}
