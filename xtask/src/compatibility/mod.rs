//! What kube-proxy does, what Fairlead does, and the tests that show it: one list, and a page made from it.
//!
//! The list is Rust, so that a behaviour without a status does not compile; `tidy` holds it against the sources: every
//! test that is named is there, and the page says what the list says.

mod page;
mod listed;

use std::fs;

use anyhow::{Context, Result};

pub(crate) use listed::GROUPS;
pub(crate) use page::text;

use crate::workspace;

/// The page, from the root of the checkout.
pub(crate) const PAGE: &str = "docs/kube-proxy-compatibility.md";

/// Behaviours of one subject.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) title: &'static str,
    pub(crate) behaviours: &'static [Behaviour],
}

/// Something that people can notice of a proxy.
#[derive(Debug)]
pub(crate) struct Behaviour {
    /// Its name for ever: words with hyphens between them.
    pub(crate) name: &'static str,
    /// What kube-proxy does: in mode nftables, and in mode iptables where that differs.
    pub(crate) kube_proxy: &'static str,
    pub(crate) fairlead: Fairlead,
    /// What shows what Fairlead does.
    pub(crate) tests: &'static [Shown],
}

/// What Fairlead does.
#[derive(Debug)]
pub(crate) enum Fairlead {
    /// The same; and what else is worth knowing, if anything is.
    Same(&'static str),
    /// Something else, for a reason.
    Differs { what: &'static str, why: &'static str },
    /// Not the same, for want of work: what happens instead.
    Missing(&'static str),
}

/// A file of tests, from the root of the checkout.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Suite(pub(crate) &'static str);

/// A test, and which of its rows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shown {
    pub(crate) suite: Suite,
    pub(crate) test: Test,
}

/// How a test is found in its file.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Test {
    /// A function, and the names of its cases that are meant; all of them if none is named.
    Function(&'static str, &'static [&'static str]),
    /// A row of packets by its name, as the source has it: what is put in for each protocol or address is in braces.
    Row(&'static str),
}

impl Suite {
    const fn test(self, function: &'static str) -> Shown {
        self.cases(function, &[])
    }

    const fn cases(self, function: &'static str, cases: &'static [&'static str]) -> Shown {
        Shown {
            suite: self,
            test: Test::Function(function, cases),
        }
    }

    const fn row(self, name: &'static str) -> Shown {
        Shown {
            suite: self,
            test: Test::Row(name),
        }
    }

    /// The floors that run it.
    fn floor(self) -> &'static str {
        match self.0.split('/').collect::<Vec<_>>()[..] {
            ["tests", "src", "packets", ..] => "host and kernel",
            ["tests", "kernel", ..] => "kernel",
            ["tests", "netns", ..] => "netns",
            ["tests", "cluster", ..] => "cluster",
            ["tests", "vm", ..] => "vm",
            _ => "host",
        }
    }
}

/// Writes the page.
///
/// # Errors
/// It cannot be written.
pub(crate) fn command() -> Result<()> {
    let path = workspace::root().join(PAGE);
    fs::write(&path, text(GROUPS)).with_context(|| format!("{}: cannot be written", path.display()))?;
    println!("{PAGE} is written");
    Ok(())
}
