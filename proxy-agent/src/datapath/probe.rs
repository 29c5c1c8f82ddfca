//! What this kernel can do, asked of the kernel itself: distributions port things back.

use std::io;

use super::syscall::{Instruction, classifier, run};

/// Whether `bpf_fib_lookup` can say which source address the kernel would use (`BPF_FIB_LOOKUP_SRC`, Linux 6.7): an
/// older one refuses the flag.
///
/// # Errors
/// If the kernel takes no program at all.
pub fn fib_source() -> io::Result<bool> {
    let program = classifier(&fib_lookup_with_source())?;
    // An Ethernet frame of nothing: the program looks at none of it.
    Ok(run(&program, &[0; 64])? == 1)
}

/// A program that returns 0 if the helper answers "invalid argument", else 1.
fn fib_lookup_with_source() -> Vec<Instruction> {
    const PARAMETERS: i16 = 64;
    const AF_INET: i32 = libc::AF_INET;
    const BPF_FIB_LOOKUP_SRC: i32 = 1 << 4;
    const FIB_LOOKUP: i32 = 69;
    let instruction = |code, registers, offset, immediate| Instruction {
        code,
        registers,
        offset,
        immediate,
    };
    let mov = |to, value| instruction(0xb7, to, 0, value);
    let mut program = vec![instruction(0xbf, 0x16, 0, 0), mov(0, 0)];
    program.extend((1..=8).map(|word| instruction(0x7b, 0x0a, -8 * word, 0)));
    program.extend([
        // family = AF_INET, ifindex = lo
        instruction(0x72, 0x0a, -PARAMETERS, AF_INET),
        instruction(0x62, 0x0a, -PARAMETERS + 8, 1),
        instruction(0xbf, 0x61, 0, 0),
        instruction(0xbf, 0xa2, 0, 0),
        instruction(0x07, 0x02, 0, i32::from(-PARAMETERS)),
        mov(3, i32::from(PARAMETERS)),
        mov(4, BPF_FIB_LOOKUP_SRC),
        instruction(0x85, 0, 0, FIB_LOOKUP),
        instruction(0xbf, 0x01, 0, 0),
        mov(0, 0),
        // if r1 == -EINVAL goto exit
        instruction(0x15, 0x01, 1, -libc::EINVAL),
        mov(0, 1),
        instruction(0x95, 0, 0, 0),
    ]);
    program
}
