//! Rows for all of it, and the run they are about.

mod fixture;
mod scratch;

mod statistics;
mod verdict;
mod file;
mod words;
mod findings;
mod report;
mod compare;
mod schema;
mod profile;
