//! What is left when a person ends a program with Ctrl-C: nothing.

use std::thread;

use anyhow::Result;
use nix::sys::signal::{SigSet, Signal};

/// From here on SIGINT and SIGTERM end the program after `clean_up`; `say` tells the person that waits.
///
/// # Errors
/// When signals cannot be blocked. Must be called before any thread is started.
pub fn clean_up_on_interrupt(say: &'static str, clean_up: impl Fn() -> Result<()> + Send + 'static) -> Result<()> {
    let mut signals = SigSet::empty();
    signals.add(Signal::SIGINT);
    signals.add(Signal::SIGTERM);
    signals.thread_block()?;
    thread::spawn(move || {
        let signal = signals.wait();
        eprintln!("\ninterrupted, {say}");
        // What is still being made when the first look is taken is found by the second.
        for _ in 0..2 {
            if let Err(error) = clean_up() {
                eprintln!("{error:#}");
            }
        }
        std::process::exit(128 + signal.map_or(Signal::SIGINT as i32, |signal| signal as i32))
    });
    Ok(())
}
