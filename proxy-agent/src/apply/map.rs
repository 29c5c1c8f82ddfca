//! What the agent needs of a map, whatever is behind it: the kernel, or memory in tests.

use std::io;

/// A map that is reached by system calls: a hash, or an array by index.
pub trait Table<K, V>: Send {
    /// The value of a key.
    fn get(&self, key: &K) -> Result<Option<V>, TableError>;
    /// Sets the value of a key, whether or not it has one.
    fn put(&mut self, key: &K, value: &V) -> Result<(), TableError>;
    /// Takes a key away. One that is not there is no error. An array cannot do it.
    fn remove(&mut self, key: &K) -> Result<(), TableError>;
    /// Everything in it, in no order.
    fn entries(&self) -> Result<Vec<(K, V)>, TableError>;
}

/// An array of 64-bit words that the data path reads while the agent writes it.
pub trait Words: Send {
    /// How many words there are.
    fn len(&self) -> usize;
    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// One word, read whole.
    ///
    /// # Panics
    /// If there is no such word.
    fn load(&self, index: usize) -> u64;
    /// One word, written whole, after everything that was written before it.
    ///
    /// # Panics
    /// If there is no such word.
    fn store(&mut self, index: usize, value: u64);
}

/// Why a map could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// The map holds as many entries as it was made for.
    #[error("map {map} is full")]
    Full {
        /// The map's name.
        map: &'static str,
    },
    /// The kernel refused.
    #[error("map {map}: {call}: {source}")]
    Kernel {
        /// The map's name.
        map: &'static str,
        /// What was tried.
        call: &'static str,
        /// The kernel's answer.
        source: io::Error,
    },
    /// The map is not what the schema says.
    #[error("map {map} is not of the expected kind: {why}")]
    Shape {
        /// The map's name.
        map: &'static str,
        /// What is wrong with it.
        why: String,
    },
}
