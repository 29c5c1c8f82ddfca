//! `fairlead get`: what the maps hold, read from the maps alone, whether or not an agent runs.

use std::{net::IpAddr, process::ExitCode};

use proxy_common::net::Protocol;
use serde::Serialize;

use super::{GetArgs, Listing, ProtocolArg, output::Full, table::table};
use crate::{
    apply::{
        adopt::{self, Adopted},
        kernel::Access,
        maps::ServiceMaps,
    },
    datapath::Pins,
    desired::ServicePortId,
    error::Error,
};

mod services;
mod endpoints;
mod flows;
mod devices;

pub use devices::{DeviceRow, rows as devices};
pub use flows::count as count_flows;

/// Prints a list.
///
/// # Errors
/// If there are no pins, or a map cannot be read.
pub fn get(args: &GetArgs) -> Result<ExitCode, Error> {
    let pins = Pins::new(&args.state.state);
    let view = View::open(&pins)?;
    let filter = Filter::new(args);
    let text = match args.what {
        Listing::Services => show(args.output, &services::rows(&view, &filter)),
        Listing::Endpoints => show(args.output, &endpoints::rows(&view, &filter)),
        Listing::Flows => show(args.output, &flows::rows(&view, &filter)?),
        Listing::Affinity => show(args.output, &Vec::<AffinityRow>::new()),
        Listing::Devices => show(args.output, &devices::rows(&pins)?),
    };
    print!("{text}");
    Ok(ExitCode::SUCCESS)
}

/// The maps of services, and what they say together.
pub struct View {
    /// Where they are pinned.
    pub pins: Pins,
    /// The maps.
    pub maps: ServiceMaps,
    /// What they hold.
    pub adopted: Adopted,
}

impl View {
    /// Reads the maps.
    ///
    /// # Errors
    /// If there are none, or one cannot be read.
    pub fn open(pins: &Pins) -> Result<Self, Error> {
        if !pins.exist() {
            return Err(Error::file(
                pins.root(),
                "no fairlead has run on these pins; name theirs with --state",
            ));
        }
        let maps = ServiceMaps::open(&pins.maps(), Access::Read).map_err(failed)?;
        let adopted = adopt::read(&maps).map_err(failed)?;
        Ok(View {
            pins: pins.clone(),
            maps,
            adopted,
        })
    }

    /// The service of a number.
    #[must_use]
    pub fn service(&self, number: u32) -> Option<&ServicePortId> {
        self.adopted.actual.service(number).map(|slot| &slot.id)
    }
}

pub(super) fn failed(error: impl Into<anyhow::Error>) -> Error {
    Error::Failed(error.into())
}

/// A row of a list.
pub trait Row: Serialize {
    /// The columns' names; those from [`Row::WIDE`] on only for a wide screen.
    const COLUMNS: &'static [&'static str];
    /// How many columns fit a narrow screen.
    const WIDE: usize;
    /// One cell for each column.
    fn cells(&self) -> Vec<String>;
}

/// A client that is bound to an endpoint.
#[derive(Serialize)]
struct AffinityRow {
    client: IpAddr,
    service: String,
    endpoint: String,
}

impl Row for AffinityRow {
    const COLUMNS: &'static [&'static str] = &["CLIENT", "SERVICE", "ENDPOINT"];
    const WIDE: usize = 3;
    fn cells(&self) -> Vec<String> {
        vec![self.client.to_string(), self.service.clone(), self.endpoint.clone()]
    }
}

fn show<R: Row>(output: Full, rows: &[R]) -> String {
    let columns = match output {
        Full::Json => return json(&rows),
        Full::Wide => R::COLUMNS.len(),
        Full::Table => R::WIDE,
    };
    let cells = rows.iter().map(|row| row.cells().into_iter().take(columns).collect());
    table(&R::COLUMNS[..columns], &cells.collect::<Vec<_>>())
}

/// A value as JSON for people and programs.
pub(super) fn json<T: Serialize>(value: &T) -> String {
    let mut text = serde_json::to_string_pretty(value).unwrap_or_else(|error| format!("{{\"error\": \"{error}\"}}"));
    text.push('\n');
    text
}

/// What the user wants to see.
pub struct Filter {
    namespace: Option<String>,
    service: Option<String>,
    address: Option<IpAddr>,
    protocol: Option<Protocol>,
}

impl Filter {
    fn new(args: &GetArgs) -> Self {
        Filter {
            namespace: args.namespace.clone(),
            service: args.service.clone(),
            address: args.address,
            protocol: args.protocol.map(Protocol::from),
        }
    }

    /// Whether a service is wanted; `None` is what belongs to no service.
    #[must_use]
    pub fn wants(&self, service: Option<&ServicePortId>, protocol: Protocol) -> bool {
        let Some(id) = service else {
            return self.namespace.is_none() && self.service.is_none() && self.wants_protocol(protocol);
        };
        let names = [
            id.name.to_string(),
            format!("{}/{}", id.namespace, id.name),
            id.to_string(),
        ];
        self.namespace
            .as_ref()
            .is_none_or(|namespace| **namespace == *id.namespace)
            && self.service.as_ref().is_none_or(|service| names.contains(service))
            && self.wants_protocol(protocol)
    }

    /// Whether one of the addresses is wanted.
    pub fn wants_address(&self, addresses: impl IntoIterator<Item = IpAddr>) -> bool {
        self.address
            .is_none_or(|wanted| addresses.into_iter().any(|address| address == wanted))
    }

    fn wants_protocol(&self, protocol: Protocol) -> bool {
        self.protocol.is_none_or(|wanted| wanted == protocol)
    }
}

impl From<ProtocolArg> for Protocol {
    fn from(typed: ProtocolArg) -> Self {
        match typed {
            ProtocolArg::Tcp => Protocol::Tcp,
            ProtocolArg::Udp => Protocol::Udp,
            ProtocolArg::Sctp => Protocol::Sctp,
        }
    }
}

/// A protocol as people write it.
#[must_use]
pub const fn protocol_name(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Tcp => "TCP",
        Protocol::Udp => "UDP",
        Protocol::Sctp => "SCTP",
    }
}
