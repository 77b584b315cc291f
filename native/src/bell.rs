//! A file descriptor that becomes readable: how the background thread wakes an event loop of Python.

use std::fs::File;
use std::io::{Error, Read, Result, Write};
use std::os::fd::{AsRawFd, FromRawFd};

/// An eventfd on Linux, a pipe elsewhere; never blocks.
pub struct Bell {
    listen: File,
    #[cfg(not(target_os = "linux"))]
    speak: File,
}

impl Bell {
    #[cfg(target_os = "linux")]
    pub fn new() -> Result<Self> {
        // SAFETY: a system call without pointers; the descriptor is new and ours alone.
        let fd = unsafe { libc::eventfd(0, libc::EFD_NONBLOCK | libc::EFD_CLOEXEC) };
        if fd < 0 {
            return Err(Error::last_os_error());
        }
        // SAFETY: as above.
        Ok(Self {
            listen: unsafe { File::from_raw_fd(fd) },
        })
    }

    #[cfg(not(target_os = "linux"))]
    pub fn new() -> Result<Self> {
        let mut fds = [0; 2];
        // SAFETY: the array has room for the two descriptors, which are new and ours alone.
        unsafe {
            if libc::pipe(fds.as_mut_ptr()) < 0 {
                return Err(Error::last_os_error());
            }
            for fd in fds {
                libc::fcntl(fd, libc::F_SETFL, libc::O_NONBLOCK);
                libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC);
            }
            Ok(Self {
                listen: File::from_raw_fd(fds[0]),
                speak: File::from_raw_fd(fds[1]),
            })
        }
    }

    pub fn fileno(&self) -> i32 {
        self.listen.as_raw_fd()
    }

    /// Make it readable. A full pipe is readable already.
    pub fn ring(&self) {
        #[cfg(target_os = "linux")]
        let mut speak = &self.listen;
        #[cfg(not(target_os = "linux"))]
        let mut speak = &self.speak;
        let _ = speak.write(&1u64.to_ne_bytes());
    }

    /// Make it unreadable again.
    pub fn silence(&self) {
        let mut buffer = [0u8; 64];
        while matches!((&self.listen).read(&mut buffer), Ok(64)) {}
    }
}
