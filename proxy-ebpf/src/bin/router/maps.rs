//! The maps, from `schema`, and the tables of both families over them.

use core::mem::MaybeUninit;

use aya_ebpf::{
    bindings::{BPF_F_MMAPABLE, BPF_NOEXIST},
    btf_maps::SkStorage,
    macros::{btf_map, map},
    maps::{Array, HashMap, LpmTrie, LruHashMap, PerCpuArray, lpm_trie},
};
use proxy_common::{
    block::{Cell, FlipWord},
    endpoint::{EndpointState, NO_ENDPOINT},
    explain::Explanation,
    family::{Family, V4, V6},
    flow::{FlowKey, FlowRecord, FlowRef, Life},
    fragment::{FragmentKey, FragmentPorts},
    frontend::{Frontend, FrontendKey},
    names::{EndpointName, ServiceName},
    net::{Ip4, Ip6},
    network::{Rule, ScopedAddress},
    node::{Device, NodeConfig, RejectBudget},
    phase::Answer,
    reason::Reason,
    schema,
    socket::SocketPeers,
};
use proxy_ebpf::{
    node::{Inserted, Tables},
    work::Work,
};

use crate::{atomic::Word, host::Kernel, report};

macro_rules! maps {
    ($($name:ident: $kind:ident<$($arg:ty),+> $(, $flags:expr)?;)*) => {
        $(#[map]
        pub(crate) static $name: $kind<$($arg),+> =
            $kind::with_max_entries(schema::$name.capacity, 0 $(| $flags)?);)*
    };
}

maps! {
    FRONTENDS_V4: HashMap<FrontendKey<V4>, Frontend>;
    FRONTENDS_V6: HashMap<FrontendKey<V6>, Frontend>;
    NETWORKS_V4: LpmTrie<ScopedAddress<V4>, Rule>;
    NETWORKS_V6: LpmTrie<ScopedAddress<V6>, Rule>;
    SERVICES: Array<u64>, BPF_F_MMAPABLE;
    ENDPOINTS: Array<Cell>, BPF_F_MMAPABLE;
    STATE: Array<EndpointState>, BPF_F_MMAPABLE;
    TARGETS_V4: HashMap<FrontendKey<V4>, u32>;
    TARGETS_V6: HashMap<FrontendKey<V6>, u32>;
    FLOWS_V4: HashMap<FlowKey<V4>, FlowRef>;
    FLOWS_V6: HashMap<FlowKey<V6>, FlowRef>;
    RECORDS_V4: Array<FlowRecord<V4>>;
    RECORDS_V6: Array<FlowRecord<V6>>;
    HANDS: Array<u64>;
    FRAGMENTS_V4: LruHashMap<FragmentKey<V4>, FragmentPorts>;
    FRAGMENTS_V6: LruHashMap<FragmentKey<V6>, FragmentPorts>;
    COVERED: HashMap<u64, u32>;
    NODE_V4: Array<NodeConfig<V4>>;
    NODE_V6: Array<NodeConfig<V6>>;
    NODE_ADDRS_V4: HashMap<Ip4, u32>;
    NODE_ADDRS_V6: HashMap<Ip6, u32>;
    DEVICES: HashMap<u32, Device>;
    SOURCES_V4: HashMap<u32, Ip4>;
    SOURCES_V6: HashMap<u32, Ip6>;
    FREE_PORTS: Array<u64>;
    COUNTERS: PerCpuArray<u64>;
    REJECTS: PerCpuArray<RejectBudget>;
    EXPLANATION: Array<Explanation>;
    SERVICE_NAMES: Array<ServiceName>;
    ENDPOINT_NAMES: Array<EndpointName>;
    ABI: Array<u32>;
    WORK_V4: PerCpuArray<Desk<V4>>;
    WORK_V6: PerCpuArray<Desk<V6>>;
}

#[btf_map]
pub(crate) static SOCKETS_V4: SkStorage<SocketPeers<V4>> = SkStorage::new();
#[btf_map]
pub(crate) static SOCKETS_V6: SkStorage<SocketPeers<V6>> = SkStorage::new();

/// The one place where a flip word is read. A function of its own, so that its instructions can be checked: exactly one
/// load of eight bytes.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn load_flip_word(service: u32) -> u64 {
    // SAFETY: the one word of an array's value.
    SERVICES
        .get_ptr_mut(service)
        .map_or(0, |word| unsafe { Word::new(word) }.load())
}

/// One word of what is known of an endpoint.
macro_rules! state {
    ($endpoint:expr, $field:ident) => {
        if $endpoint == NO_ENDPOINT {
            None
        } else {
            STATE.get_ptr_mut($endpoint)
        }
        // SAFETY: the field is a word of an array's value.
        .map(|state| unsafe { Word::new(&raw mut (*state).$field) })
    };
}

/// Whether an endpoint has a mark.
#[inline(always)]
pub(crate) fn is_marked(endpoint: u32, mark: u64) -> bool {
    state!(endpoint, flags).is_some_and(|flags| flags.load() & mark != 0)
}

/// A reference as the word that it is in a map.
#[inline(always)]
const fn word_of(at: FlowRef) -> u64 {
    (at.sequence as u64) << 32 | at.index as u64
}

/// Copies a record but for its first word.
///
/// # Safety
///
/// `place` is a whole record that nobody else writes.
#[inline(always)]
unsafe fn copy_behind_life<F: Family>(place: *mut FlowRecord<F>, record: &FlowRecord<F>) {
    let words = size_of::<FlowRecord<F>>() / size_of::<u64>();
    let (to, from): (*mut u64, *const u64) = (place.cast(), core::ptr::from_ref(record).cast());
    let mut word = 1;
    while word < words {
        // SAFETY: both have `words` aligned words.
        unsafe { to.add(word).write(from.add(word).read()) };
        word += 1;
    }
}

/// A [`Work`] in the memory of one processor. Programs on devices run with interrupts of their kind off, so no two of
/// them use it at once.
pub(crate) struct Desk<F: Family> {
    ready: u64,
    work: MaybeUninit<Work<F>>,
}

macro_rules! desk {
    ($function:ident, $map:ident, $family:ty) => {
        /// This processor's desk.
        #[inline(always)]
        pub(crate) fn $function() -> Option<&'static mut Work<$family>> {
            // SAFETY: the pointer is to this processor's own value, which no other program uses meanwhile; all bit
            // patterns of a desk are valid, zeroes at first.
            let desk = unsafe { &mut *$map.get_ptr_mut(0)? };
            if desk.ready == 0 {
                desk.work.write(Work::default());
                desk.ready = 1;
            }
            // SAFETY: written above, now or by an earlier packet, and since then only through this type.
            Some(unsafe { desk.work.assume_init_mut() })
        }
    };
}

desk!(work_v4, WORK_V4, V4);
desk!(work_v6, WORK_V6, V6);

/// One load: an entry that is replaced meanwhile is one or the other.
#[inline(always)]
fn load_frontend(entry: *const Frontend) -> Frontend {
    // SAFETY: a whole, aligned value of a map.
    bytemuck::must_cast(unsafe { entry.cast::<u64>().read_volatile() })
}

macro_rules! tables {
    ($family:ty, $hand:literal, $frontends:ident, $networks:ident, $targets:ident, $flows:ident, $records:ident, $fragments:ident,
     $node:ident, $addresses:ident, $sources:ident) => {
        impl Tables<$family> for Kernel {
            #[inline(always)]
            fn frontend(&self, key: &FrontendKey<$family>) -> Option<Frontend> {
                // Found anew if it was another key's entry by the time it was read.
                let mut tries = 0;
                while tries < 2 {
                    let frontend = load_frontend($frontends.get_ptr(key)?);
                    if frontend.is_of(key) {
                        return Some(frontend);
                    }
                    tries += 1;
                }
                None
            }

            #[inline(always)]
            fn is_target(&self, key: &FrontendKey<$family>) -> bool {
                $targets.get_ptr(key).is_some()
            }

            #[inline(always)]
            fn rule(&self, scope: u32, address: &<$family as Family>::Address) -> Option<Rule> {
                let place = ScopedAddress::<$family>::new(scope, *address);
                let key = lpm_trie::Key::new(ScopedAddress::<$family>::BITS, place);
                $networks.get(&key).copied()
            }

            #[inline(always)]
            fn flip_word(&self, service: u32) -> FlipWord {
                FlipWord(load_flip_word(service))
            }

            #[inline(always)]
            fn cell(&self, index: u32) -> Option<Cell> {
                ENDPOINTS.get(index).copied()
            }

            #[inline(always)]
            fn flow(&self, key: &FlowKey<$family>) -> Option<FlowRef> {
                // SAFETY: copied at once; the sequence tells whether it still means anything.
                unsafe { $flows.get(key) }.copied()
            }

            #[inline(always)]
            fn insert_flow(&self, key: &FlowKey<$family>, flow: FlowRef) -> Inserted {
                const EXISTS: i32 = -17;
                match $flows.insert(key, &flow, u64::from(BPF_NOEXIST)) {
                    Ok(()) => Inserted::Yes,
                    Err(EXISTS) => Inserted::Exists,
                    Err(_) => Inserted::Full,
                }
            }

            #[inline(always)]
            fn exchange_flow(&self, key: &FlowKey<$family>, from: FlowRef, to: FlowRef) -> bool {
                // SAFETY: the one word of a hash's value, which is aligned and preallocated: never freed. A place that
                // is given to another key meanwhile never again holds what this key has referred to.
                $flows
                    .get_ptr_mut(key)
                    .is_some_and(|word| unsafe { Word::new(word.cast()) }.exchange(word_of(from), word_of(to)))
            }

            #[inline(always)]
            fn delete_flow(&self, key: &FlowKey<$family>) -> bool {
                const ABSENT: i32 = -2;
                !$flows.remove(key).is_err_and(|error| error != ABSENT)
            }

            #[inline(always)]
            fn count_key_left_behind(&self) {
                report::count_at(Reason::KEYS_LEFT_BEHIND);
            }

            #[inline(always)]
            fn record(&self, index: u32) -> Option<&FlowRecord<$family>> {
                $records.get(index)
            }

            #[inline(always)]
            fn live_record(&self, index: u32) -> Option<(Life, &FlowRecord<$family>)> {
                let record = $records.get_ptr_mut(index)?;
                // SAFETY: a word of an array's value, read before the rest of it.
                let life = Life(unsafe { Word::new(&raw mut (*record).life.0) }.load_first());
                // SAFETY: a whole record of an array, which is there as long as the program; see `record`.
                Some((life, unsafe { &*record }))
            }

            #[inline(always)]
            fn life(&self, index: u32) -> Life {
                // SAFETY: a word of an array's value.
                let life = |record: *mut FlowRecord<$family>| unsafe { Word::new(&raw mut (*record).life.0) };
                $records
                    .get_ptr_mut(index)
                    .map_or(Life::default(), |record| Life(life(record).load()))
            }

            #[inline(always)]
            fn life_still(&self, index: u32) -> Life {
                // SAFETY: a word of an array's value.
                let life = |record: *mut FlowRecord<$family>| unsafe { Word::new(&raw mut (*record).life.0) };
                $records
                    .get_ptr_mut(index)
                    .map_or(Life::default(), |record| Life(life(record).load_last()))
            }

            #[inline(always)]
            fn exchange_life(&self, index: u32, from: Life, to: Life) -> bool {
                // SAFETY: a word of an array's value.
                let life = |record: *mut FlowRecord<$family>| unsafe { Word::new(&raw mut (*record).life.0) };
                $records
                    .get_ptr_mut(index)
                    .is_some_and(|record| life(record).exchange(from.0, to.0))
            }

            #[inline(always)]
            fn fill_record(&self, index: u32, record: &FlowRecord<$family>) {
                if let Some(place) = $records.get_ptr_mut(index) {
                    // SAFETY: the pointer is to a whole record of an array; only its owner writes it, and the life,
                    // which others exchange, is left alone.
                    unsafe { copy_behind_life(place, record) };
                }
            }

            #[inline(always)]
            fn note_answer(&self, index: u32, answer: Answer) {
                if let Some(record) = $records.get_ptr_mut(index) {
                    // SAFETY: a word of an array's value.
                    unsafe { Word::new(&raw mut (*record).answer.0) }.store(answer.0);
                }
            }

            #[inline(always)]
            fn touch(&self, index: u32, now: u64) {
                if let Some(record) = $records.get_ptr_mut(index) {
                    // SAFETY: a word of an array's value.
                    unsafe { Word::new(&raw mut (*record).last_seen) }.store(now);
                }
            }

            #[inline(always)]
            fn advance_hand(&self, steps: u64) -> u64 {
                // SAFETY: the one word of an array's value.
                HANDS
                    .get_ptr_mut($hand)
                    .map_or(0, |hand| unsafe { Word::new(hand) }.add(steps))
            }

            #[inline(always)]
            fn fragment(&self, key: &FragmentKey<$family>) -> Option<FragmentPorts> {
                // SAFETY: copied at once.
                unsafe { $fragments.get(key) }.copied()
            }

            #[inline(always)]
            fn remember_fragment(&self, key: &FragmentKey<$family>, ports: &FragmentPorts) {
                let _ = $fragments.insert(key, ports, 0);
            }

            #[inline(always)]
            fn is_marked(&self, endpoint: u32, mark: u64) -> bool {
                is_marked(endpoint, mark)
            }

            #[inline(always)]
            fn count_opened(&self, endpoint: u32) {
                if let (Some(flows), Some(opened)) = (state!(endpoint, flows), state!(endpoint, opened)) {
                    flows.add(1);
                    opened.add(1);
                }
            }

            #[inline(always)]
            fn count_answered(&self, endpoint: u32) {
                if let Some(answered) = state!(endpoint, answered) {
                    answered.add(1);
                }
            }

            #[inline(always)]
            fn count_released(&self, endpoint: u32) {
                if let Some(flows) = state!(endpoint, flows) {
                    flows.add(u64::MAX);
                }
            }

            #[inline(always)]
            fn config(&self) -> Option<&NodeConfig<$family>> {
                $node.get(0)
            }

            #[inline(always)]
            fn own_address(&self, address: &<$family as Family>::Address) -> Option<u32> {
                // SAFETY: copied at once.
                unsafe { $addresses.get(address) }.copied()
            }

            #[inline(always)]
            fn device(&self, interface: u32) -> Option<Device> {
                // SAFETY: copied at once.
                unsafe { DEVICES.get(&interface) }.copied()
            }

            #[inline(always)]
            fn source_address(&self, interface: u32) -> Option<<$family as Family>::Address> {
                // SAFETY: copied at once.
                unsafe { $sources.get(&interface) }.copied()
            }

            #[inline(always)]
            fn is_free_port(&self, port: u16) -> bool {
                // SAFETY: the one word of an array's value.
                let word = FREE_PORTS
                    .get_ptr_mut(u32::from(port) / 64)
                    .map_or(0, |word| unsafe { Word::new(word) }.load());
                word >> (port % 64) & 1 == 1
            }
        }
    };
}

tables!(
    V4,
    0,
    FRONTENDS_V4,
    NETWORKS_V4,
    TARGETS_V4,
    FLOWS_V4,
    RECORDS_V4,
    FRAGMENTS_V4,
    NODE_V4,
    NODE_ADDRS_V4,
    SOURCES_V4
);
tables!(
    V6,
    1,
    FRONTENDS_V6,
    NETWORKS_V6,
    TARGETS_V6,
    FLOWS_V6,
    RECORDS_V6,
    FRAGMENTS_V6,
    NODE_V6,
    NODE_ADDRS_V6,
    SOURCES_V6
);
