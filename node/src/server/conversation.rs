//! An HTTP/1 connection as bytes: time for a request's head, and words for what the HTTP library refuses on its own.
//!
//! The library answers what is no HTTP, and heads larger than it takes, with a status and nothing else. Such an answer is
//! known by its reason phrase, which none of ours has, and is replaced by CCF's (CCF interface, section 0.2) when no request
//! is under way whose answer these bytes could be part of.

use std::future::Future as _;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use ccf_rs::Error;
use http_body_util::Full;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// How many requests of a connection were begun, and how many are not answered yet.
#[derive(Debug, Default)]
pub(super) struct Progress {
    begun: AtomicUsize,
    open: AtomicUsize,
}

/// A request that is under way until this is dropped.
pub(super) struct Underway(Arc<Progress>);

impl Progress {
    pub(super) fn begin(self: &Arc<Self>) -> Underway {
        self.begun.fetch_add(1, Ordering::Relaxed);
        self.open.fetch_add(1, Ordering::Relaxed);
        Underway(Arc::clone(self))
    }

    fn begun(&self) -> usize {
        self.begun.load(Ordering::Relaxed)
    }

    fn is_idle(&self) -> bool {
        self.open.load(Ordering::Relaxed) == 0
    }
}

impl Drop for Underway {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The body of an answer, which ends its request when the library has taken all of it.
pub(super) struct Answer {
    pub(super) body: Full<Bytes>,
    pub(super) _underway: Underway,
}

impl http_body::Body for Answer {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, Self::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.body.size_hint()
    }
}

/// The connection under the HTTP library.
pub(super) struct Conversation<T> {
    inner: T,
    /// `None` for HTTP/2, where bytes come in frames.
    progress: Option<Arc<Progress>>,
    /// From the first byte of a head to its end.
    patience: Duration,
    /// Armed while a head is being read: how many requests were begun before it, and its end.
    deadline: Option<(usize, Pin<Box<Sleep>>)>,
    /// The last write was taken whole, so that the next begins something new.
    whole: bool,
    /// What is written in place of what the library gave: how long that was, and how much is written.
    instead: Option<(usize, Vec<u8>, usize)>,
}

impl<T> Conversation<T> {
    pub(super) const fn new(inner: T, progress: Option<Arc<Progress>>, patience: Duration) -> Self {
        Self {
            inner,
            progress,
            patience,
            deadline: None,
            whole: true,
            instead: None,
        }
    }

    /// Whether the head that is being read takes too long.
    fn is_late(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(progress) = &self.progress else {
            return false;
        };
        match &mut self.deadline {
            Some((before, deadline)) if progress.is_idle() && progress.begun() == *before => {
                deadline.as_mut().poll(cx).is_ready()
            }
            _ => {
                self.deadline = None;
                false
            }
        }
    }

    /// Notes that bytes came: outside a request they are the head of the next.
    fn came(&mut self, cx: &mut Context<'_>) {
        if let Some(progress) = &self.progress
            && self.deadline.is_none()
            && progress.is_idle()
        {
            let mut deadline = Box::pin(sleep(self.patience));
            // So that this task is woken by it.
            let _ = deadline.as_mut().poll(cx);
            self.deadline = Some((progress.begun(), deadline));
        }
    }

    fn replacement(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        let progress = self.progress.as_ref()?;
        (self.whole && progress.is_idle())
            .then(|| explained(bytes))
            .flatten()
    }
}

/// CCF's answer in place of one of the library's, if this is one.
fn explained(bytes: &[u8]) -> Option<Vec<u8>> {
    const UNREADABLE: &str = "Unable to parse data as a HTTP request.";
    let head = bytes.strip_suffix(b"\r\n\r\n")?;
    let (status, kind, body) = if head.starts_with(b"HTTP/1.1 400 Bad Request\r\n") {
        ("400 BAD_REQUEST", "text/plain", UNREADABLE.to_owned())
    } else if head.starts_with(b"HTTP/1.1 431 Request Header Fields Too Large\r\n")
        || head.starts_with(b"HTTP/1.1 414 URI Too Long\r\n")
    {
        let error = header_too_large("The request's headers are too large.");
        (
            "431 REQUEST_HEADER_FIELDS_TOO_LARGE",
            "application/json",
            error.body().to_string(),
        )
    } else {
        return None;
    };
    let length = body.len();
    let text = format!(
        "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n\r\n{body}"
    );
    Some(text.into_bytes())
}

/// 431, CCF's code.
pub(super) fn header_too_large(text: &str) -> Error {
    Error::refused(431, "RequestHeaderTooLarge", text)
}

impl<T: AsyncRead + Unpin> AsyncRead for Conversation<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.is_late(cx) {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.inner).poll_read(cx, buf))?;
        if buf.filled().len() > before {
            self.came(cx);
        }
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> Conversation<T> {
    /// Writes on with the replacement; its end counts as the end of what it replaces.
    fn poll_instead(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        while let Some((length, text, written)) = &mut self.instead {
            let rest = text.get(*written..).unwrap_or_default();
            if rest.is_empty() {
                let length = *length;
                self.instead = None;
                return Poll::Ready(Ok(length));
            }
            match ready!(Pin::new(&mut self.inner).poll_write(cx, rest))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                more => *written += more,
            }
        }
        Poll::Ready(Ok(0))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Conversation<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.instead.is_none()
            && let Some(text) = self.replacement(buf)
        {
            self.instead = Some((buf.len(), text, 0));
        }
        if self.instead.is_some() {
            return self.poll_instead(cx);
        }
        let written = ready!(Pin::new(&mut self.inner).poll_write(cx, buf))?;
        self.whole = written == buf.len();
        Poll::Ready(Ok(written))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut filled = bufs.iter().filter(|buf| !buf.is_empty());
        if let (Some(only), None) = (filled.next(), filled.next()) {
            return self.poll_write(cx, only);
        }
        let written = ready!(Pin::new(&mut self.inner).poll_write_vectored(cx, bufs))?;
        self.whole = written == bufs.iter().map(|buf| buf.len()).sum::<usize>();
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
