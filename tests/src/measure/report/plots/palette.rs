//! How each peer looks, everywhere.
//!
//! The hues are Okabe's and Ito's, which people with any colour vision tell apart
//! (<https://jfly.uni-koeln.de/color/>); line and marker say the same a second time.

use plotters::style::RGBColor;

use crate::measure::results::{Kind, Results};

/// Stands for the page's text colour: the page's style puts it in, light or dark.
pub(in crate::measure::report) const INK: RGBColor = RGBColor(1, 2, 3);
/// Stands for the colour of the lines behind.
pub(in crate::measure::report) const GRID: RGBColor = RGBColor(4, 5, 6);

/// Can be seen on ink and on the page, light or dark.
pub(super) const GREY: RGBColor = RGBColor(128, 128, 128);
const KUBE_PROXY: [RGBColor; 4] = [
    RGBColor(0, 114, 178),
    RGBColor(86, 180, 233),
    RGBColor(0, 158, 115),
    RGBColor(153, 153, 51),
];
const FAIRLEAD: [RGBColor; 4] = [
    RGBColor(213, 94, 0),
    RGBColor(230, 159, 0),
    RGBColor(204, 121, 167),
    RGBColor(170, 68, 83),
];

/// What marks a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    Circle,
    Square,
    Triangle,
}

/// A peer's look.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look {
    pub(super) colour: RGBColor,
    pub(super) mark: Mark,
    pub(super) is_dashed: bool,
}

/// The looks of a run's peers, in their order: by kind, and by the order within the kind.
pub(super) fn looks(results: &Results) -> Vec<Look> {
    let look = |at: usize| {
        let kind = results.peers[at].kind;
        let before = results.peers[..at].iter().filter(|peer| peer.kind == kind).count();
        let (colours, mark, is_dashed): (&[_], _, _) = match kind {
            Kind::Ceiling => (&[INK], Mark::Triangle, false),
            Kind::Control => (&[GREY], Mark::Triangle, true),
            Kind::KubeProxy => (&KUBE_PROXY, Mark::Square, true),
            Kind::Fairlead => (&FAIRLEAD, Mark::Circle, false),
        };
        Look {
            colour: colours[before % colours.len()],
            mark,
            is_dashed,
        }
    };
    (0..results.peers.len()).map(look).collect()
}
