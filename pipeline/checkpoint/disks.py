"""Telling a network disk from a local one: on the former neither locks nor SQLite can be trusted."""

import os
import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

_NETWORK = {
    *("nfs", "nfs4", "cifs", "smb2", "smb3", "smbfs", "afpfs", "webdav", "9p", "afs", "ncpfs", "ceph", "glusterfs"),
    *("lustre", "gpfs", "beegfs", "orangefs", "pvfs2", "ocfs2", "gfs2", "macfuse", "osxfuse"),
}
# FUSE file systems that only rearrange a local disk: an overlay of a rootless container, a merged or encrypted folder.
_LOCAL_FUSE = {"fuse.fuse-overlayfs", "fuse.mergerfs", "fuse.gocryptfs", "fuse.encfs", "fuse.bindfs", "fuse.lxcfs"}


def is_network(kind: str) -> bool:
    """Tell whether a file system of this type may lie on another machine. `fuseblk` is a local disk with a foreign format."""
    return kind in _NETWORK or ((kind == "fuse" or kind.startswith("fuse.")) and kind not in _LOCAL_FUSE)


def file_system(path: Path) -> str | None:
    """Give the type of the file system that holds `path`, None where the system does not say."""
    try:
        if sys.platform == "darwin":
            # Keys are in our environment, and no business of another program's.
            listed = subprocess.run(["/sbin/mount"], env={}, capture_output=True, text=True, timeout=10, check=True).stdout
            mounts = list(parse_mount(listed))
        else:
            mounts = list(parse_mountinfo(Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="surrogateescape")))
    except (OSError, subprocess.SubprocessError):
        return None
    return kind_of(Path(os.path.realpath(path)), mounts)


def kind_of(path: Path, mounts: Iterable[tuple[str, str]]) -> str | None:
    """Give the type of the deepest mount above `path`; of two on one folder the later hides the earlier."""
    found, depth = None, -1
    for folder, kind in mounts:
        if path.is_relative_to(folder) and len(Path(folder).parts) >= depth:
            found, depth = kind, len(Path(folder).parts)
    return found


def parse_mountinfo(text: str) -> Iterable[tuple[str, str]]:
    """Read Linux's /proc/self/mountinfo, see proc(5): the type follows a lone dash, spaces are octal escapes."""
    for line in text.splitlines():
        before, dash, after = line.partition(" - ")
        columns = before.split(" ")
        if dash and len(columns) > 4:
            yield re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), columns[4]), after.split(" ")[0]


def parse_mount(text: str) -> Iterable[tuple[str, str]]:
    """Read what macOS's mount prints: `//host/share on /Volumes/x (smbfs, nodev)`."""
    for line in text.splitlines():
        if found := re.fullmatch(r".+? on (/.*) \(([^,)]+).*\)", line):
            yield found[1], found[2]
