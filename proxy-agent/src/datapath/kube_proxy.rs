//! What kube-proxy leaves on a node: its chains, tables and sets.

use std::{
    io::Write as _,
    process::{Command, Stdio},
};

use anyhow::{Context as _, bail};

use crate::host::KUBE_IPVS;

/// Removes kube-proxy's nftables tables, its chains in every iptables there is and its device, and says what was done.
///
/// # Errors
/// If a tool is there and fails.
pub fn remove() -> anyhow::Result<Vec<String>> {
    let mut done = Vec::new();
    for family in ["ip", "ip6"] {
        let listed = output("nft", &["list", "table", family, "kube-proxy"])?;
        if listed.is_some_and(|listed| listed.success) {
            expect("nft", &["delete", "table", family, "kube-proxy"])?;
            done.push(format!("nftables: table {family} kube-proxy removed"));
        }
    }
    for variant in ["iptables-legacy", "iptables-nft", "ip6tables-legacy", "ip6tables-nft"] {
        if let Some(count) = clean_iptables(variant)? {
            done.push(format!("{variant}: {count} chains of kube-proxy removed"));
        }
    }
    if output("ip", &["link", "show", "dev", KUBE_IPVS])?.is_some_and(|shown| shown.success) {
        expect("ip", &["link", "delete", "dev", KUBE_IPVS])?;
        done.push(format!("device {KUBE_IPVS} removed"));
    }
    if done.is_empty() {
        done.push("kube-proxy has left nothing here".to_owned());
    }
    Ok(done)
}

/// Removes the chains and what jumps to them, table by table, each in one transaction.
fn clean_iptables(variant: &str) -> anyhow::Result<Option<usize>> {
    let Some(saved) = output(&format!("{variant}-save"), &[])? else {
        return Ok(None);
    };
    let (restore, count) = without_kube_proxy(&saved.text);
    if count == 0 {
        return Ok(None);
    }
    feed(&format!("{variant}-restore"), &["--noflush"], &restore)?;
    Ok(Some(count))
}

/// The chains that are kube-proxy's alone. The kubelet's own (`KUBE-FIREWALL`, `KUBE-KUBELET-CANARY`) stay.
fn is_of_kube_proxy(chain: &str) -> bool {
    let exact = [
        "KUBE-SERVICES",
        "KUBE-EXTERNAL-SERVICES",
        "KUBE-NODEPORTS",
        "KUBE-POSTROUTING",
        "KUBE-MARK-MASQ",
        "KUBE-FORWARD",
        "KUBE-PROXY-FIREWALL",
        "KUBE-PROXY-CANARY",
    ];
    let prefixes = [
        "KUBE-SVC-",
        "KUBE-SVL-",
        "KUBE-SEP-",
        "KUBE-EXT-",
        "KUBE-FW-",
        "KUBE-XLB-",
    ];
    exact.contains(&chain) || prefixes.iter().any(|prefix| chain.starts_with(prefix))
}

/// What `iptables-restore --noflush` must be told so that kube-proxy's chains go, and how many there are.
fn without_kube_proxy(saved: &str) -> (String, usize) {
    let (mut script, mut count) = (String::new(), 0);
    for table in saved.split_inclusive("COMMIT\n") {
        let Some(header) = table.lines().find(|line| line.starts_with('*')) else {
            continue;
        };
        let chains: Vec<&str> = table
            .lines()
            .filter_map(|line| line.strip_prefix(':')?.split(' ').next())
            .filter(|chain| is_of_kube_proxy(chain))
            .collect();
        if chains.is_empty() {
            continue;
        }
        count += chains.len();
        script.push_str(header);
        script.push('\n');
        // Naming a chain empties it.
        chains
            .iter()
            .for_each(|chain| script.push_str(&format!(":{chain} - [0:0]\n")));
        let jumps = table.lines().filter(|line| jumps_in(line));
        jumps.for_each(|line| script.push_str(&format!("-D{}\n", &line[2..])));
        chains
            .iter()
            .for_each(|chain| script.push_str(&format!("-X {chain}\n")));
        script.push_str("COMMIT\n");
    }
    (script, count)
}

/// A rule of another chain that jumps to one of kube-proxy's.
fn jumps_in(line: &str) -> bool {
    let mut words = line.split(' ');
    let (Some("-A"), Some(chain)) = (words.next(), words.next()) else {
        return false;
    };
    let mut words = words.skip_while(|word| !matches!(*word, "-j" | "-g")).skip(1);
    !is_of_kube_proxy(chain) && words.next().is_some_and(is_of_kube_proxy)
}

struct Output {
    success: bool,
    text: String,
}

/// What a command says; `None` if there is no such command.
fn output(program: &str, arguments: &[&str]) -> anyhow::Result<Option<Output>> {
    match Command::new(program).args(arguments).stderr(Stdio::null()).output() {
        Ok(output) => Ok(Some(Output {
            success: output.status.success(),
            text: String::from_utf8_lossy(&output.stdout).into_owned(),
        })),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| program.to_owned()),
    }
}

fn expect(program: &str, arguments: &[&str]) -> anyhow::Result<()> {
    match output(program, arguments)? {
        Some(Output { success: true, .. }) => Ok(()),
        _ => bail!("`{program} {}` failed", arguments.join(" ")),
    }
}

fn feed(program: &str, arguments: &[&str], input: &str) -> anyhow::Result<()> {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .spawn()
        .with_context(|| program.to_owned())?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(input.as_bytes()).with_context(|| program.to_owned())?;
    }
    let status = child.wait().with_context(|| program.to_owned())?;
    if status.success() {
        Ok(())
    } else {
        bail!("{program} refused to remove kube-proxy's chains")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kube_proxys_chains_go_and_the_rest_stays() {
        let saved = "# Generated\n*nat\n:PREROUTING ACCEPT [0:0]\n:KUBE-SERVICES - [0:0]\n:KUBE-SVC-ABC - [0:0]\n\
                     :KUBE-KUBELET-CANARY - [0:0]\n:CNI-1 - [0:0]\n\
                     -A PREROUTING -m comment --comment \"kubernetes service portals\" -j KUBE-SERVICES\n\
                     -A PREROUTING -j CNI-1\n-A KUBE-SERVICES -d 10.96.0.1/32 -j KUBE-SVC-ABC\nCOMMIT\n\
                     *filter\n:INPUT ACCEPT [0:0]\n:KUBE-FIREWALL - [0:0]\n-A INPUT -j KUBE-FIREWALL\nCOMMIT\n";
        let (script, count) = without_kube_proxy(saved);
        assert_eq!(count, 2);
        assert_eq!(
            script,
            "*nat\n:KUBE-SERVICES - [0:0]\n:KUBE-SVC-ABC - [0:0]\n\
             -D PREROUTING -m comment --comment \"kubernetes service portals\" -j KUBE-SERVICES\n\
             -X KUBE-SERVICES\n-X KUBE-SVC-ABC\nCOMMIT\n"
        );
    }

    #[test]
    fn a_node_without_kube_proxy_is_left_alone() {
        assert_eq!(
            without_kube_proxy("*nat\n:PREROUTING ACCEPT [0:0]\nCOMMIT\n"),
            (String::new(), 0)
        );
    }
}
