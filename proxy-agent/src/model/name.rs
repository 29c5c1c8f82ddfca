//! Names of objects, and one copy of each text that many objects share.

use std::{collections::HashSet, fmt, sync::Arc};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use proxy_common::names::LABEL;

/// An object's namespace and name. The namespace is empty for what has none.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectName {
    /// `metadata.namespace`.
    pub namespace: Arc<str>,
    /// `metadata.name`.
    pub name: Arc<str>,
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.namespace.is_empty() {
            write!(f, "{}", self.name)
        } else {
            write!(f, "{}/{}", self.namespace, self.name)
        }
    }
}

/// Why a name of a Service or of a port cannot stand in the maps, which are read without the objects; `None`: it can.
/// The API lets nobody give such a name, a manifest does.
pub(super) fn unfit(text: &str) -> Option<String> {
    if text.len() > LABEL {
        Some(format!("{text:?}: longer than {LABEL} bytes"))
    } else if text
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
    {
        None
    } else {
        Some(format!("{text:?}: not made of letters, digits, '-', '.' and '_'"))
    }
}

/// One copy of each text.
#[derive(Debug, Default)]
pub(super) struct Texts {
    known: HashSet<Arc<str>>,
    /// How many were in use after the last time that unused ones were let go.
    kept: usize,
}

impl Texts {
    /// The shared copy of a text.
    pub(super) fn share(&mut self, text: &str) -> Arc<str> {
        if let Some(shared) = self.known.get(text) {
            return Arc::clone(shared);
        }
        if self.known.len() > 2 * self.kept + 64 {
            self.known.retain(|text| Arc::strong_count(text) > 1);
            self.kept = self.known.len();
        }
        let shared: Arc<str> = text.into();
        self.known.insert(Arc::clone(&shared));
        shared
    }

    /// The name of an object; its namespace is shared.
    pub(super) fn name_of(&mut self, metadata: &ObjectMeta) -> ObjectName {
        ObjectName {
            namespace: self.share(metadata.namespace.as_deref().unwrap_or_default()),
            name: metadata.name.as_deref().unwrap_or_default().into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_kept_once_and_let_go_when_nobody_has_it() {
        let mut texts = Texts::default();
        let first = texts.share("http");
        assert!(Arc::ptr_eq(&first, &texts.share("http")));
        for number in 0..10_000 {
            texts.share(&number.to_string());
        }
        assert!(texts.known.len() < 200);
        assert!(Arc::ptr_eq(&first, &texts.share("http")));
    }
}
