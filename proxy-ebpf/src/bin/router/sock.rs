//! The kernel's socket address, as a call hands it over: every pointer to it is in this file.

use aya_ebpf::{
    EbpfContext as _, bindings::bpf_sock_addr, helpers::generated::bpf_get_netns_cookie, programs::SockAddrContext,
};
use proxy_common::{
    family::{Family, V4, V6},
    net::{Ip4, Ip6, Peer, Port, Protocol},
    socket::{SocketPeer, SocketPeers},
};
use proxy_ebpf::socket::Socket;

use crate::maps::{COVERED, SOCKETS_V4, SOCKETS_V6};

/// The first twelve bytes of an IPv4 address in an IPv6 socket (RFC 4291 section 2.5.5.2).
const MAPPED: [u32; 3] = [0, 0, 0xffff_u32.to_be()];

/// A call on a socket.
pub(crate) struct Call<'a> {
    ctx: &'a SockAddrContext,
    netns: u64,
}

impl<'a> Call<'a> {
    #[inline(always)]
    pub(crate) fn new(ctx: &'a SockAddrContext) -> Self {
        // SAFETY: the context is the program's own.
        let netns = unsafe { bpf_get_netns_cookie(ctx.as_ptr()) };
        Call { ctx, netns }
    }

    #[inline(always)]
    fn addr(&self) -> &bpf_sock_addr {
        // SAFETY: the kernel hands every such program a context that outlives it.
        unsafe { &*self.ctx.sock_addr }
    }

    /// The socket's protocol.
    #[inline(always)]
    pub(crate) fn protocol(&self) -> Option<Protocol> {
        Protocol::from_number(self.addr().protocol as u8)
    }

    #[inline(always)]
    fn port(&self) -> Port {
        Port((self.addr().user_port as u16).to_ne_bytes())
    }

    #[inline(always)]
    fn set_port(&self, port: Port) {
        // SAFETY: the context is the program's own, and the kernel lets this field be written.
        unsafe { (*self.ctx.sock_addr).user_port = u32::from(u16::from_ne_bytes(port.0)) };
    }

    /// The address of an IPv4 socket.
    #[inline(always)]
    pub(crate) fn v4(&self) -> Peer<V4> {
        Peer::new(Ip4(self.addr().user_ip4.to_ne_bytes()), self.port())
    }

    /// Replaces the address of an IPv4 socket.
    #[inline(always)]
    pub(crate) fn set_v4(&self, peer: Peer<V4>) {
        // SAFETY: as in `set_port`.
        unsafe { (*self.ctx.sock_addr).user_ip4 = u32::from_ne_bytes(peer.address.0) };
        self.set_port(peer.port);
    }

    #[inline(always)]
    fn words(&self) -> [u32; 4] {
        let addr = self.addr();
        [addr.user_ip6[0], addr.user_ip6[1], addr.user_ip6[2], addr.user_ip6[3]]
    }

    #[inline(always)]
    fn set_words(&self, words: [u32; 4]) {
        // SAFETY: as in `set_port`; four separate stores, as the kernel checks them one by one.
        unsafe {
            let place = &raw mut (*self.ctx.sock_addr).user_ip6;
            let place: *mut u32 = place.cast();
            core::ptr::write_volatile(place, words[0]);
            core::ptr::write_volatile(place.add(1), words[1]);
            core::ptr::write_volatile(place.add(2), words[2]);
            core::ptr::write_volatile(place.add(3), words[3]);
        }
    }

    /// The address of an IPv6 socket.
    #[inline(always)]
    pub(crate) fn v6(&self) -> Peer<V6> {
        Peer::new(bytemuck::must_cast(self.words()), self.port())
    }

    /// Replaces the address of an IPv6 socket.
    #[inline(always)]
    pub(crate) fn set_v6(&self, peer: Peer<V6>) {
        self.set_words(bytemuck::must_cast(peer.address));
        self.set_port(peer.port);
    }

    /// The IPv4 address in an IPv6 socket, if it is one.
    #[inline(always)]
    pub(crate) fn mapped(&self) -> Option<Peer<V4>> {
        let words = self.words();
        (words[0] == MAPPED[0] && words[1] == MAPPED[1] && words[2] == MAPPED[2])
            .then(|| Peer::new(Ip4(words[3].to_ne_bytes()), self.port()))
    }

    /// Puts an IPv4 address into an IPv6 socket.
    #[inline(always)]
    pub(crate) fn set_mapped(&self, peer: Peer<V4>) {
        self.set_words([MAPPED[0], MAPPED[1], MAPPED[2], u32::from_ne_bytes(peer.address.0)]);
        self.set_port(peer.port);
    }
}

macro_rules! socket {
    ($family:ty, $map:ident, $loopback:expr) => {
        impl Socket<$family> for Call<'_> {
            #[inline(always)]
            fn netns(&self) -> u64 {
                self.netns
            }

            #[inline(always)]
            fn is_covered(&self) -> bool {
                COVERED.get_ptr(&self.netns).is_some()
            }

            #[inline(always)]
            fn is_loopback(&self, address: &<$family as Family>::Address) -> bool {
                $loopback(address)
            }

            #[inline(always)]
            fn peers(&self, create: bool) -> Option<&SocketPeers<$family>> {
                // SAFETY: the storage belongs to the call's socket, which outlives the call.
                unsafe {
                    if create {
                        $map.get_or_insert_ptr_mut(self.ctx, None)
                    } else {
                        $map.get_ptr_mut(self.ctx)
                    }
                    .as_ref()
                }
            }

            #[inline(always)]
            fn remember(&self, slot: usize, peer: &SocketPeer<$family>) {
                // SAFETY: as in `peers`; the slot is checked, so the write stays inside the value.
                unsafe {
                    let storage = $map.get_ptr_mut(self.ctx);
                    if let Some(storage) = storage.as_mut()
                        && let Some(place) = storage.peers.get_mut(slot)
                    {
                        *place = *peer;
                    }
                }
            }
        }
    };
}

socket!(V4, SOCKETS_V4, |address: &Ip4| address.0[0] == 127
    || address.to_u32() == 0);
socket!(V6, SOCKETS_V6, |address: &Ip6| matches!(
    address.to_halves(),
    (0, 0 | 1)
));
