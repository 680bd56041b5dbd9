//! A server under test, as a process whose time is measured.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use super::measure::resident_in;

/// How long a server may take until it is ready.
const START_LIMIT: Duration = Duration::from_secs(20);

/// A server that runs until this value is dropped.
pub(crate) struct Server {
    child: Child,
}

/// What the scheduler says of a process, in seconds.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Times {
    /// On a processor, in the kernel or outside.
    pub(crate) ran: f64,
    /// Ready to run, while something else had the processor.
    pub(crate) waited: f64,
}

impl Server {
    /// Starts a server and waits until it prints a line that starts with `ready`.
    ///
    /// # Errors
    /// When it cannot be started, ends, or is not ready in time.
    pub(crate) fn start(command: &mut Command) -> Result<Self, String> {
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("{command:?} cannot be run: {error}"))?;
        let mut server = Self { child };
        let stdout = server.child.stdout.take().ok_or("it has no output")?;
        let (tell, told) = mpsc::channel();
        // Reads on to the end, so that the server can always write.
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                // Nobody listens any more once it was ready.
                let _ = tell.send(line);
            }
        });
        match told.recv_timeout(START_LIMIT) {
            Ok(line) if line.starts_with("ready") => Ok(server),
            Ok(line) => Err(format!("{command:?} says: {line}")),
            Err(_) => Err(format!("{command:?} was not ready within {START_LIMIT:?}")),
        }
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// How long all its threads have run and waited so far.
    ///
    /// # Errors
    /// When it has ended.
    pub(crate) fn times(&self) -> Result<Times, String> {
        let tasks = format!("/proc/{}/task", self.id());
        let gone = |error| format!("the server has ended: {tasks}: {error}");
        let mut times = Times::default();
        for task in fs::read_dir(&tasks).map_err(gone)? {
            let schedstat = task.map_err(gone)?.path().join("schedstat");
            let text = fs::read_to_string(schedstat).map_err(gone)?;
            let mut nanoseconds = text.split_whitespace().flat_map(str::parse::<f64>);
            times.ran += nanoseconds.next().unwrap_or(0.0) / 1e9;
            times.waited += nanoseconds.next().unwrap_or(0.0) / 1e9;
        }
        Ok(times)
    }

    /// Bytes of it that are in memory.
    ///
    /// # Errors
    /// When it has ended.
    pub(crate) fn resident(&self) -> Result<f64, String> {
        let path = format!("/proc/{}/status", self.id());
        let resident = resident_in(&path).ok_or_else(|| format!("the server has ended: {path}"))?;
        Ok(resident as f64)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
