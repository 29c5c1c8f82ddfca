//! Tests of the whole library, stage by stage, in the order in which a packet meets them.

mod builder;
mod connections;
mod processors;
mod there_and_back;
mod translation;
mod unusual;
