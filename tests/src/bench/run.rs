//! A run from its options to its report.

use std::collections::BTreeSet;
use std::fs;
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Error, Result, ensure};
use clap::ValueEnum;
use clap::builder::PossibleValue;

use super::objects::Objects;
use super::peer::Peer;
use super::plan::{Block, Options, ROUNDS, SAMPLE, Task};
use super::progress::Progress;
use super::shelf::Shelf;
use super::stand::{Stand, StandPlan};
use super::{control, duration, kube_proxy, per_packet, pin, proof, rounds, tracking};
use crate::apiserver::ApiServer;
use crate::cluster::remove_own_worlds;
use crate::interrupt::clean_up_on_interrupt;
use crate::measure::results::{Entrant, Kind, Results, Run, SCHEMA, State, Subject};
use crate::measure::{findings, losses, machine, report};

/// Measures what is asked for and writes the report; says whether everything that should have a row has one.
///
/// A run that was stopped goes on where it was, when it is asked for again with the same words.
///
/// # Errors
/// When nothing can be measured at all, or the report cannot be written.
pub fn run(options: &Options) -> Result<bool> {
    ensure!(
        thread::available_parallelism()?.get() > 1,
        "clients and servers need a processor each: this machine has one"
    );
    fs::create_dir_all(&options.out).with_context(|| format!("{}: cannot be made", options.out.display()))?;
    let say = "cleaning up; what was measured is kept, and the same command goes on from here";
    let clean_up = || {
        let removed = remove_own_worlds();
        tracking::restore()?;
        removed
    };
    clean_up_on_interrupt(say, clean_up)?;
    let mut results = begun(options)?;
    let shelf = Shelf::new()?;
    let blocks = options.blocks();
    println!("{}", duration::of(options, &results));
    let samples = |block: &Block| samples(&options.tasks(block), &there(block, options, &results));
    let mut progress = Progress::of(blocks.iter().map(samples).sum());
    for block in blocks {
        measure(block, &shelf, options, &mut results, &mut progress)?;
    }
    let has_packets = results
        .series
        .iter()
        .any(|series| series.subject.case == per_packet::CASE);
    if options.packets && options.peers.contains(&Peer::Fairlead) && !has_packets {
        progress.tell("the programs, packet by packet");
        per_packet::measure(options, &mut results)?;
    }
    progress.end();
    results.run.complete = true;
    results.save(&options.file())?;
    report::write(&results, &options.out)?;
    println!("{}", findings::page(&results));
    println!("the report: {}", options.out.join("report.html").display());
    let missing = findings::missing_rows(&results);
    missing.iter().for_each(|what| eprintln!("bench: {what}"));
    let failed = results.peers.iter().any(|peer| matches!(peer.state, State::Failed(_)));
    Ok(missing.is_empty() && !failed)
}

/// An unfinished run of the same command in the same folder, or a new one.
///
/// # Errors
/// When the unfinished one measured another version: figures of two are not put into one report.
fn begun(options: &Options) -> Result<Results> {
    if let Ok(mut earlier) = Results::load(&options.file())
        && !earlier.run.complete
        && earlier.run.command == options.command
    {
        let folder = options.out.display();
        let other = &earlier.run.version;
        ensure!(
            *other == version(),
            "{folder}: holds an unfinished run of {other}, and this is {}; remove it, or choose another folder with --out",
            version()
        );
        println!("going on with the run in {folder}");
        // They may not fail again.
        for peer in &mut earlier.peers {
            if matches!(peer.state, State::Failed(_)) {
                peer.state = State::Measured;
            }
        }
        return Ok(earlier);
    }
    let began = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    Ok(Results {
        schema: SCHEMA,
        machine: machine::facts(),
        run: Run {
            command: options.command.clone(),
            version: version(),
            began,
            rounds: ROUNDS,
            sample_ms: u64::try_from(SAMPLE.as_millis())?,
            seed: began,
            repeated: 0,
            complete: false,
        },
        peers: options.peers.iter().map(|&peer| entrant(peer)).collect(),
        series: Vec::new(),
        profiles: Vec::new(),
    })
}

fn entrant(peer: Peer) -> Entrant {
    Entrant {
        name: peer.name().to_owned(),
        kind: match peer {
            Peer::Direct => Kind::Ceiling,
            Peer::Control => Kind::Control,
            Peer::IptablesNft | Peer::IptablesLegacy | Peer::Nftables | Peer::Ipvs => Kind::KubeProxy,
            Peer::FairleadStack | Peer::FairleadSocket | Peer::Fairlead => Kind::Fairlead,
        },
        title: title(peer),
        state: peer.absent().map_or(State::Measured, State::Absent),
    }
}

/// The project's, with the commit where `cargo xtask bench` knows it.
fn version() -> String {
    let commit = std::env::var("FAIRLEAD_COMMIT").ok();
    let version = env!("CARGO_PKG_VERSION");
    commit.map_or_else(|| version.to_owned(), |commit| format!("{version} ({commit})"))
}

/// What the command line's help says of a peer, with the version of what is not this project's.
fn title(peer: Peer) -> String {
    let value = peer.to_possible_value();
    let what = value.as_ref().and_then(PossibleValue::get_help);
    let what = what.map_or_else(|| peer.to_string(), ToString::to_string);
    let version = peer.kube_proxy().and_then(|_| kube_proxy::version());
    version.map_or_else(|| what.clone(), |version| format!("{what} ({version})"))
}

/// Stands everybody up, has each prove itself, and measures what an earlier run has not.
fn measure(
    block: Block,
    shelf: &Shelf,
    options: &Options,
    results: &mut Results,
    progress: &mut Progress,
) -> Result<()> {
    let tasks = left(block, options, results, progress);
    if !tasks.is_empty() {
        loads(block, &tasks, shelf, options, results, progress)?;
    }
    // An agent does the same on every host.
    if options.agents && block.is_headline() {
        agents(block, shelf, options, results, progress)?;
    }
    Ok(())
}

fn loads(
    block: Block,
    tasks: &[Task],
    shelf: &Shelf,
    options: &Options,
    results: &mut Results,
    progress: &mut Progress,
) -> Result<()> {
    progress.tell(&format!("{}: starting the peers", block.title()));
    let objects = block.objects();
    let api = shelf.api(objects)?;
    let mut started = Vec::new();
    for peer in there(&block, options, results) {
        match stand(plan(peer, block, objects), &api) {
            Ok(stand) => started.push(stand),
            Err(error) => failed(peer, &error, results, progress),
        }
    }
    let (mut stands, refused) = proof::sift(started, &api);
    for (peer, error) in refused {
        failed(peer, &error.context("refused"), results, progress);
    }
    let _room = tracking::Room::of(block.scale, stands.len())?;
    for &task in tasks {
        let subject = task.subject(&block);
        for (peer, error) in rounds::measure(task, &subject, &mut stands, results, progress) {
            failed(peer, &error, results, progress);
        }
        results.save(&options.file())?;
    }
    Ok(())
}

/// Who takes part in a block and has not failed or been absent.
pub(super) fn there(block: &Block, options: &Options, results: &Results) -> Vec<Peer> {
    let mut peers = options.peers(block);
    peers.retain(|peer| results.state(peer.name()) == Some(&State::Measured));
    peers
}

/// The samples of tasks.
pub(super) fn samples(tasks: &[Task], peers: &[Peer]) -> u64 {
    tasks.iter().map(|task| task.samples(peers)).sum()
}

/// The tasks of a block that have no samples yet. One of which some peer has none is done again with all of them: samples
/// of different rounds are not compared.
fn left(block: Block, options: &Options, results: &mut Results, progress: &mut Progress) -> Vec<Task> {
    let peers = there(&block, options, results);
    let mut tasks = options.tasks(&block);
    tasks.retain(|task| {
        let subject = task.subject(&block);
        let done = is_measured(*task, &subject, &peers, results);
        if done {
            progress.skip(task.samples(&peers));
        } else {
            results.forget(&subject);
        }
        !done
    });
    tasks
}

/// Whether there are samples of everybody.
pub(super) fn is_measured(task: Task, subject: &Subject, peers: &[Peer], results: &Results) -> bool {
    let of_task: Vec<_> = results
        .series
        .iter()
        .filter(|series| series.subject == *subject)
        .collect();
    let has = |peer: &Peer| of_task.iter().all(|series| !series.samples(peer.name()).is_empty());
    !of_task.is_empty() && peers.iter().filter(|peer| task.is_for(**peer)).all(has)
}

/// Measures the agents one after the other.
fn agents(
    block: Block,
    shelf: &Shelf,
    options: &Options,
    results: &mut Results,
    progress: &mut Progress,
) -> Result<()> {
    let objects = block.objects();
    let peers = there(&block, options, results).into_iter();
    for peer in peers.filter(|peer| control::has_own_agent(*peer)) {
        let measured = control::is_measured(peer, objects, options, results);
        if measured {
            continue;
        }
        progress.tell(&format!("{} services: the agent of {peer}", block.services));
        if let Err(error) = control::measure(plan(peer, block, objects), shelf, options, results) {
            failed(peer, &error, results, progress);
        }
        results.save(&options.file())?;
    }
    agents_profiles(block, shelf, options, results, progress)
}

/// What agents do where one of Fairlead was shown to be worse, as far as an earlier run has not looked. What goes wrong is
/// told and is no failure of a peer.
fn agents_profiles(
    block: Block,
    shelf: &Shelf,
    options: &Options,
    results: &mut Results,
    progress: &Progress,
) -> Result<()> {
    let objects = block.objects();
    let subjects = results.series.iter().map(|series| &series.subject);
    let subjects: BTreeSet<Subject> = subjects
        .filter(|subject| control::is_of_agent(subject, objects))
        .cloned()
        .collect();
    for subject in subjects {
        let concerned = losses::concerned(results, &subject);
        let peers = there(&block, options, results).into_iter();
        let is_concerned = |peer: &Peer| concerned.iter().any(|name| name == peer.name());
        for peer in peers.filter(is_concerned) {
            if results.profile(&subject, peer.name()).is_some() {
                continue;
            }
            progress.tell(&format!("profile of {peer}: {subject}"));
            match control::profile(plan(peer, block, objects), &subject, shelf) {
                Ok(profile) => results.profiles.push(profile),
                Err(error) => progress.tell(&format!("no profile of {peer}: {error:#}")),
            }
            results.save(&options.file())?;
        }
    }
    Ok(())
}

fn failed(peer: Peer, error: &Error, results: &mut Results, progress: &Progress) {
    progress.tell(&format!("{peer} failed: {error:#}"));
    results.set_state(peer.name(), State::Failed(format!("{error:#}")));
}

fn plan(peer: Peer, block: Block, objects: Objects) -> StandPlan {
    StandPlan {
        peer,
        host: block.host,
        network: block.network,
        between: block.between,
        objects,
    }
}

/// A peer at rest, not yet proved.
fn stand(plan: StandPlan, api: &ApiServer) -> Result<Stand> {
    let stand = Stand::start(plan, api)?;
    pin::pin(&stand)?;
    stand.pause()?;
    Ok(stand)
}
