//! Packets and what a node does with them: each row is one duty, written once for both families, and put through the
//! library on the host and through the programs in the kernel.

pub mod row;
pub mod services;
pub mod refusals;
pub mod frames;
pub mod hostile;
pub mod fragments;
pub mod icmp;
pub mod clashes;
pub mod connections;
pub mod left_behind;

use proxy_common::family::{V4, V6};
use proxy_ebpf::testing::who::TestFamily;

pub use row::{Expected, Row, Step, row};

/// The rows of both families.
#[must_use]
pub fn of<F: TestFamily>() -> Vec<Row<F>> {
    let mut rows = services::rows();
    rows.extend(refusals::rows());
    rows.extend(frames::rows());
    rows.extend(hostile::rows());
    rows.extend(fragments::rows());
    rows.extend(icmp::rows());
    rows.extend(clashes::rows());
    rows.extend(connections::rows());
    rows.extend(left_behind::rows());
    rows
}

/// All rows of IPv4: those of both families, and what only IPv4 has.
#[must_use]
pub fn v4() -> Vec<Row<V4>> {
    let mut rows = of::<V4>();
    rows.extend(hostile::v4());
    rows
}

/// All rows of IPv6: those of both families, and what only IPv6 has.
#[must_use]
pub fn v6() -> Vec<Row<V6>> {
    let mut rows = of::<V6>();
    rows.extend(hostile::v6());
    rows.extend(fragments::v6());
    rows
}

#[cfg(test)]
mod tests {
    use proxy_ebpf::testing::{fixture::Fixture, machine::Host};

    use super::*;

    #[test]
    fn the_library_does_what_every_row_says() {
        let (mut v4_host, mut v6_host) = (Host::new(&Fixture::default()), Host::new(&Fixture::default()));
        row::check_all(&v4(), |row| row.run(&mut v4_host));
        row::check_all(&v6(), |row| row.run(&mut v6_host));
    }
}
