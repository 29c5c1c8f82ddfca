//! Maps in memory, for tests: they can be full, and their power can be cut after any write.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::map::{Table, TableError, Words};

/// What all maps of one imagined kernel share: how many more writes they take.
#[derive(Clone, Default)]
pub struct Power(Arc<Mutex<PowerState>>);

#[derive(Default)]
struct PowerState {
    writes: u64,
    cut_after: Option<u64>,
    after_write: Option<Box<dyn FnMut() + Send>>,
}

impl Power {
    /// How many writes were done.
    #[must_use]
    pub fn writes(&self) -> u64 {
        locked(&self.0).writes
    }

    /// From now on every write after the `count`th is lost, as if the writer had been killed.
    pub fn cut_after(&self, count: u64) {
        let mut state = locked(&self.0);
        state.writes = 0;
        state.cut_after = Some(count);
    }

    /// Writes are taken again, and counted from zero.
    pub fn restore(&self) {
        let mut state = locked(&self.0);
        state.writes = 0;
        state.cut_after = None;
    }

    /// Calls `look` after every write that was done.
    pub fn observe(&self, look: impl FnMut() + Send + 'static) {
        locked(&self.0).after_write = Some(Box::new(look));
    }

    fn admit(&self) -> bool {
        let mut state = locked(&self.0);
        if state.cut_after.is_some_and(|limit| state.writes >= limit) {
            return false;
        }
        state.writes += 1;
        true
    }

    fn written(&self) {
        let look = locked(&self.0).after_write.take();
        if let Some(mut look) = look {
            look();
            locked(&self.0).after_write.get_or_insert(look);
        }
    }
}

/// A hash or an array in memory. Clones share their contents.
#[derive(Clone)]
pub struct MemoryTable<K, V> {
    name: &'static str,
    capacity: usize,
    power: Power,
    contents: Arc<Mutex<BTreeMap<K, V>>>,
}

impl<K: Ord, V> MemoryTable<K, V> {
    /// An empty table.
    #[must_use]
    pub fn new(name: &'static str, capacity: usize, power: &Power) -> Self {
        MemoryTable {
            name,
            capacity,
            power: power.clone(),
            contents: Arc::default(),
        }
    }
}

impl<K: Ord + Copy + Send, V: Copy + Send> Table<K, V> for MemoryTable<K, V> {
    fn get(&self, key: &K) -> Result<Option<V>, TableError> {
        Ok(locked(&self.contents).get(key).copied())
    }

    fn put(&mut self, key: &K, value: &V) -> Result<(), TableError> {
        {
            let mut contents = locked(&self.contents);
            if !contents.contains_key(key) && contents.len() >= self.capacity {
                return Err(TableError::Full { map: self.name });
            }
            if !self.power.admit() {
                return Ok(());
            }
            contents.insert(*key, *value);
        }
        self.power.written();
        Ok(())
    }

    fn remove(&mut self, key: &K) -> Result<(), TableError> {
        {
            let mut contents = locked(&self.contents);
            if !contents.contains_key(key) || !self.power.admit() {
                return Ok(());
            }
            contents.remove(key);
        }
        self.power.written();
        Ok(())
    }

    fn entries(&self) -> Result<Vec<(K, V)>, TableError> {
        Ok(locked(&self.contents)
            .iter()
            .map(|(key, value)| (*key, *value))
            .collect())
    }
}

/// An array of words in memory. Clones share their contents.
#[derive(Clone)]
pub struct MemoryWords {
    power: Power,
    contents: Arc<Mutex<Vec<u64>>>,
    len: usize,
}

impl MemoryWords {
    /// Words that are all zero.
    #[must_use]
    pub fn new(len: usize, power: &Power) -> Self {
        MemoryWords {
            power: power.clone(),
            contents: Arc::new(Mutex::new(vec![0; len])),
            len,
        }
    }
}

impl Words for MemoryWords {
    fn len(&self) -> usize {
        self.len
    }

    fn load(&self, index: usize) -> u64 {
        locked(&self.contents)[index]
    }

    fn store(&mut self, index: usize, value: u64) {
        if self.power.admit() {
            locked(&self.contents)[index] = value;
            self.power.written();
        }
    }
}

/// A test that panicked elsewhere has said so already.
fn locked<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
