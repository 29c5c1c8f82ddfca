//! One load of the flip word: block offset and generation of a service belong together, so a program that reads them by
//! two loads may see half of a change. The compiler decides that, so what is checked is what it compiled.

mod flow;
mod instruction;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use instruction::Instruction;
use object::{Object, ObjectSection, ObjectSymbol, RelocationTarget, SymbolKind};

use crate::{process, workspace};

/// The map whose values are flip words.
const MAP: &str = "SERVICES";
/// Bytes of a flip word.
const WORD: usize = 8;

/// Checks the object that the agent's build script makes, after building it.
///
/// # Errors
/// What is wrong with a load, by function and instruction; a failed build.
pub(crate) fn check() -> Result<()> {
    let path = build()?;
    let bytes = fs::read(&path).with_context(|| format!("{}: cannot be read", path.display()))?;
    let found = violations(&bytes).with_context(|| format!("{}: cannot be understood", path.display()))?;
    if found.is_empty() {
        return Ok(());
    }
    bail!("{}", found.join("; "))
}

/// Builds the agent and returns the object of the kernel programs in it.
fn build() -> Result<PathBuf> {
    let mut cargo = process::cargo();
    cargo.current_dir(workspace::root());
    cargo.args([
        "build",
        "--package",
        "proxy-agent",
        "--message-format",
        "json-render-diagnostics",
    ]);
    let messages = process::read(&mut cargo)?;
    let folder = out_folder(&messages).context("cargo does not say where proxy-agent's build script works")?;
    Ok(Path::new(folder).join("router"))
}

/// `out_dir` of the agent's build script in cargo's messages, one of which is a line.
fn out_folder(messages: &str) -> Option<&str> {
    let is_ours = |line: &&str| line.contains("\"reason\":\"build-script-executed\"") && line.contains("/proxy-agent#");
    messages
        .lines()
        .find(is_ours)?
        .split_once("\"out_dir\":\"")?
        .1
        .split('"')
        .next()
}

/// What is wrong in an object.
fn violations(bytes: &[u8]) -> Result<Vec<String>> {
    let object = object::File::parse(bytes)?;
    let mut found = Vec::new();
    let mut reads = 0;
    for section in object
        .sections()
        .filter(|section| section.kind() == object::SectionKind::Text)
    {
        let name = section.name()?.to_owned();
        let code = instruction::decode(section.data()?);
        let uses = uses_of_map(&object, &section)?;
        let functions: Vec<_> = object
            .symbols()
            .filter(|symbol| symbol.kind() == SymbolKind::Text && symbol.section_index() == Some(section.index()))
            .filter_map(|symbol| usize::try_from(symbol.address()).ok())
            .map(|address| address / Instruction::SIZE)
            .collect();
        for entry in functions {
            let flow = flow::follow(&code, entry, &uses);
            reads += flow.loads.len();
            found.extend(complaints(&flow).into_iter().map(|what| format!("{name}: {what}")));
        }
    }
    if reads == 0 && found.is_empty() {
        found.push(format!("no program reads {MAP}"));
    }
    Ok(found)
}

/// The instructions that name the map.
fn uses_of_map(object: &object::File<'_>, section: &object::Section<'_, '_>) -> Result<BTreeSet<usize>> {
    let mut uses = BTreeSet::new();
    for (offset, relocation) in section.relocations() {
        let RelocationTarget::Symbol(index) = relocation.target() else {
            continue;
        };
        if object.symbol_by_index(index)?.name()? == MAP {
            uses.insert(usize::try_from(offset)? / Instruction::SIZE);
        }
    }
    Ok(uses)
}

fn complaints(flow: &flow::Flow) -> Vec<String> {
    let mut found = Vec::new();
    for (at, size) in flow.loads.iter().filter(|(_, size)| **size != WORD) {
        found.push(format!(
            "instruction {at} reads {size} bytes of the flip word and not all {WORD} at once"
        ));
    }
    for lookup in &flow.lookups {
        let count = flow
            .loads
            .keys()
            .filter(|at| flow.origin.get(at) == Some(lookup))
            .count();
        if count > 1 {
            found.push(format!(
                "the flip word looked up by instruction {lookup} is read {count} times"
            ));
        }
    }
    for at in &flow.escapes {
        found.push(format!(
            "instruction {at} gives the flip word's address to a function: what that reads is not seen"
        ));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_objects_folder_is_in_cargos_messages() {
        let messages = "{\"reason\":\"build-script-executed\",\"package_id\":\"registry+x#libc@0.2\",\"out_dir\":\"/t/a\"}\n\
                        {\"reason\":\"build-script-executed\",\"package_id\":\"path+file:///c/proxy-agent#0.1.0\",\"out_dir\":\"/t/b\"}\n";
        assert_eq!(out_folder(messages), Some("/t/b"));
        assert_eq!(out_folder(""), None);
    }
}
