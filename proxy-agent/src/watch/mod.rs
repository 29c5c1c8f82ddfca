//! API objects, from wherever they come, as one stream of changes.

pub mod object;

use object::{EndpointSlice, Node, Service, ServiceCidr};

/// Something that has happened to the API objects.
#[derive(Clone, Debug)]
pub enum Change {
    /// To a Service.
    Service(Event<Service>),
    /// To an EndpointSlice.
    Slice(Event<EndpointSlice>),
    /// To this node's Node.
    Node(Event<Node>),
    /// To a ServiceCIDR.
    ServiceCidr(Event<ServiceCidr>),
}

/// What has happened to objects of one kind.
///
/// A list is a `Begin`, a `Listed` for each object and an `End`: what was there before and is not in the list is gone,
/// from `End` on and not earlier. A list may be broken off by another `Begin`.
#[derive(Clone, Debug)]
pub enum Event<T> {
    /// A list begins.
    Begin,
    /// An object of the list.
    Listed(T),
    /// The list is complete.
    End,
    /// An object is new or has changed.
    Set(T),
    /// An object is gone.
    Gone(T),
    /// The server does not have this kind, or does not show it to us: nothing to wait for.
    Unavailable,
}
