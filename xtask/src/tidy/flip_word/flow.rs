//! Follows the address that a look-up returns through registers and stack, along every path of a function.

use std::collections::{BTreeMap, BTreeSet};

use super::instruction::{Instruction, Kind};

/// `bpf_map_lookup_elem`, by its number.
const LOOKUP: i32 = 1;
/// Where a function's result is.
const RESULT: usize = 0;
/// Which registers a call leaves without a meaning: the result and the arguments.
const CLOBBERED: std::ops::RangeInclusive<usize> = 0..=5;
const ARGUMENTS: std::ops::RangeInclusive<usize> = 1..=5;
const STACK: usize = 10;

/// What a register or stack slot may hold, as far as we care; the later of two wins where paths meet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Value {
    #[default]
    Other,
    /// The map.
    Map,
    /// An address in a value of the map, looked up by this instruction.
    Word(usize),
}

/// Registers and stack slots before an instruction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct State {
    registers: [Value; 11],
    stack: BTreeMap<i16, Value>,
}

/// What a function does with the map's values.
#[derive(Debug, Default)]
pub(super) struct Flow {
    /// Instructions that look a value up.
    pub(super) lookups: BTreeSet<usize>,
    /// Instructions that read a value, and how many bytes.
    pub(super) loads: BTreeMap<usize, usize>,
    /// By which look-up the read value was found.
    pub(super) origin: BTreeMap<usize, usize>,
    /// Calls that get the map or an address in a value, and are no look-ups.
    pub(super) escapes: BTreeSet<usize>,
}

/// Follows a function from its first instruction; `uses` are the instructions that load the map's address.
pub(super) fn follow(code: &[Instruction], entry: usize, uses: &BTreeSet<usize>) -> Flow {
    let mut flow = Flow::default();
    let mut before: BTreeMap<usize, State> = BTreeMap::from([(entry, State::default())]);
    let mut open = vec![entry];
    while let Some(at) = open.pop() {
        let (Some(&instruction), Some(state)) = (code.get(at), before.get(&at)) else {
            continue;
        };
        let mut state = state.clone();
        state.step(at, instruction, uses.contains(&at), &mut flow);
        for next in successors(at, instruction) {
            let is_new = !before.contains_key(&next);
            if before.entry(next).or_default().join(&state) || is_new {
                open.push(next);
            }
        }
    }
    flow
}

fn successors(at: usize, instruction: Instruction) -> Vec<usize> {
    let jump = |distance: i64| {
        i64::try_from(at)
            .ok()
            .and_then(|at| usize::try_from(at + 1 + distance).ok())
    };
    match instruction.kind() {
        Kind::Exit => Vec::new(),
        Kind::Constant => vec![at + 2],
        Kind::Jump(distance) => jump(distance).into_iter().collect(),
        Kind::Branch(distance) => jump(distance).into_iter().chain([at + 1]).collect(),
        Kind::Load(_)
        | Kind::Store(_)
        | Kind::StoreConstant(_)
        | Kind::Atomic(_)
        | Kind::Move
        | Kind::Advance
        | Kind::Compute
        | Kind::Helper(_)
        | Kind::Call => vec![at + 1],
    }
}

impl State {
    /// Takes in what another path brings; says whether that was anything new.
    fn join(&mut self, other: &Self) -> bool {
        let old = self.clone();
        for (mine, theirs) in self.registers.iter_mut().zip(other.registers) {
            *mine = (*mine).max(theirs);
        }
        for (slot, theirs) in &other.stack {
            let mine = self.stack.entry(*slot).or_default();
            *mine = (*mine).max(*theirs);
        }
        *self != old
    }

    fn step(&mut self, at: usize, instruction: Instruction, names_map: bool, flow: &mut Flow) {
        let Instruction { to, from, offset, .. } = instruction;
        match instruction.kind() {
            Kind::Constant => self.registers[to] = if names_map { Value::Map } else { Value::Other },
            Kind::Load(size) => self.registers[to] = self.load(at, from, offset, size, flow),
            Kind::Store(size) if to == STACK && size == 8 => {
                self.stack.insert(offset, self.registers[from]);
            }
            Kind::Store(_) | Kind::StoreConstant(_) if to == STACK => {
                self.stack.remove(&offset);
            }
            Kind::Atomic(size) => {
                self.load(at, to, offset, size, flow);
            }
            Kind::Move => self.registers[to] = self.registers[from],
            Kind::Compute => self.registers[to] = Value::Other,
            Kind::Helper(number) => self.call(at, number == LOOKUP, flow),
            Kind::Call => self.call(at, false, flow),
            Kind::Store(_) | Kind::StoreConstant(_) | Kind::Advance => {}
            Kind::Jump(_) | Kind::Branch(_) | Kind::Exit => {}
        }
    }

    /// What is read from memory: a stack slot keeps what it holds, and a read of a value is noted.
    fn load(&self, at: usize, from: usize, offset: i16, size: usize, flow: &mut Flow) -> Value {
        if from == STACK && size == 8 {
            return self.stack.get(&offset).copied().unwrap_or_default();
        }
        if let Value::Word(lookup) = self.registers[from] {
            flow.loads.insert(at, size);
            flow.origin.insert(at, lookup);
        }
        Value::Other
    }

    fn call(&mut self, at: usize, is_lookup: bool, flow: &mut Flow) {
        let is_ours = is_lookup && self.registers[1] == Value::Map;
        if !is_ours && self.registers[ARGUMENTS].iter().any(|value| *value != Value::Other) {
            flow.escapes.insert(at);
        }
        self.registers[CLOBBERED].fill(Value::Other);
        if is_ours {
            flow.lookups.insert(at);
            self.registers[RESULT] = Value::Word(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::complaints;
    use super::super::instruction::decode;
    use super::*;

    const MAP_TO_R1: [[u8; 8]; 2] = [[0x18, 0x01, 0, 0, 0, 0, 0, 0], [0; 8]];
    const LOOK_UP: [u8; 8] = [0x85, 0, 0, 0, 1, 0, 0, 0];
    const EXIT_IF_NULL: [u8; 8] = [0x15, 0, 1, 0, 0, 0, 0, 0];
    const READ_8_OF_R0: [u8; 8] = [0x79, 0x01, 0, 0, 0, 0, 0, 0];
    const READ_4_OF_R0: [u8; 8] = [0x61, 0x02, 0, 0, 0, 0, 0, 0];
    const EXIT: [u8; 8] = [0x95, 0, 0, 0, 0, 0, 0, 0];

    fn found(rest: &[[u8; 8]]) -> Vec<String> {
        let mut bytes = MAP_TO_R1.concat();
        bytes.extend(LOOK_UP);
        bytes.extend(rest.concat());
        complaints(&follow(&decode(&bytes), 0, &BTreeSet::from([0])))
    }

    #[test]
    fn one_load_of_eight_bytes_is_right() {
        assert!(found(&[EXIT_IF_NULL, READ_8_OF_R0, EXIT]).is_empty());
    }

    #[test]
    fn a_load_of_half_the_word_is_found() {
        let expected = ["instruction 4 reads 4 bytes of the flip word and not all 8 at once"];
        assert_eq!(found(&[EXIT_IF_NULL, READ_4_OF_R0, EXIT]), expected);
    }

    #[test]
    fn a_second_load_is_found_through_a_register_and_the_stack() {
        let keep_in_r6 = [0xbf, 0x06, 0, 0, 0, 0, 0, 0];
        let spill_r6 = [0x7b, 0x6a, 0xf8, 0xff, 0, 0, 0, 0];
        let fill_r3 = [0x79, 0xa3, 0xf8, 0xff, 0, 0, 0, 0];
        let read_8_of_r3 = [0x79, 0x34, 0, 0, 0, 0, 0, 0];
        let found = found(&[
            EXIT_IF_NULL,
            READ_8_OF_R0,
            keep_in_r6,
            spill_r6,
            fill_r3,
            read_8_of_r3,
            EXIT,
        ]);
        assert_eq!(found, ["the flip word looked up by instruction 2 is read 2 times"]);
    }

    #[test]
    fn an_address_given_away_is_found() {
        let to_r1 = [0xbf, 0x01, 0, 0, 0, 0, 0, 0];
        let function = [0x85, 0x10, 0, 0, 3, 0, 0, 0];
        assert_eq!(found(&[to_r1, function, EXIT]).len(), 1);
    }

    #[test]
    fn what_another_map_returns_is_not_our_business() {
        let other_map = [0x18, 0x01, 0, 0, 0, 0, 0, 0];
        let rest = [READ_8_OF_R0, other_map, [0; 8], LOOK_UP, READ_4_OF_R0, EXIT];
        assert!(found(&rest).is_empty());
    }

    #[test]
    fn a_loop_ends() {
        let back = [0x05, 0, 0xfc, 0xff, 0, 0, 0, 0];
        assert!(found(&[READ_8_OF_R0, back]).is_empty());
    }
}
