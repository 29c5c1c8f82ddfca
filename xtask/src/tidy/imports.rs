//! Which crate, type and function may be named where.

use super::Violation;
use super::source::File;

/// One border: a path that only some files may name.
struct Border {
    /// As it is written in code; ends in `::` if it is the name of a crate.
    path: &'static str,
    /// Where the border holds: files whose paths start with one of these.
    within: &'static [&'static str],
    /// Who may pass it: files whose paths start with, or whose names are, one of these.
    except: &'static [&'static str],
    /// What to do instead.
    instead: &'static str,
}

const EVERYWHERE: &[&str] = &[""];
/// The parts of the agent that are functions of their arguments.
const PURE: &[&str] = &[
    "proxy-common/src/",
    "proxy-ebpf/src/",
    "proxy-agent/src/model/",
    "proxy-agent/src/desired/",
    "proxy-agent/src/diff",
];
const TOOLS: &[&str] = &["xtask/", "tests/"];

const BORDERS: &[Border] = &[
    Border {
        path: "aya_ebpf::",
        within: EVERYWHERE,
        except: &["proxy-ebpf/src/bin/"],
        instead: "the library sees packets through Frame and maps through Tables",
    },
    Border {
        path: "aya_log_ebpf::",
        within: EVERYWHERE,
        except: &["proxy-ebpf/src/bin/"],
        instead: "only the program meets the kernel",
    },
    Border {
        path: "aya::",
        within: EVERYWHERE,
        except: &["proxy-agent/src/apply/", "proxy-agent/src/datapath/", "tests/"],
        instead: "programs are in datapath/, their maps in apply/",
    },
    Border {
        path: "k8s_openapi::",
        within: EVERYWHERE,
        except: &["proxy-agent/src/watch/", "proxy-agent/src/model/", "tests/"],
        instead: "no Kubernetes type leaves the model",
    },
    Border {
        path: "kube::",
        within: EVERYWHERE,
        except: &["proxy-agent/src/watch/", "proxy-agent/src/model/", "tests/"],
        instead: "the API server is met in watch/",
    },
    Border {
        path: "IpAddr",
        within: &["proxy-ebpf/"],
        except: &[],
        instead: "the family is chosen once, at the hook: F::Address",
    },
    Border {
        path: "Instant::now",
        within: EVERYWHERE,
        except: CLOCKS,
        instead: CLOCK,
    },
    Border {
        path: "SystemTime::now",
        within: EVERYWHERE,
        except: CLOCKS,
        instead: CLOCK,
    },
    Border {
        path: "std::env::",
        within: PURE,
        except: TOOLS,
        instead: ARGUMENT,
    },
    Border {
        path: "std::fs::",
        within: PURE,
        except: TOOLS,
        instead: ARGUMENT,
    },
    Border {
        path: "env::",
        within: PURE,
        except: TOOLS,
        instead: ARGUMENT,
    },
    Border {
        path: "fs::",
        within: PURE,
        except: TOOLS,
        instead: ARGUMENT,
    },
    Border {
        path: "tokio::",
        within: PURE,
        except: TOOLS,
        instead: ARGUMENT,
    },
    Border {
        path: "fastrand::",
        within: PURE,
        except: TOOLS,
        instead: ARGUMENT,
    },
];
const CLOCK: &str = "time is an argument; the loops that wait for the world read it, and clock.rs";
/// Who reads clocks: what waits for the API server, for files, for requests and for the next pass.
const CLOCKS: &[&str] = &[
    "clock.rs",
    "proxy-agent/src/watch/",
    "proxy-agent/src/agent/",
    "proxy-agent/src/health/",
    "proxy-agent/src/host/",
    "xtask/",
    "tests/",
];
const ARGUMENT: &str = "what is pure gets everything as an argument";

pub(super) fn check(files: &[File]) -> Vec<Violation> {
    files
        .iter()
        .filter(|file| file.is_rust())
        .flat_map(violations)
        .collect()
}

fn violations(file: &File) -> Vec<Violation> {
    let borders = BORDERS.iter().filter(|border| border.holds_in(&file.path));
    let mut found = Vec::new();
    for border in borders {
        // Tests of a pure part may read a file or a clock; they may not cross between the crates.
        let lines = file.code.lines().enumerate();
        for (index, _) in lines.filter(|(index, line)| names(line, border.path) && !border.is_for_code(file, *index)) {
            let what = format!("{}: {}", border.path.trim_end_matches("::"), border.instead);
            found.push(Violation {
                path: file.path.clone(),
                line: index + 1,
                what,
            });
        }
    }
    found
}

impl Border {
    fn holds_in(&self, path: &str) -> bool {
        let name = path.rsplit('/').next().unwrap_or(path);
        self.within.iter().any(|folder| path.starts_with(folder))
            && !self
                .except
                .iter()
                .any(|allowed| path.starts_with(allowed) || name == *allowed)
    }

    /// Whether the line is a unit test and the border is about purity, which tests need not keep.
    fn is_for_code(&self, file: &File, line: usize) -> bool {
        (self.instead == ARGUMENT || self.instead == CLOCK) && file.is_test(line)
    }
}

/// Whether a line of code names the path: as whole words, and a crate not as the module of another.
fn names(line: &str, path: &str) -> bool {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    // `use kube;` and `kube as k` name the crate as well as `kube::` does.
    let bare = path.trim_end_matches("::");
    line.match_indices(bare).any(|(at, _)| {
        let before = &line[..at];
        let after = &line[at + bare.len()..];
        let is_crate = path.ends_with("::");
        let names_crate =
            after.starts_with("::") || before.trim_end().ends_with("use") || before.ends_with("extern crate ");
        !before.ends_with(is_word)
            && !after.starts_with(is_word)
            && (!is_crate || (names_crate && !before.ends_with("::") && !before.ends_with('.')))
    })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::in_the_library("proxy-ebpf/src/parse/mod.rs", "use aya_ebpf::maps::Array;", 1)]
    #[case::in_the_program("proxy-ebpf/src/bin/router/maps.rs", "use aya_ebpf::maps::Array;", 0)]
    #[case::aya_in_the_model("proxy-agent/src/model/service.rs", "let m = aya::Ebpf::load(b)?;", 1)]
    #[case::aya_in_apply("proxy-agent/src/apply/map.rs", "use aya::maps::MapData;", 0)]
    #[case::another_crates_module("proxy-agent/src/diff.rs", "use crate::aya::thing;", 0)]
    #[case::a_longer_name("proxy-agent/src/diff.rs", "use my_kube::x; use kubelet::y;", 0)]
    #[case::a_field_of_that_name("proxy-agent/src/cli/run.rs", "let x = options.kube;", 0)]
    #[case::kubernetes_in_desired(
        "proxy-agent/src/desired/mod.rs",
        "fn f(s: &k8s_openapi::api::core::v1::Service) {}",
        1
    )]
    #[case::address_enum_in_the_data_path("proxy-ebpf/src/frame.rs", "fn f(a: IpAddr) {}", 1)]
    #[case::address_of_a_family("proxy-ebpf/src/frame.rs", "fn f(a: Ipv4Addr) {}", 0)]
    #[case::clock("proxy-agent/src/apply/mod.rs", "let t = Instant::now();", 1)]
    #[case::clock_in_its_module("proxy-agent/src/clock.rs", "let t = Instant::now();", 0)]
    #[case::commented("proxy-agent/src/apply/mod.rs", "// Instant::now() is not for us", 0)]
    #[case::environment_in_a_pure_part("proxy-agent/src/desired/mod.rs", "let x = std::env::var(\"A\");", 1)]
    #[case::file_by_an_imported_name("proxy-agent/src/diff.rs", "let text = fs::read_to_string(path)?;", 1)]
    #[case::chance_in_a_pure_part("proxy-agent/src/desired/mod.rs", "let n = fastrand::u8(..);", 1)]
    #[case::file_in_the_test_of_a_pure_part(
        "proxy-agent/src/desired/mod.rs",
        "#[cfg(test)]\nmod tests {\n    fn f() { std::fs::read(x); }\n}",
        0
    )]
    fn borders_hold(#[case] path: &str, #[case] text: &str, #[case] count: usize) {
        assert_eq!(check(&[File::new(path, text)]).len(), count);
    }

    #[test]
    fn a_violation_says_where_and_what_instead() {
        let found = check(&[File::new("proxy-agent/src/model/mod.rs", "\nuse aya::Ebpf;")]);
        let expected = "proxy-agent/src/model/mod.rs:2: aya: programs are in datapath/, their maps in apply/";
        assert_eq!(found[0].to_string(), expected);
    }
}
