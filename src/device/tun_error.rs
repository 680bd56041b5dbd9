//! Why a TUN cannot be opened.

use std::{fmt, io};

use nix::errno::Errno;

use super::attachment::CONTROL_FILE;

/// Why a TUN cannot be opened; displayed as one line with the command that mends it.
#[derive(Debug)]
pub enum TunError {
    /// `/dev/net/tun` cannot be opened.
    ControlFile(io::Error),
    /// Another process has it open.
    Busy(String),
    /// It belongs to another user.
    NotPermitted(String),
    /// The kernel will not open it as a TUN with one queue.
    NotPlain(String),
    /// The kernel leaves no work on segments and checksums to whoever opens it.
    NoOffload(String, io::Error),
    /// It was removed while it was being opened.
    Replaced(String),
    /// The link shall carry more than the interface does.
    Mtu {
        /// What was asked for.
        asked: usize,
        /// The name of the interface.
        interface: String,
        /// What the interface carries.
        carries: usize,
    },
    /// Anything else.
    Open(String, io::Error),
}

impl TunError {
    /// Whether the interface may be fit for a [`Tun`](super::Tun) where it was refused to an
    /// [`OffloadTun`](super::OffloadTun).
    pub fn may_be_plain(&self) -> bool {
        // A kernel that does not know the flag for a virtio-net header refuses it as it does an
        // interface of another kind.
        matches!(self, Self::NoOffload(..) | Self::NotPlain(_))
    }

    /// What it means that the kernel has refused to attach to the interface `name`.
    pub(super) fn refused(name: &str, error: io::Error) -> Self {
        let name = name.to_owned();
        match error.raw_os_error().map(Errno::from_raw) {
            Some(Errno::EBUSY) => Self::Busy(name),
            Some(Errno::EPERM | Errno::EACCES) => Self::NotPermitted(name),
            Some(Errno::EINVAL) => Self::NotPlain(name),
            _ => Self::Open(name, error),
        }
    }
}

impl fmt::Display for TunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ControlFile(error) => match error.raw_os_error().map(Errno::from_raw) {
                Some(Errno::ENOENT) => write!(
                    f,
                    "there is no {CONTROL_FILE}: load the driver with `sudo modprobe tun`"
                ),
                Some(Errno::ENODEV | Errno::ENXIO) => write!(
                    f,
                    "{CONTROL_FILE} has no driver behind it: load it with `sudo modprobe tun`"
                ),
                Some(Errno::EACCES) => write!(
                    f,
                    "no permission to open {CONTROL_FILE}: allow it with `sudo chmod 666 {CONTROL_FILE}`, or run as root"
                ),
                Some(Errno::EPERM) => write!(
                    f,
                    "no permission to open {CONTROL_FILE}: run where it is allowed (a container needs `--device {CONTROL_FILE}`)"
                ),
                _ => write!(f, "cannot open {CONTROL_FILE}: {error}"),
            },
            Self::Busy(name) => write!(
                f,
                "interface {name} is busy, another process has it open: end that one, or make a second with `./setup.sh up NAME` and give `--tun NAME`"
            ),
            Self::NotPermitted(name) => write!(
                f,
                "no permission for interface {name}, it belongs to another user: make it yours with `./setup.sh down {name}` and `./setup.sh up {name}`, or run as root"
            ),
            Self::NotPlain(name) => write!(
                f,
                "{name} is not a TUN interface with one queue: make it anew with `./setup.sh down {name}` and `./setup.sh up {name}`"
            ),
            Self::NoOffload(name, error) => write!(
                f,
                "the kernel does not offload segments and checksums on interface {name} ({error}): do without with `--offload off`"
            ),
            Self::Replaced(name) => write!(
                f,
                "interface {name} was removed just now: make it again with `./setup.sh up {name}`"
            ),
            Self::Mtu { asked, interface, carries } => write!(
                f,
                "an MTU of {asked} is more than interface {interface} carries: give at most `--mtu {carries}`, or raise it with `sudo ip link set {interface} mtu {asked}`"
            ),
            Self::Open(name, error) => write!(f, "cannot open interface {name}: {error}"),
        }
    }
}

impl std::error::Error for TunError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(errno: Errno) -> TunError {
        TunError::refused("tun7", io::Error::from_raw_os_error(errno as i32))
    }

    #[test]
    fn every_message_is_one_line() {
        let no_offload = io::Error::from_raw_os_error(Errno::EINVAL as i32);
        for error in [
            refused(Errno::EBUSY),
            refused(Errno::EPERM),
            refused(Errno::EINVAL),
            refused(Errno::EMFILE),
            TunError::NoOffload("tun7".into(), no_offload),
            TunError::Replaced("tun7".into()),
            TunError::Mtu { asked: 9_000, interface: "tun7".into(), carries: 1_500 },
        ] {
            let message = error.to_string();
            assert!(!message.contains('\n') && message.contains("tun7"), "{message}");
        }
    }

    #[test]
    fn only_what_offload_may_be_the_reason_of_is_worth_another_attempt() {
        assert!(refused(Errno::EINVAL).may_be_plain());
        assert!(TunError::NoOffload("tun7".into(), io::Error::other("")).may_be_plain());
        for errno in [Errno::EBUSY, Errno::EPERM, Errno::EMFILE] {
            assert!(!refused(errno).may_be_plain(), "{errno}");
        }
    }
}
