//! A row: a node, the packets that come and go, and what becomes of each.

use proxy_common::reason::Reason;
use proxy_ebpf::{
    testing::{
        check::faults,
        fixture::Fixture,
        machine::{Machine, Sent, Way},
        packet::Wire,
        who::TestFamily,
    },
    verdict::Action,
};

/// One duty of a node.
#[derive(Clone, Debug)]
pub struct Row<F: TestFamily> {
    /// The duty as a sentence.
    pub name: String,
    /// The node.
    pub fixture: Fixture<F>,
    /// The packets, one after the other.
    pub steps: Vec<Step>,
}

/// One packet.
#[derive(Clone, Debug)]
pub struct Step {
    /// Which way it goes.
    pub way: Way,
    /// The packet.
    pub packet: Wire,
    /// What becomes of it.
    pub expected: Expected,
}

/// What becomes of a packet.
#[derive(Clone, Debug)]
pub enum Expected {
    /// It goes on as it came.
    Passes(Reason),
    /// It goes on as this.
    Becomes(Wire),
    /// It vanishes.
    Drops(Reason),
    /// It vanishes, and this goes back.
    Refuses(Reason, Wire),
}

/// A duty on a node; its packets follow.
#[must_use]
pub fn row<F: TestFamily>(name: &str, fixture: &Fixture<F>) -> Row<F> {
    Row {
        name: name.to_owned(),
        fixture: fixture.clone(),
        steps: Vec::new(),
    }
}

impl<F: TestFamily> Row<F> {
    /// A packet comes in and becomes another.
    #[must_use]
    pub fn enters_as(self, interface: u32, packet: impl Into<Wire>, other: impl Into<Wire>) -> Self {
        self.step(Way::In(interface), packet, Expected::Becomes(other.into()))
    }

    /// A packet goes out and becomes another.
    #[must_use]
    pub fn leaves_as(self, interface: u32, packet: impl Into<Wire>, other: impl Into<Wire>) -> Self {
        self.step(Way::Out(interface), packet, Expected::Becomes(other.into()))
    }

    /// A packet comes in and stays as it is.
    #[must_use]
    pub fn enters(self, interface: u32, packet: impl Into<Wire>, reason: Reason) -> Self {
        self.step(Way::In(interface), packet, Expected::Passes(reason))
    }

    /// A packet goes out and stays as it is.
    #[must_use]
    pub fn leaves(self, interface: u32, packet: impl Into<Wire>, reason: Reason) -> Self {
        self.step(Way::Out(interface), packet, Expected::Passes(reason))
    }

    /// A packet comes in and vanishes.
    #[must_use]
    pub fn drops(self, interface: u32, packet: impl Into<Wire>, reason: Reason) -> Self {
        self.step(Way::In(interface), packet, Expected::Drops(reason))
    }

    /// A packet comes in and its sender is told.
    #[must_use]
    pub fn refuses(self, interface: u32, packet: impl Into<Wire>, reason: Reason, answer: impl Into<Wire>) -> Self {
        self.step(Way::In(interface), packet, Expected::Refuses(reason, answer.into()))
    }

    /// Another packet.
    #[must_use]
    pub fn step(mut self, way: Way, packet: impl Into<Wire>, expected: Expected) -> Self {
        let packet = packet.into();
        self.steps.push(Step { way, packet, expected });
        self
    }

    /// Sends the packets through a machine.
    ///
    /// # Errors
    ///
    /// What was not as the row says.
    pub fn run(&self, machine: &mut impl Machine<F>) -> Result<(), String> {
        machine.reset(&self.fixture);
        for (step, number) in self.steps.iter().zip(1..) {
            let sent = machine.send(step.way, step.packet.clone());
            step.check::<F>(&sent)
                .map_err(|fault| format!("packet {number}, {:?}: {fault}", step.way))?;
        }
        Ok(())
    }
}

impl Step {
    /// Compares what became of a packet with what should have.
    ///
    /// # Errors
    ///
    /// The difference.
    pub fn check<F: TestFamily>(&self, sent: &Sent) -> Result<(), String> {
        let (action, reason, wire) = match &self.expected {
            Expected::Passes(reason) => (Action::Pass, *reason, &self.packet),
            Expected::Drops(reason) => (Action::Drop, *reason, &self.packet),
            Expected::Becomes(wire) => (Action::Translate, Reason::Translated, wire),
            Expected::Refuses(reason, wire) => (Action::Reject, *reason, wire),
        };
        if (sent.action, sent.reason) != (action, reason) {
            let (was, should) = (sent.reason.name(), reason.name());
            return Err(format!("{:?}({was}) and not {action:?}({should})", sent.action));
        }
        if sent.wire.bytes != wire.bytes {
            return Err(format!(
                "is\n    {}\nand not\n    {}",
                hex(&sent.wire.bytes),
                hex(&wire.bytes)
            ));
        }
        let sound = faults::<F>(self.packet.packet()).is_empty();
        let faults = faults::<F>(sent.wire.packet());
        if sound && !faults.is_empty() {
            return Err(faults.join(", "));
        }
        Ok(())
    }
}

/// Checks every row, and fails with all that went wrong.
///
/// # Panics
///
/// If anything did.
pub fn check_all<F: TestFamily>(rows: &[Row<F>], mut check: impl FnMut(&Row<F>) -> Result<(), String>) {
    let faults = rows.iter().filter_map(|row| {
        let fault = check(row).err()?;
        Some(format!("{}, {}: {fault}", row.name, F::NAME))
    });
    let faults: Vec<_> = faults.collect();
    assert!(
        faults.is_empty(),
        "{} of {} rows:\n{}",
        faults.len(),
        rows.len(),
        faults.join("\n")
    );
}

/// Bytes in groups of four.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    let words = bytes
        .chunks(4)
        .map(|word| word.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
    words.collect::<Vec<_>>().join(" ")
}
