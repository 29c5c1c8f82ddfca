//! The programs and maps, into the kernel.

use std::{
    collections::BTreeMap,
    fs, io,
    os::fd::{AsFd as _, BorrowedFd},
    path::{Path, PathBuf},
};

use aya::{
    Ebpf, EbpfError, EbpfLoader,
    maps::{Map, MapData, MapInfo},
    programs::{CgroupSockAddr, Program, ProgramError},
};
use aya_obj::Object;
use proxy_common::{
    ABI_VERSION,
    schema::{self, MapKind, MapSpec},
};

use super::{HostError, PinLock, Pins, object::ROUTER, packet_log, requirements, twin};
use crate::{
    apply::{
        kernel::{KernelArray, MapSource},
        map::{Table as _, TableError},
    },
    cli::CapacityArgs,
    settings::DataPathSettings,
};

/// The classifiers that nearly every node needs. Those for devices without a link header are loaded with the first such
/// device: the verifier takes its time for each.
pub const CLASSIFIERS: [&str; 2] = ["ingress", "egress"];
/// The programs that are attached to the cgroup.
pub const SOCKET_HOOKS: [&str; 8] = [
    "connect4",
    "connect6",
    "sendmsg4",
    "sendmsg6",
    "recvmsg4",
    "recvmsg6",
    "getpeername4",
    "getpeername6",
];
/// The twin of `ingress` that is attached nowhere and changes nothing.
pub const EXPLAIN: &str = "explain";

/// The loaded programs.
pub struct Loaded {
    ebpf: Ebpf,
    pins: Pins,
    /// Held as long as the programs are.
    _lock: PinLock,
}

/// Loads all programs over the pinned maps, making those that are missing. Attaches nothing.
///
/// # Errors
/// If the machine lacks something, another agent runs on the pins, or the maps are of another version.
pub fn load(settings: &DataPathSettings) -> Result<Loaded, HostError> {
    requirements::check(&settings.state)?;
    let pins = Pins::new(&settings.state);
    let lock = pins.lock()?;
    check_abi(&pins)?;
    check_shapes(&pins)?;
    let capacities = capacities(&settings.capacities);
    let log_packets = u8::from(settings.log_packets);
    let mut loader = EbpfLoader::new();
    loader.override_global(packet_log::SWITCH, &log_packets, true);
    for (spec, entries) in &capacities {
        warn_of_size(&pins, spec, *entries);
        place(&mut loader, &pins, spec, *entries);
    }
    let ebpf = loader.load(ROUTER).map_err(|error| refused_object(&error))?;
    write_abi(&pins)?;
    let mut loaded = Loaded {
        ebpf,
        pins,
        _lock: lock,
    };
    load_programs(&mut loaded.ebpf, &CLASSIFIERS)?;
    load_programs(&mut loaded.ebpf, &SOCKET_HOOKS)?;
    load_programs(&mut loaded.ebpf, &[EXPLAIN])?;
    loaded.pin_program(EXPLAIN)?;
    if settings.log_packets {
        packet_log::start(&mut loaded.ebpf).map_err(|error| HostError::Feature {
            what: "the log of packets".into(),
            why: error.to_string(),
        })?;
    }
    Ok(loaded)
}

/// The explaining twin over maps of its own, which vanish with it.
pub struct Apart {
    ebpf: Ebpf,
    maps: BTreeMap<String, MapData>,
}

/// Loads the twin apart from everything that runs on this machine.
///
/// # Errors
/// If privileges are missing, or the kernel refuses.
pub fn load_apart(sizes: &CapacityArgs) -> Result<Apart, HostError> {
    requirements::check_kernel()?;
    let capacities = capacities(sizes);
    let mut loader = EbpfLoader::new();
    for (spec, entries) in capacities
        .iter()
        .filter(|(spec, _)| spec.kind != MapKind::SocketStorage)
    {
        loader.map_max_entries(spec.name, *entries);
    }
    let mut ebpf = loader.load(ROUTER).map_err(|error| refused_object(&error))?;
    load_programs(&mut ebpf, &[EXPLAIN])?;
    let names: Vec<String> = ebpf.maps().map(|(name, _)| name.to_owned()).collect();
    let maps = names.into_iter().filter_map(|name| {
        let data = data(ebpf.take_map(&name)?)?;
        Some((name, data))
    });
    let maps = maps.collect();
    Ok(Apart { ebpf, maps })
}

impl Apart {
    /// Runs the twin over a frame that is taken to come in from an interface.
    ///
    /// # Errors
    /// If the kernel does not run it.
    pub fn run(&self, ifindex: u32, frame: &[u8]) -> io::Result<()> {
        let program = self.ebpf.program(EXPLAIN).ok_or(io::ErrorKind::NotFound)?;
        twin::run(program.try_into().map_err(io::Error::other)?, ifindex, frame)
    }
}

impl MapSource for Apart {
    fn find(&self, spec: &MapSpec) -> Result<MapData, TableError> {
        let missing = |why: String| TableError::Shape { map: spec.name, why };
        let data = self
            .maps
            .get(spec.name)
            .ok_or_else(|| missing("it is not in the object file".into()))?;
        let fd = data
            .fd()
            .as_fd()
            .try_clone_to_owned()
            .map_err(|error| missing(error.to_string()))?;
        MapData::from_fd(fd).map_err(|error| missing(error.to_string()))
    }
}

/// A map of one of the kinds that the schema has.
fn data(map: Map) -> Option<MapData> {
    #[expect(clippy::wildcard_enum_match_arm, reason = "the kinds that the schema has not")]
    match map {
        Map::Array(data) | Map::HashMap(data) | Map::LpmTrie(data) | Map::LruHashMap(data) | Map::PerCpuArray(data) => {
            Some(data)
        }
        _ => None,
    }
}

/// What only one run of a program needs is not kept.
const SCRATCH: [MapSpec; 2] = [schema::WORK_V4, schema::WORK_V6];

/// Every map that holds state is pinned, socket storage too: a socket's memory must outlive the agent. Its size is not
/// ours to say.
fn place<'a>(loader: &mut EbpfLoader<'a>, pins: &Pins, spec: &MapSpec, entries: u32) {
    if SCRATCH.contains(spec) {
        return;
    }
    loader.map_pin_path(spec.name, pins.map(spec));
    if spec.kind != MapKind::SocketStorage {
        loader.map_max_entries(spec.name, entries);
    }
}

impl Loaded {
    /// A program's descriptor.
    ///
    /// # Errors
    /// If the object has no program of that name, or it is not loaded.
    pub fn program(&self, name: &str) -> Result<BorrowedFd<'_>, HostError> {
        let program = self.ebpf.program(name).ok_or_else(|| missing_program(name))?;
        Ok(program.fd().map_err(|error| refused_program(name, &error))?.as_fd())
    }

    /// Loads a program unless it is loaded.
    ///
    /// # Errors
    /// If the object has no program of that name, or the kernel refuses it.
    pub fn ensure(&mut self, name: &str) -> Result<(), HostError> {
        if self.program(name).is_ok() {
            return Ok(());
        }
        load_programs(&mut self.ebpf, &[name])
    }

    /// The programs and maps in aya's form.
    pub const fn ebpf(&mut self) -> &mut Ebpf {
        &mut self.ebpf
    }

    /// Pins a program in the place of the one that is pinned.
    fn pin_program(&mut self, name: &str) -> Result<(), HostError> {
        let path = self.pins.program(name);
        let new = self.pins.program(&format!("{name}_new"));
        drop(fs::remove_file(&new));
        let program = self.ebpf.program_mut(name).ok_or_else(|| missing_program(name))?;
        let failed = |reason: String| HostError::Pins {
            path: path.clone(),
            reason,
        };
        program.pin(&new).map_err(|error| failed(error.to_string()))?;
        fs::rename(&new, &path).map_err(|error| failed(error.to_string()))
    }
}

fn load_programs(ebpf: &mut Ebpf, names: &[&str]) -> Result<(), HostError> {
    for name in names {
        let program = ebpf.program_mut(name).ok_or_else(|| missing_program(name))?;
        let loaded = if let Program::SchedClassifier(program) = program {
            program.load()
        } else {
            <&mut CgroupSockAddr>::try_from(program).and_then(CgroupSockAddr::load)
        };
        loaded.map_err(|error| refused_program(name, &error))?;
    }
    Ok(())
}

/// How many entries each map has, given what was asked for.
#[must_use]
pub fn capacities(asked: &CapacityArgs) -> Vec<(MapSpec, u32)> {
    let services = asked.max_services.map(|count| count + 1);
    let endpoints = asked.max_endpoints.map(|count| count + 1);
    let cells = services.or(endpoints).map(|_| {
        let services = services.unwrap_or(schema::SERVICES.capacity);
        let endpoints = endpoints.unwrap_or(schema::STATE.capacity);
        // Every block twice: one in force, one being written or waiting for its grace period.
        endpoints.saturating_add(services).saturating_mul(2)
    });
    let size = |spec: &MapSpec| {
        let asked = match spec.name {
            "FRONTENDS_V4" | "FRONTENDS_V6" => asked.max_frontends,
            "SERVICES" | "SERVICE_NAMES" => services,
            "STATE" | "ENDPOINT_NAMES" | "TARGETS_V4" | "TARGETS_V6" => endpoints,
            "ENDPOINTS" => cells,
            "RECORDS_V4" | "RECORDS_V6" => asked.max_flows,
            "FLOWS_V4" | "FLOWS_V6" => asked.max_flows.map(|flows| flows.saturating_mul(3)),
            _ => None,
        };
        asked.unwrap_or(spec.capacity)
    };
    schema::ALL.iter().map(|spec| (*spec, size(spec))).collect()
}

fn check_abi(pins: &Pins) -> Result<(), HostError> {
    if !pins.map(&schema::ABI).exists() {
        return Ok(());
    }
    let found = abi(pins)?;
    // Zero: whoever made the maps was killed before anything else was in them.
    if found == 0 || found == ABI_VERSION {
        return Ok(());
    }
    Err(HostError::Abi {
        path: pins.maps(),
        found,
        known: ABI_VERSION,
    })
}

/// The programs must find keys and values as large as they were compiled for.
fn check_shapes(pins: &Pins) -> Result<(), HostError> {
    let object = Object::parse(ROUTER).map_err(|error| HostError::Feature {
        what: "a readable object file".into(),
        why: chain(&error),
    })?;
    for spec in schema::ALL.iter().filter(|spec| pins.map(spec).exists()) {
        let (Some(wanted), Ok(pinned)) = (object.maps.get(spec.name), MapInfo::from_pin(pins.map(spec))) else {
            continue;
        };
        let (wanted, pinned) = (
            (wanted.key_size(), wanted.value_size()),
            (pinned.key_size(), pinned.value_size()),
        );
        if wanted != pinned {
            let why = format!(
                "its keys and values have {} and {} bytes, this fairlead's {} and {}",
                pinned.0, pinned.1, wanted.0, wanted.1
            );
            return Err(broken(pins, spec, &why));
        }
    }
    Ok(())
}

/// The layout of the pinned maps.
///
/// # Errors
/// If the map that says it cannot be read.
pub fn abi(pins: &Pins) -> Result<u32, HostError> {
    let map = KernelArray::<u32>::open(&pins.maps(), &schema::ABI);
    let found = map.and_then(|map| map.get(&0));
    found
        .map(Option::unwrap_or_default)
        .map_err(|error| broken(pins, &schema::ABI, &error.to_string()))
}

fn write_abi(pins: &Pins) -> Result<(), HostError> {
    if abi(pins)? == ABI_VERSION {
        return Ok(());
    }
    let map = KernelArray::<u32>::open(&pins.maps(), &schema::ABI);
    let written = map.and_then(|mut map| map.put(&0, &ABI_VERSION));
    written.map_err(|error| broken(pins, &schema::ABI, &error.to_string()))
}

fn broken(pins: &Pins, spec: &MapSpec, why: &str) -> HostError {
    HostError::Map {
        path: pins.map(spec),
        why: why.to_owned(),
    }
}

/// A pinned map keeps the size it was made with.
fn warn_of_size(pins: &Pins, spec: &MapSpec, asked: u32) {
    let Ok(info) = MapInfo::from_pin(pins.map(spec)) else {
        return;
    };
    if spec.kind != MapKind::SocketStorage && info.max_entries() != asked {
        tracing::warn!(
            map = spec.name,
            entries = info.max_entries(),
            asked,
            "a pinned map keeps its size until `fairlead cleanup`"
        );
    }
}

fn missing_program(name: &str) -> HostError {
    HostError::Feature {
        what: format!("program {name}"),
        why: "it is not in the object file".into(),
    }
}

fn refused_object(error: &EbpfError) -> HostError {
    if is_forbidden(error) {
        return HostError::Forbidden { what: "maps".into() };
    }
    let why = chain(error);
    HostError::Feature {
        what: "a kind of map or of type information that the programs need".into(),
        why,
    }
}

/// The verifier says `EACCES` of a program that it does not like; `EPERM` is about who asks.
fn is_forbidden(error: &(dyn std::error::Error + 'static)) -> bool {
    let code = |error: &io::Error| error.raw_os_error() == Some(libc::EPERM);
    error.downcast_ref::<io::Error>().is_some_and(code) || error.source().is_some_and(is_forbidden)
}

fn refused_program(name: &str, error: &ProgramError) -> HostError {
    if is_forbidden(error) {
        return HostError::Forbidden {
            what: format!("the program {name}"),
        };
    }
    let (why, log) = if let ProgramError::LoadError { io_error, verifier_log } = error {
        (io_error.to_string(), keep_log(name, &verifier_log.to_string()))
    } else {
        (chain(error), String::new())
    };
    HostError::Program {
        program: name.to_owned(),
        why,
        log,
    }
}

/// Keeps what the verifier said, and says where.
fn keep_log(program: &str, log: &str) -> String {
    let folder = Path::new("/run/fairlead");
    let path: PathBuf = folder.join(format!("verifier-{program}.log"));
    let kept = fs::create_dir_all(folder).and_then(|()| fs::write(&path, log));
    kept.map_or_else(
        |_| String::new(),
        |()| format!("; the verifier's log is in {}", path.display()),
    )
}

/// An error and its causes on one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.contains(&next) {
            text.push_str(": ");
            text.push_str(&next);
        }
        cause = error.source();
    }
    text.replace('\n', " ")
}
