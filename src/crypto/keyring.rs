//! This machine's own keys: `HOME/keys/NAME.pem` beside `NAME.pub.json`.

use std::fmt;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::str::FromStr;

use zeroize::Zeroizing;

use super::trusted::{names, public_file, read_public_file};
use super::{Error, ForeignKey, P256SigningKey, Passphrase, PublicKey, Result, SigningKey};
use crate::fs;

/// The name of a key on this machine: 1 to 64 lower-case letters, digits, `-` and `_`, the first
/// a letter or digit.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyName(String);

impl FromStr for KeyName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let starts_well = text.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
        let good = |byte: u8| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_')
        };
        if starts_well && text.len() <= 64 && text.bytes().all(good) {
            return Ok(Self(text.to_owned()));
        }
        Err(Error::KeyName(text.chars().take(80).collect()))
    }
}

impl fmt::Display for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A key of the ring, without its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredKey {
    /// Its name.
    pub name: KeyName,
    /// Its public half.
    pub public: PublicKey,
    /// Whether a passphrase is needed to use it.
    pub encrypted: bool,
    /// The file of the private half.
    pub path: PathBuf,
}

/// A folder of private keys with their public halves.
#[derive(Debug, Clone)]
pub struct Keyring {
    folder: PathBuf,
}

impl Keyring {
    /// The keys in `folder`, which need not exist yet.
    #[must_use]
    pub fn at(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }

    /// Makes a new key and stores it.
    ///
    /// # Errors
    /// [`Error::NameTaken`], [`Error::Random`] and [`Error::File`].
    pub fn create(&self, name: &KeyName, passphrase: Option<&Passphrase>) -> Result<StoredKey> {
        self.store(name, &SigningKey::generate()?, passphrase)
    }

    /// Stores a key that was made elsewhere.
    ///
    /// # Errors
    /// As [`Keyring::create`].
    pub fn store(
        &self,
        name: &KeyName,
        key: &SigningKey,
        passphrase: Option<&Passphrase>,
    ) -> Result<StoredKey> {
        let path = self.private_file(name);
        let pem = key.to_pem(passphrase)?;
        fs::create_folder(&self.folder)?;
        std::fs::set_permissions(&self.folder, std::fs::Permissions::from_mode(0o700))
            .map_err(fs::Error::at("close to others", &self.folder))?;
        let _lock = fs::Lock::acquire(&self.folder.join(".lock"), || {})?;
        if path.exists() {
            return Err(Error::NameTaken { name: name.to_string(), path });
        }
        // The public half alone is no key, so a crash between the two leaves none.
        fs::write_atomically(&self.public_file(name), &public_file(key.public()))?;
        fs::write_privately(&path, pem.as_bytes())?;
        Ok(StoredKey {
            name: name.clone(),
            public: *key.public(),
            encrypted: passphrase.is_some(),
            path,
        })
    }

    /// Every key, by name.
    ///
    /// # Errors
    /// [`Error::File`], [`Error::OpenMode`], and what is wrong with a key file.
    pub fn list(&self) -> Result<Vec<StoredKey>> {
        names(&self.folder, ".pem")?.into_iter().map(|name| self.look_at(name)).collect()
    }

    /// The key named `name`, without its secret.
    ///
    /// # Errors
    /// [`Error::NoSuchKey`], and as [`Keyring::list`].
    pub fn find(&self, name: &KeyName) -> Result<StoredKey> {
        if !self.private_file(name).exists() {
            return Err(self.no_such_key(name)?);
        }
        self.look_at(name.clone())
    }

    /// The only key of the ring.
    ///
    /// # Errors
    /// [`Error::WhichKey`] where there is none or more than one.
    pub fn only(&self) -> Result<StoredKey> {
        let mut names = names(&self.folder, ".pem")?;
        // Registries' own keys, as `mpkg registry init` names them, sign no packages.
        names.retain(|name| !name.0.ends_with("-root") && !name.0.ends_with("-online"));
        match (names.pop(), names.is_empty()) {
            (Some(name), true) => self.look_at(name),
            (last, _) => Err(Error::WhichKey {
                folder: self.folder.clone(),
                known: names.into_iter().chain(last).map(|name| name.to_string()).collect(),
            }),
        }
    }

    /// Opens the private half of a key of the ring.
    ///
    /// # Errors
    /// [`Error::PassphraseNeeded`], [`Error::WrongPassphrase`], [`Error::Halves`],
    /// [`Error::OpenMode`], and what is wrong with the file.
    pub fn open(&self, stored: &StoredKey, passphrase: Option<&Passphrase>) -> Result<SigningKey> {
        let key = ForeignKey::load(&stored.path)?.open(passphrase)?;
        if *key.public() != stored.public {
            return Err(Error::Halves(self.public_file(&stored.name)));
        }
        Ok(key)
    }

    /// The private half as it stands in its file, behind its passphrase where it has one.
    ///
    /// # Errors
    /// [`Error::File`] and [`Error::OpenMode`].
    pub fn text(&self, stored: &StoredKey) -> Result<Zeroizing<String>> {
        ForeignKey::load(&stored.path).map(|file| Zeroizing::new(file.text().to_owned()))
    }

    /// The P-256 key beside `stored`, behind the same passphrase; made where there is none yet.
    ///
    /// # Errors
    /// [`Error::PassphraseNeeded`], [`Error::WrongPassphrase`], [`Error::OpenMode`],
    /// [`Error::Random`], and what is wrong with the file.
    pub fn p256(
        &self,
        stored: &StoredKey,
        passphrase: Option<&Passphrase>,
    ) -> Result<P256SigningKey> {
        // A new key must not lie behind another passphrase than the one it belongs to.
        self.open(stored, passphrase)?;
        let path = self.folder.join(format!("{}.p256.pem", stored.name));
        let _lock = fs::Lock::acquire(&self.folder.join(".lock"), || {})?;
        if path.exists() {
            let file = ForeignKey::load(&path)?;
            let what = path.display().to_string();
            let key = P256SigningKey::from_pem(file.text(), &what, passphrase)?;
            self.keep_p256_public(stored, &key)?;
            return Ok(key);
        }
        let key = P256SigningKey::generate()?;
        let passphrase = passphrase.filter(|_| stored.encrypted);
        fs::write_privately(&path, key.to_pem(passphrase)?.as_bytes())?;
        self.keep_p256_public(stored, &key)?;
        Ok(key)
    }

    /// Where the public half of the P-256 key beside `stored` lies, as PEM text, once it was made.
    #[must_use]
    pub fn p256_public_file(&self, stored: &StoredKey) -> PathBuf {
        self.folder.join(format!("{}.p256.pub.pem", stored.name))
    }

    fn keep_p256_public(&self, stored: &StoredKey, key: &P256SigningKey) -> Result<()> {
        let (place, text) = (self.p256_public_file(stored), key.public().to_pem());
        if std::fs::read_to_string(&place).is_ok_and(|found| found == text) {
            return Ok(());
        }
        Ok(fs::write_atomically(&place, text.as_bytes())?)
    }

    fn look_at(&self, name: KeyName) -> Result<StoredKey> {
        let path = self.private_file(&name);
        let file = ForeignKey::load(&path)?;
        let encrypted = file.is_encrypted();
        let public = if encrypted {
            read_public_file(&self.public_file(&name))?
        } else {
            *file.open(None)?.public()
        };
        Ok(StoredKey { name, public, encrypted, path })
    }

    fn no_such_key(&self, name: &KeyName) -> Result<Error> {
        let known = names(&self.folder, ".pem")?.into_iter().map(|name| name.to_string());
        let (name, folder) = (name.to_string(), self.folder.clone());
        Ok(Error::NoSuchKey { name, folder, known: known.collect() })
    }

    fn private_file(&self, name: &KeyName) -> PathBuf {
        self.folder.join(format!("{name}.pem"))
    }

    fn public_file(&self, name: &KeyName) -> PathBuf {
        self.folder.join(format!("{name}.pub.json"))
    }
}
