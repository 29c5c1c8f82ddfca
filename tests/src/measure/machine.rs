//! The facts of a machine that figures depend on.

use std::fs;
use std::process::Command;

use super::results::Machine;

/// Reads them; what this machine does not say is left out.
pub fn facts() -> Machine {
    let file = |path: &str| fs::read_to_string(path).ok().map(|text| text.trim().to_owned());
    let mut facts = Vec::new();
    let mut fact = |name: &str, value: Option<String>| {
        facts.extend(
            value
                .filter(|value| !value.is_empty())
                .map(|value| (name.to_owned(), value)),
        );
    };
    fact("kernel", file("/proc/sys/kernel/osrelease"));
    fact(
        "kernel command line",
        file("/proc/cmdline").map(|line| kernel_parameters(&line)),
    );
    let processors = file("/proc/cpuinfo").unwrap_or_default();
    fact("processor", field(&processors, "model name"));
    fact("processors", Some(count(&processors, "processor").to_string()));
    fact("under a hypervisor", hypervisor(&processors));
    fact(
        "clock source",
        file("/sys/devices/system/clocksource/clocksource0/current_clocksource"),
    );
    fact(
        "frequency governor",
        file("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
    );
    fact("mitigations", mitigations());
    fact(
        "memory",
        file("/proc/meminfo").and_then(|text| field(&text, "MemTotal")),
    );
    fact(
        "BPF compiler",
        file("/proc/sys/net/core/bpf_jit_enable").map(|on| format!("bpf_jit_enable {on}")),
    );
    fact("load average at the start", file("/proc/loadavg"));
    fact("hardware counters", Some(counters()));
    for (program, argument) in TOOLS {
        fact(program, first_line(program, argument));
    }
    Machine { facts }
}

/// Programs that put loads on, or that the peers use, and how they tell their version.
const TOOLS: [(&str, &str); 5] = [
    ("wrk", "-v"),
    ("iperf3", "--version"),
    ("nginx", "-v"),
    ("iptables", "--version"),
    ("nft", "--version"),
];

/// A kernel's command line without what says how the machine boots, which no figure depends on: its own root and first
/// program, and that program's arguments.
fn kernel_parameters(line: &str) -> String {
    let boots = |word: &&str| ["root=", "init=", "rdinit="].iter().any(|name| word.starts_with(name));
    let own = line.split(' ').take_while(|word| *word != "--");
    own.filter(|word| !boots(word)).collect::<Vec<_>>().join(" ")
}

fn field(text: &str, name: &str) -> Option<String> {
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn count(text: &str, name: &str) -> usize {
    let is_it = |line: &&str| line.split_once(':').is_some_and(|(field, _)| field.trim() == name);
    text.lines().filter(is_it).count()
}

fn hypervisor(processors: &str) -> Option<String> {
    let flags = field(processors, "flags")?;
    let there = flags.split(' ').any(|flag| flag == "hypervisor");
    Some(if there { "yes" } else { "no" }.to_owned())
}

/// What the kernel does against the faults that the processor has.
fn mitigations() -> Option<String> {
    let mut lines = Vec::new();
    for entry in fs::read_dir("/sys/devices/system/cpu/vulnerabilities").ok()?.flatten() {
        let text = fs::read_to_string(entry.path()).unwrap_or_default();
        if !text.starts_with("Not affected") {
            lines.push(format!("{}: {}", entry.file_name().to_string_lossy(), text.trim()));
        }
    }
    lines.sort();
    Some(if lines.is_empty() {
        "none needed".to_owned()
    } else {
        lines.join("; ")
    })
}

/// Whether the kernel offers the processor's own counters: a machine without has no such events.
fn counters() -> String {
    let there = fs::exists("/sys/bus/event_source/devices/cpu").unwrap_or(false);
    if there {
        "offered"
    } else {
        "none: instructions and cycles cannot be counted"
    }
    .to_owned()
}

fn first_line(program: &str, argument: &str) -> Option<String> {
    let said = Command::new(program).arg(argument).output().ok()?;
    // nginx and wrk tell theirs on standard error.
    let text = [said.stdout, said.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    text.lines()
        .find(|line| !line.trim().is_empty())
        .map(|line| line.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_a_machine_boots_is_no_fact_that_figures_depend_on() {
        let line = "quiet root=/dev/sda1 mitigations=auto rdinit=/boot-me panic=1 -- --secret 1";
        assert_eq!(kernel_parameters(line), "quiet mitigations=auto panic=1");
    }

    #[test]
    fn the_kernel_and_the_number_of_processors_are_always_known() {
        let facts = facts().facts;
        for name in ["kernel", "processors", "memory", "hardware counters"] {
            assert!(facts.iter().any(|(fact, value)| fact == name && value != "0"), "{name}");
        }
    }
}
