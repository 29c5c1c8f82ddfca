//! The figures as a table, for people.

use std::fmt;

use super::figures::{Cost, Figures, LookUps, Name, PacketFigures, Part, TrafficCost, TrafficFigures, Verified};

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Name {
            case,
            hook,
            family,
            protocol,
        } = self;
        write!(f, "{case:<27} {hook:<8} {family} {protocol:<3}")
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(packets) = &self.packets {
            self.costs(f, packets)?;
        }
        if let Some(traffic) = &self.traffic {
            talks(f, traffic)?;
        }
        if !self.parts.is_empty() {
            writeln!(f, "\n{:<36} {:>6}", "one call of a helper", "ns")?;
        }
        for Part { name, nanoseconds } in &self.parts {
            writeln!(f, "{name:<36} {nanoseconds:>6.1}")?;
        }
        if !self.verified.is_empty() {
            writeln!(
                f,
                "\n{:<14} {:>21} {:>21}",
                "program", "instructions verified", "bytes of machine code"
            )?;
        }
        for Verified {
            program,
            instructions,
            machine_code,
        } in &self.verified
        {
            writeln!(f, "{program:<14} {instructions:>21} {machine_code:>21}")?;
        }
        Ok(())
    }
}

impl Figures {
    fn costs(&self, f: &mut fmt::Formatter<'_>, packets: &PacketFigures) -> fmt::Result {
        let PacketFigures { look_up, rounds, .. } = packets;
        writeln!(
            f,
            "one look-up of 16 bytes in a hash: {look_up:.1} ns; medians of {rounds} rounds\n\
             {:<47} {:>8} {:>6} {:>9} {:>6} {:>12}",
            "packet", "Services", "ns", "look-ups", "grows", "hash + array"
        )?;
        for Cost {
            name,
            services,
            nanoseconds,
            multiple,
            ..
        } in &packets.costs
        {
            let growth = packets
                .growth(name)
                .map_or(String::new(), |growth| format!("{growth:.2}"));
            let asked = self.look_ups.iter().find(|look_ups| look_ups.name == *name);
            let asked = asked.map_or(String::new(), |LookUps { hashes, arrays, .. }| {
                format!("{hashes} + {arrays}")
            });
            let name = name.to_string();
            writeln!(
                f,
                "{name:<47} {services:>8} {nanoseconds:>6.0} {multiple:>9.1} {growth:>6} {asked:>12}"
            )?;
        }
        Ok(())
    }
}

fn talks(f: &mut fmt::Formatter<'_>, traffic: &TrafficFigures) -> fmt::Result {
    let TrafficFigures { look_up, rounds, .. } = traffic;
    writeln!(
        f,
        "\none look-up of 16 bytes in a hash: {look_up:.1} ns; medians of {rounds} rounds\n\
         {:<47} {:>8} {:>6} {:>9} {:>6} {:>8}",
        "a pod of the node talks to", "Services", "ns", "look-ups", "grows", "packets"
    )?;
    for TrafficCost {
        name,
        services,
        nanoseconds,
        multiple,
        packets,
        ..
    } in &traffic.costs
    {
        let growth = traffic
            .growth(name)
            .map_or(String::new(), |growth| format!("{growth:.2}"));
        let name = name.to_string();
        writeln!(
            f,
            "{name:<47} {services:>8} {nanoseconds:>6.0} {multiple:>9.1} {growth:>6} {packets:>8}"
        )?;
    }
    Ok(())
}
