//! Very many endpoints: a few pods, each of which has a whole prefix of addresses and answers at every one of them.

use std::net::{Ipv4Addr, Ipv6Addr};

use anyhow::Result;

use super::objects::{Objects, is_near};
use crate::cluster::World;
use crate::measure::statistics::count;
use crate::plan::Dual;

/// Pods of each node that share its endpoints.
pub(super) const PODS: usize = 4;

/// Addresses of one pod.
const EACH: u32 = 1 << (32 - LENGTHS.0);

/// The lengths of a pod's prefixes, IPv4 and IPv6.
pub(super) const LENGTHS: (u8, u8) = (20, 80);

/// Endpoint `number` of a node: each pod has one before any has two.
pub(super) fn address(node: usize, number: usize) -> Dual {
    // The first address of a prefix is nobody's, by custom.
    in_prefix(node, number % PODS, number / PODS + 1)
}

/// The prefixes of one of a node's serving pods, counted from 0.
pub(super) fn network(node: usize, pod: usize) -> Dual {
    in_prefix(node, pod, 0)
}

/// Of the pods' network, its upper half, which no node's pods have: the node's quarter of it, then the pod's.
fn in_prefix(node: usize, pod: usize, last: usize) -> Dual {
    let [node, pod, last] = [node, pod, last].map(|number| u32::try_from(number).unwrap_or(u32::MAX));
    let quarter = Ipv4Addr::new(10, 244, 128, 0).to_bits() + ((node & 1) << 14);
    let group = |number: u32| u16::try_from(number & 0xffff).unwrap_or_default();
    Dual {
        v4: Ipv4Addr::from_bits(quarter + pod * EACH + last),
        v6: Ipv6Addr::new(0xfd00, 0x10, 0x244, 0x8000 + group(node), group(pod), 0, 0, group(last)),
    }
}

/// Gives the serving pods of both nodes their prefixes.
///
/// # Errors
/// When a route is refused.
pub(super) fn settle(world: &World, objects: Objects) -> Result<()> {
    for node in [0, 1] {
        let service = usize::from(!is_near(node));
        for (at, pod) in objects.backend_pods(service).enumerate() {
            world.route_to_pod(node, pod, network(node, at), LENGTHS)?;
            world.pod(node, pod).owns(network(node, at), LENGTHS)?;
        }
    }
    Ok(())
}

/// Of so many endpoints that are chosen from at random, how many must have answered so many conversations: half of those
/// that chance lets answer.
pub(super) fn fewest(endpoints: usize, conversations: usize) -> usize {
    let (all, drawn) = (count(endpoints.max(1)), count(conversations));
    let expected = all * (1.0 - (1.0 - 1.0 / all).powf(drawn));
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between nothing and a number that is usize"
    )]
    let half = (expected / 2.0) as usize;
    half.max(1)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use rstest::rstest;

    use super::super::plan::MOST_ENDPOINTS;
    use super::*;

    #[test]
    fn no_two_endpoints_of_both_nodes_have_one_address() {
        let each = usize::try_from(MOST_ENDPOINTS).unwrap_or_default();
        let all: Vec<Dual> = [0, 1]
            .into_iter()
            .flat_map(|node| (0..each).map(move |number| address(node, number)))
            .collect();
        assert_eq!(all.iter().map(|one| one.v4).collect::<BTreeSet<_>>().len(), 2 * each);
        assert_eq!(all.iter().map(|one| one.v6).collect::<BTreeSet<_>>().len(), 2 * each);
        assert!(all.iter().all(|one| one.v4.octets()[2] >= 128));
    }

    #[rstest]
    #[case(1, 1, 1)]
    #[case(1, 10_000, 1)]
    #[case(10, 10_000, 5)]
    #[case(10_000, 10_000, 3160)]
    #[case(10_000, 2, 1)]
    fn half_of_what_chance_expects_must_answer(
        #[case] endpoints: usize,
        #[case] conversations: usize,
        #[case] least: usize,
    ) {
        assert_eq!(fewest(endpoints, conversations), least);
    }
}
