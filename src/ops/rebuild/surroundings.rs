//! What of the software that a package was built with is another here.

use super::Rebuilt;
use crate::build::record::{EnvironmentRecord, SystemRecord};
use crate::ops::diff::Change;

/// Says which software of the machine differs; `None` where the first build's is not known.
pub(super) fn changes(rebuilt: &Rebuilt) -> Option<Vec<Change>> {
    let before = &rebuilt.earlier.as_ref()?.environment;
    let now = &rebuilt.record.environment;
    let pairs = [
        ("python".to_owned(), python(before), python(now)),
        ("installer".to_owned(), before.installer.clone(), now.installer.clone()),
    ];
    let programs = now.system.iter().map(|program| {
        let earlier = before.system.iter().find(|it| it.program == program.program);
        (program.program.clone(), earlier.map(SystemRecord::in_words), Some(program.in_words()))
    });
    let all = pairs.into_iter().chain(programs);
    let changed = all.filter(|(_, first, second)| first != second);
    Some(changed.map(|(what, first, second)| Change { what, first, second }).collect())
}

fn python(environment: &EnvironmentRecord) -> Option<String> {
    environment.python.as_ref().map(|it| format!("{} {}", it.implementation, it.version))
}
