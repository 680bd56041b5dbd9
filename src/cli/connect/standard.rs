//! Standard input and output, each with a thread of its own, since reading and writing them may
//! block. What passes between a thread and the loop is bounded: a peer that does not read stops
//! the reading of standard input, and an output that is not read closes the peer's window.

use std::io::{self, Read, Write};
use std::sync::mpsc::{self, Receiver, SyncSender, TryRecvError, TrySendError};
use std::thread;

use tunstack::runtime::Waker;

/// Bytes that are read from standard input at a time.
const CHUNK: usize = 64 << 10;

/// Chunks that wait between a thread and the loop, in each direction.
const WAITING: usize = 4;

/// What standard input has to give.
pub(super) struct Input {
    chunks: Receiver<io::Result<Vec<u8>>>,
}

impl Input {
    /// Starts to read.
    pub(super) fn start(waker: Waker) -> io::Result<Self> {
        Self::from(io::stdin(), waker)
    }

    fn from(source: impl Read + Send + 'static, waker: Waker) -> io::Result<Self> {
        let (sender, chunks) = mpsc::sync_channel(WAITING);
        thread::Builder::new()
            .name("input".into())
            .spawn(move || read_all(source, sender, &waker))?;
        Ok(Self { chunks })
    }

    /// The next chunk. `WouldBlock` when there is none yet: the waker tells of more.
    pub(super) fn next(&mut self) -> io::Result<Option<Vec<u8>>> {
        match self.chunks.try_recv() {
            Ok(chunk) => chunk.map(Some),
            Err(TryRecvError::Empty) => Err(io::ErrorKind::WouldBlock.into()),
            Err(TryRecvError::Disconnected) => Ok(None),
        }
    }
}

/// Hands over what it reads until the end, an error, or until nobody wants it any more.
fn read_all(mut source: impl Read, sender: SyncSender<io::Result<Vec<u8>>>, waker: &Waker) {
    loop {
        let mut chunk = vec![0; CHUNK];
        let read = match source.read(&mut chunk) {
            Ok(0) => break,
            Ok(len) => {
                chunk.truncate(len);
                Ok(chunk)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => Err(error),
        };
        let is_last = read.is_err();
        if sender.send(read).is_err() || is_last {
            break;
        }
        waker.wake();
    }
    // The end is seen by the channel being closed, so it is closed before the loop looks.
    drop(sender);
    waker.wake();
}

/// Where standard output gets what the peer sends.
pub(super) struct Output {
    /// `None` once the peer has ended its stream and everything was handed over.
    chunks: Option<SyncSender<Vec<u8>>>,
    /// How the writing ended.
    end: Receiver<io::Result<()>>,
}

impl Output {
    /// Starts to write.
    pub(super) fn start(waker: Waker) -> io::Result<Self> {
        Self::to(io::stdout(), waker)
    }

    fn to(sink: impl Write + Send + 'static, waker: Waker) -> io::Result<Self> {
        let (chunks, receiver) = mpsc::sync_channel(WAITING);
        let (report, end) = mpsc::sync_channel(1);
        thread::Builder::new().name("output".into()).spawn(move || {
            let result = write_all(sink, receiver, &waker);
            // The loop may have ended without waiting.
            let _ = report.send(result);
            waker.wake();
        })?;
        Ok(Self { chunks: Some(chunks), end })
    }

    /// Hands a chunk over; gives it back when the thread has enough: the waker tells when to try
    /// again. After a failure chunks vanish.
    pub(super) fn push(&mut self, chunk: Vec<u8>) -> Result<(), Vec<u8>> {
        let Some(sender) = &self.chunks else {
            return Ok(());
        };
        match sender.try_send(chunk) {
            Ok(()) | Err(TrySendError::Disconnected(_)) => Ok(()),
            Err(TrySendError::Full(chunk)) => Err(chunk),
        }
    }

    /// There will be no more: the thread ends when it has written everything.
    pub(super) fn finish(&mut self) {
        self.chunks = None;
    }

    /// How the writing ended, once it has.
    pub(super) fn ended(&mut self) -> Option<io::Result<()>> {
        self.end.try_recv().ok()
    }
}

fn write_all(mut sink: impl Write, chunks: Receiver<Vec<u8>>, waker: &Waker) -> io::Result<()> {
    for chunk in chunks {
        sink.write_all(&chunk)?;
        sink.flush()?;
        waker.wake();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::{Arc, Mutex};

    use tunstack::device::MemoryDevice;
    use tunstack::runtime::Runtime;
    use tunstack::{Config, Stack};

    use super::*;

    fn waker() -> Waker {
        let config = Config::with_addresses([[10, 0, 0, 1].into()]);
        let stack = Stack::new(config, [1; 32]).unwrap();
        let (device, _) = MemoryDevice::pair(1500, 1);
        Runtime::new(stack, device).unwrap().waker()
    }

    /// The next chunk, however long the thread takes.
    fn wait(input: &mut Input) -> io::Result<Option<Vec<u8>>> {
        loop {
            match input.next() {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => thread::yield_now(),
                result => return result,
            }
        }
    }

    fn wait_for_end(output: &mut Output) -> io::Result<()> {
        loop {
            match output.ended() {
                Some(result) => return result,
                None => thread::yield_now(),
            }
        }
    }

    #[test]
    fn input_arrives_whole_and_ends() {
        let text: Vec<u8> = (0..10 * CHUNK + 5).map(|n| (n / 1_000) as u8).collect();
        let mut input = Input::from(io::Cursor::new(text.clone()), waker()).unwrap();
        let mut heard = Vec::new();
        while let Some(chunk) = wait(&mut input).unwrap() {
            assert!(chunk.len() <= CHUNK);
            heard.extend(chunk);
        }
        assert!(heard == text);
        assert!(matches!(input.next(), Ok(None)), "the end stays the end");
    }

    /// Gives what a channel gives, byte by byte, then fails.
    struct Fed(Receiver<u8>);

    impl Read for Fed {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            into[0] = self.0.recv().map_err(io::Error::other)?;
            Ok(1)
        }
    }

    #[test]
    fn input_is_read_no_further_than_it_is_used_and_its_failure_is_told() {
        let (feed, fed) = mpsc::sync_channel(0);
        let mut input = Input::from(Fed(fed), waker()).unwrap();
        let in_hand = 1;
        for byte in 0..WAITING + in_hand {
            feed.send(byte as u8).unwrap();
        }
        for _ in 0..1_000 {
            assert!(feed.try_send(99).is_err(), "nobody reads more");
            thread::yield_now();
        }
        for byte in 0..WAITING + in_hand {
            assert_eq!(wait(&mut input).unwrap(), Some(vec![byte as u8]));
        }
        drop(feed);
        assert!(wait(&mut input).is_err());
    }

    /// Keeps what is written, but only while it gets permission.
    struct Gated {
        permits: Receiver<()>,
        written: Arc<Mutex<Vec<u8>>>,
    }

    impl Write for Gated {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.permits.recv().map_err(io::Error::other)?;
            self.written.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn gated() -> (mpsc::Sender<()>, Arc<Mutex<Vec<u8>>>, Output) {
        let (permit, permits) = mpsc::channel();
        let written = Arc::default();
        let sink = Gated { permits, written: Arc::clone(&written) };
        (permit, written, Output::to(sink, waker()).unwrap())
    }

    #[test]
    fn output_takes_a_bounded_number_of_chunks_and_writes_them_in_order() {
        let (permit, written, mut output) = gated();
        let mut taken = 0;
        let in_hand = 1;
        let refused = loop {
            match output.push(vec![taken as u8; 3]) {
                Ok(()) => taken += 1,
                Err(chunk) => break chunk,
            }
            assert!(taken <= WAITING + in_hand);
        };
        assert_eq!(refused, vec![taken as u8; 3]);
        assert!(output.ended().is_none());
        for _ in 0..taken {
            permit.send(()).unwrap();
        }
        output.finish();
        wait_for_end(&mut output).unwrap();
        let expected: Vec<u8> = (0..taken).flat_map(|n| [n as u8; 3]).collect();
        assert_eq!(*written.lock().unwrap(), expected);
    }

    #[test]
    fn output_that_cannot_be_written_is_told_and_takes_what_still_comes() {
        let (permit, _, mut output) = gated();
        output.push(vec![1]).unwrap();
        drop(permit);
        assert!(wait_for_end(&mut output).is_err());
        for _ in 0..2 * WAITING {
            output.push(vec![2]).unwrap();
        }
    }
}
