//! Floor 3: real sockets between namespaces. One file a topic; needs root.

mod world;
