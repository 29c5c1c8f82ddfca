//! The ports of a Service as they are used: B-15, B-39.

use std::{collections::HashSet, sync::Arc};

use proxy_common::net::Protocol;

use crate::watch::object;

use super::{Refusal, ServicePort, Texts, name::unfit};

/// Reads the ports; what is refused is added to `refusals`.
pub(super) fn ports(
    given: &[object::ServicePort],
    texts: &mut Texts,
    refusals: &mut Vec<Refusal>,
) -> Box<[ServicePort]> {
    let mut ports: Vec<ServicePort> = Vec::with_capacity(given.len());
    let mut taken = Taken::default();
    for (index, port) in given.iter().enumerate() {
        let Some(mut read) = read_port(index, port, texts, refusals) else {
            continue;
        };
        if let Some((field, value)) = taken.clash(&read) {
            let reason = format!("{value}: another port of this protocol has it");
            refusals.push(Refusal::new(format!("spec.ports[{index}].{field}"), reason));
            continue;
        }
        if read.node_port != 0 && !taken.node_ports.insert((read.node_port, read.protocol)) {
            let reason = format!("{}: another port of this Service has it", read.node_port);
            refusals.push(Refusal::new(format!("spec.ports[{index}].nodePort"), reason));
            read.node_port = 0;
        }
        ports.push(read);
    }
    ports.into()
}

/// What the ports of one Service have: there may be tens of thousands.
#[derive(Default)]
struct Taken {
    names: HashSet<(Arc<str>, Protocol)>,
    numbers: HashSet<(u16, Protocol)>,
    node_ports: HashSet<(u16, Protocol)>,
}

impl Taken {
    /// The field and the value that keep a port from standing beside those before it; if there is none, it stands.
    fn clash(&mut self, port: &ServicePort) -> Option<(&'static str, String)> {
        let name = (Arc::clone(&port.name), port.protocol);
        let number = (port.port, port.protocol);
        if self.names.contains(&name) {
            return Some(("name", format!("{:?}", port.name)));
        }
        if self.numbers.contains(&number) {
            return Some(("port", port.port.to_string()));
        }
        self.names.insert(name);
        self.numbers.insert(number);
        None
    }
}

fn read_port(
    index: usize,
    port: &object::ServicePort,
    texts: &mut Texts,
    refusals: &mut Vec<Refusal>,
) -> Option<ServicePort> {
    let mut refuse = |field: &str, reason: String| {
        refusals.push(Refusal::new(format!("spec.ports[{index}].{field}"), reason));
    };
    let name = port.name.as_deref().unwrap_or_default();
    if let Some(reason) = unfit(name) {
        refuse("name", reason);
        return None;
    }
    let protocol = match protocol(port.protocol.as_deref()) {
        Ok(protocol) => protocol,
        Err(reason) => {
            refuse("protocol", reason);
            return None;
        }
    };
    let number = match port_number(port.port) {
        Ok(number) => number,
        Err(reason) => {
            refuse("port", reason);
            return None;
        }
    };
    let node_port = match port.node_port {
        None | Some(0) => 0,
        given => port_number(given).unwrap_or_else(|reason| {
            refuse("nodePort", reason);
            0
        }),
    };
    Some(ServicePort {
        name: texts.share(name),
        protocol,
        port: number,
        node_port,
    })
}

/// A protocol that services may use; the API's default is TCP.
pub(super) fn protocol(text: Option<&str>) -> Result<Protocol, String> {
    match text {
        None | Some("" | "TCP") => Ok(Protocol::Tcp),
        Some("UDP") => Ok(Protocol::Udp),
        Some("SCTP") => Ok(Protocol::Sctp),
        Some(other) => Err(format!("{other:?}: neither TCP, UDP nor SCTP")),
    }
}

/// A port that something can listen on.
pub(super) fn port_number(number: Option<i64>) -> Result<u16, String> {
    let Some(number) = number else {
        return Err("missing".to_owned());
    };
    u16::try_from(number)
        .ok()
        .filter(|number| *number != 0)
        .ok_or_else(|| format!("{number}: not a port between 1 and 65535"))
}
