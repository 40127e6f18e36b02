"""Reads a registry with python-tuf: the root, the addresses of metadata and targets, an empty
folder, and target paths. Prints each target's SHA-256, and the versions that are trusted."""

import hashlib
import pathlib
import sys

from tuf.ngclient import Updater

root, metadata, targets, folder, *paths = sys.argv[1:]
folder = pathlib.Path(folder)
for name in ("metadata", "targets"):
    (folder / name).mkdir(parents=True)
updater = Updater(
    metadata_dir=str(folder / "metadata"),
    metadata_base_url=metadata,
    target_base_url=targets,
    target_dir=str(folder / "targets"),
    bootstrap=pathlib.Path(root).read_bytes(),
)
updater.refresh()
for path in paths:
    info = updater.get_targetinfo(path)
    if info is None:
        print(path, "none")
        continue
    file = pathlib.Path(updater.download_target(info))
    print(path, hashlib.sha256(file.read_bytes()).hexdigest())
trusted = updater._trusted_set
print("root", trusted.root.version, trusted.root.roles["root"].threshold)
print("succinct", trusted.targets.delegations.succinct_roles.bit_length)
