//! Floor 4: a real kube-apiserver and etcd, and agents that follow them. One file a topic; needs root.

mod support;
mod services;
mod planted;
mod stands;
mod proof;
mod refusals;
mod outage;
mod scale;
mod scales;
mod differential;
