//! The classes of the Model Openness Framework 1.0: which of its components a release has under
//! open licences.

use serde::Serialize;

use super::Value;

/// A class of the framework, the least complete first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum FrameworkClass {
    /// The model can be used.
    #[serde(rename = "III")]
    OpenModel,
    /// It can be made again with other data.
    #[serde(rename = "II")]
    OpenTooling,
    /// All of the work can be followed.
    #[serde(rename = "I")]
    OpenScience,
}

impl FrameworkClass {
    /// Every class, the least complete first.
    pub const ALL: &[Self] = &[Self::OpenModel, Self::OpenTooling, Self::OpenScience];

    /// Its name in the framework.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OpenModel => "Class III (Open Model)",
            Self::OpenTooling => "Class II (Open Tooling)",
            Self::OpenScience => "Class I (Open Science)",
        }
    }
}

/// A component of a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Component {
    /// Code of the architecture.
    Architecture,
    /// The weights.
    Parameters,
    /// A page about the model.
    ModelCard,
    /// A page about the data.
    DataCard,
    /// A technical report; a research paper will do.
    Report,
    /// What came of evaluating it.
    Results,
    /// Code that trains it.
    TrainingCode,
    /// Code that runs it.
    InferenceCode,
    /// Code that evaluates it.
    EvaluationCode,
    /// The data that it is evaluated with.
    EvaluationData,
    /// The libraries that all of that needs.
    Libraries,
    /// A research paper.
    Paper,
    /// The training data.
    Datasets,
    /// Code that prepares the data.
    PreprocessingCode,
    /// Weights from within the training.
    Checkpoints,
}

impl Component {
    /// Every component, in the order of the classes that ask for it.
    pub const ALL: &[(Self, FrameworkClass, &str)] = &[
        (Self::Architecture, FrameworkClass::OpenModel, "model architecture"),
        (Self::Parameters, FrameworkClass::OpenModel, "model parameters (final)"),
        (Self::ModelCard, FrameworkClass::OpenModel, "model card"),
        (Self::DataCard, FrameworkClass::OpenModel, "data card"),
        (Self::Report, FrameworkClass::OpenModel, "technical report or research paper"),
        (Self::Results, FrameworkClass::OpenModel, "evaluation results"),
        (Self::TrainingCode, FrameworkClass::OpenTooling, "training code"),
        (Self::InferenceCode, FrameworkClass::OpenTooling, "inference code"),
        (Self::EvaluationCode, FrameworkClass::OpenTooling, "evaluation code"),
        (Self::EvaluationData, FrameworkClass::OpenTooling, "evaluation data"),
        (Self::Libraries, FrameworkClass::OpenTooling, "supporting libraries and tools"),
        (Self::Paper, FrameworkClass::OpenScience, "research paper"),
        (Self::Datasets, FrameworkClass::OpenScience, "datasets"),
        (Self::PreprocessingCode, FrameworkClass::OpenScience, "data preprocessing code"),
        (Self::Checkpoints, FrameworkClass::OpenScience, "model parameters (intermediate)"),
    ];

    /// Its name in the framework.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(one, ..)| *one == self).map_or("", |(.., name)| name)
    }
}

/// What a release has of the framework's components.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Framework {
    /// Each component, whether it is there under an open licence, and where that is known from.
    pub components: Vec<(Component, Value, String)>,
}

impl Framework {
    /// Notes a component.
    pub fn add(&mut self, component: Component, value: Value, source: impl Into<String>) {
        self.components.push((component, value, source.into()));
    }

    fn has(&self, component: Component) -> bool {
        self.components.iter().any(|(one, value, _)| *one == component && *value == Value::Yes)
    }

    /// The components that stand between the release and `class`.
    #[must_use]
    pub fn missing(&self, class: FrameworkClass) -> Vec<Component> {
        let wanted = Component::ALL.iter().filter(|(_, asks, _)| *asks <= class);
        wanted.map(|(component, ..)| *component).filter(|one| !self.has(*one)).collect()
    }

    /// The best class that nothing is missing for; none where even the first is not reached.
    #[must_use]
    pub fn class(&self) -> Option<FrameworkClass> {
        let reached = FrameworkClass::ALL.iter().copied().filter(|it| self.missing(*it).is_empty());
        reached.max()
    }

    /// The class after the one that is reached.
    #[must_use]
    pub fn next(&self) -> Option<FrameworkClass> {
        FrameworkClass::ALL.iter().copied().find(|class| Some(*class) > self.class())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_asks_for_all_that_stands_below_it() {
        let mut framework = Framework::default();
        assert_eq!((framework.class(), framework.next()), (None, Some(FrameworkClass::OpenModel)));
        for (component, class, _) in Component::ALL {
            if *class <= FrameworkClass::OpenTooling && *component != Component::Report {
                framework.add(*component, Value::Yes, "here");
            }
        }
        framework.add(Component::Report, Value::Unknown, "nobody says");
        assert_eq!(framework.class(), None);
        assert_eq!(framework.missing(FrameworkClass::OpenTooling), [Component::Report]);
        framework.add(Component::Report, Value::Yes, "REPORT.md");
        assert_eq!(framework.class(), Some(FrameworkClass::OpenTooling));
        assert_eq!(framework.missing(FrameworkClass::OpenScience).len(), 4);
    }
}
