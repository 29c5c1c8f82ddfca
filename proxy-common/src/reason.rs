//! Why a packet was not translated. Every such packet is counted once, under its hook and one of these.

macro_rules! reasons {
    ($($(#[doc = $doc:literal])+ $name:ident = $number:literal,)*) => {
        /// Why a packet was not translated, or how a translation went.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum Reason {
            $($(#[doc = $doc])+ $name = $number,)*
        }

        impl Reason {
            /// All of them, in the order of their numbers.
            pub const ALL: &'static [Reason] = &[$(Reason::$name,)*];

            /// The name, as `explain`, the counters and the metrics give it.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Reason::$name => stringify!($name),)* }
            }

            /// One sentence for people.
            #[cfg(any(test, feature = "user"))]
            #[must_use]
            pub const fn sentence(self) -> &'static str {
                match self { $(Reason::$name => concat!($($doc,)+).trim_ascii_start(),)* }
            }
        }
    };
}

reasons! {
    /// The packet was translated.
    Translated = 0,
    /// Not IPv4 or IPv6: ARP and the like.
    NotIp = 1,
    /// The frame is addressed to another machine.
    OtherHost = 2,
    /// The frame is tagged and a VLAN device above this one takes it.
    Tagged = 3,
    /// A packet of a protocol that no service uses.
    OtherProtocol = 4,
    /// No flow is known for a packet that cannot open one.
    NoFlow = 5,
    /// No service answers at this address, port and protocol.
    NoService = 6,
    /// The flow goes straight to its backend and needs no translation.
    Direct = 7,
    /// The packet of a known flow has the form it needs already.
    Canonical = 8,
    /// A socket of this node waits for the packet.
    LocalSocket = 9,
    /// The packet ends before its headers do.
    Truncated = 10,
    /// The header's version, length or total length contradicts itself.
    BadHeader = 11,
    /// The sender's address is one that no packet from a device may have, or is a service's, this node's or the receiver's.
    BadSource = 12,
    /// The packet carries a source route.
    SourceRoute = 13,
    /// More IPv6 extension headers than are walked, or one that is not known.
    ExtensionHeaders = 14,
    /// A later fragment whose first fragment was not seen.
    LostFragment = 15,
    /// A first fragment too small to hold the transport header, or a later one that overlaps it.
    TinyFragment = 16,
    /// An SCTP fragment whose port would change: its checksum covers what is not here.
    SctpFragment = 17,
    /// An ICMP message that reports no error.
    IcmpQuery = 18,
    /// An ICMP error about a packet that is not of a known flow.
    IcmpUnrelated = 19,
    /// The socket belongs to a network namespace whose edge translates its packets.
    Covered = 20,
    /// Not everybody may use the service's load-balancer addresses, and the socket has no address yet: its packets will be looked at.
    SourceUnknown = 21,
    /// The service has no endpoint: the sender is told.
    NoEndpoint = 32,
    /// The service has endpoints, but none on this node where its policy wants one.
    NoLocalEndpoint = 33,
    /// An ICMP redirect for a translated flow: it would teach a pod a way round the service.
    Redirect = 34,
    /// No flow record is free, and none may be given up.
    FlowTableFull = 35,
    /// No masquerade port is free towards this backend.
    PortsExhausted = 36,
    /// No endpoint and no client port makes the flow's tuple unique.
    TupleClash = 37,
    /// The kernel has no route or no source address towards the backend.
    NoSourceAddress = 38,
    /// The kernel refused a change to the packet; what was changed already must not go out.
    RewriteFailed = 39,
    /// A block was reused under a reader: a defect, and a packet lost to it.
    StaleBlock = 40,
    /// A refusal was not sent: too many in this second.
    RejectLimited = 41,
    /// A flow's key could not be deleted; the next flow that needs it takes it. Counted for the table, not for a packet.
    KeyLeftBehind = 42,
    /// A service has the address, but none of its ports is this one: the sender is told, unless it sent a ping.
    UnknownPort = 43,
    /// The address is one that services get, and no service has it.
    UnknownAddress = 44,
    /// The sender is not among those that may use the service's load-balancer addresses.
    SourceNotAdmitted = 45,
}

impl Reason {
    /// How many counters a hook has.
    pub const COUNTERS: u32 = 64;

    /// The reason that a number names.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.iter().copied().find(|reason| *reason as u8 == number)
    }

    /// The index of a reason's counter in `COUNTERS`.
    #[inline(always)]
    #[must_use]
    pub const fn counter(self, hook: crate::node::Hook) -> u32 {
        Self::counter_of(self as u8, hook)
    }

    /// The index of the counter of [`Reason::KeyLeftBehind`], behind those of the hooks: it counts no packets.
    pub const KEYS_LEFT_BEHIND: u32 =
        (crate::node::Hook::Socket as u32 + 1) * Self::COUNTERS + Self::KeyLeftBehind as u32;

    /// The same by the reason's number.
    #[inline(always)]
    #[must_use]
    pub const fn counter_of(number: u8, hook: crate::node::Hook) -> u32 {
        hook as u32 * Self::COUNTERS + number as u32
    }
}
