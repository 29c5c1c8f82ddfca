//! How often maps are asked for one packet: counted in the library, which the programs are made of.

use anyhow::{Result, ensure};
use proxy_common::family::{V4, V6};
use proxy_ebpf::testing::{
    machine::{Host, Machine as _},
    who::TestFamily,
};

use super::{cases, figures::LookUps, stage};

/// Puts a packet of each case through the library and counts. Two entries that a program takes at each packet are not
/// among them, because the library does not see them: its processor's own place to work at, and the counter.
///
/// # Errors
/// When a packet takes another way than it is named for.
pub fn count() -> Result<Vec<LookUps>> {
    let mut counted = of::<V4>()?;
    counted.extend(of::<V6>()?);
    Ok(counted)
}

fn of<F: TestFamily>() -> Result<Vec<LookUps>> {
    let mut host = Host::new(&stage::fixture::<F>(true));
    let mut counted = Vec::new();
    for case in cases::of::<F>(&mut host, true)? {
        let name = case.name_in::<F>();
        host.node.take_look_ups();
        let sent = host.send(case.way(), case.packet);
        ensure!(
            sent.reason == case.reason,
            "{name}: {:?}, not {:?}",
            sent.reason,
            case.reason
        );
        let (hashes, arrays) = host.node.take_look_ups();
        counted.push(LookUps { name, hashes, arrays });
    }
    Ok(counted)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use rstest::rstest;

    use super::*;

    /// A packet that enters leaves once more. A reply to a masquerade address comes in by a port of the bridge, and is
    /// addressed to the bridge: so the device is looked up, too.
    #[rstest]
    #[case::request("established, request")]
    #[case::reply("established, reply")]
    #[case::masqueraded_request("masqueraded, request")]
    #[case::masqueraded_reply("masqueraded, reply")]
    fn an_established_packet_asks_maps_eight_times_at_most_at_both_edges_together(#[case] case: &str) {
        let counted = count().expect("each packet takes its way");
        let mut flows = BTreeMap::<_, Vec<_>>::new();
        for look_ups in counted.iter().filter(|look_ups| look_ups.name.case == case) {
            let flow = (&look_ups.name.family, &look_ups.name.protocol);
            flows.entry(flow).or_default().push(look_ups.hashes + look_ups.arrays);
        }
        assert_eq!(flows.len(), 4, "two families and two protocols");
        for (flow, edges) in flows {
            let all: u32 = edges.iter().sum();
            assert!(edges.len() == 2 && all <= 8, "{flow:?}: {edges:?}");
        }
    }

    #[test]
    fn what_is_not_ip_asks_none_and_what_is_not_ours_asks_one_where_it_leaves() {
        let counted = count().expect("each packet takes its way");
        for LookUps { name, hashes, arrays } in counted {
            match (name.case.as_str(), name.hook.as_str()) {
                ("not IP", _) => assert_eq!((hashes, arrays), (0, 0), "{name}"),
                // A datagram might open a flow: whether its port is one for clients is asked of the configuration.
                ("plain", "egress") => assert_eq!((hashes, arrays), (1, u32::from(name.protocol == "UDP")), "{name}"),
                _ => {}
            }
        }
    }
}
