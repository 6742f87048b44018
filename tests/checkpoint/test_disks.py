import sys
from pathlib import Path

import pytest

from pipeline.checkpoint import disks

MOUNTINFO = """\
22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
30 22 0:26 / /mnt/data\\040set rw - nfs4 server:/x rw
31 22 0:27 / /mnt/s3 rw,nosuid shared:5 master:2 - fuse.s3fs s3fs rw
32 31 254:1 / /mnt/s3 rw - xfs /dev/vdb rw
"""
MOUNT = """\
/dev/disk3s1s1 on / (apfs, sealed, local, read-only, journaled)
//me@host/share on /Volumes/my share (smbfs, nodev, nosuid, mounted by me)
"""


@pytest.mark.parametrize(
    ("path", "kind"), [("/home/me", "ext4"), ("/mnt/data set/out", "nfs4"), ("/mnt/data", "ext4"), ("/mnt/s3/a", "xfs")]
)
def test_the_deepest_and_latest_mount_decides(path: str, kind: str) -> None:
    assert disks.kind_of(Path(path), list(disks.parse_mountinfo(MOUNTINFO))) == kind


def test_macos_mounts_are_read_too() -> None:
    mounts = list(disks.parse_mount(MOUNT))
    assert disks.kind_of(Path("/Volumes/my share/x"), mounts) == "smbfs"
    assert disks.kind_of(Path("/Users/me"), mounts) == "apfs"


@pytest.mark.parametrize("kind", ["nfs", "nfs4", "cifs", "smb3", "smbfs", "fuse", "fuse.sshfs", "9p", "lustre"])
def test_network_disks_are_told(kind: str) -> None:
    assert disks.is_network(kind)


@pytest.mark.parametrize("kind", ["ext4", "xfs", "btrfs", "tmpfs", "overlay", "apfs", "fuseblk", "zfs", "fuse.fuse-overlayfs"])
def test_local_disks_are_told(kind: str) -> None:
    assert not disks.is_network(kind)


@pytest.mark.skipif(sys.platform != "linux", reason="/proc")
def test_this_machine_says_what_holds_a_folder(tmp_path: Path) -> None:
    assert disks.file_system(tmp_path)
    assert disks.file_system(Path("/proc/self")) == "proc"
