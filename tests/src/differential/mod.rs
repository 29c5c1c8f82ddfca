//! Fairlead and kube-proxy beside each other, each in nodes of its own, with the same Services from the same API server:
//! everything that can be dialled must answer in the same way.
//!
//! Services are drawn by a seed ([`drawn`]), dialled from everywhere ([`probes`]) in two equal worlds ([`stand`]), and
//! where the answers differ in another way than is known ([`known`]), ever simpler Services are tried until only what
//! the difference is about is left ([`run`]).

pub mod drawn;
pub mod ends;
pub mod probes;
pub mod settings;
pub mod stand;
pub mod known;
pub mod run;
