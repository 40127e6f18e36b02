//! Where passphrases come from: a file, `$MPKG_PASSPHRASE`, or a prompt.

use std::io::IsTerminal as _;
use std::path::PathBuf;

use super::failure::{Failure, Plain};
use crate::crypto::Passphrase;

/// The flag of every command that opens a private key.
#[derive(Debug, clap::Args)]
pub(super) struct PassphraseArguments {
    /// Read the passphrase from the first line of a file [default: `$MPKG_PASSPHRASE`, else a prompt]
    #[arg(long, value_name = "FILE")]
    pub(super) passphrase_file: Option<PathBuf>,
}

const VARIABLE: &str = "MPKG_PASSPHRASE";

impl PassphraseArguments {
    /// The passphrase of the key known as `what`; none where it was not given and nobody can be
    /// asked.
    pub(super) fn existing(&self, what: &str) -> Result<Option<Passphrase>, Failure> {
        match self.given()? {
            Some(given) => Ok(Some(given)),
            None if is_somebody_there() => {
                ask(&format!("Passphrase of {what}: ")).map(|text| Some(Passphrase::new(text)))
            }
            None => Ok(None),
        }
    }

    /// A source for keys that are opened only where they are needed: what was given opens each of
    /// them, else somebody is asked for each.
    pub(super) fn source(
        &self,
    ) -> Result<impl Fn(&str) -> crate::crypto::Result<Option<Passphrase>> + use<>, Failure> {
        let given = self.given()?;
        Ok(move |what: &str| {
            Ok(match &given {
                Some(given) => Some(given.clone()),
                // Where nothing is answered the key stays closed, which says so itself.
                None if is_somebody_there() => {
                    ask(&format!("Passphrase of {what}: ")).ok().map(Passphrase::new)
                }
                None => None,
            })
        })
    }

    /// A passphrase for a new key, asked for twice.
    pub(super) fn new_one(&self) -> Result<Passphrase, Failure> {
        let passphrase = match self.given()? {
            Some(given) => given,
            None if is_somebody_there() => {
                let first = ask("New passphrase: ")?;
                if first != ask("The same again: ")? {
                    return Err(plain("passphrases-differ", "the two passphrases differ", None));
                }
                Passphrase::new(first)
            }
            None => {
                return Err(plain(
                    "passphrase-needed",
                    "no passphrase was given for the new key",
                    Some("give it with --passphrase-file FILE or $MPKG_PASSPHRASE"),
                ));
            }
        };
        if passphrase.is_empty() {
            return Err(plain("passphrase-empty", "the passphrase is empty", None));
        }
        Ok(passphrase)
    }

    fn given(&self) -> Result<Option<Passphrase>, Failure> {
        if let Some(file) = &self.passphrase_file {
            let text = zeroize::Zeroizing::new(crate::fs::read_to_string(file, 1 << 16)?);
            let line = text.lines().next().unwrap_or_default();
            return Ok(Some(Passphrase::new(line.to_owned())));
        }
        #[expect(clippy::disallowed_methods, reason = "cli is where the environment is read")]
        match std::env::var(VARIABLE) {
            Ok(text) => Ok(Some(Passphrase::new(text))),
            Err(std::env::VarError::NotPresent) => Ok(None),
            Err(std::env::VarError::NotUnicode(_)) => {
                Err(plain("passphrase-not-text", "$MPKG_PASSPHRASE is not UTF-8", None))
            }
        }
    }
}

fn is_somebody_there() -> bool {
    std::io::stdin().is_terminal()
}

fn ask(prompt: &str) -> Result<String, Failure> {
    rpassword::prompt_password(prompt)
        .map_err(|error| plain("no-answer", &format!("no passphrase was read: {error}"), None))
}

fn plain(kind: &'static str, message: &str, hint: Option<&str>) -> Failure {
    Plain { kind, message: message.to_owned(), hint: hint.map(str::to_owned) }.into()
}
