//! How answers look.

use clap::ValueEnum;

/// Of `status` and `verify`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Brief {
    /// For people.
    Table,
    /// For programs.
    Json,
}

/// Of `get`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Full {
    /// For people.
    Table,
    /// For people with a wide screen: every column.
    Wide,
    /// For programs.
    Json,
}

/// Of `explain`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Text {
    /// For people.
    Text,
    /// For programs.
    Json,
}
