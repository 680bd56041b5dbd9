//! A server of HTTP/1.1 (RFC 9110, RFC 9112) for GET and HEAD: a directory of files, or a page
//! that shows the stack at work.

mod directory;
mod exchange;
mod page;
mod path;
mod request;
mod response;

#[cfg(test)]
mod tests;

use std::fmt;
use std::io;
use std::path::Path;

use log::debug;
use slotmap::SparseSecondaryMap;

use self::directory::{Directory, NoFile};
use self::exchange::{Exchange, FileBody, Stage};
use self::request::{MAX_HEAD, Method, Request};
use self::response::{Date, Persistence, Status};
use crate::runtime::App;
use crate::stack::{ConnId, Event, Stack};

/// Bytes of a file that are read at a time. The read blocks the loop for as long as the disk
/// takes, which for a page already in memory is a few microseconds.
const CHUNK: usize = 64 << 10;

/// The server. For a connection that waits for its next request it keeps nothing; for one in the
/// middle of something at most 16 KiB of requests, an open file, and the part of a
/// response that the send buffer did not take.
///
/// The next request of a connection is not looked at before the response to the last one is in
/// the send buffer, so that pipelined requests wait in the receive buffer and close the window.
pub struct Http {
    /// What is served; `None`: the status page.
    directory: Option<Directory>,
    /// The connections that are in the middle of something.
    exchanges: SparseSecondaryMap<ConnId, Exchange>,
    date: Date,
    status: page::StatusPage,
    /// Where responses are put together.
    out: Vec<u8>,
    /// Where pieces of files are read into.
    chunk: Box<[u8]>,
}

impl Http {
    /// A server of the status page.
    pub fn status_page() -> Self {
        Self::new(None)
    }

    /// A server of the files in `directory`.
    ///
    /// # Errors
    /// When it is no directory or cannot be entered.
    pub fn directory(directory: &Path) -> io::Result<Self> {
        Ok(Self::new(Some(Directory::open(directory)?)))
    }

    fn new(directory: Option<Directory>) -> Self {
        Self {
            directory,
            exchanges: SparseSecondaryMap::new(),
            date: Date::default(),
            status: page::StatusPage::default(),
            out: Vec::new(),
            chunk: vec![0; CHUNK].into_boxed_slice(),
        }
    }

    /// Uses what the client sent, from the front of `bytes`, until a response does not fit into
    /// the send buffer or a head is not complete. Answers how many bytes were used; `None` when
    /// the id was given back.
    fn use_up(
        &mut self,
        stack: &mut Stack,
        id: ConnId,
        exchange: &mut Exchange,
        bytes: &[u8],
    ) -> Option<usize> {
        let mut rest = bytes;
        loop {
            match exchange.stage() {
                Stage::Responding => {
                    self.go_on(stack, id, exchange)?;
                    if exchange.stage() == Stage::Responding {
                        break;
                    }
                }
                Stage::Finished => {
                    if exchange.finish(stack, id, rest) {
                        return None;
                    }
                }
                Stage::ThrowAway | Stage::Head if rest.is_empty() => break,
                Stage::ThrowAway => {
                    let Some(thrown) = exchange.throw_away(rest) else {
                        stack.close(id);
                        return None;
                    };
                    rest = rest.get(thrown..).unwrap_or_default();
                }
                Stage::Head => match request::parse(rest) {
                    Ok(Some((request, len))) => {
                        self.answer(stack, id, exchange, &request);
                        rest = rest.get(len..).unwrap_or_default();
                    }
                    Ok(None) => break,
                    Err(refusal) => {
                        exchange.closes = true;
                        self.out.clear();
                        let date = self.date.at(stack.now());
                        let last = Persistence::Close;
                        response::error(&mut self.out, refusal.into(), last, date, true);
                        exchange.send(stack, id, &self.out, None);
                    }
                },
            }
        }
        Some(bytes.len() - rest.len())
    }

    /// Uses what was received before and not used. `None` when the id was given back.
    fn use_input(&mut self, stack: &mut Stack, id: ConnId, exchange: &mut Exchange) -> Option<()> {
        let mut input = std::mem::take(&mut exchange.input);
        let used = self.use_up(stack, id, exchange, &input)?;
        input.drain(..used);
        if !input.is_empty() {
            exchange.input = input;
        }
        Some(())
    }

    /// Text straight from a packet, behind what was received before. Answers how much was taken;
    /// `None` when the id was given back.
    fn take_in(
        &mut self,
        stack: &mut Stack,
        id: ConnId,
        exchange: &mut Exchange,
        data: &[u8],
    ) -> Option<usize> {
        let mut rest = data;
        while !exchange.input.is_empty() {
            if exchange.stage() == Stage::Responding || rest.is_empty() {
                return Some(data.len() - rest.len());
            }
            let room = MAX_HEAD.saturating_sub(exchange.input.len());
            let (front, back) = rest.split_at(room.min(rest.len()));
            exchange.input.extend_from_slice(front);
            rest = back;
            self.use_input(stack, id, exchange)?;
        }
        let used = self.use_up(stack, id, exchange, rest)?;
        rest = rest.get(used..).unwrap_or_default();
        if exchange.stage() == Stage::Head {
            // The parser asks for more only of what is shorter than MAX_HEAD.
            exchange.input = rest.to_vec();
            rest = &[];
        }
        Some(data.len() - rest.len())
    }

    /// There is room in the send buffer, or something in the receive buffer: goes on as far as
    /// possible. `None` when the id was given back.
    fn pump(&mut self, stack: &mut Stack, id: ConnId, exchange: &mut Exchange) -> Option<()> {
        loop {
            self.use_input(stack, id, exchange)?;
            if exchange.stage() == Stage::Responding {
                return Some(());
            }
            match exchange.read(stack, id) {
                Ok(0) => {
                    stack.close(id);
                    return None;
                }
                Ok(_) => {}
                Err(_) => return Some(()),
            }
        }
    }

    /// Goes on with a response. `None` when it cannot be completed and the id was given back.
    fn go_on(&mut self, stack: &mut Stack, id: ConnId, exchange: &mut Exchange) -> Option<()> {
        if let Err(error) = exchange.go_on(stack, id, &mut self.chunk) {
            // A length was promised; a reset is the only way left to say that it is wrong.
            debug!("a file could not be read to the length it had: {error}");
            stack.abort(id);
            return None;
        }
        Some(())
    }

    fn answer(
        &mut self,
        stack: &mut Stack,
        id: ConnId,
        exchange: &mut Exchange,
        request: &Request<'_>,
    ) {
        exchange.closes = request.closes;
        exchange.body = request.body;
        self.out.clear();
        let file = self.respond(stack, request).unwrap_or_else(|status| {
            let with_body = request.method != Method::Head;
            let date = self.date.at(stack.now());
            response::error(&mut self.out, status, request.into(), date, with_body);
            None
        });
        exchange.send(stack, id, &self.out, file);
    }

    /// Puts the head of a good response together, and its body unless it is a file.
    fn respond(
        &mut self,
        stack: &Stack,
        request: &Request<'_>,
    ) -> Result<Option<FileBody>, Status> {
        if request.method == Method::Other {
            return Err(Status::MethodNotAllowed);
        }
        let path = path::decode(request.target).ok_or(Status::BadRequest)?;
        if path == page::COUNTERS_PATH.as_bytes() {
            self.respond_text(stack, request, "text/plain; charset=utf-8", page::counters);
            return Ok(None);
        }
        let Some(directory) = &self.directory else {
            if path != b"/" {
                return Err(Status::NotFound);
            }
            self.respond_status(stack, request);
            return Ok(None);
        };
        let found = directory.file(&path).map_err(|reason| match reason {
            NoFile::NotFound => Status::NotFound,
            NoFile::Exhausted(error) => {
                debug!("a file cannot be opened now: {error}");
                Status::Unavailable
            }
        })?;
        let media = path::content_type(if found.is_index { b".html" } else { &path });
        let date = self.date.at(stack.now());
        response::head(&mut self.out, Status::Ok, request.into(), date, media, found.len);
        let body = FileBody::new(found.file, found.len);
        Ok((request.method == Method::Get).then_some(body))
    }

    fn respond_text(
        &mut self,
        stack: &Stack,
        request: &Request<'_>,
        media: &str,
        write: impl FnOnce(&mut String, &Stack),
    ) {
        let mut body = String::new();
        write(&mut body, stack);
        self.respond_body(stack, request, media, body.as_bytes());
    }

    fn respond_status(&mut self, stack: &Stack, request: &Request<'_>) {
        let mut status = core::mem::take(&mut self.status);
        let body = status.at(stack);
        self.respond_body(stack, request, "text/html; charset=utf-8", body.as_bytes());
        self.status = status;
    }

    fn respond_body(&mut self, stack: &Stack, request: &Request<'_>, media: &str, body: &[u8]) {
        let (date, length) = (self.date.at(stack.now()), body.len() as u64);
        response::head(&mut self.out, Status::Ok, request.into(), date, media, length);
        if request.method == Method::Get {
            self.out.extend_from_slice(body);
        }
    }

    /// Remembers a connection unless it is idle.
    fn keep(&mut self, id: ConnId, exchange: Exchange) {
        if !exchange.is_idle() {
            self.exchanges.insert(id, exchange);
        }
    }
}

impl App for Http {
    fn on_data(&mut self, stack: &mut Stack, id: ConnId, data: &[u8]) -> usize {
        let mut exchange = self.exchanges.remove(id).unwrap_or_default();
        let Some(taken) = self.take_in(stack, id, &mut exchange, data) else {
            return data.len();
        };
        self.keep(id, exchange);
        taken
    }

    fn on_event(&mut self, stack: &mut Stack, event: Event) {
        match event {
            Event::Readable(id) | Event::Writable(id) | Event::PeerClosed(id) => {
                let mut exchange = self.exchanges.remove(id).unwrap_or_default();
                if self.pump(stack, id, &mut exchange).is_some() {
                    self.keep(id, exchange);
                }
            }
            Event::Closed(id, _) => {
                self.exchanges.remove(id);
                stack.close(id);
            }
            Event::Incoming(_)
            | Event::Established(_)
            | Event::Urgent(_)
            | Event::SoftError(..) => {}
        }
    }
}

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Http")
            .field("directory", &self.directory)
            .field("exchanges", &self.exchanges.len())
            .finish_non_exhaustive()
    }
}
