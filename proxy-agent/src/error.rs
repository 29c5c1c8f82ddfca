//! Errors by stage. Each is one line that names the file, field, object or device it is about.

use std::path::PathBuf;

/// The longest text of somebody else's that is repeated in a line, in bytes.
const QUOTED: usize = 200;

/// A text without its middle, if it is long: what somebody else wrote may have any length.
#[must_use]
pub fn excerpt(text: String) -> String {
    if text.len() <= QUOTED {
        return text;
    }
    let head = text.floor_char_boundary(QUOTED / 2);
    let tail = text.ceil_char_boundary(text.len() - QUOTED / 2);
    format!("{}...{}", &text[..head], &text[tail..])
}

/// Why a command ended.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A flag or a field of the configuration file has a value that cannot be used.
    #[error("{field}: {value:?}: {reason}")]
    Setting {
        /// The flag, or the file and field.
        field: String,
        /// What stands there.
        value: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A file cannot be read or understood.
    #[error("{}: {reason}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The machine lacks something without which the command cannot work.
    #[error("{0:#}")]
    Host(anyhow::Error),
    /// The command began and failed.
    #[error("{0:#}")]
    Failed(anyhow::Error),
}

impl Error {
    /// 2 where the command could not begin, else 1.
    #[must_use]
    pub const fn exit_code(&self) -> u8 {
        match self {
            Error::Setting { .. } | Error::File { .. } | Error::Host(_) => 2,
            Error::Failed(_) => 1,
        }
    }

    /// A setting that cannot be used.
    pub fn setting(field: impl Into<String>, value: impl Into<String>, reason: impl Into<String>) -> Self {
        Error::Setting {
            field: field.into(),
            value: excerpt(value.into()),
            reason: reason.into(),
        }
    }

    /// A file that cannot be used.
    pub fn file(path: impl Into<PathBuf>, reason: impl ToString) -> Self {
        Error::File {
            path: path.into(),
            reason: reason.to_string(),
        }
    }
}
