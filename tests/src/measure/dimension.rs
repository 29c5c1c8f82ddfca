//! What a case is measured against: the one of its numbers that differs from place to place.

use super::results::Subject;

/// A number of a subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dimension {
    /// [`Subject::services`].
    Services,
    /// [`Subject::endpoints`].
    Endpoints,
    /// [`Subject::flows`].
    Flows,
}

impl Dimension {
    /// All.
    pub const ALL: [Self; 3] = [Self::Services, Self::Endpoints, Self::Flows];

    /// That of the places of one case: live flows or endpoints where they differ, otherwise services.
    pub fn of<'a>(subjects: impl Iterator<Item = &'a Subject> + Clone) -> Self {
        let differs = |dimension: &Self| {
            let mut numbers = subjects.clone().map(|subject| dimension.number(subject));
            let first = numbers.next();
            numbers.any(|number| Some(number) != first)
        };
        let rarer = [Self::Flows, Self::Endpoints];
        rarer.into_iter().find(differs).unwrap_or(Self::Services)
    }

    /// The number itself.
    pub fn number(self, subject: &Subject) -> u32 {
        match self {
            Self::Services => subject.services,
            Self::Endpoints => subject.endpoints,
            Self::Flows => subject.flows,
        }
    }

    /// What there are so many of.
    pub fn name(self) -> &'static str {
        match self {
            Self::Services => "services",
            Self::Endpoints => "endpoints",
            Self::Flows => "live flows",
        }
    }
}
