mod endpoints;
mod frontends;
mod node;
mod random;
mod ranges;
mod harm;
