//! `HOME/store.toml`: which shared stores a home folder uses.

use std::path::PathBuf;

use serde::Deserialize;

use super::{Error, Home, Result};
use crate::fs;

/// The longest settings that are read, in bytes.
const LIMIT: u64 = 1 << 16;

/// What `store.toml` says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Home folders whose stores may be used in place, in the order in which they are asked.
    #[serde(default)]
    pub shared: Vec<PathBuf>,
}

impl Settings {
    /// Reads the settings of `home`; where there is no file, there are none.
    ///
    /// # Errors
    /// [`Error::Settings`]; file errors.
    pub fn read(home: &Home) -> Result<Self> {
        let path = home.root().join("store.toml");
        let text = match fs::read_to_string(&path, LIMIT) {
            Ok(text) => text,
            Err(error) if error.source.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Self::default());
            }
            // A home that is no folder, or is below a file, has no settings either; what is
            // written there later says so.
            Err(error) if error.source.kind() == std::io::ErrorKind::NotADirectory => {
                return Ok(Self::default());
            }
            Err(error) => return Err(error.into()),
        };
        let settings: Self = toml::from_str(&text).map_err(|error| Error::Settings {
            path: path.clone(),
            reason: error.message().to_owned(),
        })?;
        match settings.shared.iter().find(|one| !one.is_absolute()) {
            Some(relative) => Err(Error::Settings {
                path,
                reason: format!("{} is no absolute path", relative.display()),
            }),
            None => Ok(settings),
        }
    }
}
