//! The kernel's packet: every pointer to it is in this file.

use aya_ebpf::{
    EbpfContext as _,
    bindings::{__sk_buff, BPF_F_MARK_MANGLED_0, BPF_F_PSEUDO_HDR, BPF_F_RECOMPUTE_CSUM, TC_ACT_SHOT},
    helpers::generated::{
        bpf_csum_diff, bpf_csum_update, bpf_l3_csum_replace, bpf_l4_csum_replace, bpf_redirect, bpf_skb_adjust_room,
        bpf_skb_change_tail, bpf_skb_load_bytes, bpf_skb_store_bytes,
    },
    programs::TcContext,
};
use proxy_common::reason::Reason;
use proxy_ebpf::{
    frame::{Bytes, Frame, SCRATCH, Scratch, Sums, TransportSum},
    pipeline::Arrival,
    reject::Refusal,
    rewrite::checksum::fold,
};

const ETHERNET: u32 = 14;
const TAG: u32 = 4;
const VLAN: [u16; 2] = [0x8100, 0x88a8];
const VLAN_NUMBER: u32 = 0x0fff;
/// `pkt_type` of frames to everybody, to a group, and to somebody else.
const NOT_FOR_THIS_DEVICE: core::ops::RangeInclusive<u32> = 1..=3;
const ADJ_ROOM_MAC: u32 = 1;
const BPF_ADJ_ROOM_NO_CSUM_RESET: u64 = 1 << 5;

/// A packet at a TC hook.
pub(crate) struct Skb {
    skb: *mut __sk_buff,
    /// Where the network header begins.
    base: u32,
}

/// What stands before the network header.
pub(crate) struct Link {
    /// The Ethernet type of what follows, host byte order.
    pub ethertype: u16,
    /// Whether there is a VLAN number.
    pub tagged: bool,
}

impl Skb {
    /// A packet of a device with an Ethernet header. The outermost tag stands beside the packet (the kernel has taken
    /// it out by then); one more may stand in it.
    #[inline(always)]
    pub(crate) fn of_ethernet(ctx: &TcContext) -> (Skb, Link) {
        let mut frame = Skb {
            skb: ctx.as_ptr().cast(),
            base: 0,
        };
        let mut ethertype = frame.protocol();
        frame.base = ETHERNET;
        let mut tagged = frame.buff().vlan_present != 0 && frame.buff().vlan_tci & VLAN_NUMBER != 0;
        if VLAN.contains(&ethertype) {
            let tag = frame.read::<4>(0);
            frame.base = ETHERNET + TAG;
            tagged |= tag.is_some_and(|tag| u32::from(tag.number::<0>()) & VLAN_NUMBER != 0);
            ethertype = tag.map_or(0, |tag| tag.number::<2>());
        }
        (frame, Link { ethertype, tagged })
    }

    /// A packet of a device without a link header.
    #[inline(always)]
    pub(crate) fn of_network(ctx: &TcContext) -> (Skb, Link) {
        let frame = Skb {
            skb: ctx.as_ptr().cast(),
            base: 0,
        };
        let ethertype = frame.protocol();
        (
            frame,
            Link {
                ethertype,
                tagged: false,
            },
        )
    }

    #[inline(always)]
    fn buff(&self) -> &__sk_buff {
        // SAFETY: the kernel hands every TC program a context that outlives it; reads of it are turned into reads of
        // the packet's own fields.
        unsafe { &*self.skb }
    }

    #[inline(always)]
    fn protocol(&self) -> u16 {
        u16::from_be(self.buff().protocol as u16)
    }

    /// How the frame came in.
    #[inline(always)]
    pub(crate) fn arrival(&self, link: &Link) -> Arrival {
        let other_host = NOT_FOR_THIS_DEVICE.contains(&self.buff().pkt_type);
        let mac = if other_host {
            self.read_link::<6>(0).map_or([0; 6], |mac| mac.0)
        } else {
            [0; 6]
        };
        Arrival {
            interface: self.interface(),
            other_host,
            mac,
            tagged: link.tagged,
        }
    }

    /// The interface.
    #[inline(always)]
    pub(crate) fn interface(&self) -> u32 {
        self.buff().ifindex
    }

    #[inline(always)]
    fn read_link<const N: usize>(&self, at: u32) -> Option<Bytes<N>> {
        let mut bytes = Bytes([0; N]);
        // SAFETY: the buffer is on the stack and has N bytes; the helper checks the offset.
        let result = unsafe { bpf_skb_load_bytes(self.skb.cast(), at, bytes.0.as_mut_ptr().cast(), N as u32) };
        (result == 0).then_some(bytes)
    }

    #[inline(always)]
    fn write_link<const N: usize>(&self, at: u32, bytes: &Bytes<N>, flags: u64) -> bool {
        // SAFETY: the bytes are on the stack; the helper checks the offset and makes the packet writable.
        unsafe { bpf_skb_store_bytes(self.skb, at, bytes.0.as_ptr().cast(), N as u32, flags) == 0 }
    }

    /// Turns the packet into the refusal of itself and sends it back where it came from; the action to return.
    #[inline(always)]
    pub(crate) fn refuse<const N: usize>(&self, refusal: &Refusal) -> i32 {
        if self.become_refusal::<N>(refusal).is_none() {
            return TC_ACT_SHOT as i32;
        }
        // SAFETY: a helper with plain arguments.
        unsafe { bpf_redirect(self.interface(), 0) as i32 }
    }

    #[inline(always)]
    fn become_refusal<const N: usize>(&self, refusal: &Refusal) -> Option<()> {
        let macs = if self.base == 0 {
            None
        } else {
            Some(self.read_link::<12>(0)?)
        };
        // SAFETY: a helper with plain arguments; nothing keeps a pointer into the packet.
        let trimmed = unsafe { bpf_skb_change_tail(self.skb, self.base + refusal.quote, 0) };
        // SAFETY: as above.
        let grown = unsafe { bpf_skb_adjust_room(self.skb, N as i32, ADJ_ROOM_MAC, BPF_ADJ_ROOM_NO_CSUM_RESET) };
        if trimmed != 0 || grown != 0 {
            return None;
        }
        if let Some(macs) = macs {
            let m = macs.0;
            let swapped = Bytes([m[6], m[7], m[8], m[9], m[10], m[11], m[0], m[1], m[2], m[3], m[4], m[5]]);
            if !self.write_link(0, &swapped, 0) {
                return None;
            }
        }
        let mut headers = Bytes([0; N]);
        headers.0.copy_from_slice(&refusal.headers.0[..N]);
        self.write_link(self.base, &headers, u64::from(BPF_F_RECOMPUTE_CSUM))
            .then_some(())
    }
}

impl Frame for Skb {
    #[inline(always)]
    fn len(&self) -> u32 {
        self.buff().len.saturating_sub(self.base)
    }

    #[inline(always)]
    fn is_segmented_later(&self) -> bool {
        // How many segments there are a driver need not have counted yet.
        self.buff().gso_size != 0
    }

    #[inline(always)]
    fn read<const N: usize>(&self, offset: u32) -> Option<Bytes<N>> {
        self.read_link(self.base.wrapping_add(offset))
    }

    #[inline(always)]
    fn sum(&self, offset: u32, length: u32, scratch: &mut Scratch) -> Option<u16> {
        // What the length is already; so the verifier sees both bounds at the very value that the helpers get.
        let length = (core::hint::black_box(length).wrapping_sub(4) & (SCRATCH - 4)) + 4;
        let (at, place) = (self.base.wrapping_add(offset), scratch.0.as_mut_ptr());
        // SAFETY: the place has room for `length` bytes; the helper checks the offset.
        let read = unsafe { bpf_skb_load_bytes(self.skb.cast(), at, place.cast(), length) };
        if read != 0 {
            return None;
        }
        // SAFETY: `length` bytes were written there; of nothing there is no byte.
        let sum = unsafe { bpf_csum_diff(core::ptr::null_mut(), 0, place.cast(), length, 0) };
        Some(u16::from_be(fold(sum as u32)))
    }

    #[inline(always)]
    fn replace<const N: usize>(
        &mut self,
        offset: u32,
        old: &Bytes<N>,
        new: &Bytes<N>,
        sums: Sums,
    ) -> Result<(), Reason> {
        let change = Change::of(old, new);
        let mut done = true;
        if let Some(at) = sums.header {
            // SAFETY: a helper with plain arguments; it checks the offset.
            done &= unsafe { bpf_l3_csum_replace(self.skb, self.base + at, change.from, change.to, change.size) == 0 };
        }
        if let Some(sum) = sums.transport {
            done &= self.replace_sum(&sum, &change, sums.header.is_none());
        }
        let covered = sums.header.is_some() || sums.transport.is_some();
        // A card's sum over the whole packet stays right where a checksum in the packet has changed by as much as the
        // bytes it covers; otherwise it must follow.
        let flags = if covered { 0 } else { u64::from(BPF_F_RECOMPUTE_CSUM) };
        if done && self.write_link(self.base + offset, new, flags) {
            Ok(())
        } else {
            Err(Reason::RewriteFailed)
        }
    }
}

impl Skb {
    #[inline(always)]
    fn replace_sum(&self, sum: &TransportSum, change: &Change, no_header_sum: bool) -> bool {
        let pseudo = if sum.pseudo { u64::from(BPF_F_PSEUDO_HDR) } else { 0 };
        let optional = if sum.optional {
            u64::from(BPF_F_MARK_MANGLED_0)
        } else {
            0
        };
        let flags = pseudo | optional | change.size;
        // SAFETY: a helper with plain arguments; it checks the offset.
        let result = unsafe { bpf_l4_csum_replace(self.skb, self.base + sum.offset, change.from, change.to, flags) };
        if sum.pseudo && no_header_sum && change.size == 0 {
            // The helper takes addresses for IPv4's, whose change the header's checksum makes up for, and corrects the
            // card's sum over the packet by the change of the transport checksum. IPv6 addresses make up for that
            // themselves; what was taken off is put back (the flag BPF_F_IPV6 of Linux 6.16 does no more).
            // SAFETY: a helper with plain arguments; it refuses, harmlessly, where there is no such sum.
            unsafe { bpf_csum_update(self.skb, change.to as u32) };
        }
        result == 0
    }
}

/// A replacement as the checksum helpers take it.
struct Change {
    from: u64,
    to: u64,
    /// 2 or 4: `from` and `to` are the bytes themselves; 0: `to` is the difference of the sums.
    size: u64,
}

impl Change {
    #[inline(always)]
    fn of<const N: usize>(old: &Bytes<N>, new: &Bytes<N>) -> Change {
        if N == 2 {
            let word = |bytes: &Bytes<N>| u64::from(u16::from_ne_bytes([bytes.0[0], bytes.0[1]]));
            return Change {
                from: word(old),
                to: word(new),
                size: 2,
            };
        }
        Change {
            from: 0,
            to: difference(old, new),
            size: 0,
        }
    }
}

/// By how much the sum of the bytes changes, in ones' complement (RFC 1624): what `bpf_csum_diff` computes, at a third of
/// its price, which is that of the call. N is a multiple of four.
#[inline(always)]
fn difference<const N: usize>(old: &Bytes<N>, new: &Bytes<N>) -> u64 {
    let word = |bytes: &Bytes<N>, at: usize| {
        u32::from_ne_bytes([bytes.0[at], bytes.0[at + 1], bytes.0[at + 2], bytes.0[at + 3]])
    };
    let mut sum = 0_u64;
    let mut at = 0;
    while at + 4 <= N {
        sum += u64::from(word(new, at)) + u64::from(!word(old, at));
        at += 4;
    }
    // At most 16 words were added, so what is carried fits, and folding twice leaves 32 bits.
    sum = (sum & 0xffff_ffff) + (sum >> 32);
    (sum & 0xffff_ffff) + (sum >> 32)
}
