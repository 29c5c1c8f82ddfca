//! The namespace in which programs are run: with the devices, addresses and routes that the fixture speaks of, so that
//! what the kernel says of routes is known.

use std::sync::atomic::{AtomicU32, Ordering};

use crate::netns::NetNs;
use anyhow::Result;
use proxy_ebpf::testing::fixture::{BRIDGE, POD_PORT, UPLINK};

static COUNT: AtomicU32 = AtomicU32::new(0);

/// Makes the namespace. Addresses are those of `proxy_ebpf::testing::who`.
///
/// # Errors
/// What `ip` says.
pub fn node() -> Result<NetNs> {
    let name = format!(
        "fl-kernel-{}-{}",
        std::process::id(),
        COUNT.fetch_add(1, Ordering::Relaxed)
    );
    let ns = NetNs::create(&name)?;
    ns.ip(&format!(
        "link add index {UPLINK} name up0 address 02:00:00:00:00:10 type veth peer name up0p
         link add index {BRIDGE} name cni0 address 02:00:00:00:00:11 type bridge
         link add index {POD_PORT} name pod0 address 02:00:00:00:00:10 type veth peer name pod0p
         link set pod0 master cni0
         link set up0p up
         link set up0 up
         link set pod0p up
         link set pod0 up
         link set cni0 up
         addr add 192.168.0.2/24 dev up0
         addr add 2001:db8::2/64 dev up0 nodad
         addr add 10.244.0.1/24 dev cni0
         addr add fd00:10:244::1/64 dev cni0 nodad
         route add default via 192.168.0.1
         route add default via 2001:db8::1"
    ))?;
    ns.sysctls(&[
        ("net/ipv4/ip_forward", "1"),
        ("net/ipv6/conf/all/forwarding", "1"),
        ("net/ipv6/conf/default/forwarding", "1"),
    ])?;
    Ok(ns)
}
