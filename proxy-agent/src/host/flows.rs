//! When an address leaves the node, flows masqueraded by it can get no answer any more: they are forgotten, so that their
//! clients begin anew with another address.

use std::{collections::BTreeSet, net::IpAddr, path::Path};

use proxy_common::{
    family::{Family, V4, V6},
    flow::{FlowKey, FlowRecord, FlowRef, flag},
    net::Address as _,
    schema::{self, MapSpec},
};

use crate::{
    address,
    apply::{
        kernel::{KernelArray, KernelHash},
        map::{Table, TableError},
    },
};

/// Forgets the flows that are masqueraded by one of the addresses, and says how many there were. Their records expire by
/// themselves.
///
/// # Errors
/// If a map cannot be read or written.
pub fn forget(maps: &Path, gone: &BTreeSet<IpAddr>) -> Result<usize, TableError> {
    let mut forgotten = 0;
    if gone.iter().any(IpAddr::is_ipv4) {
        forgotten += forget_family::<V4>(maps, &schema::RECORDS_V4, &schema::FLOWS_V4, gone)?;
    }
    if gone.iter().any(IpAddr::is_ipv6) {
        forgotten += forget_family::<V6>(maps, &schema::RECORDS_V6, &schema::FLOWS_V6, gone)?;
    }
    Ok(forgotten)
}

fn forget_family<F: Family>(
    maps: &Path,
    records: &MapSpec,
    flows: &MapSpec,
    gone: &BTreeSet<IpAddr>,
) -> Result<usize, TableError> {
    let records = KernelArray::<FlowRecord<F>>::open(maps, records)?;
    let mut flows = KernelHash::<FlowKey<F>, FlowRef>::open(maps, flows)?;
    let mut forgotten = 0;
    for (index, record) in records.entries()? {
        let left = || gone.contains(&address::narrow(F::KIND, &record.masquerade.widen()));
        if record.life.is_live() && record.is(flag::MASQUERADE) && left() {
            forgotten += 1;
            let own = FlowRef {
                index,
                sequence: record.life.sequence(),
            };
            for key in [FlowKey::wire(&record.request()), FlowKey::wire(&record.reply())] {
                // The key may be another flow's by now.
                if flows.get(&key)? == Some(own) {
                    flows.remove(&key)?;
                }
            }
        }
    }
    Ok(forgotten)
}
