//! A v1 Endpoints as the EndpointSlices that the cluster would mirror it to.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::{
    model::address,
    watch::object::{Conditions, Endpoint, EndpointSlice, Endpoints, LABEL_SERVICE_NAME, Subset, SubsetAddress},
};

/// A slice for each subset and family. Their names have a slash, as no name of a real one has.
pub(super) fn as_slices(endpoints: &Endpoints) -> Vec<EndpointSlice> {
    let subsets = endpoints.subsets.iter().enumerate();
    subsets
        .flat_map(|(index, subset)| ["IPv4", "IPv6"].map(|family| (index, subset, family)))
        .map(|(index, subset, family)| slice(&endpoints.metadata, index, subset, family))
        .filter(|slice| !slice.endpoints.is_empty())
        .collect()
}

fn slice(metadata: &ObjectMeta, index: usize, subset: &Subset, family: &str) -> EndpointSlice {
    let name = metadata.name.as_deref().unwrap_or_default();
    let labels = BTreeMap::from([(LABEL_SERVICE_NAME.to_owned(), name.to_owned())]);
    let of = |addresses: &[SubsetAddress], ready: bool| -> Vec<Endpoint> {
        let wanted = addresses.iter().filter(|address| is_of(address, family));
        wanted.map(|address| endpoint(address, ready)).collect()
    };
    EndpointSlice {
        metadata: ObjectMeta {
            name: Some(format!("{name}/{index}/{family}")),
            namespace: metadata.namespace.clone(),
            labels: Some(labels),
            ..ObjectMeta::default()
        },
        address_type: Some(family.to_owned()),
        endpoints: [of(&subset.addresses, true), of(&subset.not_ready_addresses, false)].concat(),
        ports: subset.ports.clone(),
    }
}

/// What is no address at all goes to the first family, where it is refused by name.
fn is_of(address: &SubsetAddress, family: &str) -> bool {
    let is_v6 = address::parse(&address.ip).is_some_and(|address| address.is_ipv6());
    is_v6 == (family == "IPv6")
}

fn endpoint(address: &SubsetAddress, ready: bool) -> Endpoint {
    Endpoint {
        addresses: vec![address.ip.clone()],
        conditions: Conditions {
            ready: Some(ready),
            serving: Some(ready),
            terminating: Some(false),
        },
        node_name: address.node_name.clone(),
        ..Endpoint::default()
    }
}
