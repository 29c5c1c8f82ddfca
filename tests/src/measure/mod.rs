//! Figures of a comparison: what was measured, what it says, how it is shown.
//!
//! Nothing here knows how a cluster is built: the agent's own binary could link it.

pub mod results;
pub mod profile;
pub mod machine;
pub mod file;
pub mod statistics;
pub mod verdict;
pub mod dimension;
pub mod analysis;
pub mod losses;
pub mod words;
pub mod document;
pub mod findings;
pub mod report;
pub mod compare;

#[cfg(test)]
mod tests;
