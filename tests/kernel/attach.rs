//! Programs at devices and cgroups: attached at once, adopted without a gap, taken away whole.

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use aya::programs::{SchedClassifier, TcAttachType, links::LinkOrder, tc::TcAttachOptions};
use proxy_agent::{
    agent::DataPath as _,
    apply::{
        kernel::{KernelArray, KernelHash},
        map::Table as _,
    },
    datapath::{
        attach::{self, Devices, Direction, Layer, Target, Way},
        cleanup, load,
    },
    host::netns,
};
use proxy_common::schema;

use crate::fixture::{Node, index, run, until};

fn target(name: &str) -> Target {
    Target {
        ifindex: index(name),
        name: name.to_owned(),
        layer: Layer::Link,
    }
}

fn is_attached(node: &Node, ifindex: u32) -> bool {
    Direction::BOTH
        .iter()
        .all(|direction| attach::is_attached(&node.pins(), ifindex, *direction))
}

/// A machine that is busy with something else delays everything, RCU before all: one of these rounds has to be undisturbed,
/// and its slowest devices are printed, not judged.
const ROUNDS: usize = 5;
const DEVICES: usize = 30;

#[test]
fn a_device_gets_its_programs_within_100_ms() {
    let node = Node::new();
    let pod = node.namespace();
    let (mut path, news) = node.open_with_news();
    let stop = Arc::new(AtomicBool::new(false));
    let told_to_stop = Arc::clone(&stop);
    let mut best = Duration::MAX;
    std::thread::scope(|scope| {
        scope.spawn(move || {
            while !told_to_stop.load(Ordering::Relaxed) {
                if let Ok(facts) = news.recv_timeout(Duration::from_millis(50)) {
                    assert_eq!(path.host_changed(facts), []);
                }
            }
        });
        for round in 0..ROUNDS {
            let mut times: Vec<_> = (0..DEVICES)
                .map(|number| time_of_one(&node, &pod, round * DEVICES + number))
                .collect();
            times.sort_unstable();
            let (median, last) = (times[DEVICES / 2], times[DEVICES - 1]);
            println!("programs on a new device: median {median:?}, slowest of {DEVICES} {last:?}");
            best = best.min(median);
            if best < Duration::from_millis(100) {
                break;
            }
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert!(best < Duration::from_millis(100), "{best:?}");
}

/// How long a device is there without its programs.
fn time_of_one(node: &Node, pod: &str, number: usize) -> Duration {
    node.ip(&format!("link add d{number} type veth peer name p{number} netns {pod}"));
    let begin = Instant::now();
    let ifindex = index(&format!("d{number}"));
    until("the device carries the programs", || is_attached(node, ifindex));
    begin.elapsed()
}

#[test]
fn a_new_agent_takes_the_old_ones_links_over() {
    let node = Node::new();
    let ifindex = node.device("eth9");
    drop(node.open());
    let ids = || Direction::BOTH.map(|direction| attach::link_id(&node.pins(), ifindex, direction).expect("a pin"));
    let before = ids();
    assert!(is_attached(&node, ifindex), "the programs outlive the agent");
    drop(node.open());
    assert_eq!(ids(), before);
}

#[test]
fn a_device_that_moves_to_another_namespace_loses_the_programs() {
    let node = Node::new();
    let ifindex = node.device("eth9");
    let elsewhere = node.namespace();
    let (mut path, news) = node.open_with_news();
    assert!(is_attached(&node, ifindex));
    node.ip(&format!("link set eth9 netns {elsewhere}"));
    while Devices::new(node.pins(), Way::Tcx)
        .pinned()
        .expect("the folder of links")
        .contains(&ifindex)
    {
        let facts = news.recv_timeout(Duration::from_secs(10)).expect("news of the device");
        assert_eq!(path.host_changed(facts), []);
    }
}

#[test]
fn a_namespace_counts_as_covered_while_its_device_carries_the_programs() {
    let node = Node::new();
    let pod = node.namespace();
    let (mut path, news) = node.open_with_news();
    let covered = || KernelHash::<u64, u32>::open(&node.pins().maps(), &schema::COVERED).and_then(|map| map.entries());
    node.ip(&format!("link add veth9 type veth peer name eth0 netns {pod}"));
    let ifindex = index("veth9");
    let cookie = netns::cookie(std::fs::File::open(format!("/run/netns/{pod}")).expect("the namespace")).expect("root");
    while covered().expect("the map") != [(cookie, ifindex)] {
        let facts = news
            .recv_timeout(Duration::from_secs(10))
            .expect("news of the namespace");
        assert_eq!(path.host_changed(facts), []);
        assert!(covered().expect("the map").is_empty() || is_attached(&node, ifindex));
    }
    node.ip("link del veth9");
    while !covered().expect("the map").is_empty() {
        let facts = news.recv_timeout(Duration::from_secs(10)).expect("news of the device");
        assert_eq!(path.host_changed(facts), []);
    }
}

#[test]
fn a_device_without_a_link_header_carries_programs_too() {
    let node = Node::new();
    drop(node.open());
    node.ip("tuntap add dev tun9 mode tun");
    drop(node.open());
    assert!(is_attached(&node, index("tun9")));
}

#[test]
fn pins_of_devices_that_went_meanwhile_go_too() {
    let node = Node::new();
    let ifindex = node.device("eth9");
    drop(node.open());
    node.ip("link del eth9");
    drop(node.open());
    let left: Vec<_> = fs::read_dir(node.pins().links())
        .expect("the folder of links")
        .flatten()
        .collect();
    assert!(
        left.iter()
            .all(|entry| !entry.file_name().to_string_lossy().starts_with(&format!("{ifindex}_")))
    );
}

#[test]
fn ours_stand_before_programs_of_others_and_status_tells_when_they_do_not() {
    let node = Node::new();
    node.device("eth9");
    drop(node.open());
    let is_first = || attach::is_first(&node.pins(), &target("eth9"), Direction::Ingress).expect("tcx");
    assert!(is_first());
    let mut other = SchedClassifier::from_pin(node.pins().program(load::EXPLAIN)).expect("a program");
    let attach = |other: &mut SchedClassifier, order| {
        other
            .attach_with_options("eth9", TcAttachType::Ingress, TcAttachOptions::TcxOrder(order))
            .expect("attached")
    };
    let last = attach(&mut other, LinkOrder::last());
    assert!(is_first());
    other.detach(last).expect("detached");
    attach(&mut other, LinkOrder::first());
    assert!(!is_first());
}

#[test]
fn filters_are_replaced_in_place_and_leave_nothing_behind() {
    let node = Node::new();
    node.device("eth9");
    let filters = |hook| {
        run("tc", &format!("filter show dev eth9 {hook}"))
            .matches("handle 0xfa11ead")
            .count()
    };
    for _ in 0..2 {
        let mut loaded = load::load(&node.settings).expect("programs");
        let mut devices = Devices::new(node.pins(), Way::Clsact);
        devices.attach(&target("eth9"), &mut loaded).expect("attached");
        drop(loaded);
        assert_eq!((filters("ingress"), filters("egress")), (1, 1));
    }
    let mut loaded = load::load(&node.settings).expect("programs");
    let mut devices = Devices::new(node.pins(), Way::Clsact);
    devices.attach(&target("eth9"), &mut loaded).expect("attached");
    devices.detach(index("eth9")).expect("detached");
    assert_eq!((filters("ingress"), filters("egress")), (0, 0));
}

#[test]
fn cleanup_takes_everything_away_but_not_from_a_running_agent() {
    let node = Node::new();
    let ifindex = node.device("eth9");
    let path = node.open();
    let refused = cleanup::remove_all(&node.pins()).expect_err("an agent runs");
    assert!(refused.to_string().contains("another fairlead runs"), "{refused}");
    drop(path);
    cleanup::remove_all(&node.pins()).expect("nobody runs");
    assert!(!is_attached(&node, ifindex) && !node.settings.state.exists());
    let (_, programs) = SchedClassifier::query_tcx("eth9", TcAttachType::Ingress).expect("tcx");
    assert_eq!(programs.len(), 0);
}

#[test]
fn only_one_agent_writes() {
    let node = Node::new();
    let first = node.open();
    let second = load::load(&node.settings).err().expect("the first runs");
    assert!(
        second.to_string().contains("another fairlead runs on these pins"),
        "{second}"
    );
    drop(first);
    assert!(load::load(&node.settings).is_ok());
}

#[test]
fn pins_of_another_layout_are_refused() {
    let node = Node::new();
    drop(node.open());
    let mut abi = KernelArray::<u32>::open(&node.pins().maps(), &schema::ABI).expect("the map");
    abi.put(&0, &9_999).expect("written");
    let refused = load::load(&node.settings).err().expect("another layout");
    assert!(refused.to_string().contains("the maps have layout 9999"), "{refused}");
}

#[test]
fn socket_hooks_move_with_the_cgroup_and_go_when_they_are_off() {
    let mut node = Node::new();
    drop(node.open());
    let attached = |node: &Node| attach::attached_sockets(&node.pins()).len();
    assert_eq!(attached(&node), 8);
    let first = node.settings.cgroup.clone().expect("a cgroup");
    let below = first.join("below");
    fs::create_dir(&below).expect("a cgroup");
    node.settings.cgroup = Some(below.clone());
    drop(node.open());
    assert_eq!(attached(&node), 8);
    node.settings.socket_lb = proxy_agent::cli::SocketLb::Off;
    drop(node.open());
    assert_eq!(attached(&node), 0);
    fs::remove_dir(&below).expect("nothing holds it");
    node.settings.cgroup = Some(first);
}
