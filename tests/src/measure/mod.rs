//! Figures of a comparison: what was measured, what it says, how it is shown.
//!
//! Nothing here knows how a cluster is built: the agent's own binary could link it.

pub mod results;
