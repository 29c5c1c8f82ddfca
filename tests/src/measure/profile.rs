//! What the processors did for a peer: taken beside the measured rounds, to say why something was lost.

use serde::{Deserialize, Serialize};

use super::results::Subject;

/// What one peer's load made the machine do. Everything is for one of [`Profile::of`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Profile {
    /// What was done, where, among how many.
    pub subject: Subject,
    /// [`super::results::Entrant::name`].
    pub peer: String,
    /// What is counted: that of which the case's rate has so many in a second, such as `connections`.
    pub of: String,
    /// The peer's own BPF programs, by the kernel's run-time statistics; empty for a peer without.
    pub programs: Vec<Program>,
    /// What the kernel holds for an agent's maps, the largest first; empty for what is no agent's, or has none.
    #[serde(default)]
    pub maps: Vec<Map>,
    /// The processors, by samples; none where they cannot be sampled.
    pub processors: Option<Processors>,
}

/// A BPF program, that of all nodes together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Program {
    /// Its name in the kernel.
    pub name: String,
    /// How often it ran.
    pub runs: f64,
    /// How long it took in all, in ns, with what it calls.
    pub time: f64,
}

/// A map of an agent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Map {
    /// Its name.
    pub name: String,
    /// What the kernel holds for it, in bytes.
    pub bytes: f64,
}

/// What the processors were doing, all of them, in ns of one processor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Processors {
    /// What one sample stands for.
    pub sample: f64,
    /// Nothing.
    pub idle: f64,
    /// Processes that have no part in it; what of it was done while they ran is not told apart.
    pub elsewhere: f64,
    /// Programs in user space, but for those of `functions`.
    pub user: f64,
    /// The kernel's functions that took most, the longest first, without what they call. Compiled BPF programs are
    /// among them, and for an agent the functions of programs in user space, behind the program's name.
    pub functions: Vec<Function>,
    /// All other functions of the kernel together.
    pub others: f64,
}

/// A function of the kernel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Function {
    /// Its symbol.
    pub name: String,
    /// In ns.
    pub time: f64,
}

/// A function in two profiles.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference<'a> {
    /// Its symbol, or [`USER`].
    pub name: &'a str,
    /// By how many ns it takes longer in the first.
    pub time: f64,
    /// How far that may be off by the chance of sampling alone: twice its standard error, in ns.
    pub error: f64,
}

/// The name under which user space stands among functions.
pub const USER: &str = "programs in user space";

impl Profile {
    /// Time in the peer's own programs, in ns.
    pub fn own_time(&self) -> f64 {
        self.programs.iter().map(|program| program.time).sum()
    }

    /// Whether every figure is a number.
    pub fn is_finite(&self) -> bool {
        let programs = self.programs.iter().flat_map(|program| [program.runs, program.time]);
        let processors = self.processors.iter().flat_map(|processors| {
            let functions = processors.functions.iter().map(|function| function.time);
            functions.chain([
                processors.sample,
                processors.idle,
                processors.elsewhere,
                processors.user,
                processors.others,
            ])
        });
        let maps = self.maps.iter().map(|map| map.bytes);
        programs.chain(maps).chain(processors).all(f64::is_finite)
    }
}

impl Processors {
    /// All that was done for it, in ns.
    pub fn busy(&self) -> f64 {
        self.user + self.others + self.functions.iter().map(|function| function.time).sum::<f64>()
    }

    /// In ns; 0 for a function that is not among those that took most.
    pub fn time(&self, name: &str) -> f64 {
        if name == USER {
            return self.user;
        }
        let function = self.functions.iter().find(|function| function.name == name);
        function.map_or(0.0, |function| function.time)
    }

    /// The functions in which this and another differ most, the largest difference first.
    pub fn differences<'a>(&'a self, other: &'a Processors) -> Vec<Difference<'a>> {
        let mut names: Vec<&str> = self.functions.iter().map(|function| &function.name[..]).collect();
        let more = other.functions.iter().map(|function| &function.name[..]);
        names.extend(more.filter(|name| self.time(name) == 0.0).chain([USER]));
        let difference = |name: &'a str| {
            let (ours, theirs) = (self.time(name), other.time(name));
            // Samples fall by chance: of n, the standard error is the root of n.
            let variance = ours * self.sample + theirs * other.sample;
            Difference {
                name,
                time: ours - theirs,
                error: 2.0 * variance.sqrt(),
            }
        };
        let mut all: Vec<_> = names.into_iter().map(difference).collect();
        all.sort_by(|a, b| b.time.abs().total_cmp(&a.time.abs()));
        all
    }
}
