//! Tests: named for the duty they show, waiting for conditions and not for time, and always run.

use super::Violation;
use super::source::File;

/// Who sleeps: between two looks at a condition that has a deadline, and between the packets of a paced load.
const WAITING: [&str; 2] = ["tests/src/wait.rs", "tests/src/peer/load.rs"];

pub(super) fn check(files: &[File]) -> Vec<Violation> {
    let rust = files.iter().filter(|file| file.is_rust());
    rust.flat_map(|file| {
        let lines = file.code.lines().enumerate().filter(|(index, _)| file.is_test(*index));
        lines.filter_map(|(index, line)| {
            let what = complaint(file, line)?.to_owned();
            Some(Violation {
                path: file.path.clone(),
                line: index + 1,
                what,
            })
        })
    })
    .collect()
}

fn complaint(file: &File, line: &str) -> Option<&'static str> {
    if line.contains("fn test_") {
        return Some("a test is named for the duty it shows, without test_");
    }
    if line.contains("#[ignore") {
        return Some("a test that is not run shows nothing: run it or remove it");
    }
    let sleeps = line.contains("sleep(") || line.contains("sleep_until(");
    (sleeps && !WAITING.contains(&file.path.as_str())).then_some("wait for a condition with a deadline, not for time")
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::sleeping("tests/netns/udp.rs", "std::thread::sleep(SECOND);", 1)]
    #[case::sleeping_in_a_unit_test("a/src/b.rs", "#[cfg(test)]\nmod tests {\nsleep(SECOND);\n}", 1)]
    #[case::sleeping_elsewhere("a/src/b.rs", "sleep(SECOND);", 0)]
    #[case::looking_again("tests/src/wait.rs", "thread::sleep(PAUSE);", 0)]
    #[case::prefixed("tests/netns/udp.rs", "fn test_udp() {}", 1)]
    #[case::ignored("tests/netns/udp.rs", "#[ignore = \"slow\"]", 1)]
    #[case::good("tests/netns/udp.rs", "fn a_datagram_reaches_a_backend() {}", 0)]
    fn bad_habits_are_found(#[case] path: &str, #[case] text: &str, #[case] count: usize) {
        assert_eq!(check(&[File::new(path, text)]).len(), count);
    }
}
