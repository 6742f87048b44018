"""Where a job's output and its record lie, and whether both places can be written to before anything is paid for."""

import errno
import os
import stat
import zlib
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pipeline.checkpoint import disks, files
from pipeline.checkpoint.ballast import Ballast
from pipeline.core.errors import FullError, OutputError, StoppedError
from pipeline.core.locations import Location

# SQLite needs some room only to open a journal that was not closed.
LEAST_FREE_BYTES = 16 * 1024 * 1024

_OUR_NAMES = {"parts", "kept", "staged", "outbox", "journal.db-wal", "mark", "job.json", "summary.json", "timeline.json"}
_COMES_BACK = files.OUT_OF_SPACE | {errno.EIO}


@dataclass(frozen=True, slots=True)
class Layout:
    """The places of one job. Paths are absolute; nothing here needs to exist.

    `output` is a Parquet file, or a folder of them if `is_directory`; a location has no slash behind it, as a path has none.
    `folder` is the record.
    """

    output: Path | Location
    is_directory: bool
    folder: Path

    @classmethod
    def of(cls, output: Path | Location, *, is_directory: bool, folder: Path | None = None) -> "Layout":
        """Lay the record beside the output, as OUTPUT.rowcall, unless `folder` says where: of an output in a store it has to."""
        if isinstance(output, Location):
            if folder is None:
                raise ValueError(f"the record of {output} has to lie on a local disk")
            return cls(output.parent.with_key(output.key.rstrip("/")), is_directory, Path(os.path.abspath(folder)))  # noqa: PTH100
        # Not resolve(): an output that is a symlink has to be seen as one.
        place = Path(os.path.abspath(output))  # noqa: PTH100
        beside = place.with_name(place.name + ".rowcall")
        return cls(place, is_directory, Path(os.path.abspath(folder)) if folder else beside)  # noqa: PTH100

    @property
    def anchor(self) -> Path:
        """The folder that the names of input files on record are relative to."""
        return self.folder.parent if isinstance(self.output, Location) else self.output.parent

    def name_now(self, name: str) -> str:
        """Give what an output file that had this name when it was published is called now: a single file may be renamed."""
        return name if self.is_directory else self.output.name

    @property
    def outbox(self) -> Path:
        """Finished output files that wait to be put into a store."""
        return self.folder / "outbox"

    @property
    def written_to(self) -> Path:
        """What new output files are written to the disk of: the output itself, or the outbox."""
        return self.outbox if isinstance(self.output, Location) else self.output

    @property
    def lock(self) -> Path:
        return self.folder / "lock"

    @property
    def journal(self) -> Path:
        return self.folder / "journal.db"

    @property
    def progress(self) -> Path:
        return self.folder / "progress.json"

    @property
    def summary(self) -> Path:
        return self.folder / "summary.json"

    @property
    def timeline(self) -> Path:
        return self.folder / "timeline.json"

    @property
    def parts(self) -> Path:
        """Sealed parts that are not published yet."""
        return self.folder / "parts"

    @property
    def kept(self) -> Path:
        """The kept input columns of open parts."""
        return self.folder / "kept"

    @property
    def staged(self) -> Path:
        """Parquet copies of CSV and JSONL input; theirs to manage who stage."""
        return self.folder / "staged"

    @property
    def ballast(self) -> Path:
        """Room on the disk that a run keeps for the moment when there is none."""
        return self.folder / "ballast"

    @property
    def probe(self) -> str:
        """The name of what is written to see whether a folder can be written to; whoever holds the lock has it alone."""
        return f".rowcall-probe-{zlib.crc32(os.fsencode(self.output.name)):08x}"

    @property
    def has_record(self) -> bool:
        """Whether a run ever got as far as to make a record here."""
        return self.journal.exists() or self.lock.exists() or self.progress.exists()


def make_folder(layout: Layout) -> None:
    """Make the record's folder, mode 0700 whatever the umask, or see that the one there is safe to use.

    It holds user data: it must be ours, no symlink, and closed to others' writing. A folder that holds something else
    is refused, so that a mistyped `checkpoint.dir` neither fills nor locks away what lies there.
    """
    folder = layout.folder
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        try:
            folder.mkdir(mode=0o700)
        except FileExistsError:
            _check_folder(layout)
        folder.chmod(0o700)
        remote = isinstance(layout.output, Location)
        for inner in (layout.parts, layout.kept, layout.staged, *([layout.outbox] if remote else [])):
            inner.mkdir(mode=0o700, exist_ok=True)
            if inner.is_symlink() or inner.stat().st_uid != os.geteuid():
                raise OutputError(f"{inner}: is a symlink or belongs to another user; remove it and run again")
            inner.chmod(0o700)
        files.sync_folder(folder)
        files.sync_folder(folder.parent)
    except OSError as error:
        raise _cannot(folder, error) from error


def _check_folder(layout: Layout) -> None:
    folder = layout.folder
    seen = folder.lstat()
    if stat.S_ISLNK(seen.st_mode):
        raise OutputError(f"{folder}: the record folder is a symlink; give the real folder in checkpoint.dir")
    if not stat.S_ISDIR(seen.st_mode):
        raise OutputError(f"{folder}: is in the way of the job's record folder; move it, or set checkpoint.dir")
    if seen.st_uid != os.geteuid():
        raise OutputError(
            f"{folder}: the record folder belongs to user id {seen.st_uid}; run as that user, or set checkpoint.dir"
        )
    if seen.st_mode & 0o022:
        raise OutputError(f"{folder}: others may write to the record folder; chmod go-w it, then run again")
    if not layout.has_record and any(each.name not in _OUR_NAMES for each in folder.iterdir()):
        raise OutputError(f"{folder}: holds files and is no rowcall record; give checkpoint.dir an empty or new folder")


def preflight(layout: Layout, *, allow_network_disk: bool = False) -> None:
    """Prove that record and output can be written, synced and renamed here, before the first request is paid for.

    Makes the output's parent folder. Of an output in a store see Shelf.prove_writable(). Raises OutputError where a person
    must change something, StoppedError where the disk is full or failing: the record is intact and the same command will do
    later.
    """
    kind = disks.file_system(layout.folder)
    if kind is not None and disks.is_network(kind) and not allow_network_disk:
        raise OutputError(
            f"{layout.folder}: lies on a network disk ({kind}), where locks may not hold; set checkpoint.dir to a local folder, "
            "or checkpoint.allow_network_disk: true"
        )
    check_output_kind(layout)
    Ballast(layout.ballast).put_down()  # a run that was killed left it, and this one may need its room
    output = layout.written_to
    for folder in dict.fromkeys((layout.folder, output.parent, *([output] if output.is_dir() else []))):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            _check_space(folder)
            _probe(folder / layout.probe)
        except OSError as error:
            raise _cannot(folder, error) from error


def check_output_kind(layout: Layout) -> None:
    """Refuse an output name that is a symlink, or a folder where a file is meant, or the other way round.

    In a store there are no folders, and whatever lies there is looked at by verify_output().
    """
    output = layout.output
    if isinstance(output, Location):
        return
    if output.is_symlink():
        raise OutputError(f"{output}: is a symlink, which publishing would replace; give the real path in output.path")
    if not output.exists():
        return
    if layout.is_directory and not output.is_dir():
        raise OutputError(f"{output}: is a file, but output.path asks for a folder; move it, or name the output ….parquet")
    if not layout.is_directory and not output.is_file():
        raise OutputError(f"{output}: is not a regular file; move it, or give another output.path")


def _check_space(folder: Path) -> None:
    room = os.statvfs(folder)
    free = room.f_bavail * room.f_frsize
    if free < LEAST_FREE_BYTES:
        raise FullError(
            f"{folder}: the disk is full; what is recorded is intact: free {LEAST_FREE_BYTES >> 20} MB or more and run again"
        )


def _probe(path: Path) -> None:
    first = path.with_name(f"{path.name}.tmp")
    first.unlink(missing_ok=True)  # a kill may have left it
    try:
        with files.create(first, private=True) as file:
            file.write(b"rowcall")
            files.sync(file)
        first.rename(path)
        files.sync_folder(path.parent)
    finally:
        for each in (first, path):
            with suppress(OSError):  # what went wrong before is what counts
                each.unlink(missing_ok=True)


def _cannot(folder: Path, error: OSError) -> OutputError | StoppedError:
    said = f"{folder}: cannot be written to ({error.strerror or error})"
    if error.errno in _COMES_BACK:
        return StoppedError(f"{said}; what is recorded is intact: mend the disk and run again")
    return OutputError(f"{said}; change its permissions, or give another output.path or checkpoint.dir")
