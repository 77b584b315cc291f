//! The one background thread of the process, which carries the connections of all lanes.

use std::sync::Mutex;
use std::thread;

use tokio::runtime::{Builder, Handle};

static RUNNING: Mutex<Option<(u32, Handle)>> = Mutex::new(None);

/// How many tasks run between two looks at the sockets: few tasks, each of which works through a batch.
const EVENT_INTERVAL: u32 = 31;

/// The runtime of this process; started at the first call, anew in a forked child. It never takes the GIL.
pub fn handle() -> std::io::Result<Handle> {
    let mut running = RUNNING.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let pid = std::process::id();
    if let Some((owner, handle)) = &*running {
        if *owner == pid {
            return Ok(handle.clone());
        }
    }
    let runtime = Builder::new_current_thread()
        .enable_all()
        .event_interval(EVENT_INTERVAL)
        .max_blocking_threads(8)
        .build()?;
    let handle = runtime.handle().clone();
    thread::Builder::new()
        .name("pushgw-native".into())
        .spawn(move || runtime.block_on(std::future::pending::<()>()))?;
    if let Some((_, orphan)) = running.replace((pid, handle.clone())) {
        std::mem::forget(orphan); // its thread did not survive the fork
    }
    Ok(handle)
}
