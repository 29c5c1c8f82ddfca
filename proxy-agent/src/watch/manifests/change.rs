//! Objects of manifests as changes.

use crate::{
    model::Kind,
    watch::{Change, Event, Unread},
};

use super::read::{Fault, Key, Object};

/// An object of a list.
pub(super) fn listed(object: Object) -> Change {
    match object {
        Object::Service(service) => Change::Service(Event::Listed(service)),
        Object::Slice(slice) => Change::Slice(Event::Listed(slice)),
        Object::Node(node) => Change::Node(Event::Listed(node)),
        Object::ServiceCidr(cidr) => Change::ServiceCidr(Event::Listed(cidr)),
    }
}

/// An object is new or different.
pub(super) fn set(object: Object) -> Change {
    match object {
        Object::Service(service) => Change::Service(Event::Set(service)),
        Object::Slice(slice) => Change::Slice(Event::Set(slice)),
        Object::Node(node) => Change::Node(Event::Set(node)),
        Object::ServiceCidr(cidr) => Change::ServiceCidr(Event::Set(cidr)),
    }
}

/// An object is gone. Only its name is left of it.
pub(super) fn gone(key: &Key) -> Change {
    match key.kind {
        "Service" => Change::Service(Event::Gone(named(key))),
        "EndpointSlice" => Change::Slice(Event::Gone(named(key))),
        "Node" => Change::Node(Event::Gone(named(key))),
        _ => Change::ServiceCidr(Event::Gone(named(key))),
    }
}

fn named<T: Default + kube::Resource<DynamicType = ()>>(key: &Key) -> T {
    let mut object = T::default();
    object.meta_mut().name = Some(key.name.clone());
    object.meta_mut().namespace = Some(key.namespace.clone()).filter(|namespace| !namespace.is_empty());
    object
}

/// The same for each kind of object.
macro_rules! each_kind {
    ($event:ident) => {
        vec![
            Change::Service(Event::$event),
            Change::Slice(Event::$event),
            Change::Node(Event::$event),
            Change::ServiceCidr(Event::$event),
        ]
    };
}

/// Complete lists begin.
pub(super) fn begin() -> Vec<Change> {
    each_kind!(Begin)
}

/// The lists are complete.
pub(super) fn end() -> Vec<Change> {
    each_kind!(End)
}

/// An object that cannot be read.
pub(super) fn unread(fault: &Fault) -> Option<Change> {
    let wrong = (fault.field.clone(), fault.reason.clone());
    about(fault.object.as_ref()?, Some(wrong))
}

/// An object that could not be read and can be, or is gone.
pub(super) fn read(key: &Key) -> Option<Change> {
    about(key, None)
}

fn about(key: &Key, wrong: Option<(String, String)>) -> Option<Change> {
    let kinds = [Kind::Service, Kind::EndpointSlice, Kind::Node, Kind::ServiceCidr];
    let kind = kinds.into_iter().find(|kind| kind.name() == key.kind)?;
    Some(Change::Unread(Unread {
        kind,
        namespace: key.namespace.clone(),
        name: key.name.clone(),
        wrong,
    }))
}
