//! Programs at devices and cgroups: attached at once, adopted without a gap, taken away whole.

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use aya::programs::{SchedClassifier, TcAttachType};
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

use tests::foreign::{self, Order, Side, Verdict};

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
        .all(|direction| attach::is_attached(&node.pins(), Way::of_this_kernel(), ifindex, *direction))
}

/// The ways that this kernel has: every one has filters.
fn ways() -> Vec<Way> {
    match Way::of_this_kernel() {
        Way::Tcx => vec![Way::Tcx, Way::Clsact],
        Way::Clsact => vec![Way::Clsact],
    }
}

/// How many of our filters a device has in one direction.
fn filters(device: &str, direction: Direction) -> usize {
    run("tc", &format!("filter show dev {device} {}", direction.name()))
        .matches("handle 0xfa11ead")
        .count()
}

/// A filter of somebody else's that matches nothing (one instruction, "return 0"), behind ours or where ours are.
fn foreign_filter(device: &str, priority: u16) {
    let mut arguments: Vec<String> =
        format!("filter add dev {device} ingress protocol all pref {priority} bpf bytecode")
            .split(' ')
            .map(str::to_owned)
            .collect();
    arguments.push("1,6 0 0 0".to_owned());
    tests::tool::run("tc", &arguments.iter().map(String::as_str).collect::<Vec<_>>()).expect("a filter");
}

fn foreign_filters(device: &str) -> usize {
    run("tc", &format!("filter show dev {device} ingress"))
        .matches("bytecode")
        .count()
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
fn a_new_agent_takes_over_what_the_old_one_has_attached() {
    let node = Node::new();
    let ifindex = node.device("eth9");
    drop(node.open());
    let kept = || match Way::of_this_kernel() {
        Way::Tcx => Direction::BOTH.map(|direction| attach::link_id(&node.pins(), ifindex, direction).expect("a pin")),
        // A filter is known by its handle, which is ours alone.
        Way::Clsact => Direction::BOTH.map(|direction| u32::try_from(filters("eth9", direction)).expect("few")),
    };
    let before = kept();
    assert!(is_attached(&node, ifindex), "the programs outlive the agent");
    drop(node.open());
    assert_eq!(kept(), before);
}

#[test]
fn a_device_that_moves_to_another_namespace_loses_the_programs() {
    let node = Node::new();
    let ifindex = node.device("eth9");
    let elsewhere = node.namespace();
    let (mut path, news) = node.open_with_news();
    assert!(is_attached(&node, ifindex));
    node.ip(&format!("link set eth9 netns {elsewhere}"));
    let carries = || {
        let mut devices = Devices::new(node.pins(), Way::of_this_kernel());
        devices
            .look_for_filters([(ifindex, "eth9")].into_iter())
            .expect("the kernel's filters");
        devices.carrying().expect("the folder of links").contains(&ifindex)
    };
    while carries() {
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

/// Attaches our programs to `eth9` by one of the kernel's ways.
fn attach_by(node: &Node, way: Way) -> Devices {
    let mut loaded = load::load(&node.settings).expect("programs");
    let mut devices = Devices::new(node.pins(), way);
    devices.attach(&target("eth9"), &mut loaded).expect("attached");
    devices
}

#[test]
fn ours_stand_before_programs_of_others_and_status_tells_when_they_do_not() {
    for way in ways() {
        let node = Node::new();
        node.device("eth9");
        // One that is there before any agent comes.
        run("tc", "qdisc add dev eth9 clsact");
        foreign_filter("eth9", 10);
        let early = (way == Way::Tcx)
            .then(|| foreign::here("eth9", Side::Ingress, Order::Last, Verdict::Next).expect("attached"));
        drop(attach_by(&node, way));
        let is_first = || attach::is_first(&node.pins(), way, &target("eth9"), Direction::Ingress).expect("the order");
        assert!(is_first(), "{way:?}: those that were there");
        foreign_filter("eth9", 20);
        assert!(is_first(), "{way:?}: a later one");
        let before = (way == Way::Tcx)
            .then(|| foreign::here("eth9", Side::Ingress, Order::First, Verdict::Next).expect("attached"));
        if way == Way::Clsact {
            // The newest of one priority comes first.
            foreign_filter("eth9", 1);
        }
        assert!(!is_first(), "{way:?}: one before ours");
        drop(attach_by(&node, way));
        assert!(!is_first(), "{way:?}: a new agent leaves the order as it is");
        drop((early, before));
        if way == Way::Tcx {
            until("the one before ours has gone", is_first);
        }
    }
}

#[test]
fn filters_are_replaced_in_place_and_leave_nothing_behind() {
    let node = Node::new();
    node.device("eth9");
    let both = || Direction::BOTH.map(|direction| filters("eth9", direction));
    for _ in 0..2 {
        drop(attach_by(&node, Way::Clsact));
        assert_eq!(both(), [1, 1]);
    }
    let mut devices = attach_by(&node, Way::Clsact);
    devices.detach(index("eth9")).expect("detached");
    assert_eq!(both(), [0, 0]);
}

/// A device that became a port of a bond while no agent ran is no edge any more, and has no pin that would tell.
#[test]
fn filters_of_an_agent_before_this_one_are_found_again() {
    let node = Node::new();
    let ifindex = node.device("eth9");
    drop(attach_by(&node, Way::Clsact));
    let mut devices = Devices::new(node.pins(), Way::Clsact);
    assert_eq!(devices.carrying().expect("the folder of links"), [0; 0]);
    devices
        .look_for_filters([(1, "lo"), (ifindex, "eth9")].into_iter())
        .expect("the kernel's filters");
    assert_eq!(devices.carrying().expect("the folder of links"), [ifindex]);
    devices.detach(ifindex).expect("detached");
    assert_eq!(Direction::BOTH.map(|direction| filters("eth9", direction)), [0, 0]);
}

#[test]
fn cleanup_leaves_the_programs_of_others() {
    let node = Node::new();
    let ifindex = node.device("eth9");
    run("tc", "qdisc add dev eth9 clsact");
    foreign_filter("eth9", 10);
    let has_tcx = Way::of_this_kernel() == Way::Tcx;
    let other = has_tcx.then(|| foreign::here("eth9", Side::Ingress, Order::First, Verdict::Next).expect("attached"));
    drop(node.open());
    foreign_filter("eth9", 1);
    cleanup::remove_all(&node.pins()).expect("nobody runs");
    assert!(!is_attached(&node, ifindex));
    assert_eq!(foreign_filters("eth9"), 2);
    if let Some(other) = other {
        let left = || {
            SchedClassifier::query_tcx("eth9", TcAttachType::Ingress)
                .expect("tcx")
                .1
                .len()
        };
        assert_eq!(left(), 1);
        drop(other);
        until("the other program has gone", || left() == 0);
    }
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
    match Way::of_this_kernel() {
        Way::Tcx => {
            let (_, programs) = SchedClassifier::query_tcx("eth9", TcAttachType::Ingress).expect("tcx");
            assert_eq!(programs.len(), 0);
        }
        Way::Clsact => assert!(!run("tc", "qdisc show dev eth9").contains("clsact")),
    }
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
