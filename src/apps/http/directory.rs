//! The directory that is served. Nothing outside it is ever opened, which the kernel sees to.

use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};

/// What stands for a directory.
const INDEX: &[u8] = b"index.html";

/// A directory of files, held open: if another takes its name, this one is still served.
#[derive(Debug)]
pub(super) struct Directory {
    directory: File,
}

/// A file that may be served.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) file: File,
    pub(super) len: u64,
    /// It is the index of the directory that was asked for.
    pub(super) is_index: bool,
}

/// Why there is nothing to serve.
#[derive(Debug)]
pub(super) enum NoFile {
    /// There is no such file, or none that may be served: the answer does not tell which.
    NotFound,
    /// The system cannot open it now.
    Exhausted(io::Error),
}

impl Directory {
    /// The directory at `path`.
    ///
    /// # Errors
    /// When it is none, cannot be entered, or the kernel cannot keep inside it (before Linux 5.6).
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlag::O_DIRECTORY | OFlag::O_PATH;
        let directory = OpenOptions::new().read(true).custom_flags(flags.bits()).open(path)?;
        let directory = Self { directory };
        directory.open_beneath(b".")?;
        Ok(directory)
    }

    /// Opens the file that a decoded path names. A directory stands for its `index.html`.
    ///
    /// A path with a `..` in it is refused, however it was encoded, and so is one that a symbolic
    /// link leads out of the directory. Only regular files are served.
    pub(super) fn file(&self, path: &[u8]) -> Result<Found, NoFile> {
        let mut name = Vec::with_capacity(path.len() + 1 + INDEX.len());
        for part in path.split(|&byte| byte == b'/') {
            match part {
                b"" | b"." => {}
                b".." => return Err(NoFile::NotFound),
                part => push(&mut name, part),
            }
        }
        // What ends with a slash can only be a directory.
        if !path.ends_with(b"/") {
            let (file, metadata) = self.beneath(&name)?;
            if metadata.is_file() {
                return Ok(Found { file, len: metadata.len(), is_index: false });
            }
        }
        push(&mut name, INDEX);
        let (file, metadata) = self.beneath(&name)?;
        if metadata.is_file() {
            Ok(Found { file, len: metadata.len(), is_index: true })
        } else {
            Err(NoFile::NotFound)
        }
    }

    fn beneath(&self, name: &[u8]) -> Result<(File, Metadata), NoFile> {
        let file = self.open_beneath(name).map_err(no_file)?;
        let metadata = file.metadata().map_err(NoFile::Exhausted)?;
        Ok((file, metadata))
    }

    /// Opens whatever has this name, unless that is outside: the kernel refuses to leave the
    /// directory on the way, also when a link on the way is changed meanwhile.
    fn open_beneath(&self, name: &[u8]) -> nix::Result<File> {
        // Without blocking, since opening a named pipe waits for a writer.
        let how = OpenHow::new()
            .flags(OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK | OFlag::O_NOCTTY)
            .resolve(ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_MAGICLINKS);
        openat2(&self.directory, name, how).map(File::from)
    }
}

fn push(name: &mut Vec<u8>, part: &[u8]) {
    if !name.is_empty() {
        name.push(b'/');
    }
    name.extend_from_slice(part);
}

fn no_file(errno: Errno) -> NoFile {
    match errno {
        // EAGAIN: something was renamed while the kernel looked (openat2(2)).
        Errno::EMFILE | Errno::ENFILE | Errno::ENOMEM | Errno::EAGAIN => {
            NoFile::Exhausted(errno.into())
        }
        _ => NoFile::NotFound,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::fs;
    use std::io::Read;
    use std::os::unix::fs::symlink;
    use std::path::PathBuf;
    use std::sync::atomic::{AtomicU32, Ordering};

    use nix::sys::stat::Mode;
    use nix::unistd::mkfifo;

    use super::super::path;
    use super::*;

    /// A directory that goes away with the test.
    struct Scratch(PathBuf);

    impl Scratch {
        fn new() -> Self {
            static NUMBER: AtomicU32 = AtomicU32::new(0);
            let number = NUMBER.fetch_add(1, Ordering::Relaxed);
            let name = format!("tunstack-path-{}-{number}", std::process::id());
            let path = std::env::temp_dir().join(name);
            fs::create_dir_all(path.join("root/sub")).unwrap();
            fs::create_dir_all(path.join("root-beside")).unwrap();
            let path = fs::canonicalize(path).unwrap();
            for (name, text) in [
                ("root/index.html", "home"),
                ("root/a b.txt", "spaced"),
                ("root/sub/index.html", "sub"),
                ("root/..hidden", "dots"),
                ("secret", "secret"),
                ("root-beside/secret", "secret"),
            ] {
                fs::write(path.join(name), text).unwrap();
            }
            Self(path)
        }

        fn root(&self) -> PathBuf {
            self.0.join("root")
        }

        fn get(&self, target: &str) -> Result<String, NoFile> {
            let path = path::decode(target).unwrap();
            let mut found = Directory::open(&self.root()).unwrap().file(&path)?;
            let mut text = String::new();
            found.file.read_to_string(&mut text).unwrap();
            assert_eq!(found.len, text.len() as u64);
            Ok(text)
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn files_and_indexes_are_found() {
        let scratch = Scratch::new();
        for (target, text) in [
            ("/", "home"),
            ("/index.html", "home"),
            ("/./index.html", "home"),
            ("//index.html", "home"),
            ("/%69ndex.html", "home"),
            ("/a%20b.txt", "spaced"),
            ("/sub", "sub"),
            ("/sub/", "sub"),
            ("/..hidden", "dots"),
        ] {
            assert_eq!(scratch.get(target).unwrap(), text, "{target}");
        }
    }

    #[test]
    fn there_is_no_way_out() {
        let scratch = Scratch::new();
        let root = scratch.root();
        symlink("../secret", root.join("link")).unwrap();
        symlink(scratch.0.join("root-beside"), root.join("beside")).unwrap();
        fs::create_dir(root.join("trap")).unwrap();
        symlink("../../secret", root.join("trap/index.html")).unwrap();
        symlink("sub/index.html", root.join("within")).unwrap();
        for target in [
            "/../secret",
            "/sub/../index.html",
            "/%2e%2e/secret",
            "/.%2E/secret",
            "/..%2fsecret",
            "/sub%2f..%2f..%2fsecret",
            "/link",
            "/beside/secret",
            "/trap/",
        ] {
            let result = scratch.get(target);
            assert!(matches!(result, Err(NoFile::NotFound)), "{target}: {result:?}");
        }
        assert_eq!(scratch.get("/within").unwrap(), "sub");
    }

    #[test]
    fn only_regular_files_are_served() {
        let scratch = Scratch::new();
        mkfifo(&scratch.root().join("pipe"), Mode::S_IRWXU).unwrap();
        symlink("/dev/null", scratch.root().join("null")).unwrap();
        fs::create_dir(scratch.root().join("empty")).unwrap();
        for target in ["/pipe", "/null", "/empty", "/empty/", "/index.html/", "/none"] {
            let result = scratch.get(target);
            assert!(matches!(result, Err(NoFile::NotFound)), "{target}: {result:?}");
        }
    }

    #[test]
    fn a_name_longer_than_any_file_is_not_found() {
        let scratch = Scratch::new();
        let result = scratch.get(&format!("/{}", "a".repeat(8_000)));
        assert!(matches!(result, Err(NoFile::NotFound)));
    }
}
