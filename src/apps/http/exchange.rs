//! A connection in the middle of something: a request that is not complete, or a response that
//! the send buffer did not take whole.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use super::request::MAX_HEAD;
use crate::stack::{ConnId, Stack};
use crate::tcp::ReadError;

/// Bytes that are read and thrown away after the last response, at most, so that the client gets
/// to see it: closing over unread data would send a reset that overtakes it (RFC 9112 section
/// 9.6).
const MAX_LINGER: u64 = 1 << 20;

/// What happens to the next bytes of the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// They belong to a request head.
    Head,
    /// They are thrown away: a body, or what comes after the last response.
    ThrowAway,
    /// They wait until the response is in the send buffer.
    Responding,
    /// The last response is in the send buffer.
    Finished,
}

/// The state of one connection.
#[derive(Debug, Default)]
pub(super) struct Exchange {
    /// What was received and not used: a head whose end has not come, or requests that wait.
    /// At most [`MAX_HEAD`] bytes.
    pub(super) input: Vec<u8>,
    /// Bytes of a request's body that are still to be thrown away.
    pub(super) body: u64,
    /// The connection ends after the response.
    pub(super) closes: bool,
    response: Option<Response>,
    /// After the last response: the bytes that may still be thrown away.
    linger: Option<u64>,
}

/// What the send buffer has not taken yet.
#[derive(Debug)]
struct Response {
    bytes: Vec<u8>,
    written: usize,
    file: Option<FileBody>,
}

impl Exchange {
    pub(super) fn stage(&self) -> Stage {
        if self.response.is_some() {
            Stage::Responding
        } else if self.linger.is_some() {
            Stage::ThrowAway
        } else if self.closes {
            Stage::Finished
        } else if self.body > 0 {
            Stage::ThrowAway
        } else {
            Stage::Head
        }
    }

    /// Whether the connection waits for its next request, with nothing to remember.
    pub(super) fn is_idle(&self) -> bool {
        self.stage() == Stage::Head && self.input.is_empty()
    }

    /// Throws bytes away from the front of `bytes`; answers how many. `None` when the client has
    /// sent so much after the last response that it will not be waited for any longer.
    pub(super) fn throw_away(&mut self, bytes: &[u8]) -> Option<usize> {
        let len = bytes.len() as u64;
        if let Some(linger) = &mut self.linger {
            *linger = linger.checked_sub(len)?;
            return Some(bytes.len());
        }
        let thrown = len.min(self.body);
        self.body -= thrown;
        usize::try_from(thrown).ok()
    }

    /// Ends the connection behind the last response: at once, or, if the client goes on sending,
    /// when it has seen the end. Answers whether the id was given back.
    pub(super) fn finish(&mut self, stack: &mut Stack, id: ConnId, unused: &[u8]) -> bool {
        let has_more = !unused.is_empty() || self.body > 0 || stack.readable(id) > 0;
        if has_more {
            stack.shutdown(id);
            self.linger = Some(MAX_LINGER);
        } else {
            stack.close(id);
        }
        !has_more
    }

    /// Appends to the input what the receive buffer holds, as far as there is room. Answers how
    /// many bytes; zero at the end of the stream.
    pub(super) fn read(&mut self, stack: &mut Stack, id: ConnId) -> Result<usize, ReadError> {
        let before = self.input.len();
        let room = MAX_HEAD.saturating_sub(before).max(1);
        let wanted = stack.readable(id).clamp(1, room);
        self.input.resize(before + wanted, 0);
        let room = self.input.get_mut(before..).unwrap_or_default();
        let result = stack.read(id, room);
        self.input.truncate(before + result.unwrap_or(0));
        result
    }

    /// Sends `bytes`, then `file`, as far as the send buffer takes it; the rest follows with
    /// [`go_on`](Self::go_on).
    pub(super) fn send(
        &mut self,
        stack: &mut Stack,
        id: ConnId,
        bytes: &[u8],
        file: Option<FileBody>,
    ) {
        // A connection that takes no more is over; its last event ends the exchange.
        let written = stack.write(id, bytes).unwrap_or(bytes.len());
        let rest = bytes.get(written..).unwrap_or_default();
        if !rest.is_empty() || file.is_some() {
            self.response = Some(Response { bytes: rest.to_vec(), written: 0, file });
        }
    }

    /// Goes on with a response until it is done or the send buffer is full. `chunk` is where
    /// pieces of the file are read into.
    ///
    /// # Errors
    /// When the file cannot be read or has become shorter than was promised.
    pub(super) fn go_on(
        &mut self,
        stack: &mut Stack,
        id: ConnId,
        chunk: &mut [u8],
    ) -> io::Result<()> {
        let Some(response) = &mut self.response else {
            return Ok(());
        };
        let rest = response.bytes.get(response.written..).unwrap_or_default();
        if !rest.is_empty() {
            let written = stack.write(id, rest).unwrap_or(rest.len());
            response.written += written;
            if written < rest.len() {
                return Ok(());
            }
        }
        response.bytes = Vec::new();
        response.written = 0;
        if let Some(file) = &mut response.file
            && !file.send(stack, id, chunk)?
        {
            return Ok(());
        }
        self.response = None;
        Ok(())
    }
}

/// The part of a file that is still to be sent.
#[derive(Debug)]
pub(super) struct FileBody {
    file: File,
    next: u64,
    end: u64,
}

impl FileBody {
    /// The first `len` bytes of `file`.
    pub(super) fn new(file: File, len: u64) -> Self {
        Self { file, next: 0, end: len }
    }

    /// Sends until the send buffer is full. True when all is sent.
    fn send(&mut self, stack: &mut Stack, id: ConnId, chunk: &mut [u8]) -> io::Result<bool> {
        while self.next < self.end {
            let left = usize::try_from(self.end - self.next).unwrap_or(usize::MAX);
            // One byte more than fits: only after a write that did not fit is there an event when
            // there is room again.
            let wanted = left.min(stack.writable(id).saturating_add(1)).min(chunk.len());
            let piece = chunk.get_mut(..wanted).unwrap_or_default();
            let len = self.file.read_at(piece, self.next)?;
            if len == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let piece = piece.get(..len).unwrap_or_default();
            let written = stack.write(id, piece).unwrap_or(len);
            self.next += written as u64;
            if written < len {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_new_connection_waits_for_a_head() {
        let exchange = Exchange::default();
        assert_eq!(exchange.stage(), Stage::Head);
        assert!(exchange.is_idle());
    }

    #[test]
    fn a_body_is_thrown_away_to_its_last_byte_and_no_further() {
        let mut exchange = Exchange { body: 5, ..Exchange::default() };
        assert_eq!(exchange.stage(), Stage::ThrowAway);
        assert_eq!(exchange.throw_away(b"abc"), Some(3));
        assert_eq!(exchange.throw_away(b"deGET /"), Some(2));
        assert_eq!(exchange.stage(), Stage::Head);
    }

    #[test]
    fn lingering_has_an_end() {
        let mut exchange = Exchange { closes: true, linger: Some(10), ..Exchange::default() };
        assert_eq!(exchange.throw_away(&[0; 10]), Some(10));
        assert_eq!(exchange.stage(), Stage::ThrowAway);
        assert_eq!(exchange.throw_away(&[0; 1]), None);
    }

    #[test]
    fn a_response_comes_before_everything_else() {
        let exchange = Exchange {
            closes: true,
            body: 5,
            response: Some(Response { bytes: vec![1], written: 0, file: None }),
            ..Exchange::default()
        };
        assert_eq!(exchange.stage(), Stage::Responding);
        assert!(!exchange.is_idle());
    }
}
