//! BPF instructions as bytes (RFC 9669, section 3).

/// One instruction; the second half of a 64-bit load of a constant counts as one too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Instruction {
    pub(super) opcode: u8,
    pub(super) to: usize,
    pub(super) from: usize,
    pub(super) offset: i16,
    pub(super) constant: i32,
}

/// What an instruction does, as far as an address that it moves is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// `to = 64-bit constant`, in two instructions.
    Constant,
    /// `to = *(from + offset)`, of this many bytes.
    Load(usize),
    /// `*(to + offset) = from`, of this many bytes.
    Store(usize),
    /// `*(to + offset) = constant`, of this many bytes.
    StoreConstant(usize),
    /// Reads and writes `*(to + offset)`, of this many bytes.
    Atomic(usize),
    /// `to = from`, all 64 bits.
    Move,
    /// `to += constant`.
    Advance,
    /// Anything else that is computed into `to`.
    Compute,
    /// A function of the kernel, by its number.
    Helper(i32),
    /// A function of the object, or one of the kernel's by type.
    Call,
    /// Goes on at this many instructions after the next.
    Jump(i64),
    /// As `Jump`, or goes on with the next.
    Branch(i64),
    Exit,
}

impl Instruction {
    /// Bytes of an instruction.
    pub(super) const SIZE: usize = 8;

    pub(super) fn kind(self) -> Kind {
        let is_atomic = self.opcode & 0xe0 == 0xc0;
        match self.opcode & 0x07 {
            0 => Kind::Constant,
            1 => Kind::Load(self.size()),
            2 => Kind::StoreConstant(self.size()),
            3 if is_atomic => Kind::Atomic(self.size()),
            3 => Kind::Store(self.size()),
            // A move with an offset extends a sign.
            7 if self.opcode == 0xbf && self.offset == 0 => Kind::Move,
            7 if self.opcode == 0x07 => Kind::Advance,
            4 | 7 => Kind::Compute,
            _ => self.jump(),
        }
    }

    fn jump(self) -> Kind {
        match self.opcode {
            0x05 => Kind::Jump(self.offset.into()),
            // The long jump, of the class of 32-bit comparisons.
            0x06 => Kind::Jump(self.constant.into()),
            0x85 if self.from == 0 => Kind::Helper(self.constant),
            0x85 => Kind::Call,
            0x95 => Kind::Exit,
            _ => Kind::Branch(self.offset.into()),
        }
    }

    fn size(self) -> usize {
        match self.opcode & 0x18 {
            0x00 => 4,
            0x08 => 2,
            0x10 => 1,
            _ => 8,
        }
    }
}

/// All instructions of a section.
pub(super) fn decode(bytes: &[u8]) -> Vec<Instruction> {
    let (chunks, _) = bytes.as_chunks::<{ Instruction::SIZE }>();
    let one = |&[opcode, registers, o0, o1, c0, c1, c2, c3]: &[u8; 8]| Instruction {
        opcode,
        to: usize::from(registers & 0x0f),
        from: usize::from(registers >> 4),
        offset: i16::from_le_bytes([o0, o1]),
        constant: i32::from_le_bytes([c0, c1, c2, c3]),
    };
    chunks.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::load_of_eight([0x79, 0x61, 0x08, 0, 0, 0, 0, 0], Kind::Load(8))]
    #[case::load_of_four([0x61, 0x01, 0, 0, 0, 0, 0, 0], Kind::Load(4))]
    #[case::store([0x7b, 0x1a, 0xf8, 0xff, 0, 0, 0, 0], Kind::Store(8))]
    #[case::atomic([0xdb, 0x21, 0, 0, 1, 0, 0, 0], Kind::Atomic(8))]
    #[case::register_move([0xbf, 0x06, 0, 0, 0, 0, 0, 0], Kind::Move)]
    #[case::sign_extension([0xbf, 0x06, 8, 0, 0, 0, 0, 0], Kind::Compute)]
    #[case::helper([0x85, 0, 0, 0, 1, 0, 0, 0], Kind::Helper(1))]
    #[case::function([0x85, 0x10, 0, 0, 9, 0, 0, 0], Kind::Call)]
    #[case::jump_back([0x05, 0, 0xfe, 0xff, 0, 0, 0, 0], Kind::Jump(-2))]
    #[case::long_jump([0x06, 0, 0, 0, 0, 0, 1, 0], Kind::Jump(65_536))]
    #[case::branch([0x15, 0, 4, 0, 0, 0, 0, 0], Kind::Branch(4))]
    #[case::exit([0x95, 0, 0, 0, 0, 0, 0, 0], Kind::Exit)]
    fn bytes_mean_what_the_standard_says(#[case] bytes: [u8; 8], #[case] kind: Kind) {
        assert_eq!(decode(&bytes)[0].kind(), kind);
    }
}
