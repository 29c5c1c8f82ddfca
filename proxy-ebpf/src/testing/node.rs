//! [`Node`](crate::node::Node) over [`MemoryMaps`]: a clock that is moved by hand, dice that fall as they are told,
//! routes and sockets that are given.

use std::{
    cell::{Cell, RefCell},
    collections::{BTreeMap, VecDeque},
};

use bytemuck::{AnyBitPattern, NoUninit};
use proxy_common::{
    block::{Cell as BlockCell, FlipWord},
    endpoint::{EndpointState, NO_ENDPOINT},
    flow::{FlowKey, FlowRecord, FlowRef, Life},
    fragment::{FragmentKey, FragmentPorts},
    frontend::{Frontend, FrontendKey},
    net::{Port, Protocol, Tuple},
    network::{NetworkKey, Rule, ScopedAddress},
    node::{Device, NodeConfig, node_flag},
    phase::Answer,
    reason::Reason,
    schema::{self, MapKind, MapSpec},
};

use super::{
    fixture::{BRIDGE, Fixture, UPLINK},
    maps::{Maps as _, MemoryMaps, TypedMaps as _},
    who::{TestFamily, Who},
};
use crate::node::{Clock, Entropy, Inserted, Route, Routes, Tables};

/// Does something at the moment when a key is about to be inserted: what another processor might do.
pub type Interruption<F> = Box<dyn FnOnce(&MemoryNode<F>)>;

/// A node in memory.
pub struct MemoryNode<F: TestFamily> {
    /// Its maps.
    pub maps: MemoryMaps,
    /// How many keys of flows there is room for.
    pub flow_capacity: usize,
    now: Cell<u64>,
    dice: RefCell<VecDeque<u32>>,
    rolled: Cell<u32>,
    routes: BTreeMap<F::Address, Route<F>>,
    sockets: Vec<(F::Address, Port)>,
    /// What a record was when it was last asked for. A reader keeps what it was given, as it keeps a place in the
    /// kernel's array: so nothing of it is ever taken back.
    records: RefCell<BTreeMap<u32, &'static FlowRecord<F>>>,
    interruption: RefCell<Option<(FlowKey<F>, Interruption<F>)>>,
    refused_deletes: Cell<u32>,
    hash_look_ups: Cell<u32>,
    array_look_ups: Cell<u32>,
    config: Option<NodeConfig<F>>,
}

/// When the clock of a new node begins, ns: late enough that nothing is before its begin.
pub const BEGIN: u64 = 1_000_000_000_000_000;

impl<F: TestFamily> MemoryNode<F> {
    /// A node with a fixture in its maps.
    #[must_use]
    pub fn new(fixture: &Fixture<F>) -> Self {
        let maps = MemoryMaps::default();
        fixture.fill(&maps);
        MemoryNode {
            maps,
            flow_capacity: usize::MAX,
            now: Cell::new(BEGIN),
            dice: RefCell::default(),
            rolled: Cell::new(0),
            routes: BTreeMap::new(),
            sockets: fixture
                .sockets
                .iter()
                .map(|(who, port)| (F::address(*who), Port::new(*port)))
                .collect(),
            records: RefCell::default(),
            interruption: RefCell::new(None),
            refused_deletes: Cell::new(0),
            hash_look_ups: Cell::new(0),
            array_look_ups: Cell::new(0),
            config: Some(fixture.config),
        }
    }

    /// Lets time pass, ns.
    pub fn pass(&self, time: u64) {
        self.now.set(self.now.get() + time);
    }

    /// Sets the clock, ns.
    pub fn set_clock(&self, now: u64) {
        self.now.set(now);
    }

    /// Lets the dice fall like this, in this order. After that they fall as they like, the same way each time.
    pub fn roll(&self, numbers: &[u32]) {
        let mut dice = self.dice.borrow_mut();
        dice.clear();
        dice.extend(numbers);
    }

    /// Routes an address another way.
    pub fn set_route(&mut self, who: Who, route: Route<F>) {
        self.routes.insert(F::address(who), route);
    }

    /// Takes away the node's facts, as before the agent has written them.
    pub fn forget_config(&mut self) {
        self.config = None;
    }

    /// Does something when a key is about to be inserted, once.
    pub fn interrupt(&self, key: FlowKey<F>, interruption: impl FnOnce(&MemoryNode<F>) + 'static) {
        *self.interruption.borrow_mut() = Some((key, Box::new(interruption)));
    }

    /// How many hashes and how many arrays were asked since the last question.
    pub fn take_look_ups(&self) -> (u32, u32) {
        (self.hash_look_ups.replace(0), self.array_look_ups.replace(0))
    }

    fn look_up<K: NoUninit, V: AnyBitPattern>(&self, map: &MapSpec, key: &K) -> Option<V> {
        self.count_look_up(map);
        self.maps.value(map, key)
    }

    fn count_look_up(&self, map: &MapSpec) {
        let counter = if matches!(map.kind, MapKind::Hash | MapKind::LruHash | MapKind::Trie) {
            &self.hash_look_ups
        } else {
            &self.array_look_ups
        };
        counter.set(counter.get() + 1);
    }

    fn change_record(&self, index: u32, change: impl FnOnce(&mut FlowRecord<F>)) {
        self.count_look_up(&F::MAPS.records);
        if !self.has_record(index) {
            return;
        }
        let mut record = self.maps.value(&F::MAPS.records, &index).unwrap_or_default();
        change(&mut record);
        self.maps.put_value(&F::MAPS.records, &index, &record);
    }

    fn change_state(&self, endpoint: u32, change: impl FnOnce(&mut EndpointState)) {
        if endpoint == NO_ENDPOINT {
            return;
        }
        let mut state = self.look_up(&schema::STATE, &endpoint).unwrap_or_default();
        change(&mut state);
        self.maps.put_value(&schema::STATE, &endpoint, &state);
    }

    /// Refuses to delete keys, so many times, as the kernel does that finds their bucket in use.
    pub fn refuse_deletes(&self, times: u32) {
        self.refused_deletes.set(times);
    }

    /// Counts under a number of `COUNTERS`.
    pub fn count(&self, counter: u32) {
        let count: u64 = self.maps.value(&schema::COUNTERS, &counter).unwrap_or(0);
        self.maps.put_value(&schema::COUNTERS, &counter, &(count + 1));
    }

    fn has_record(&self, index: u32) -> bool {
        self.config.is_some_and(|config| index < config.records)
    }
}

impl<F: TestFamily> Tables<F> for MemoryNode<F> {
    fn frontend(&self, key: &FrontendKey<F>) -> Option<Frontend> {
        let found: Option<Frontend> = self.look_up(&F::MAPS.frontends, key);
        found.filter(|frontend| frontend.is_of(key))
    }

    fn is_target(&self, key: &FrontendKey<F>) -> bool {
        self.look_up::<_, u32>(&F::MAPS.targets, key).is_some()
    }

    fn rule(&self, scope: u32, address: &F::Address) -> Option<Rule> {
        self.count_look_up(&F::MAPS.networks);
        let asked = ScopedAddress::new(scope, *address);
        let entries = self.maps.entries(&F::MAPS.networks);
        let entries = entries.iter().map(|(key, rule)| {
            let key: NetworkKey<F> = bytemuck::pod_read_unaligned(key);
            (key, bytemuck::pod_read_unaligned(rule))
        });
        let covering = entries.filter(|(key, _)| key.covers(&asked));
        covering.max_by_key(|(key, _)| key.prefix()).map(|(_, rule)| rule)
    }

    fn flip_word(&self, service: u32) -> FlipWord {
        FlipWord(self.look_up(&schema::SERVICES, &service).unwrap_or(0))
    }

    fn cell(&self, index: u32) -> Option<BlockCell> {
        let cell = self.look_up(&schema::ENDPOINTS, &index);
        (index < schema::ENDPOINTS.capacity).then(|| cell.unwrap_or_default())
    }

    fn flow(&self, key: &FlowKey<F>) -> Option<FlowRef> {
        self.look_up(&F::MAPS.flows, key)
    }

    fn insert_flow(&self, key: &FlowKey<F>, flow: FlowRef) -> Inserted {
        let due = self.interruption.borrow_mut().take_if(|(awaited, _)| awaited == key);
        if let Some((_, interruption)) = due {
            interruption(self);
        }
        let map = &F::MAPS.flows;
        self.count_look_up(map);
        if self.maps.get(map, bytemuck::bytes_of(key)).is_some() {
            return Inserted::Exists;
        }
        if self.maps.len(map) >= self.flow_capacity {
            return Inserted::Full;
        }
        self.maps.put_value(map, key, &flow);
        Inserted::Yes
    }

    fn exchange_flow(&self, key: &FlowKey<F>, from: FlowRef, to: FlowRef) -> bool {
        let is = self.flow(key) == Some(from);
        if is {
            self.maps.put_value(&F::MAPS.flows, key, &to);
        }
        is
    }

    fn delete_flow(&self, key: &FlowKey<F>) -> bool {
        self.count_look_up(&F::MAPS.flows);
        let refused = self.refused_deletes.get();
        if refused > 0 {
            self.refused_deletes.set(refused - 1);
            return false;
        }
        self.maps.delete(&F::MAPS.flows, bytemuck::bytes_of(key));
        true
    }

    fn count_key_left_behind(&self) {
        self.count(Reason::KEYS_LEFT_BEHIND);
    }

    fn record(&self, index: u32) -> Option<&FlowRecord<F>> {
        let record: FlowRecord<F> = self.look_up(&F::MAPS.records, &index).unwrap_or_default();
        if !self.has_record(index) {
            return None;
        }
        let mut records = self.records.borrow_mut();
        match records.get(&index) {
            Some(known) if **known == record => Some(known),
            _ => {
                let kept: &'static FlowRecord<F> = Box::leak(Box::new(record));
                records.insert(index, kept);
                Some(kept)
            }
        }
    }

    fn live_record(&self, index: u32) -> Option<(Life, &FlowRecord<F>)> {
        self.record(index).map(|record| (record.life, record))
    }

    fn life(&self, index: u32) -> Life {
        let record: FlowRecord<F> = self.look_up(&F::MAPS.records, &index).unwrap_or_default();
        record.life
    }

    fn life_still(&self, index: u32) -> Life {
        self.life(index)
    }

    fn exchange_life(&self, index: u32, from: Life, to: Life) -> bool {
        let mut done = false;
        self.change_record(index, |record| {
            done = record.life == from;
            if done {
                record.life = to;
            }
        });
        done
    }

    fn fill_record(&self, index: u32, record: &FlowRecord<F>) {
        self.change_record(index, |place| {
            *place = FlowRecord {
                life: place.life,
                ..*record
            };
        });
    }

    fn note_answer(&self, index: u32, answer: Answer) {
        self.change_record(index, |record| record.answer = answer);
    }

    fn touch(&self, index: u32, now: u64) {
        self.change_record(index, |record| record.last_seen = now);
    }

    fn advance_hand(&self, steps: u64) -> u64 {
        let stood: u64 = self.look_up(&schema::HANDS, &F::MAPS.hand).unwrap_or(0);
        let stands = stood.wrapping_add(steps);
        self.maps.put_value(&schema::HANDS, &F::MAPS.hand, &stands);
        stood
    }

    fn fragment(&self, key: &FragmentKey<F>) -> Option<FragmentPorts> {
        self.look_up(&F::MAPS.fragments, key)
    }

    fn remember_fragment(&self, key: &FragmentKey<F>, ports: &FragmentPorts) {
        self.count_look_up(&F::MAPS.fragments);
        self.maps.put_value(&F::MAPS.fragments, key, ports);
    }

    fn is_marked(&self, endpoint: u32, mark: u64) -> bool {
        let state: Option<EndpointState> = self.look_up(&schema::STATE, &endpoint);
        endpoint != NO_ENDPOINT && state.is_some_and(|state| state.flags & mark != 0)
    }

    fn count_opened(&self, endpoint: u32) {
        self.change_state(endpoint, |state| {
            state.flows += 1;
            state.opened += 1;
        });
    }

    fn count_answered(&self, endpoint: u32) {
        self.change_state(endpoint, |state| state.answered += 1);
    }

    fn count_released(&self, endpoint: u32) {
        self.change_state(endpoint, |state| state.flows -= 1);
    }

    fn config(&self) -> Option<&NodeConfig<F>> {
        self.count_look_up(&F::MAPS.node);
        self.config.as_ref()
    }

    fn own_address(&self, address: &F::Address) -> Option<u32> {
        self.look_up(&F::MAPS.addresses, address)
    }

    fn device(&self, interface: u32) -> Option<Device> {
        self.look_up(&schema::DEVICES, &interface)
    }

    fn source_address(&self, interface: u32) -> Option<F::Address> {
        self.look_up(&F::MAPS.sources, &interface)
    }

    fn is_free_port(&self, port: u16) -> bool {
        let word: u64 = self.look_up(&schema::FREE_PORTS, &u32::from(port / 64)).unwrap_or(0);
        word >> (port % 64) & 1 == 1
    }
}

impl<F: TestFamily> Clock for MemoryNode<F> {
    fn now(&self) -> u64 {
        self.now.get()
    }
}

impl<F: TestFamily> Entropy for MemoryNode<F> {
    fn random(&self) -> u32 {
        let told = self.dice.borrow_mut().pop_front();
        told.unwrap_or_else(|| {
            let turn = self.rolled.get() + 1;
            self.rolled.set(turn);
            // Weyl's sequence: the same each time, and evenly spread.
            turn.wrapping_mul(0x9e37_79b9)
        })
    }
}

impl<F: TestFamily> Routes<F> for MemoryNode<F> {
    fn route(&self, _interface: u32, _source: &F::Address, destination: &F::Address) -> Route<F> {
        if let Some(route) = self.routes.get(destination) {
            return *route;
        }
        let is_pod = (0..=u8::MAX).any(|n| F::address(Who::Pod(n)) == *destination);
        let (interface, source) = if is_pod {
            (BRIDGE, Who::Gateway)
        } else {
            (UPLINK, Who::Node)
        };
        let says_source = self
            .config
            .is_some_and(|config| config.flags & node_flag::FIB_SOURCE != 0);
        Route::Out(interface, says_source.then(|| F::address(source)))
    }

    fn has_udp_socket(&self, tuple: &Tuple<F>) -> bool {
        let asked = (tuple.destination.address, tuple.destination.port);
        tuple.protocol == Protocol::Udp && self.sockets.contains(&asked)
    }
}
