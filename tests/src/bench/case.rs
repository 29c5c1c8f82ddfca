//! What is measured: a case is a kind of load, a path is from where to where.

use std::time::Duration;

use anyhow::Result;
use clap::ValueEnum;

use super::load::{self, Ends, Talk};
use super::objects::Use;
use crate::measure::results::Metric;
use crate::peer::{LoadKind, Transport};

/// A kind of load.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Case {
    /// TCP connections with one HTTP request each: connect, request, response, close
    TcpShort,
    /// HTTP requests one after the other on one TCP connection
    TcpRequest,
    /// HTTP requests on 64 TCP connections at once
    TcpMany,
    /// One TCP stream as fast as it goes
    TcpStream,
    /// UDP datagrams back and forth on sockets that stay open
    UdpRequest,
    /// UDP sockets that ask once: each is a new flow
    UdpFlows,
    /// Small UDP datagrams in one direction, as many as go
    UdpSmall,
    /// TCP connections with one HTTP request each to one Service of 1 to 10,000 endpoints
    ManyEndpoints,
    /// TCP connections with one HTTP request each beside 1 to 1,000,000 live flows
    ManyFlows,
}

/// From where to where a load goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Path {
    /// A pod to a ClusterIP whose endpoints are on its node.
    PodNear,
    /// A pod to a ClusterIP whose endpoints are on the other node.
    PodFar,
    /// The node itself to a ClusterIP whose endpoints are its own pods.
    Node,
    /// The outside to a node port, with endpoints on that node.
    OutsideNear,
    /// The outside to a node port, with endpoints on the other node: masqueraded.
    OutsideFar,
    /// A pod to a pod of its node, by the pod's own address: what services cost those who use none.
    PodToPod,
}

impl Path {
    pub(super) const ALL: [Self; 6] = [
        Self::PodNear,
        Self::PodFar,
        Self::Node,
        Self::OutsideNear,
        Self::OutsideFar,
        Self::PodToPod,
    ];

    /// As the report says it.
    pub(super) fn title(self) -> &'static str {
        match self {
            Self::PodNear => "pod to ClusterIP, endpoints on the same node",
            Self::PodFar => "pod to ClusterIP, endpoints on the other node",
            Self::Node => "node to ClusterIP, endpoints on the same node",
            Self::OutsideNear => "outside to node port, endpoints on that node",
            Self::OutsideFar => "outside to node port, endpoints on the other node",
            Self::PodToPod => "pod to pod, no service",
        }
    }
}

impl Case {
    /// The name on the command line.
    pub(super) fn name(self) -> String {
        self.to_possible_value()
            .map_or_else(String::new, |value| value.get_name().to_owned())
    }

    /// Whether it is a load by itself, not another one where there is much of something.
    pub(super) fn is_plain(self) -> bool {
        !matches!(self, Self::ManyEndpoints | Self::ManyFlows)
    }

    pub(super) fn server(self) -> Use {
        match self {
            Self::TcpShort | Self::TcpRequest | Self::TcpMany | Self::ManyEndpoints | Self::ManyFlows => Use::Http,
            Self::UdpRequest | Self::UdpFlows => Use::Echo,
            Self::TcpStream | Self::UdpSmall => Use::Stream,
        }
    }

    /// One sample of everything that the case shows.
    ///
    /// # Errors
    /// When a load tool fails, or any of its exchanges.
    pub(super) fn sample(self, ends: &Ends<'_>, time: Duration) -> Result<Vec<(Metric, f64)>> {
        Ok(match self {
            Self::TcpShort | Self::ManyFlows | Self::ManyEndpoints => talk(
                "connections/s",
                &["p50", "p99", "p99.9"],
                load::own(ends, Transport::Http, LoadKind::Once, time)?,
            ),
            Self::TcpRequest => talk("requests/s", &["p50", "p99"], load::requests(ends, 1, time)?),
            Self::TcpMany => talk("requests/s", &["p50", "p99"], load::requests(ends, 64, time)?),
            Self::UdpRequest => talk(
                "requests/s",
                &["p50", "p99"],
                load::own(ends, Transport::Udp, LoadKind::Long, time)?,
            ),
            Self::UdpFlows => talk(
                "flows/s",
                &["p50", "p99"],
                load::own(ends, Transport::Udp, LoadKind::Once, time)?,
            ),
            Self::TcpStream => {
                let (speed, spent) = load::stream(ends, time)?;
                vec![
                    (Metric::higher("rate", "Gbit/s"), speed),
                    (Metric::lower("processor", "s/GB"), spent),
                ]
            }
            Self::UdpSmall => vec![(Metric::higher("rate", "packets/s"), load::datagrams(ends, time)?)],
        })
    }
}

/// The rate and as many percentiles as have a name.
fn talk(unit: &str, percentiles: &[&str], talk: Talk) -> Vec<(Metric, f64)> {
    let times = percentiles.iter().zip(talk.times);
    let times = times.map(|(name, time)| (Metric::lower(name, "µs"), time));
    std::iter::once((Metric::higher("rate", unit), talk.rate))
        .chain(times)
        .collect()
}
