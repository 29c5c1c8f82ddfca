//! Folders of one machine have no place in a file of everybody's.

use super::Violation;
use super::source::File;

/// In halves, so that this file is not its own finding.
const PLACES: [&str; 3] = [concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/tmp/", "w/")];

pub(super) fn check(files: &[File]) -> Vec<Violation> {
    files
        .iter()
        .flat_map(|file| {
            file.text
                .lines()
                .enumerate()
                .filter_map(|(index, line)| found(file, index, line))
        })
        .collect()
}

fn found(file: &File, index: usize, line: &str) -> Option<Violation> {
    let place = PLACES.into_iter().find(|place| line.contains(place))?;
    Some(Violation {
        path: file.path.clone(),
        line: index + 1,
        what: format!("names {place}, a folder of one machine"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_of_one_machine_is_found_in_any_file() {
        let text = format!("first\ncd {}main\n", PLACES[0]);
        assert_eq!(check(&[File::new("docs/a.md", &text)]).len(), 1);
        assert_eq!(check(&[File::new("docs/a.md", "cd /usr/share")]), []);
    }
}
