//! Small signed packages, made by the library as `mpkg build` and `mpkg sign` make them.

use std::path::{Path, PathBuf};

use mpkg::archive::{WriteOptions, collect, from_folder, write_package};
use mpkg::crypto::statement::Predicate;
use mpkg::crypto::{KeyName, Keyring, PublicKey, SigningKey, envelope_path, sign_package};
use mpkg::package::{
    Dependency, Digest, Kind, PackageIndex, PackagePath, PackageType, Requirement, VariantName,
};
use mpkg::progress::Silent;

use super::World;
use super::server::{Answer, Server};

/// What a pair of packages, source and binary, is made of.
#[derive(Debug, Clone)]
pub struct Recipe {
    name: String,
    version: String,
    variant: String,
    default_variant: bool,
    files: Vec<(String, Vec<u8>)>,
    programs: Vec<(String, Vec<u8>)>,
    dependencies: Vec<Dependency>,
    provides: Vec<String>,
    conflicts: Vec<String>,
    pickle_reason: Option<String>,
    summary: String,
}

/// A pair of package files, signatures beside them.
#[derive(Debug, Clone)]
pub struct Pair {
    /// The source package.
    pub source: PathBuf,
    /// The binary package.
    pub binary: PathBuf,
    /// The package digest of the binary.
    pub digest: Digest,
}

impl Pair {
    /// The paths of both files, as arguments.
    pub fn arguments(&self) -> [String; 2] {
        [self.source.display().to_string(), self.binary.display().to_string()]
    }
}

impl Recipe {
    /// A dataset `name` in its default variant `f32`, with one file `data.txt`.
    pub fn new(name: &str, version: &str) -> Self {
        Self {
            name: name.to_owned(),
            version: version.to_owned(),
            variant: "f32".to_owned(),
            default_variant: true,
            files: vec![("data.txt".to_owned(), format!("{name} {version}\n").into_bytes())],
            programs: Vec::new(),
            dependencies: Vec::new(),
            provides: Vec::new(),
            conflicts: Vec::new(),
            pickle_reason: None,
            summary: format!("The {name} for tests"),
        }
    }

    /// Another variant, not the default one.
    pub fn variant(mut self, variant: &str) -> Self {
        self.variant = variant.into();
        self.default_variant = false;
        self
    }

    /// One more file.
    pub fn file(mut self, path: &str, contents: impl Into<Vec<u8>>) -> Self {
        self.files.retain(|(other, _)| other != path);
        self.files.push((path.to_owned(), contents.into()));
        self
    }

    /// One more file that is a program.
    pub fn program(mut self, path: &str, contents: impl Into<Vec<u8>>) -> Self {
        self.programs.push((path.to_owned(), contents.into()));
        self
    }

    /// Something that it needs.
    pub fn needs(mut self, name: &str, requirement: &str) -> Self {
        let requirement: Requirement = requirement.parse().expect("a requirement");
        let name = name.parse().expect("a name");
        self.dependencies.push(Dependency { name, requirement, variant: None });
        self.dependencies.sort_by(|a, b| a.name.cmp(&b.name));
        self
    }

    /// A virtual name that it stands for.
    pub fn provides(mut self, name: &str) -> Self {
        self.provides.push(name.to_owned());
        self
    }

    /// A name that cannot be installed beside it.
    pub fn conflicts(mut self, name: &str) -> Self {
        self.conflicts.push(name.to_owned());
        self
    }

    /// Pickle-based files with a reason.
    pub fn pickle(mut self, reason: &str) -> Self {
        self.pickle_reason = Some(reason.to_owned());
        self
    }

    fn index(&self, package_type: PackageType, source: Option<Digest>) -> PackageIndex {
        let is_binary = package_type == PackageType::Binary;
        let names = |list: &[String]| list.iter().map(|name| name.parse().unwrap()).collect();
        let variant: VariantName = self.variant.parse().expect("a variant");
        PackageIndex {
            format: 1,
            package_type,
            kind: Kind::Dataset,
            name: self.name.parse().expect("a name"),
            version: self.version.parse().expect("a version"),
            variant: is_binary.then_some(variant),
            default_variant: is_binary && self.default_variant,
            summary: self.summary.clone(),
            license: "CC0-1.0".to_owned(),
            tasks: vec!["testing".to_owned()],
            dependencies: self.dependencies.clone(),
            build_dependencies: Vec::new(),
            provides: names(&self.provides),
            conflicts: names(&self.conflicts),
            source,
            pickle_reason: self.pickle_reason.clone().filter(|_| is_binary),
            files: Vec::new(),
        }
    }

    /// Writes both packages, signed with `key`, into `folder` of `world`.
    pub fn make(&self, world: &World, folder: &str, key: &SigningKey) -> Pair {
        let folder = world.path(folder);
        let manifest = format!("# {} {}\n", self.name, self.version).into_bytes();
        let source_files = vec![("mpkg.toml".to_owned(), manifest)];
        let index = self.index(PackageType::Source, None);
        let (source, source_digest) = pack(&folder, index, &source_files, &[], Some(key));
        let index = self.index(PackageType::Binary, Some(source_digest));
        let (binary, digest) = pack(&folder, index, &self.files, &self.programs, Some(key));
        Pair { source, binary, digest }
    }
}

/// Packs files into `folder`, signed where there is a key; gives the file and its package digest.
pub fn pack(
    folder: &Path,
    mut index: PackageIndex,
    files: &[(String, Vec<u8>)],
    programs: &[(String, Vec<u8>)],
    key: Option<&SigningKey>,
) -> (PathBuf, Digest) {
    use std::os::unix::fs::PermissionsExt;
    let tree = tempfile::tempdir().expect("a folder");
    let mut paths: Vec<PackagePath> = Vec::new();
    for (mode, list) in [(0o644, files), (0o755, programs)] {
        for (path, contents) in list {
            let place = tree.path().join(path);
            std::fs::create_dir_all(place.parent().expect("a parent")).expect("folders");
            std::fs::write(&place, contents).expect("a file");
            std::fs::set_permissions(&place, PermissionsExt::from_mode(mode)).expect("a mode");
            paths.push(path.parse().expect("a path"));
        }
    }
    index.files = collect(tree.path(), &paths).expect("the files are listed");
    let goal = folder.join(index.release().file_name());
    let packed =
        write_package(&index, &from_folder(tree.path()), &goal, &WriteOptions::default(), &Silent)
            .expect("the package is written");
    if let Some(key) = key {
        let name = index.release().file_name();
        let envelope = sign_package(
            packed.package_digest,
            packed.file_digest,
            &name,
            &Predicate::Release(index.release()),
            &[key],
        )
        .expect("the package is signed");
        std::fs::write(envelope_path(&goal), envelope.to_bytes()).expect("the signatures");
    }
    (goal, packed.package_digest)
}

/// Packs the package `file` again with its files changed by `change`: sound, and another.
pub fn repack(file: &Path, change: impl Fn(&Path)) {
    let package = mpkg::archive::Package::open(file).expect("a package");
    let folder = tempfile::tempdir().expect("a folder");
    let one = std::num::NonZeroUsize::MIN;
    package.extract(folder.path(), one, &Silent).expect("it unpacks");
    change(folder.path());
    let index = package.index().clone();
    let read = |path: &PackagePath| std::fs::read(folder.path().join(path.as_str())).unwrap();
    let files: Vec<(String, Vec<u8>)> =
        index.files.iter().map(|it| (it.path.to_string(), read(&it.path))).collect();
    std::fs::remove_file(file).expect("it goes");
    pack(file.parent().expect("a folder"), index, &files, &[], None);
}

impl World {
    /// A key of this world's home folder, made where it is not there yet.
    pub fn key(&self, name: &str) -> SigningKey {
        let ring = Keyring::at(self.path("home/keys"));
        let name: KeyName = name.parse().expect("a key name");
        let stored = match ring.find(&name) {
            Ok(stored) => stored,
            Err(_) => ring.create(&name, None).expect("a key"),
        };
        ring.open(&stored, None).expect("the key opens")
    }

    /// A key that is on no keyring of this world.
    pub fn foreign_key(&self, name: &str) -> (SigningKey, PublicKey) {
        let ring = Keyring::at(self.path("elsewhere/keys"));
        let name: KeyName = name.parse().expect("a key name");
        let stored = ring.create(&name, None).expect("a key");
        (ring.open(&stored, None).expect("the key opens"), stored.public)
    }

    /// Publishes packages made of `recipes`, signed with the key `me`, into the folder `registry`.
    #[track_caller]
    pub fn publish(&self, recipes: &[Recipe]) -> Vec<Pair> {
        let key = self.key("me");
        let pairs: Vec<Pair> =
            recipes.iter().map(|recipe| recipe.make(self, "dist", &key)).collect();
        let mut command = self.mpkg();
        command.args(["publish", "--create", "--to"]).arg(self.path("registry"));
        command.args(pairs.iter().flat_map(Pair::arguments));
        super::Finished::of(&mut command).succeeds();
        pairs
    }

    /// Serves the files of a folder over HTTP.
    pub fn serve(&self, folder: &str) -> Server {
        let root = self.path(folder);
        Server::start(move |request| {
            match std::fs::read(root.join(request.path.trim_start_matches('/'))) {
                Ok(bytes) => Answer::file(request, &bytes, "\"tag\""),
                Err(_) => Answer::status(404),
            }
        })
    }

    /// Serves the files of a folder over HTTP; what is percent-encoded in a path stands for itself
    /// in the file names, but for a metadata file, which is named as it is asked for.
    pub fn serve_decoded(&self, folder: &str) -> Server {
        let root = self.path(folder);
        Server::start(move |request| {
            let path = request.path.trim_start_matches('/');
            let decoded = percent_encoding::percent_decode_str(path).decode_utf8_lossy();
            match std::fs::read(root.join(&*decoded)).or_else(|_| std::fs::read(root.join(path))) {
                Ok(bytes) => Answer::file(request, &bytes, "\"tag\""),
                Err(_) => Answer::status(404),
            }
        })
    }

    /// Runs the program on the folder `registry`.
    pub fn with_registry<'a>(
        &self,
        arguments: impl IntoIterator<Item = &'a str>,
    ) -> super::Finished {
        let mut command = self.mpkg();
        command.env("MPKG_REGISTRY", self.path("registry")).args(arguments);
        super::Finished::of(&mut command)
    }
}
