//! Network namespaces: each a network of its own, with its own interfaces, routes and sockets.

use std::fs::File;
use std::os::fd::AsRawFd;

use nix::errno::Errno;
use nix::sched::{CloneFlags, setns, unshare};

/// A network namespace without a name: it goes when this value and the last process in it have
/// gone, so that a test that is killed leaves nothing to clean up.
pub(crate) struct Namespace {
    handle: File,
}

impl Namespace {
    /// Makes an empty one; the calling thread stays where it is.
    ///
    /// # Errors
    /// Without the privilege to make one: `EPERM`.
    pub(crate) fn new() -> Result<Self, Errno> {
        let home = current();
        unshare(CloneFlags::CLONE_NEWNET)?;
        let _return = Return { home };
        Ok(Self { handle: current() })
    }

    /// A path that names it to `ip`, for as long as this value lives.
    pub(crate) fn path(&self) -> String {
        let descriptor = self.handle.as_raw_fd();
        format!("/proc/{}/fd/{descriptor}", std::process::id())
    }

    /// Runs the body with the calling thread in this namespace. Programs and threads that it starts
    /// stay in there.
    pub(crate) fn inside<T>(&self, body: impl FnOnce() -> T) -> T {
        let _return = Return { home: current() };
        setns(&self.handle, CloneFlags::CLONE_NEWNET).unwrap();
        body()
    }
}

/// The calling thread's namespace.
fn current() -> File {
    File::open("/proc/thread-self/ns/net").unwrap()
}

/// Takes the calling thread back to a namespace when dropped, also by a panic.
struct Return {
    home: File,
}

impl Drop for Return {
    fn drop(&mut self) {
        setns(&self.home, CloneFlags::CLONE_NEWNET).unwrap();
    }
}
