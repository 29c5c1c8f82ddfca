//! The rows of `tests::packets`, through the programs.

use proxy_common::family::{V4, V6};
use proxy_ebpf::testing::who::TestFamily;
use tests::{
    kernel::place,
    packets::{self, Row, row},
};

use crate::machine::Kernel;

fn check<F: TestFamily>(rows: &[Row<F>]) {
    let node = place::node().unwrap_or_else(|error| panic!("{error:#}"));
    let done = node.run(|| {
        let mut kernel = Kernel::load().unwrap_or_else(|error| panic!("{error:#}"));
        row::check_all(rows, |row| row.run(&mut kernel));
    });
    done.unwrap_or_else(|error| panic!("{error:#}"));
}

#[test]
fn the_programs_do_what_every_row_of_ipv4_says() {
    check::<V4>(&packets::v4());
}

#[test]
fn the_programs_do_what_every_row_of_ipv6_says() {
    check::<V6>(&packets::v6());
}
