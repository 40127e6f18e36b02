//! Takes one member out of an archive: what follows `#` in an address.

use std::io::Read;

use super::entries::{Flow, Member, MemberKind, Source};
use super::select::near;
use super::{Error, Result};

/// How many names are remembered for messages.
const REMEMBERED: usize = 10_000;

/// Finds the file `wanted` and hands its contents to `take`.
pub(super) fn take<T>(
    archive: &Source<'_>,
    wanted: &str,
    mut take: impl FnMut(&mut dyn Read) -> Result<T>,
) -> Result<T> {
    let mut taken = None;
    let mut names = Vec::new();
    let kind = archive.kind()?;
    archive.visit(kind, &mut |member: Member<'_>| {
        if member.name != wanted {
            if names.len() < REMEMBERED && member.kind != MemberKind::Folder {
                names.push(member.name);
            }
            return Ok(Flow::Continue);
        }
        match member.kind {
            MemberKind::File { .. } => {
                taken = Some(take(member.contents)?);
                Ok(Flow::Stop)
            }
            kind => Err(Error::Refused {
                archive: archive.shown.to_owned(),
                member: wanted.to_owned(),
                why: match kind {
                    MemberKind::Other(what) => format!("is {what}, not a file"),
                    _ => "is a folder, not a file".to_owned(),
                },
            }),
        }
    })?;
    taken.ok_or_else(|| Error::NoMember {
        archive: archive.shown.to_owned(),
        member: wanted.to_owned(),
        near: near(wanted, names.iter().map(String::as_str)),
    })
}
