//! What the data path counts, for `/metrics`.

use std::{
    fmt,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric as _},
    metrics::{counter::ConstCounter, gauge::ConstGauge},
    registry::Unit,
};
use proxy_common::{node::Hook, reason::Reason};

use super::{Usage, kernel::counters};

/// How full the maps are, told by the thread that writes them.
#[derive(Clone, Debug, Default)]
pub struct SharedUsage(Arc<Mutex<Usage>>);

impl SharedUsage {
    /// Tells.
    pub fn set(&self, usage: Usage) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = usage;
    }

    fn get(&self) -> Usage {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads the programs' counters and the maps' usage when it is asked.
#[derive(Debug)]
pub struct DataPathMetrics {
    maps: PathBuf,
    usage: SharedUsage,
}

impl DataPathMetrics {
    /// Of the maps pinned in a folder.
    #[must_use]
    pub const fn new(maps: PathBuf, usage: SharedUsage) -> Self {
        DataPathMetrics { maps, usage }
    }
}

impl Collector for DataPathMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let usage = self.usage.get();
        let writes = ConstCounter::new(usage.writes);
        let metric = encoder.encode_descriptor(
            "fairlead_map_writes",
            "Writes to the maps of services",
            None,
            writes.metric_type(),
        )?;
        writes.encode(metric)?;
        let gauge = |encoder: &mut DescriptorEncoder<'_>, name: &str, help: &str, unit: Option<&Unit>, value: u64| {
            let gauge = ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
            gauge.encode(encoder.encode_descriptor(name, help, unit, gauge.metric_type())?)
        };
        let gauges = [
            ("fairlead_services", "Service numbers in use", u64::from(usage.services)),
            (
                "fairlead_endpoints",
                "Endpoint numbers in use",
                u64::from(usage.endpoints),
            ),
            (
                "fairlead_arena_cells",
                "Cells of the arena in use",
                u64::from(usage.cells),
            ),
            (
                "fairlead_arena_largest_free",
                "The longest block that would find a place",
                u64::from(usage.largest_free),
            ),
            (
                "fairlead_grace_waiting",
                "Batches that wait for a grace period",
                usage.waiting as u64,
            ),
            (
                "fairlead_endpoints_lingering",
                "Endpoint numbers that wait for flows to end",
                usage.lingering as u64,
            ),
        ];
        for (name, help, value) in gauges {
            gauge(&mut encoder, name, help, None, value)?;
        }
        self.encode_packets(&mut encoder)
    }
}

impl DataPathMetrics {
    /// Counters that cannot be read at the moment are left out.
    fn encode_packets(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let Ok(counts) = counters(&self.maps) else {
            return Ok(());
        };
        let kind = ConstCounter::new(0_u64).metric_type();
        let help = "Packets and socket calls by hook and by what became of them";
        let mut metric = encoder.encode_descriptor("fairlead_packets", help, None, kind)?;
        let left_behind = counts.get(Reason::KEYS_LEFT_BEHIND as usize).copied().unwrap_or(0);
        let labels = [("hook", "table"), ("reason", Reason::KeyLeftBehind.name())];
        ConstCounter::new(left_behind).encode(metric.encode_family(&labels)?)?;
        for hook in Hook::ALL {
            for reason in Reason::ALL {
                let count = counts.get(reason.counter(hook) as usize).copied().unwrap_or(0);
                let labels = [("hook", hook_name(hook)), ("reason", reason.name())];
                ConstCounter::new(count).encode(metric.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }
}

/// A hook as people know it.
#[must_use]
pub const fn hook_name(hook: Hook) -> &'static str {
    match hook {
        Hook::Ingress => "ingress",
        Hook::Egress => "egress",
        Hook::Socket => "socket",
    }
}
