//! Programs that the tests run. Each is guarded against hanging, and ends at the latest with the
//! value that stands for it, or with the thread that started it.

use std::ffi::{OsStr, OsString};
use std::io::{Read, Write};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::{GUARD, comes_true};

/// A program and its arguments, with where its input comes from and its output goes.
pub(crate) struct Launch {
    words: Vec<OsString>,
    input: Stdio,
    output: Stdio,
    limit: Duration,
}

/// The program named by the first word, with the others as its arguments; no input, and output that
/// is kept.
pub(crate) fn launch(words: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Launch {
    Launch {
        words: words.into_iter().map(|word| word.as_ref().into()).collect(),
        input: Stdio::null(),
        output: Stdio::piped(),
        limit: GUARD,
    }
}

impl Launch {
    /// Adds arguments.
    pub(crate) fn and(mut self, words: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        let words = words.into_iter();
        self.words.extend(words.map(|word| word.as_ref().into()));
        self
    }

    /// Reads its input from the file or pipe.
    pub(crate) fn input(mut self, file: impl Into<Stdio>) -> Self {
        self.input = file.into();
        self
    }

    /// Writes its output to the file or pipe.
    pub(crate) fn output(mut self, file: impl Into<Stdio>) -> Self {
        self.output = file.into();
        self
    }

    /// Reads its input from [`Program::say`].
    pub(crate) fn interactive(mut self) -> Self {
        self.input = Stdio::piped();
        self
    }

    /// Has its own guard against hanging, where the usual one is too short.
    pub(crate) fn within(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Starts it.
    pub(crate) fn start(self) -> Program {
        let title =
            self.words.iter().map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ");
        require_installed(&self.words[0]);
        // setpriv turns into the program, with the same id, after it has asked the kernel to end it
        // with the thread that started it.
        let mut child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "--"])
            .args(&self.words)
            .env("PATH", search_path())
            .env("LC_ALL", "C")
            .stdin(self.input)
            .stdout(self.output)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{title}: {error}"));
        Program {
            input: child.stdin.take(),
            output: Collected::from(child.stdout.take()),
            errors: Collected::from(child.stderr.take()),
            child,
            title,
            limit: self.limit,
        }
    }

    /// Runs it to its end.
    pub(crate) fn finish(self) -> Outcome {
        self.start().finish()
    }

    /// Runs it to its end, which must be a success, and returns what it wrote to its output.
    pub(crate) fn succeed(self) -> String {
        self.finish().succeeded().text()
    }
}

/// Administrators' commands are not on every user's path.
fn search_path() -> OsString {
    let mut path = std::env::var_os("PATH").unwrap_or_default();
    path.push(":/usr/local/sbin:/usr/sbin:/sbin");
    path
}

fn require_installed(program: &OsStr) {
    let found = std::env::split_paths(&search_path()).any(|folder| folder.join(program).exists());
    assert!(
        found,
        "{} is not installed; ./setup.sh test installs what the tests need",
        program.to_string_lossy()
    );
}

/// A program that runs. Dropping it kills it.
pub(crate) struct Program {
    child: Child,
    title: String,
    input: Option<ChildStdin>,
    output: Arc<Collected>,
    errors: Arc<Collected>,
    limit: Duration,
}

impl Program {
    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        let id = Pid::from_raw(self.id().try_into().unwrap());
        kill(id, signal).unwrap();
    }

    /// Writes to its input.
    pub(crate) fn say(&mut self, text: impl AsRef<[u8]>) {
        let input = self.input.as_mut().unwrap();
        input.write_all(text.as_ref()).unwrap();
        input.flush().unwrap();
    }

    /// Ends its input.
    pub(crate) fn end_input(&mut self) {
        self.input = None;
    }

    /// Waits until its output so far satisfies the condition.
    pub(crate) fn wait_for_output(&mut self, what: &str, condition: impl Fn(&str) -> bool) {
        if !self.output.wait_until(GUARD, |bytes, _| condition(&String::from_utf8_lossy(bytes))) {
            panic!("{} did not print {what}; {}", self.title, self.printed());
        }
    }

    /// Whether it has ended.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Waits for its end.
    pub(crate) fn finish(mut self) -> Outcome {
        self.end_input();
        let start = Instant::now();
        let mut status = None;
        let ended = comes_true(self.limit, || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        let took = start.elapsed();
        assert!(ended, "{} hangs; {}", self.title, self.printed());
        // What it left behind may hold its output open: nobody waits for that for ever.
        let output = self.output.whole();
        let errors = self.errors.whole();
        Outcome {
            title: self.title.clone(),
            status: status.unwrap(),
            output,
            errors: String::from_utf8_lossy(&errors).into_owned(),
            took,
        }
    }

    /// What it has printed so far, for the message of a test that fails.
    pub(crate) fn printed(&self) -> String {
        format!("output so far: {:?}, errors: {:?}", self.output.tail(), self.errors.tail())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended already; then there is nobody to kill, and the wait returns at once.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How a program ended.
pub(crate) struct Outcome {
    title: String,
    /// Its exit status.
    pub(crate) status: ExitStatus,
    /// What it wrote to its output.
    pub(crate) output: Vec<u8>,
    /// What it wrote to its error output.
    pub(crate) errors: String,
    /// How long it took from the moment the test began to wait for it.
    pub(crate) took: Duration,
}

impl Outcome {
    /// Insists on exit status 0.
    pub(crate) fn succeeded(self) -> Self {
        assert!(self.status.success(), "{}", self.story());
        self
    }

    /// Insists on exit status 1 and one line on the error output, and returns that line.
    pub(crate) fn refused(self) -> String {
        assert_eq!(self.status.code(), Some(1), "{}", self.story());
        assert_eq!(self.errors.lines().count(), 1, "{}", self.story());
        self.errors.trim_end().to_owned()
    }

    /// Its output as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.output).into_owned()
    }

    /// All there is to say about it, for the message of a test that fails.
    pub(crate) fn story(&self) -> String {
        let text = self.text();
        let end: String = text.chars().take(2_000).collect();
        format!(
            "{} ended with {}; errors: {:?}; output: {end:?}",
            self.title, self.status, self.errors
        )
    }
}

/// What a program writes, collected by a thread as it comes.
struct Collected {
    state: Mutex<Collection>,
    changed: Condvar,
}

#[derive(Default)]
struct Collection {
    bytes: Vec<u8>,
    ended: bool,
}

impl Collected {
    fn from(source: Option<impl Read + Send + 'static>) -> Arc<Self> {
        let collected = Arc::new(Self { state: Mutex::default(), changed: Condvar::new() });
        let Some(mut source) = source else {
            collected.state.lock().unwrap().ended = true;
            return collected;
        };
        let writer = Arc::clone(&collected);
        thread::spawn(move || {
            let mut buffer = vec![0; 64 * 1024];
            loop {
                let count = source.read(&mut buffer).unwrap_or(0);
                let mut state = writer.state.lock().unwrap();
                state.bytes.extend_from_slice(&buffer[..count]);
                state.ended = count == 0;
                writer.changed.notify_all();
                if count == 0 {
                    return;
                }
            }
        });
        collected
    }

    /// Waits until the condition holds of the bytes so far and whether they have ended. False when
    /// it never will, or not before the limit.
    fn wait_until(&self, limit: Duration, condition: impl Fn(&[u8], bool) -> bool) -> bool {
        let state = self.state.lock().unwrap();
        let (state, _) = self
            .changed
            .wait_timeout_while(state, limit, |state| {
                !state.ended && !condition(&state.bytes, state.ended)
            })
            .unwrap();
        condition(&state.bytes, state.ended)
    }

    /// All of it, once the program has ended.
    fn whole(&self) -> Vec<u8> {
        self.wait_until(Duration::from_secs(10), |_, ended| ended);
        std::mem::take(&mut self.state.lock().unwrap().bytes)
    }

    /// The last of it.
    fn tail(&self) -> String {
        let state = self.state.lock().unwrap();
        let start = state.bytes.len().saturating_sub(2_000);
        String::from_utf8_lossy(&state.bytes[start..]).into_owned()
    }
}
