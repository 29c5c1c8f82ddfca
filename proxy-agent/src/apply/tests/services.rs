//! Services published, changed, taken away, and taken over after a kill at any write.

use super::*;

#[test]
fn a_service_is_published_changed_and_taken_away() {
    for family in FAMILIES {
        let world = World::new();
        let (mut applier, hand) = world.agent();
        let first = state(&[(1, family, service(family, &[1], &both(&[1, 2])))]);
        applier.apply(&everything(&first));
        check(&world, &mut applier, &hand, &first);
        let second = state(&[(1, family, service(family, &[1, 2], &both(&[2, 3])))]);
        applier.apply(&step(&first, &second));
        check(&world, &mut applier, &hand, &second);
        applier.apply(&step(&second, &State::new()));
        check(&world, &mut applier, &hand, &State::new());
    }
}

#[test]
fn a_service_without_endpoints_has_an_empty_block() {
    let world = World::new();
    let (mut applier, hand) = world.agent();
    let wanted = state(&[(1, FamilyKind::V4, service(FamilyKind::V4, &[1], &[]))]);
    applier.apply(&everything(&wanted));
    check(&world, &mut applier, &hand, &wanted);
    assert_eq!(world.lookup(&key(FamilyKind::V4, 1)), Some(Ok(vec![])));
}

#[test]
fn a_restart_without_a_change_writes_nothing() {
    let world = World::new();
    let (mut applier, hand) = world.agent();
    let views = [
        (1, Views::LocalOnly),
        (2, Views::Both),
        (3, Views::ClusterOnly),
        (4, Views::Neither),
    ];
    let wanted = state(&[
        (1, FamilyKind::V4, service(FamilyKind::V4, &[1, 2], &views)),
        (2, FamilyKind::V6, service(FamilyKind::V6, &[1], &views)),
        (3, FamilyKind::V4, service(FamilyKind::V4, &[3], &[])),
    ]);
    applier.apply(&everything(&wanted));
    check(&world, &mut applier, &hand, &wanted);
    drop(applier);
    world.power.restore();
    let (mut applier, hand) = world.agent();
    applier.apply(&everything(&wanted));
    hand.pass();
    applier.settle();
    assert_eq!((world.power.writes(), applier.usage().writes), (0, 0));
    check(&world, &mut applier, &hand, &wanted);
}

#[test]
fn nothing_is_taken_away_before_everything_is_named() {
    let world = World::new();
    let (mut applier, _) = world.agent();
    let family = FamilyKind::V4;
    let before = state(&[
        (1, family, service(family, &[1], &both(&[1]))),
        (2, family, service(family, &[2], &both(&[2]))),
    ]);
    applier.apply(&everything(&before));
    let (mut applier, hand) = world.agent();
    let first = changes([(id(1, family), before.get(&id(1, family)).cloned())]);
    applier.apply(&Changes {
        complete: false,
        ..first
    });
    assert_eq!(world.lookup(&key(family, 2)), Some(Ok(targets(family, &[2]))));
    applier.apply(&Changes {
        complete: true,
        ..Changes::default()
    });
    assert_eq!(world.lookup(&key(family, 2)), None);
    let after = before
        .into_iter()
        .filter(|(known, _)| *known == id(1, family))
        .collect();
    check(&world, &mut applier, &hand, &after);
}

#[test]
fn endpoint_numbers_outlive_flips_and_restarts() {
    let family = FamilyKind::V4;
    let world = World::new();
    let (mut applier, hand) = world.agent();
    let number = |world: &World| {
        let maps = world.maps();
        let service = maps
            .frontend(&key(family, 1))
            .expect("memory")
            .expect("a frontend")
            .service;
        let (_, entries) = maps.block(maps.flip_word(service).cell()).expect("a block");
        let wanted = address_of(ip(family, 1, 2));
        entries
            .iter()
            .find(|entry| entry.address == wanted)
            .map(|entry| entry.endpoint)
    };
    applier.apply(&everything(&state(&[(
        1,
        family,
        service(family, &[1], &both(&[1, 2])),
    )])));
    let before = number(&world);
    assert!(before.is_some());
    applier.apply(&everything(&state(&[(
        1,
        family,
        service(family, &[1], &both(&[2, 3])),
    )])));
    hand.pass();
    applier.settle();
    assert_eq!(number(&world), before);
    let (mut applier, _) = world.agent();
    applier.apply(&everything(&state(&[(
        1,
        family,
        service(family, &[1], &both(&[0, 2])),
    )])));
    assert_eq!(number(&world), before);
}

fn address_of(address: IpAddr) -> proxy_common::net::Ip6 {
    crate::address::widen(address)
}

#[test]
fn a_number_that_a_flow_names_is_kept_until_the_flow_ends() {
    let family = FamilyKind::V4;
    let mut world = World::new();
    let (mut applier, hand) = world.agent();
    let before = state(&[(1, family, service(family, &[1], &both(&[1])))]);
    applier.apply(&everything(&before));
    let (number, _) = applier.actual().endpoints().next().expect("an endpoint");
    world.flows(number, 2);
    applier.apply(&step(&before, &State::new()));
    hand.pass();
    applier.settle();
    assert_eq!(
        (
            applier.usage().services,
            applier.usage().endpoints,
            applier.usage().lingering
        ),
        (1, 1, 1)
    );
    assert_eq!(world.maps().state(number).flags, serving::IN_USE);
    let (mut applier, hand) = world.agent();
    applier.apply(&changes([]));
    hand.pass();
    applier.settle();
    assert_eq!(applier.usage().lingering, 1);
    world.flows(number, 0);
    check(&world, &mut applier, &hand, &State::new());
}

#[test]
fn an_endpoint_that_comes_back_before_the_grace_period_keeps_its_marks() {
    let family = FamilyKind::V4;
    let world = World::new();
    let (mut applier, hand) = world.agent();
    let with = state(&[(1, family, service(family, &[1], &both(&[1, 2])))]);
    let without = state(&[(1, family, service(family, &[1], &both(&[1])))]);
    applier.apply(&everything(&with));
    applier.apply(&step(&with, &without));
    applier.apply(&step(&without, &with));
    check(&world, &mut applier, &hand, &with);
}

#[test]
fn an_address_may_move_to_another_service_without_a_gap() {
    let family = FamilyKind::V4;
    let world = World::new();
    let (mut applier, hand) = world.agent();
    let before = state(&[
        (1, family, service(family, &[1], &both(&[1]))),
        (2, family, service(family, &[2], &both(&[2]))),
    ]);
    applier.apply(&everything(&before));
    let after = state(&[(2, family, service(family, &[1, 2], &both(&[2])))]);
    let watched = world.clone();
    world.power.observe(move || {
        let set = watched.lookup(&key(family, 1)).expect("the address is always answered");
        assert!(
            [Ok(targets(family, &[1])), Ok(targets(family, &[2]))].contains(&set),
            "{set:?}"
        );
    });
    applier.apply(&step(&before, &after));
    check(&world, &mut applier, &hand, &after);
}

#[test]
fn cells_are_not_used_again_before_the_grace_period() {
    let family = FamilyKind::V4;
    let world = World::sized(4, 6, 32, 8);
    let (mut applier, hand) = world.agent();
    let sets = [both(&[1]), both(&[2]), both(&[3])].map(|set| state(&[(1, family, service(family, &[1], &set))]));
    applier.apply(&everything(&sets[0]));
    applier.apply(&step(&sets[0], &sets[1]));
    let report = applier.apply(&step(&sets[1], &sets[2]));
    assert!(
        matches!(&report.failures[..], [(_, ApplyError::Arena { needed: 2, .. })]),
        "{report:?}"
    );
    assert_eq!(world.lookup(&key(family, 1)), Some(Ok(targets(family, &[2]))));
    hand.pass();
    applier.settle();
    applier.apply(&everything(&sets[2]));
    check(&world, &mut applier, &hand, &sets[2]);
}

#[test]
fn a_full_map_leaves_the_old_set_in_force_and_is_tried_again() {
    let family = FamilyKind::V4;
    for (services, cells, endpoints, frontends) in [(2, 96, 48, 64), (16, 5, 48, 64), (16, 96, 3, 64), (16, 96, 48, 1)]
    {
        let world = World::sized(services, cells, endpoints, frontends);
        let (mut applier, hand) = world.agent();
        let fits = state(&[(1, family, service(family, &[1], &both(&[1, 2])))]);
        applier.apply(&everything(&fits));
        check(&world, &mut applier, &hand, &fits);
        let other = state(&[(2, family, service(family, &[2], &both(&[3, 4])))]);
        let report = applier.apply(&step(&State::new(), &other));
        assert_eq!(report.failures.len(), 1, "{services} {cells} {endpoints} {frontends}");
        assert_eq!(world.lookup(&key(family, 1)), Some(Ok(targets(family, &[1, 2]))));
        applier.apply(&step(&fits, &State::new()));
        hand.pass();
        applier.settle();
        applier.apply(&everything(&other));
        check(&world, &mut applier, &hand, &other);
    }
}

#[test]
fn damage_is_found_and_repaired() {
    use super::map::{Table as _, Words as _};
    let family = FamilyKind::V4;
    let wanted = state(&[
        (1, family, service(family, &[1], &both(&[1, 2]))),
        (2, family, service(family, &[2], &[])),
    ]);
    let damages: [fn(&mut World); 6] = [
        |world| world.endpoints.store(4 * 2, 77),
        |world| world.services.store(2, FlipWord::new(9_999_999, 1).0),
        |world| world.state.store(4 * 9, serving::IN_USE),
        |world| drop(world.targets.0.put(&key(FamilyKind::V4, 9).narrowed(), &3)),
        |world| {
            drop(world.frontends.0.put(
                &key(FamilyKind::V4, 9).narrowed(),
                &key(FamilyKind::V4, 9).frontend(12, FrontendKind::External),
            ))
        },
        |world| {
            drop(world.frontends.0.put(
                &key(FamilyKind::V4, 9).narrowed(),
                &key(FamilyKind::V4, 8).frontend(1, FrontendKind::External),
            ))
        },
    ];
    for damage in damages {
        let mut world = World::new();
        let (mut applier, hand) = world.agent();
        applier.apply(&everything(&wanted));
        hand.pass();
        applier.settle();
        damage(&mut world);
        assert_eq!(adopt::read(&world.maps()).expect("memory").findings.len(), 1);
        let (mut applier, hand) = world.agent();
        applier.apply(&everything(&wanted));
        check(&world, &mut applier, &hand, &wanted);
    }
}

fn any_state() -> impl Strategy<Value = State> {
    let views = prop_oneof![
        Just(Views::LocalOnly),
        Just(Views::Both),
        Just(Views::ClusterOnly),
        Just(Views::Neither)
    ];
    let endpoints = proptest::collection::btree_map(1_u8..6, views, 0..4);
    let services = vec((0_u8..2, any::<bool>(), endpoints, any::<bool>()), 0..4);
    services.prop_map(|services| {
        let mut owned = BTreeMap::new();
        for (number, (frontend, v6, endpoints, _)) in (0_u8..).zip(&services).filter(|(_, service)| service.3) {
            let family = FAMILIES[usize::from(*v6)];
            let endpoints: Vec<_> = endpoints.iter().map(|(host, views)| (*host, *views)).collect();
            let free = |host: &u8| {
                owned.values().all(|other: &DesiredService| {
                    other
                        .frontends
                        .iter()
                        .all(|frontend| frontend.address != ip(family, 96, *host))
                })
            };
            let frontends: Vec<u8> = [*frontend, number + 10].into_iter().filter(free).collect();
            owned.insert(id(number, family), service(family, &frontends, &endpoints));
        }
        owned
    })
}

/// What an address leads to in a state: the service, and its endpoints in the order of the block.
fn expected(state: &State, key: &SocketKey) -> Option<(ServicePortId, Vec<SocketKey>)> {
    let leads_here = |frontend: &DesiredFrontend| SocketKey::new(frontend.address, frontend.port, key.protocol) == *key;
    let (id, desired) = state
        .iter()
        .find(|(_, desired)| desired.frontends.iter().any(leads_here))?;
    Some((id.clone(), in_block(desired, key.protocol)))
}

fn in_block(desired: &DesiredService, protocol: Protocol) -> Vec<SocketKey> {
    let order = |views| desired.endpoints.iter().filter(move |endpoint| endpoint.views == views);
    let views = [Views::LocalOnly, Views::Both, Views::ClusterOnly];
    let endpoints = views.into_iter().flat_map(order);
    endpoints.map(|e| SocketKey::new(e.address, e.port, protocol)).collect()
}

/// What may be found at an address while one state becomes another: what was there, what will be, and where the address
/// moves to another service, what its old one has become.
fn allowed(before: &State, after: &State, key: &SocketKey) -> Vec<Option<Vec<SocketKey>>> {
    let (old, new) = (expected(before, key), expected(after, key));
    let moved = match (&old, &new) {
        (Some((old, _)), Some((new, _))) if old != new => after.get(old).map(|desired| in_block(desired, key.protocol)),
        _ => None,
    };
    let mut sets = vec![old.map(|(_, set)| set), new.map(|(_, set)| set)];
    sets.extend(moved.map(Some));
    sets
}

fn keys() -> Vec<SocketKey> {
    let hosts = (0..2).chain(10..14);
    hosts
        .flat_map(|host| FAMILIES.map(|family| key(family, host)))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Killed after each single write of a change, then started again with the same objects.
    #[test]
    fn a_kill_after_any_write_is_repaired_by_the_next_start(before in any_state(), after in any_state(), pass in any::<bool>()) {
        for cut in 0.. {
            let world = World::new();
            let (mut applier, hand) = world.agent();
            applier.apply(&everything(&before));
            hand.pass();
            applier.settle();
            world.power.cut_after(cut);
            let watched = world.clone();
            let (old, new) = (before.clone(), after.clone());
            world.power.observe(move || {
                for key in keys() {
                    let found = watched.lookup(&key).transpose();
                    let Ok(set) = found else { panic!("{found:?}") };
                    assert!(allowed(&old, &new, &key).contains(&set), "{key}: {set:?}");
                }
            });
            applier.apply(&step(&before, &after));
            if pass {
                hand.pass();
                applier.settle();
            }
            let all_done = world.power.writes() < cut;
            drop(applier);
            world.power.restore();
            let (mut applier, hand) = world.agent();
            applier.apply(&everything(&after));
            check_sets(&world, &after);
            hand.pass();
            applier.settle();
            check_sets(&world, &after);
            prop_assert_eq!(adopt::read(&world.maps()).expect("memory").findings, []);
            prop_assert_eq!(applier.usage().services as usize, after.len());
            if all_done {
                break;
            }
        }
    }
}

/// Every address leads to what it should.
fn check_sets(world: &World, state: &State) {
    for key in keys() {
        let set = expected(state, &key).map(|(_, set)| set);
        assert_eq!(world.lookup(&key).transpose(), Ok(set), "{key}");
    }
}
