//! What every endpoint serves.

use anyhow::Result;

use super::objects::{Objects, Scale, Use};
use crate::cluster::{Pod, World};
use crate::programmed;
use crate::servers::{Iperf, Nginx};

/// nginx, the peer's echo server and, in the first endpoint of each node, iperf3. Where endpoints are very many, nginx
/// alone, which then says the address it was dialled at. Stopped when dropped.
#[derive(Debug)]
pub struct Servers {
    _nginx: Vec<Nginx>,
    _iperf: Vec<Iperf>,
}

impl Servers {
    /// Starts them in the endpoints of a stand, and waits until they answer.
    ///
    /// # Errors
    /// When one is not installed, or does not answer.
    pub fn start(world: &World, objects: Objects) -> Result<Self> {
        let mut servers = Self {
            _nginx: Vec::new(),
            _iperf: Vec::new(),
        };
        for number in [0, 1] {
            let pods: Vec<&Pod> = objects.backend_pods(number).map(|pod| world.pod(number, pod)).collect();
            let is_crowd = objects.scale == Scale::Endpoints;
            for pod in &pods {
                let name = if is_crowd { "$server_addr" } else { pod.label() };
                let nginx = Nginx::start_named(name, pod, pod.address, Use::Http.target())?;
                servers._nginx.push(nginx);
                if !is_crowd {
                    programmed::serve(pod)?;
                }
            }
            if let Some(first) = pods.first().filter(|_| !is_crowd) {
                servers._iperf.push(Iperf::start(first, Use::Stream.target())?);
            }
        }
        Ok(servers)
    }
}
