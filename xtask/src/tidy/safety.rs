//! `SAFETY:` before each unsafe block, in the code for the kernel too, which the lint of that name does not see on
//! the host.

use super::Violation;
use super::source::File;

pub(super) fn check(files: &[File]) -> Vec<Violation> {
    let rust = files.iter().filter(|file| file.is_rust());
    rust.flat_map(|file| undocumented(file).map(|line| violation(file, line)))
        .collect()
}

fn violation(file: &File, line: usize) -> Violation {
    let what = "unsafe without a `// SAFETY:` comment that says why it is sound".to_owned();
    Violation {
        path: file.path.clone(),
        line: line + 1,
        what,
    }
}

fn undocumented(file: &File) -> impl Iterator<Item = usize> {
    let text: Vec<_> = file.text.lines().collect();
    let code: Vec<_> = file.code.lines().collect();
    let unsafe_lines: Vec<_> = (0..code.len()).filter(|&line| opens_unsafe(code[line])).collect();
    unsafe_lines
        .into_iter()
        .filter(move |&line| !is_documented(&text, &code, line))
}

/// Whether a line starts an unsafe block or implementation; an unsafe function has a `# Safety` section instead.
fn opens_unsafe(code: &str) -> bool {
    code.match_indices("unsafe").any(|(at, word)| {
        let after = code[at + word.len()..].trim_start();
        after.starts_with('{') || after.starts_with("impl") || (after.is_empty() && !code[..at].ends_with("::"))
    })
}

/// Whether the comment stands on the line, or above the statement that the line is part of.
fn is_documented(text: &[&str], code: &[&str], line: usize) -> bool {
    if text[line].contains("SAFETY:") {
        return true;
    }
    for above in (0..line).rev() {
        if text[above].contains("SAFETY:") && code[above].trim().is_empty() {
            return true;
        }
        let before = code[above].trim();
        let is_comment = before.is_empty() && !text[above].trim().is_empty();
        let is_same_statement = !before.is_empty() && !before.ends_with([';', '{', '}']);
        if !is_comment && !is_same_statement {
            return false;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::above("// SAFETY: the index was checked\nlet x = unsafe { f() };", 0)]
    #[case::above_in_two_lines("// SAFETY: the index\n// was checked\nlet x = unsafe { f() };", 0)]
    #[case::above_the_statement("// SAFETY: checked\nlet value =\n    unsafe { f() };", 0)]
    #[case::on_the_line("let x = unsafe { f() }; // SAFETY: checked", 0)]
    #[case::over_an_attribute("// SAFETY: no padding\n#[cfg(a)]\nunsafe impl Pod for X {}", 0)]
    #[case::none("let x = unsafe { f() };", 1)]
    #[case::of_another_statement("// SAFETY: checked\nlet y = 1;\nlet x = unsafe { f() };", 1)]
    #[case::implementation("unsafe impl Pod for X {}", 1)]
    #[case::function("unsafe fn f() {}", 0)]
    #[case::in_a_string("let x = \"unsafe {\";", 0)]
    fn an_unsafe_block_has_its_reason(#[case] text: &str, #[case] count: usize) {
        assert_eq!(check(&[File::new("a/src/lib.rs", text)]).len(), count);
    }
}
