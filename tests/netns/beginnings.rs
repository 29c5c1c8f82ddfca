//! What keeps a command from beginning: one line that says what is missing and what to do, and exit code 2.

use anyhow::{Context, Result, ensure};
use nix::sys::signal::Signal;
use rstest::rstest;
use tests::agent::{Agent, SocketLb, binary};
use tests::cluster::World;
use tests::manifests::Folder;
use tests::process::Process;
use tests::wait;

/// Takes every cgroup v2 mount from a shell that has mounts of its own.
const NO_CGROUP: &str = "while at=$(awk '$3==\"cgroup2\"{print $2; exit}' /proc/self/mounts); [ -n \"$at\" ]; \
                         do umount -l \"$at\"; done";

/// Runs a line of shell in the node, which finds there what `fairlead run` needs; returns the exit code and what was
/// said on standard error.
fn said(world: &World, line: &str) -> Result<(Option<i32>, String)> {
    let node = world.node(0);
    let mut shell = node.command("sh")?;
    shell
        .args(["-c", line])
        .env("FAIRLEAD", binary()?)
        .env("STATE", node.state_dir())
        .env("BPF", node.state_dir().parent().context("the state is on a bpffs")?)
        .env("CGROUP", node.cgroup().path())
        .env("MANIFESTS", node.manifests_dir())
        .env("ELSEWHERE", node.folder())
        .env("NO_CGROUP", NO_CGROUP);
    let output = shell.output().context("sh")?;
    Ok((
        output.status.code(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    ))
}

fn refuses(world: &World, line: &str, parts: &[&str]) -> Result<()> {
    let (code, text) = said(world, line)?;
    ensure!(code == Some(2), "{line}: {code:?}: {text}");
    ensure!(text.trim_end().lines().count() == 1, "{line}: not one line: {text}");
    ensure!(text.starts_with("fairlead: "), "{line}: {text}");
    for part in parts {
        ensure!(text.contains(part), "{line}: nothing of {part:?} in: {text}");
    }
    Ok(())
}

#[rstest]
#[case::a_folder_that_is_no_bpffs(
    "$FAIRLEAD run --manifests $MANIFESTS --state $ELSEWHERE/pins",
    &["/pins: no BPF file system", "--state", "mount -t bpf"]
)]
#[case::a_bpffs_that_is_read_only(
    "unshare --mount sh -c 'mount -o remount,bind,ro $BPF && exec $FAIRLEAD run --manifests $MANIFESTS --state $STATE'",
    &["the pins cannot be kept here: ", "read-only"]
)]
#[case::no_cgroup_v2(
    "unshare --mount sh -c \"$NO_CGROUP; exec $FAIRLEAD run --manifests $MANIFESTS --state $STATE\"",
    &["no cgroup v2 is mounted", "mount -t cgroup2", "--socket-lb=off"]
)]
#[case::a_folder_that_is_no_cgroup(
    "$FAIRLEAD run --manifests $MANIFESTS --state $STATE --cgroup $ELSEWHERE",
    &["--cgroup: ", "not a folder of a cgroup v2 file system"]
)]
#[case::no_cap_bpf(
    "setpriv --bounding-set=-bpf,-sys_admin --inh-caps=-all $FAIRLEAD run --manifests $MANIFESTS --state $STATE",
    &["CAP_BPF", "missing", "run as root"]
)]
#[case::no_cap_sys_admin(
    "setpriv --bounding-set=-sys_admin --inh-caps=-all $FAIRLEAD run --manifests $MANIFESTS --state $STATE",
    &["CAP_SYS_ADMIN", "missing", "run as root"]
)]
#[case::no_cap_net_admin(
    "setpriv --bounding-set=-net_admin --inh-caps=-all $FAIRLEAD run --manifests $MANIFESTS --state $STATE",
    &["CAP_NET_ADMIN", "missing", "run as root"]
)]
#[case::not_root(
    "setpriv --reuid=65534 --regid=65534 --clear-groups $FAIRLEAD run --manifests $MANIFESTS --state $STATE",
    &["CAP_NET_ADMIN", "CAP_BPF", "CAP_PERFMON", "run as root"]
)]
#[case::root_of_a_user_namespace(
    "unshare --user --map-root-user $FAIRLEAD run --manifests $MANIFESTS --state $STATE --cgroup $CGROUP",
    &["user namespace"]
)]
#[case::no_such_manifests("$FAIRLEAD run --manifests $ELSEWHERE/none --state $STATE", &["/none: No such file"])]
#[case::no_such_kubeconfig("$FAIRLEAD run --kubeconfig $ELSEWHERE/none --state $STATE", &["/none: No such file"])]
#[case::a_kubeconfig_that_is_a_folder("$FAIRLEAD run --kubeconfig $ELSEWHERE --state $STATE", &["Is a directory"])]
#[case::a_kubeconfig_that_is_none(
    "echo nonsense >$ELSEWHERE/config; $FAIRLEAD run --kubeconfig $ELSEWHERE/config --state $STATE",
    &["/config: ", "kubeconfig"]
)]
#[case::no_source("$FAIRLEAD run --state $STATE", &["neither --kubeconfig nor --manifests"])]
#[case::no_such_configuration(
    "$FAIRLEAD run --manifests $MANIFESTS --config $ELSEWHERE/none --state $STATE",
    &["/none: No such file"]
)]
#[case::a_wrong_flag("$FAIRLEAD run --manifests $MANIFESTS --bogus", &["'--bogus'", "--help"])]
#[case::a_wrong_value("$FAIRLEAD run --manifests $MANIFESTS --socket-lb=some", &["'some'", "host, auto, all, off"])]
#[case::status_of_nothing("$FAIRLEAD status --state $STATE/none", &["no fairlead has run", "--state"])]
#[case::services_of_nothing("$FAIRLEAD get services --state $STATE/none", &["no fairlead has run", "--state"])]
#[case::a_packet_for_nothing("$FAIRLEAD explain 10.0.0.1 10.0.0.2:80 --state $STATE/none", &["no fairlead has run"])]
#[case::differences_from_nothing("$FAIRLEAD verify --manifests $MANIFESTS --state $STATE/none", &["no fairlead has run"])]
fn what_cannot_begin_says_in_one_line_why(#[case] line: &str, #[case] parts: &[&str]) -> Result<()> {
    let world = World::one_node().build()?;
    Folder::of(&world)?;
    refuses(&world, line, parts)
}

/// The first agent and what it has programmed are not touched by the second.
#[test]
fn a_second_agent_on_the_same_pins_cannot_begin() -> Result<()> {
    let world = World::one_node().build()?;
    Folder::of(&world)?;
    let agent = Agent::start(world.node(0), SocketLb::Off)?;
    let again = "$FAIRLEAD run --manifests $MANIFESTS --state $STATE --socket-lb=off";
    refuses(&world, again, &["another fairlead runs on these pins", "--state"])?;
    refuses(
        &world,
        "$FAIRLEAD cleanup --state $STATE",
        &["another fairlead runs on these pins"],
    )?;
    agent.settled()
}

/// As few capabilities as a container may have, and no more than the answer above asks for.
#[test]
fn four_capabilities_are_enough() -> Result<()> {
    let world = World::one_node().build()?;
    Folder::of(&world)?;
    let node = world.node(0);
    let mut command = node.command("setpriv")?;
    command
        .args([
            "--bounding-set=-all,+net_admin,+bpf,+perfmon,+sys_admin",
            "--inh-caps=-all",
        ])
        .arg(binary()?)
        .args(["run", "--node-name", node.label(), "--manifests"])
        .arg(node.manifests_dir())
        .arg("--state")
        .arg(node.state_dir())
        .arg("--cgroup")
        .arg(node.cgroup().path());
    let mut process = Process::start(&mut command, &node.log("fairlead"))?;
    wait::until_true("everything is programmed", wait::PATIENCE, || {
        ensure!(process.ended().is_none(), "it ended: {}", process.log());
        Ok(process.log().contains("everything is programmed"))
    })?;
    process.signal(Signal::SIGTERM)?;
    let status = process.wait(wait::PATIENCE)?;
    ensure!(status.success(), "{status}: {}", process.log());
    Ok(())
}
