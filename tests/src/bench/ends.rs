//! Who dials what in a stand, for each path.

use std::net::SocketAddr;

use anyhow::{Context, Result};

use super::case::Path;
use super::load::Ends;
use super::objects::{Scale, Use, is_near};
use super::plan::Task;
use super::stand::Stand;
use crate::cluster::Place;

/// Clients that work at once where more than one does.
const WORKERS: usize = 4;

/// The ends of a task in a stand. The rules of a peer with a list are read for it: not within a round.
///
/// # Errors
/// When the peer has no service at the task's position.
pub(super) fn of<'a>(task: Task, stand: &'a Stand, processor: usize) -> Result<Ends<'a>> {
    let server = task.case.server();
    let near = !matches!(task.path, Path::PodFar | Path::OutsideFar);
    let from_outside = matches!(task.path, Path::OutsideNear | Path::OutsideFar);
    let equipped = from_outside || server != Use::Http;
    let service = stand.service_at(task.position, task.ip, near, equipped)?.service;
    let from: &Place = match task.path {
        Path::PodNear | Path::PodFar | Path::PodToPod => stand.client(),
        Path::Node => stand.node(),
        Path::OutsideNear | Path::OutsideFar => stand.outside(),
    };
    let dialled: Vec<SocketAddr> = if task.path == Path::PodToPod || !stand.plan.peer.has_services() {
        endpoints(task, stand, near)
    } else if from_outside {
        vec![
            stand
                .node_port(service, server, task.ip)
                .context("the service has no node port")?,
        ]
    } else {
        vec![stand.target(service, server, task.ip)]
    };
    let to = dialled.iter().copied().cycle().take(WORKERS).collect();
    let is_chosen = stand.plan.peer.has_services() && stand.plan.objects.scale == Scale::Endpoints;
    let endpoints = if is_chosen { stand.plan.objects.endpoints } else { 0 };
    Ok(Ends {
        from,
        to,
        processor,
        endpoints,
    })
}

/// The pods behind every near or every far service.
fn endpoints(task: Task, stand: &Stand, near: bool) -> Vec<SocketAddr> {
    let server = task.case.server();
    let service = [0, 1].into_iter().find(|n| is_near(*n) == near).unwrap_or(0);
    let all = stand.plan.objects.backends(service);
    let some = if server == Use::Stream { 1 } else { all.len() };
    all[..some].iter().map(|pod| pod.at(task.ip, server.target())).collect()
}
