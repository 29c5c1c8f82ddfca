//! The node as the library sees it: its tables, its clock, its dice, its routes and its sockets.

use proxy_common::{
    block::{Cell, FlipWord},
    family::Family,
    flow::{FlowKey, FlowRecord, FlowRef, Life},
    fragment::{FragmentKey, FragmentPorts},
    frontend::{Frontend, FrontendKey},
    net::Tuple,
    network::Rule,
    node::{Device, NodeConfig},
    phase::Answer,
};

/// How an insertion went that must not replace anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inserted {
    /// The key is ours.
    Yes,
    /// Another flow has the key.
    Exists,
    /// The table is full.
    Full,
}

/// The maps of one family.
pub trait Tables<F: Family> {
    /// `FRONTENDS`: the entry of this key, and of no other ([`Frontend::is_of`]).
    fn frontend(&self, key: &FrontendKey<F>) -> Option<Frontend>;
    /// `TARGETS`: whether some service has this endpoint.
    fn is_target(&self, key: &FrontendKey<F>) -> bool;
    /// `NETWORKS`: what the longest prefix of an address says in a scope.
    fn rule(&self, scope: u32, address: &F::Address) -> Option<Rule>;
    /// `SERVICES`: the flip word, read once and whole.
    fn flip_word(&self, service: u32) -> FlipWord;
    /// `ENDPOINTS`.
    fn cell(&self, index: u32) -> Option<Cell>;

    /// `FLOWS`.
    fn flow(&self, key: &FlowKey<F>) -> Option<FlowRef>;
    /// `FLOWS`: inserts a key that must not exist.
    fn insert_flow(&self, key: &FlowKey<F>, flow: FlowRef) -> Inserted;
    /// `FLOWS`: lets a key refer to something else, if it is there and refers to `from`; whether it did. One
    /// compare-and-exchange.
    fn exchange_flow(&self, key: &FlowKey<F>, from: FlowRef, to: FlowRef) -> bool;
    /// `FLOWS`: deletes a key; whether it is gone. The kernel refuses where the same processor is at work on the table
    /// already (`EBUSY`: an interrupt has come between).
    fn delete_flow(&self, key: &FlowKey<F>) -> bool;
    /// `COUNTERS`: a key could not be deleted ([`proxy_common::reason::Reason::KeyLeftBehind`]).
    fn count_key_left_behind(&self);
    /// `RECORDS`.
    fn record(&self, index: u32) -> Option<&FlowRecord<F>>;
    /// `RECORDS`: a record, and its life at this very moment, before the record is read; by one look-up.
    fn live_record(&self, index: u32) -> Option<(Life, &FlowRecord<F>)>;
    /// `RECORDS`: the life of a record at this very moment; free if there is no such record.
    fn life(&self, index: u32) -> Life;
    /// The same, when the record has been read.
    fn life_still(&self, index: u32) -> Life;
    /// `RECORDS`: one compare-and-exchange of a record's life; whether it was `from`.
    fn exchange_life(&self, index: u32, from: Life, to: Life) -> bool;
    /// `RECORDS`: writes everything but the life. Only the record's owner may, before its keys exist.
    fn fill_record(&self, index: u32, record: &FlowRecord<F>);
    /// `RECORDS`: the SYN was answered.
    fn note_answer(&self, index: u32, answer: Answer);
    /// `RECORDS`: a packet was seen.
    fn touch(&self, index: u32, now: u64);
    /// `HANDS`: moves the clock hand on by `steps` and says where it stood.
    fn advance_hand(&self, steps: u64) -> u64;

    /// `FRAGMENTS`.
    fn fragment(&self, key: &FragmentKey<F>) -> Option<FragmentPorts>;
    /// `FRAGMENTS`: remembers.
    fn remember_fragment(&self, key: &FragmentKey<F>, ports: &FragmentPorts);

    /// `STATE`: whether an endpoint has a mark of [`proxy_common::endpoint::serving`].
    fn is_marked(&self, endpoint: u32, mark: u64) -> bool;
    /// `STATE`: a flow was opened towards an endpoint.
    fn count_opened(&self, endpoint: u32);
    /// `STATE`: a flow got its first answer.
    fn count_answered(&self, endpoint: u32);
    /// `STATE`: a flow record no longer names an endpoint.
    fn count_released(&self, endpoint: u32);

    /// `NODE`.
    fn config(&self) -> Option<&NodeConfig<F>>;
    /// `NODE_ADDRESSES`: the flags of an address of this node.
    fn own_address(&self, address: &F::Address) -> Option<u32>;
    /// `DEVICES`.
    fn device(&self, interface: u32) -> Option<Device>;
    /// `SOURCES`.
    fn source_address(&self, interface: u32) -> Option<F::Address>;
    /// `FREE_PORTS`: whether a port (host byte order) may be used for masquerading.
    fn is_free_port(&self, port: u16) -> bool;
}

/// `CLOCK_MONOTONIC`.
pub trait Clock {
    /// Now, ns.
    fn now(&self) -> u64;
}

/// Dice.
pub trait Entropy {
    /// 32 random bits.
    fn random(&self) -> u32;
}

/// Where the kernel would send a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route<F: Family> {
    /// Out by a device, with this source address if the kernel said which it would use.
    Out(u32, Option<F::Address>),
    /// Nowhere.
    None,
}

/// The kernel's routes and sockets.
pub trait Routes<F: Family> {
    /// Where a packet goes that came in from an interface and is for none of this node's addresses.
    fn route(&self, interface: u32, source: &F::Address, destination: &F::Address) -> Route<F>;
    /// Whether a UDP socket of the host takes a packet with this tuple.
    fn has_udp_socket(&self, tuple: &Tuple<F>) -> bool;
}

/// All of it.
pub trait Node<F: Family>: Tables<F> + Clock + Entropy + Routes<F> {}
impl<F: Family, T: Tables<F> + Clock + Entropy + Routes<F>> Node<F> for T {}
