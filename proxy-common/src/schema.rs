//! The maps: name, kind, capacity. This is the only list of them.
//!
//! Maps that hold truth are preallocated: an insert must not fail because memory is short at that moment. `SOCKETS` is
//! socket storage and lives with its sockets; `FRAGMENTS` may forget; of `NETWORKS`, which only the agent writes, the
//! kernel has no other kind, and what fails there is tried again.

/// What kind of map it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MapKind {
    /// `BPF_MAP_TYPE_HASH`, preallocated.
    Hash,
    /// `BPF_MAP_TYPE_LRU_HASH`.
    LruHash,
    /// `BPF_MAP_TYPE_LPM_TRIE`: the longest prefix counts. The kernel has it without preallocation only.
    Trie,
    /// `BPF_MAP_TYPE_ARRAY`.
    Array,
    /// `BPF_MAP_TYPE_ARRAY` with `BPF_F_MMAPABLE`.
    MappedArray,
    /// `BPF_MAP_TYPE_PERCPU_ARRAY`.
    PerCpuArray,
    /// `BPF_MAP_TYPE_SK_STORAGE`.
    SocketStorage,
}

/// A map of the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MapSpec {
    /// Its name in the object and its pin's file name. At most 15 bytes, as the kernel keeps them.
    pub name: &'static str,
    /// Its kind.
    pub kind: MapKind,
    /// How many entries it has unless the agent is told otherwise.
    pub capacity: u32,
}

macro_rules! maps {
    ($($(#[doc = $doc:literal])+ $name:ident: $kind:ident[$capacity:expr];)*) => {
        $($(#[doc = $doc])+ pub const $name: MapSpec =
            MapSpec { name: stringify!($name), kind: MapKind::$kind, capacity: $capacity };)*

        /// All maps.
        pub const ALL: &[MapSpec] = &[$($name,)*];
    };
}

/// Flow records of each family unless the agent is told otherwise.
pub const FLOW_RECORDS: u32 = 131_072;

maps! {
    /// Address, port, protocol -> service: `FrontendKey<V4>` -> `Frontend`.
    FRONTENDS_V4: Hash[131_072];
    /// The same for IPv6.
    FRONTENDS_V6: Hash[131_072];
    /// Networks that decide about packets: `NetworkKey<V4>` -> `Rule`.
    NETWORKS_V4: Trie[262_144];
    /// The same for IPv6.
    NETWORKS_V6: Trie[262_144];
    /// Service number -> flip word: u32 -> u64.
    SERVICES: MappedArray[131_072];
    /// The arena of blocks: u32 -> `Cell`.
    ENDPOINTS: MappedArray[524_288];
    /// Endpoint number -> `EndpointState`.
    STATE: MappedArray[262_144];
    /// Endpoint addresses -> how many endpoints have them: `FrontendKey<V4>` -> u32.
    TARGETS_V4: Hash[262_144];
    /// The same for IPv6.
    TARGETS_V6: Hash[262_144];
    /// Keys of flows: `FlowKey<V4>` -> `FlowRef`.
    FLOWS_V4: Hash[FLOW_RECORDS * 3];
    /// The same for IPv6.
    FLOWS_V6: Hash[FLOW_RECORDS * 3];
    /// Flow records: u32 -> `FlowRecord<V4>`.
    RECORDS_V4: Array[FLOW_RECORDS];
    /// The same for IPv6.
    RECORDS_V6: Array[FLOW_RECORDS];
    /// Where the clock hand stands that looks for a free record: family (0, 1) -> u64.
    HANDS: Array[2];
    /// Ports of fragmented packets: `FragmentKey<V4>` -> `FragmentPorts`.
    FRAGMENTS_V4: LruHash[16_384];
    /// The same for IPv6.
    FRAGMENTS_V6: LruHash[16_384];
    /// What a socket remembers: `SocketPeers<V4>`.
    SOCKETS_V4: SocketStorage[0];
    /// The same for IPv6.
    SOCKETS_V6: SocketStorage[0];
    /// Network namespace cookies whose pods' edges carry the programs: u64 -> u32.
    COVERED: Hash[4_096];
    /// The node's facts: 0 -> `NodeConfig<V4>`.
    NODE_V4: Array[1];
    /// The same for IPv6.
    NODE_V6: Array[1];
    /// Addresses of this node -> `address_flag`s: `Ip4` -> u32.
    NODE_ADDRS_V4: Hash[4_096];
    /// The same for IPv6.
    NODE_ADDRS_V6: Hash[4_096];
    /// Edge devices: interface index -> `Device`.
    DEVICES: Hash[16_384];
    /// Source address by outgoing interface, for kernels that cannot say it: interface index -> `Ip4`.
    SOURCES_V4: Hash[4_096];
    /// The same for IPv6.
    SOURCES_V6: Hash[4_096];
    /// Which ports may be used for masquerading: 64 to a word, port p in bit p % 64 of word p / 64.
    FREE_PORTS: Array[1_024];
    /// Packets by hook and `Reason`: u32 -> u64.
    COUNTERS: PerCpuArray[256];
    /// Refusals sent: 0 -> `RejectBudget`.
    REJECTS: PerCpuArray[1];
    /// What the explaining twin has found: 0 -> `Explanation`.
    EXPLANATION: Array[1];
    /// Service number -> `ServiceName`.
    SERVICE_NAMES: Array[131_072];
    /// Endpoint number -> `EndpointName`.
    ENDPOINT_NAMES: Array[262_144];
    /// The ABI version that wrote the maps: 0 -> u32.
    ABI: Array[1];
    /// What a processor knows of the packet it handles. Not state: nothing in it outlives the packet.
    WORK_V4: PerCpuArray[1];
    /// The same for IPv6.
    WORK_V6: PerCpuArray[1];
}
