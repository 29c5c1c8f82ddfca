//! Floor 3: real sockets between namespaces. One file a topic; needs root.

mod world;
mod publisher;
mod atomic;
mod crash;
mod pressure;
mod newpod;

/// Whether the full figures are asked for, with nothing else on the machine: `FAIRLEAD_FIGURES=1`. Without it the same
/// tests take a part of the time and leave room for a busy machine.
fn figures() -> bool {
    std::env::var_os("FAIRLEAD_FIGURES").is_some()
}
