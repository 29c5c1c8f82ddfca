use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::{
    agent::Objects,
    desired::{DesiredService, FamilyKind, ServicePortId},
    testing::{self, NODE, cluster_ip, node_in, objects, set_node, settings},
};

/// What may happen. Numbers are small, so that objects meet.
#[derive(Clone, Debug)]
enum Step {
    Service {
        name: u8,
        address: u8,
        v6: bool,
        age: u8,
        external: bool,
        node_port: bool,
        local: bool,
        kind: Kind,
    },
    ServiceGone {
        name: u8,
    },
    Slice {
        name: u8,
        of: u8,
        v6: bool,
        endpoints: Vec<(u8, u8)>,
    },
    SliceGone {
        name: u8,
    },
    Node {
        zone: u8,
        address: u8,
    },
    Addresses {
        numbers: Vec<u8>,
    },
    Pass,
}

/// What a Service is at the moment.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Usual,
    BothFamilies,
    Headless,
    ByName,
    OfAnotherProxy,
    ExternalLocal,
    BalancedByAProxy,
}

fn kind() -> impl Strategy<Value = Kind> {
    prop_oneof![
        4 => Just(Kind::Usual),
        1 => Just(Kind::BothFamilies),
        1 => Just(Kind::Headless),
        1 => Just(Kind::ByName),
        1 => Just(Kind::OfAnotherProxy),
        1 => Just(Kind::ExternalLocal),
        1 => Just(Kind::BalancedByAProxy),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let small = 0u8..4;
    prop_oneof![
        (
            small.clone(),
            small.clone(),
            any::<bool>(),
            small.clone(),
            any::<bool>(),
            any::<bool>(),
            any::<bool>(),
            kind()
        )
            .prop_map(
                |(name, address, v6, age, external, node_port, local, kind)| Step::Service {
                    name,
                    address,
                    v6,
                    age,
                    external,
                    node_port,
                    local,
                    kind
                }
            ),
        small.clone().prop_map(|name| Step::ServiceGone { name }),
        (
            small.clone(),
            small.clone(),
            any::<bool>(),
            prop::collection::vec((0u8..6, 0u8..32), 0..4)
        )
            .prop_map(|(name, of, v6, endpoints)| Step::Slice {
                name,
                of,
                v6,
                endpoints
            }),
        small.clone().prop_map(|name| Step::SliceGone { name }),
        (small.clone(), small.clone()).prop_map(|(zone, address)| Step::Node { zone, address }),
        prop::collection::vec(small, 0..3).prop_map(|numbers| Step::Addresses { numbers }),
        Just(Step::Pass),
    ]
}

impl Kind {
    fn put_into(self, object: &mut Value, address: u16) {
        match self {
            Kind::Usual => {}
            Kind::BothFamilies => {
                let addresses = [FamilyKind::V6, FamilyKind::V4].map(|family| cluster_ip(family, address));
                object["spec"]["clusterIPs"] = json!(addresses);
            }
            Kind::Headless => object["spec"]["clusterIPs"] = json!(["None"]),
            Kind::ByName => object["spec"]["type"] = json!("ExternalName"),
            Kind::OfAnotherProxy => {
                object["metadata"]["labels"] = json!({"service.kubernetes.io/service-proxy-name": "another"});
            }
            Kind::ExternalLocal => object["spec"]["externalTrafficPolicy"] = json!("Local"),
            Kind::BalancedByAProxy => {
                let ingress = json!([{"ip": testing::external(FamilyKind::V4, 3), "ipMode": "Proxy"}]);
                object["status"] = json!({"loadBalancer": {"ingress": ingress}});
            }
        }
    }
}

/// The state that the steps lead to: what objects there are at the end.
#[derive(Default)]
struct World {
    services: BTreeMap<u8, Value>,
    slices: BTreeMap<u8, Value>,
    node: Option<Value>,
    addresses: BTreeSet<IpAddr>,
}

const fn family(v6: bool) -> FamilyKind {
    if v6 { FamilyKind::V6 } else { FamilyKind::V4 }
}

/// Endpoints 4 and 5 have the addresses of the first two ClusterIPs.
fn endpoint(family: FamilyKind, (number, flags): (u8, u8)) -> Value {
    let number = u16::from(number);
    let address = if number < 4 {
        testing::endpoint(family, number)
    } else {
        cluster_ip(family, number - 4)
    };
    json!({
        "addresses": [address],
        "nodeName": if flags & 1 != 0 { NODE } else { "other" },
        "conditions": {"ready": flags & 2 != 0, "serving": true, "terminating": flags & 4 != 0},
        "hints": if flags & 8 != 0 { json!({"forZones": [{"name": format!("zone-{}", flags >> 4)}]}) } else { Value::Null },
    })
}

impl World {
    fn step(&mut self, step: &Step, objects: &mut Objects) -> bool {
        match step {
            Step::Service {
                name,
                address,
                v6,
                age,
                external,
                node_port,
                local,
                kind,
            } => {
                let family = family(*v6);
                let spec = json!({
                    "ports": [
                        {"name": "a", "port": 80, "nodePort": if *node_port { 30_000 } else { 0 }},
                        {"name": "b", "port": 81, "protocol": "UDP"},
                    ],
                    "externalIPs": if *external { json!([testing::external(family, 1)]) } else { json!([]) },
                    "internalTrafficPolicy": if *local { "Local" } else { "Cluster" },
                    "loadBalancerSourceRanges": [format!("{}/{}", cluster_ip(family, u16::from(*address)), 32)],
                });
                let mut object = testing::service(&format!("s{name}"), &cluster_ip(family, u16::from(*address)), &spec);
                if *external {
                    object["status"] = json!({"loadBalancer": {"ingress": [{"ip": testing::external(family, 2)}]}});
                }
                object["metadata"]["creationTimestamp"] = json!(format!("200{age}-01-01T00:00:00Z"));
                kind.put_into(&mut object, u16::from(*address));
                objects.take(testing::set_service(&object));
                self.services.insert(*name, object);
            }
            Step::ServiceGone { name } => {
                if let Some(object) = self.services.remove(name) {
                    objects.take(testing::service_gone(&object));
                }
            }
            Step::Slice {
                name,
                of,
                v6,
                endpoints,
            } => {
                let family = family(*v6);
                let endpoints: Vec<Value> = endpoints.iter().map(|short| endpoint(family, *short)).collect();
                let mut object = testing::slice(&format!("e{name}"), &format!("s{of}"), family, &endpoints);
                object["ports"] = json!([{"name": "a", "port": 8080}, {"name": "b", "port": 53, "protocol": "UDP"}]);
                objects.take(testing::set_slice(&object));
                self.slices.insert(*name, object);
            }
            Step::SliceGone { name } => {
                if let Some(object) = self.slices.remove(name) {
                    objects.take(testing::slice_gone(&object));
                }
            }
            Step::Node { zone, address } => {
                let mut node = node_in(Some(&format!("zone-{zone}")));
                let address = cluster_ip(FamilyKind::V4, u16::from(*address));
                node["status"] = json!({"addresses": [{"type": "InternalIP", "address": address}]});
                objects.take(set_node(&node));
                self.node = Some(node);
            }
            Step::Addresses { numbers } => {
                let parse = |n: &u8| cluster_ip(FamilyKind::V4, u16::from(*n)).parse().expect("an address");
                self.addresses = numbers.iter().map(parse).collect();
                objects.set_node_addresses(self.addresses.clone());
            }
            Step::Pass => return true,
        }
        false
    }

    /// What is wanted if everything is there from the beginning.
    fn anew(&self) -> Wanted {
        let mut objects = objects(&settings());
        if let Some(node) = &self.node {
            objects.take(set_node(node));
        }
        objects.set_node_addresses(self.addresses.clone());
        self.slices
            .values()
            .for_each(|slice| objects.take(testing::set_slice(slice)));
        self.services
            .values()
            .for_each(|service| objects.take(testing::set_service(service)));
        let mut all = Wanted::default();
        all.take_in(&mut objects);
        all
    }
}

/// Everything that has been wanted so far.
#[derive(Debug, Default, PartialEq)]
struct Wanted {
    services: BTreeMap<ServicePortId, DesiredService>,
    addresses: BTreeSet<IpAddr>,
}

impl Wanted {
    fn take_in(&mut self, objects: &mut Objects) {
        let changes = objects.wanted().unwrap_or_default();
        for (id, service) in changes.services {
            match service {
                Some(service) => self.services.insert(id, service),
                None => self.services.remove(&id),
            };
        }
        for (address, is_service) in changes.addresses {
            if is_service {
                self.addresses.insert(address);
            } else {
                self.addresses.remove(&address);
            }
        }
    }
}

proptest! {
    #[test]
    fn a_history_of_changes_leads_where_the_objects_alone_lead(steps in prop::collection::vec(step(), 0..60)) {
        let mut objects = objects(&settings());
        let mut world = World::default();
        let mut all = Wanted::default();
        for step in &steps {
            if world.step(step, &mut objects) {
                all.take_in(&mut objects);
                prop_assert_eq!(&all, &world.anew());
            }
        }
        all.take_in(&mut objects);
        prop_assert_eq!(&all, &world.anew());
        let frontends: Vec<_> = all.services.iter().flat_map(|(id, service)| {
            service.frontends.iter().map(move |frontend| (id.protocol, frontend.address, frontend.port))
        }).collect();
        prop_assert_eq!(frontends.iter().collect::<BTreeSet<_>>().len(), frontends.len());
    }
}
