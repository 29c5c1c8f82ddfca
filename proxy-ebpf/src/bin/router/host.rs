//! The kernel's clock, dice, routes and sockets.

use aya_ebpf::{
    bindings::{bpf_fib_lookup, bpf_sock_tuple},
    cty::c_void,
    helpers::generated::{
        bpf_fib_lookup as fib_lookup, bpf_get_prandom_u32, bpf_ktime_get_coarse_ns, bpf_sk_lookup_udp, bpf_sk_release,
    },
};
use proxy_common::{
    family::{Family, V4, V6},
    net::{Ip4, Ip6, Tuple},
    node::node_flag,
};
use proxy_ebpf::node::{Clock, Entropy, Route, Routes, Tables};

const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;
/// Neighbours do not matter (Linux 6.3), but the source address does (Linux 6.7).
const SKIP_NEIGH_AND_SOURCE: u32 = 1 << 2 | 1 << 4;
const SUCCESS: i64 = 0;
const NO_NEIGHBOUR: i64 = 7;
/// The packet is longer than the device takes: the route is known all the same, and the stack cuts it or says so.
const TOO_LONG: i64 = 8;
const CURRENT_NETNS: u64 = u64::MAX;

/// The kernel, as far as the library asks it: through the program's context.
pub(crate) struct Kernel {
    context: *mut c_void,
}

impl Kernel {
    /// The kernel of a program with this context.
    #[inline(always)]
    pub(crate) fn new(context: *mut c_void) -> Kernel {
        Kernel { context }
    }
}

impl Clock for Kernel {
    #[inline(always)]
    fn now(&self) -> u64 {
        // The time of the last tick, some milliseconds old at most: flows live for seconds, and reading the clock itself
        // costs as much as a look-up in a hash.
        // SAFETY: a helper without arguments.
        unsafe { bpf_ktime_get_coarse_ns() }
    }
}

impl Entropy for Kernel {
    #[inline(always)]
    fn random(&self) -> u32 {
        // SAFETY: a helper without arguments.
        unsafe { bpf_get_prandom_u32() }
    }
}

impl Kernel {
    /// Asks the routing table; whether a route leads out of the node.
    #[inline(always)]
    fn look_up(&self, query: &mut bpf_fib_lookup, with_source: bool) -> bool {
        let flags = if with_source { SKIP_NEIGH_AND_SOURCE } else { 0 };
        let size = size_of::<bpf_fib_lookup>() as i32;
        // SAFETY: the context is the program's own, the query is on the stack and of the given size.
        let result = unsafe { fib_lookup(self.context, query, size, flags) };
        matches!(result, SUCCESS | NO_NEIGHBOUR | TOO_LONG)
    }
}

macro_rules! routes {
    ($family:ty, $af:expr, $fill:ident, $source:ident, $tuple:ident) => {
        impl Routes<$family> for Kernel {
            #[inline(always)]
            fn route(
                &self,
                interface: u32,
                source: &<$family as Family>::Address,
                destination: &<$family as Family>::Address,
            ) -> Route<$family> {
                let with_source =
                    Tables::<$family>::config(self).is_some_and(|config| config.flags & node_flag::FIB_SOURCE != 0);
                // SAFETY: a plain struct of the kernel's interface, for which zeroes are a value.
                let mut query: bpf_fib_lookup = unsafe { core::mem::zeroed() };
                query.family = $af;
                query.ifindex = interface;
                $fill(&mut query, source, destination);
                if !self.look_up(&mut query, with_source) {
                    return Route::None;
                }
                Route::Out(query.ifindex, with_source.then(|| $source(&query)))
            }

            #[inline(always)]
            fn has_udp_socket(&self, tuple: &Tuple<$family>) -> bool {
                if tuple.protocol != proxy_common::net::Protocol::Udp {
                    return false;
                }
                let (mut query, size) = $tuple(tuple);
                // SAFETY: the tuple is on the stack and has `size` bytes; the context is the program's own.
                let socket = unsafe { bpf_sk_lookup_udp(self.context, &mut query, size, CURRENT_NETNS, 0) };
                if socket.is_null() {
                    return false;
                }
                // SAFETY: the socket was found above and is given back once.
                unsafe { bpf_sk_release(socket.cast()) };
                true
            }
        }
    };
}

routes!(V4, AF_INET, fill_v4, source_v4, tuple_v4);
routes!(V6, AF_INET6, fill_v6, source_v6, tuple_v6);

#[inline(always)]
fn fill_v4(query: &mut bpf_fib_lookup, source: &Ip4, destination: &Ip4) {
    query.__bindgen_anon_3.ipv4_src = u32::from_ne_bytes(source.0);
    query.__bindgen_anon_4.ipv4_dst = u32::from_ne_bytes(destination.0);
}

#[inline(always)]
fn source_v4(query: &bpf_fib_lookup) -> Ip4 {
    // SAFETY: all members of the union are plain numbers.
    Ip4(unsafe { query.__bindgen_anon_3.ipv4_src }.to_ne_bytes())
}

#[inline(always)]
fn fill_v6(query: &mut bpf_fib_lookup, source: &Ip6, destination: &Ip6) {
    query.__bindgen_anon_3.ipv6_src = words(source);
    query.__bindgen_anon_4.ipv6_dst = words(destination);
}

#[inline(always)]
fn source_v6(query: &bpf_fib_lookup) -> Ip6 {
    // SAFETY: all members of the union are plain numbers.
    bytemuck::must_cast(unsafe { query.__bindgen_anon_3.ipv6_src })
}

#[inline(always)]
fn words(address: &Ip6) -> [u32; 4] {
    bytemuck::must_cast(*address)
}

#[inline(always)]
fn tuple_v4(tuple: &Tuple<V4>) -> (bpf_sock_tuple, u32) {
    // SAFETY: a plain struct of the kernel's interface, for which zeroes are a value.
    let mut query: bpf_sock_tuple = unsafe { core::mem::zeroed() };
    query.__bindgen_anon_1.ipv4.saddr = u32::from_ne_bytes(tuple.source.address.0);
    query.__bindgen_anon_1.ipv4.daddr = u32::from_ne_bytes(tuple.destination.address.0);
    query.__bindgen_anon_1.ipv4.sport = u16::from_ne_bytes(tuple.source.port.0);
    query.__bindgen_anon_1.ipv4.dport = u16::from_ne_bytes(tuple.destination.port.0);
    (query, 12)
}

#[inline(always)]
fn tuple_v6(tuple: &Tuple<V6>) -> (bpf_sock_tuple, u32) {
    // SAFETY: a plain struct of the kernel's interface, for which zeroes are a value.
    let mut query: bpf_sock_tuple = unsafe { core::mem::zeroed() };
    query.__bindgen_anon_1.ipv6.saddr = words(&tuple.source.address);
    query.__bindgen_anon_1.ipv6.daddr = words(&tuple.destination.address);
    query.__bindgen_anon_1.ipv6.sport = u16::from_ne_bytes(tuple.source.port.0);
    query.__bindgen_anon_1.ipv6.dport = u16::from_ne_bytes(tuple.destination.port.0);
    (query, 36)
}
