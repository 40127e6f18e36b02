"""Writes registries of very many names for benches: the files that mpkg itself would write, with its own keys, without
building a package for each name. Everything is signed, so mpkg believes it as it believes any other.

Needs the PyPI package `cryptography` (Debian: python3-cryptography).
"""

import base64
import collections
import hashlib
import json
import pathlib
import subprocess

FIRST = ["amber", "brisk", "calm", "dense", "early", "fair", "grand", "hazel", "ivory", "jade", "keen", "light",
         "mild", "north", "open", "plain"]
SECOND = ["bert", "clip", "coder", "corpus", "draft", "embed", "flow", "gpt", "judge", "llama", "mixer", "notes",
          "ocr", "parser", "rank", "speech"]


def name_of(number):
    """A name as people give them: two words and a number in hexadecimal digits."""
    return f"{FIRST[number % 16]}-{SECOND[number // 16 % 16]}-{number:06x}"


def canonical(value):
    """Canonical JSON of ASCII text and whole numbers."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def sha256(data):
    """A digest in hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


class Key:
    """A private key of the home folder."""

    def __init__(self, home, name):
        from cryptography.hazmat.primitives import serialization
        self.private = serialization.load_pem_private_key((home / f"keys/{name}.pem").read_bytes(), None)
        raw = serialization.Encoding.Raw, serialization.PublicFormat.Raw
        public = self.private.public_key().public_bytes(*raw).hex()
        self.public = {"keytype": "ed25519", "keyval": {"public": public}, "scheme": "ed25519"}
        self.id = sha256(canonical(self.public))

    def document(self, signed):
        """A document of metadata with its signature."""
        signature = {"keyid": self.id, "sig": self.private.sign(canonical(signed)).hex()}
        return canonical({"signatures": [signature], "signed": signed})

    def statement(self, package, file, file_name):
        """A publisher's signature over a package."""
        subjects = [{"digest": {"sha256": file}, "name": file_name},
                    {"digest": {"sha256": package}, "name": ".mpkg/index.json"}]
        payload = canonical({"_type": "https://in-toto.io/Statement/v1", "predicate": {}, "subject": subjects,
                             "predicateType": "https://in-toto.io/attestation/release/v0.1"})
        kind = "application/vnd.in-toto+json"
        signed = b"DSSEv1 %d %s %d %s" % (len(kind), kind.encode(), len(payload), payload)
        signature = base64.b64encode(self.private.sign(signed)).decode()
        return canonical({"payload": base64.b64encode(payload).decode(), "payloadType": kind,
                          "signatures": [{"keyid": self.id, "sig": signature}]})


def release(name, version, dependencies, attachment=None):
    """A source and a binary release, as two entries, with digests of files that nobody has."""
    digest = [sha256(f"{name} {version} {part}".encode()) for part in range(6)]
    common = {"kind": "model", "license": "Apache-2.0", "published": "2026-01-01T00:00:00Z", "version": version,
              "summary": f"The model {name}, made up to measure with", "tasks": ["text-generation"]}

    def offer(file, size, attached):
        chunks = {"offset": size - 512, "sha256": digest[5], "size": 128}
        stock = {"chunks": chunks, "encoding": "mpkg", "sha256": file, "size": size}
        attached = attached or {"sha256": digest[4], "size": 817}
        return {"attachments": [{"role": "publisher", **attached}], "representations": [stock],
                "unpacked-size": size * 2}

    source = {**common, **offer(digest[2], 20_000, None), "package": digest[0], "type": "source"}
    binary = {**common, **offer(digest[3], 500_000_000, attachment), "package": digest[1], "type": "binary",
              "source": digest[0], "variant": "f32", "default-variant": True}
    if dependencies:
        binary["dependencies"] = [{"name": name, "requirement": wish} for name, wish in sorted(dependencies)]
    return [source, binary]


class Many:
    """A registry that is filled with names."""

    def __init__(self, program, folder, bins):
        self.registry, home = folder / "registry", folder / "home"
        mpkg = [program, "--quiet", "--home", home]
        subprocess.run([*mpkg, "key", "new", "bench"], check=True, stdout=subprocess.DEVNULL)
        subprocess.run([*mpkg, "registry", "init", self.registry, "--bins", str(bins)], check=True,
                       stdout=subprocess.DEVNULL)
        self.publisher, self.online = Key(home, "bench"), Key(home, "registry-online")
        self.bits = bins.bit_length() - 1
        self.bins, self.lists = collections.defaultdict(dict), collections.defaultdict(list)
        for part in ["index", "search", "attestations"]:
            (self.registry / part).mkdir()

    def bin_of(self, path):
        """The name of the bin that vouches for a path."""
        number = int(sha256(path.encode())[:8], 16) >> (32 - self.bits)
        return f"bins-{number:0{-(-self.bits // 4)}x}"

    def target(self, path, data):
        """Writes a file that metadata vouches for."""
        digest = sha256(data)
        folder, name = path.split("/")
        (self.registry / folder / f"{digest}.{name}").write_bytes(data)
        self.bins[self.bin_of(path)][path] = {"hashes": {"sha256": digest}, "length": len(data)}

    def add_signed(self, name, releases):
        """The same, with the publisher's signatures at hand: the releases may be chosen."""
        self.add(name, releases, self.attach)

    def add(self, name, releases, attach=lambda name, version: None):
        """Adds a name; `releases` are pairs of a version and its dependencies."""
        entries = []
        for version, dependencies in releases:
            entries += release(name, version, dependencies, attach(name, version))
        publishers = {"keys": {self.publisher.id: self.publisher.public}, "threshold": 1}
        path = f"index/{name}.json"
        self.target(path, canonical({"format": 1, "name": name, "publishers": publishers, "releases": entries}))
        newest = entries[-1]
        about = {part: newest[part] for part in ["kind", "license", "summary", "tasks", "version"]}
        bits = max(min(self.bits - 4, 8), 0)
        number = int(sha256(path.encode())[:8], 16) >> (32 - bits)
        self.lists[f"search/{number:0{max(-(-bits // 4), 1)}x}.json"].append({**about, "name": name})

    def mention(self, name):
        """Adds a name of which the metadata and the search lists speak as of others, and whose index is not there."""
        path = f"index/{name}.json"
        digest = hashlib.sha256(path.encode()).hexdigest()
        self.bins[self.bin_of(path)][path] = {"hashes": {"sha256": digest}, "length": 1700}
        bits = max(min(self.bits - 4, 8), 0)
        number = int(digest[:8], 16) >> (32 - bits)
        self.lists[f"search/{number:0{max(-(-bits // 4), 1)}x}.json"].append({
            "kind": "model", "license": "Apache-2.0", "name": name, "tasks": ["text-generation"], "version": "1.0.0",
            "summary": f"The model {name}, made up to measure with"})

    def attach(self, name, version):
        """Signs a binary release; the attachment that says so."""
        package, file = (sha256(f"{name} {version} {part}".encode()) for part in (1, 3))
        envelope = self.publisher.statement(package, file, f"{name}-{version}.f32.mpkg")
        digest = sha256(envelope)
        place = self.registry / "attestations" / package
        place.mkdir()
        (place / f"{digest}.dsse.json").write_bytes(envelope)
        return {"sha256": digest, "size": len(envelope)}

    def finish(self):
        """Writes search lists, bins, the snapshot and the timestamp."""
        for path, packages in self.lists.items():
            packages.sort(key=lambda entry: entry["name"])
            self.target(path, canonical({"format": 1, "packages": packages}))
        metadata = self.registry / "metadata"
        timestamp = json.loads((metadata / "timestamp.json").read_bytes())["signed"]
        number = timestamp["meta"]["snapshot.json"]["version"]
        snapshot = json.loads((metadata / f"{number}.snapshot.json").read_bytes())["signed"]
        version = max(file["version"] for file in snapshot["meta"].values())
        for name, targets in self.bins.items():
            before = snapshot["meta"][f"{name}.json"]["version"]
            document = json.loads((metadata / f"{before}.{name}.json").read_bytes())["signed"]
            version += 1
            document.update(version=version, targets=targets)
            (metadata / f"{version}.{name}.json").write_bytes(self.online.document(document))
            snapshot["meta"][f"{name}.json"] = {"version": version}
        snapshot["version"] += 1
        data = self.online.document(snapshot)
        (metadata / f"{snapshot['version']}.snapshot.json").write_bytes(data)
        timestamp["version"] += 1
        timestamp["meta"]["snapshot.json"] = {
            "hashes": {"sha256": sha256(data)}, "length": len(data), "version": snapshot["version"]}
        (metadata / "timestamp.json").write_bytes(self.online.document(timestamp))


def sizes(registry):
    """The sizes of the metadata that a look-up reads, in bytes: timestamp, snapshot, targets, the largest bin."""
    metadata = pathlib.Path(registry, "metadata")
    timestamp = json.loads((metadata / "timestamp.json").read_bytes())["signed"]
    number = timestamp["meta"]["snapshot.json"]["version"]
    snapshot = metadata / f"{number}.snapshot.json"
    files = json.loads(snapshot.read_bytes())["signed"]["meta"]
    place = {name: (metadata / f"{file['version']}.{name}").stat().st_size for name, file in files.items()}
    bins = [size for name, size in place.items() if name.startswith("bins-")]
    return {"timestamp": (metadata / "timestamp.json").stat().st_size, "snapshot": snapshot.stat().st_size,
            "targets": place["targets.json"], "largest bin": max(bins)}
