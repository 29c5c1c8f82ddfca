//! Names of services between the agent's form and the maps'.

use std::sync::Arc;

use proxy_common::{
    family::FamilyKind,
    names::{LABEL, ServiceName},
    net::Protocol,
};

use crate::desired::ServicePortId;

/// The name of a service as it stands in `SERVICE_NAMES`. A text that is too long, which no API object has, is cut.
#[must_use]
pub fn of_service(id: &ServicePortId) -> ServiceName {
    ServiceName {
        namespace: padded(&id.namespace),
        protocol: id.protocol.number(),
        name: padded(&id.name),
        family: id.family as u8,
        port: padded(&id.port),
        zero: 0,
    }
}

/// The service that a name stands for, unless it is none.
#[must_use]
pub fn service(name: &ServiceName) -> Option<ServicePortId> {
    Some(ServicePortId {
        namespace: text(&name.namespace)?,
        name: text(&name.name)?,
        port: text(&name.port)?,
        protocol: Protocol::from_number(name.protocol)?,
        family: match name.family {
            4 => FamilyKind::V4,
            6 => FamilyKind::V6,
            _ => return None,
        },
    })
}

fn padded(text: &str) -> [u8; LABEL] {
    let mut field = [0; LABEL];
    let len = text.len().min(LABEL);
    field[..len].copy_from_slice(&text.as_bytes()[..len]);
    field
}

fn text(field: &[u8; LABEL]) -> Option<Arc<str>> {
    let len = field.iter().position(|byte| *byte == 0).unwrap_or(LABEL);
    std::str::from_utf8(&field[..len]).ok().map(Arc::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_back_as_it_was_written() {
        let id = ServicePortId {
            namespace: "n".repeat(LABEL).into(),
            name: "web".into(),
            port: "".into(),
            protocol: Protocol::Sctp,
            family: FamilyKind::V6,
        };
        assert_eq!(service(&of_service(&id)), Some(id));
    }
}
