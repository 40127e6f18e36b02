"""Writes repositories with python-tuf, step by step, into the folder that is named; each step is
called by its name, and goes on from the state that the ones before left in keys and metadata."""

import datetime
import hashlib
import pathlib
import sys

from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import (
    DelegatedRole,
    Delegations,
    Metadata,
    MetaFile,
    Root,
    Snapshot,
    SuccinctRoles,
    TargetFile,
    Targets,
    Timestamp,
)
from tuf.api.serialization.json import JSONSerializer

# Laid out over many lines: the signatures are over another spelling than the file's.
PRETTY = JSONSerializer(compact=False)


class Repository:
    """A repository in memory that is written whole after each step."""

    def __init__(self, folder, kind):
        self.folder = pathlib.Path(folder)
        self.later = datetime.datetime(2126, 1, 1, tzinfo=datetime.timezone.utc)
        make = {"ed25519": CryptoSigner.generate_ed25519, "p256": CryptoSigner.generate_ecdsa}
        self.new_key = make[kind]
        self.signers = {name: [self.new_key()] for name in ("timestamp", "snapshot", "targets", "bins")}
        # Two keys of two kinds must sign the root.
        self.signers["root"] = [make["ed25519"](), make["p256"]()]
        self.root = Root(expires=self.later, consistent_snapshot=True)
        self.root.unrecognized_fields["x-more"] = {"a": [1, "é"], "A": None}
        for role in ("root", "timestamp", "snapshot", "targets"):
            for signer in self.signers[role]:
                self.root.add_key(signer.public_key, role)
        self.root.roles["root"].threshold = 2
        self.targets = Targets(expires=self.later)
        self.delegated = {}
        self.snapshot = Snapshot(expires=self.later)
        self.timestamp = Timestamp(expires=self.later)

    def delegate_to_bins(self, bits):
        key = self.signers["bins"][0].public_key
        bins = SuccinctRoles([key.keyid], 1, bits, "bins")
        self.targets.delegations = Delegations({key.keyid: key}, succinct_roles=bins)
        self.delegated = {name: Targets(expires=self.later) for name in bins.get_roles()}

    def delegate_by_path(self, name, patterns):
        key = self.signers["bins"][0].public_key
        role = DelegatedRole(name, [key.keyid], 1, True, paths=patterns)
        self.targets.delegations = Delegations({key.keyid: key}, roles={name: role})
        self.delegated = {name: Targets(expires=self.later)}

    def add(self, path, contents):
        target = TargetFile.from_data(path, contents, ["sha256", "sha512"])
        role = self.targets
        if self.targets.delegations is not None:
            (name, _), *_ = self.targets.delegations.get_roles_for_target(path)
            role = self.delegated[name]
        role.targets[path] = target
        digest = hashlib.sha256(contents).hexdigest()
        place = self.folder / "targets" / path
        place = place.with_name(f"{digest}.{place.name}")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(contents)

    def sign(self, signed, role):
        document = Metadata(signed)
        for signer in self.signers[role]:
            document.sign(signer, append=True)
        return document.to_bytes(PRETTY)

    def write(self, name, contents):
        place = self.folder / "metadata" / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(contents)

    def publish_root(self):
        self.write(f"{self.root.version}.root.json", self.sign(self.root, "root"))

    def publish(self):
        documents = {"targets": (self.targets, "targets")}
        documents |= {name: (one, "bins") for name, one in self.delegated.items()}
        for name, (document, role) in documents.items():
            contents = self.sign(document, role)
            self.write(f"{document.version}.{name}.json", contents)
            self.snapshot.meta[f"{name}.json"] = MetaFile.from_data(document.version, contents, ["sha512"])
        contents = self.sign(self.snapshot, "snapshot")
        self.write(f"{self.snapshot.version}.snapshot.json", contents)
        self.timestamp.snapshot_meta = MetaFile(self.snapshot.version)
        self.write("timestamp.json", self.sign(self.timestamp, "timestamp"))

    def next(self):
        for document in (self.targets, self.snapshot, self.timestamp, *self.delegated.values()):
            document.version += 1


def main():
    folder, kind, shape = sys.argv[1:]
    repository = Repository(folder, kind)
    repository.publish_root()
    if shape == "bins":
        repository.delegate_to_bins(4)
    elif shape == "paths":
        repository.delegate_by_path("a role/with ? odd # name", ["models/*", "data/*/*"])
    repository.add("models/one.txt", b"one\n")
    repository.add("data/a b/two.txt", b"two\n")
    repository.publish()
    # All keys change; the roots are to be followed one by one.
    old = list(repository.signers["root"])
    for role in ("root", "timestamp", "snapshot", "targets"):
        for signer in list(repository.signers[role]):
            repository.root.revoke_key(signer.public_key.keyid, role)
        repository.signers[role] = [repository.new_key(), repository.new_key()]
        for signer in repository.signers[role]:
            repository.root.add_key(signer.public_key, role)
        repository.root.roles[role].threshold = 2
    repository.root.version += 1
    new = repository.signers["root"]
    repository.signers["root"] = old + new
    repository.publish_root()
    repository.signers["root"] = new
    repository.next()
    repository.publish()


main()
