"""Where data lies that is on no local disk, as text: `s3://bucket/key`, `gs://bucket/key` and their like. Pure.

A location is taken as it is written: no escapes, no query and no fragment, for a key may hold `%`, `?` and `#`.
"""

import posixpath
import re
from dataclasses import dataclass
from unicodedata import category

# gcs is another spelling of gs. The rest is what pyarrow reaches without a server of its own.
SCHEMES = ("s3", "gs", "gcs", "abfs", "abfss")
_REMOTE = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_ONE_SLASH = re.compile(rf"(?:{'|'.join(SCHEMES)}):/(?!/)", re.IGNORECASE)


def is_remote(text: str) -> bool:
    """Whether a text has the form of a location: what stands in a config is a local path otherwise."""
    return _REMOTE.match(text) is not None


def lacks_a_slash(text: str) -> bool:
    """Whether it is `s3:/bucket/key` and the like: by its form a path on this disk, which nobody who writes it means."""
    return _ONE_SLASH.match(text) is not None


@dataclass(frozen=True, slots=True, order=True)
class Location:
    """An object, or what many objects' keys begin with. `key` has neither a slash before it nor, but for a folder, behind it."""

    scheme: str
    bucket: str
    key: str

    @classmethod
    def parse(cls, text: str) -> "Location":
        """Read a location. Raises ValueError, worded for whoever wrote it, for what cannot be one."""
        found = _REMOTE.match(text)
        if found is None:
            raise ValueError("no location such as s3://bucket/key")
        scheme = found[1].lower()
        if scheme not in SCHEMES:
            raise ValueError(f"found {found[0]}…, allowed: a local path, or a location in a store, such as s3://bucket/key")
        bucket, _, key = text[found.end() :].partition("/")
        if "@" in bucket and not scheme.startswith("abfs"):
            raise ValueError("no credentials belong in a location: they are found where the store's own tools find them")
        if not bucket or ":" in bucket:
            raise ValueError(f"no bucket is named in it; write {scheme}://bucket/key")
        # Blanks of all kinds are well: macOS puts a narrow one into the names of its screenshots.
        if any(not char.isprintable() and category(char) != "Zs" for char in key):
            raise ValueError("a key with control characters is not read or written")
        if any(part in ("", ".", "..") for part in key.rstrip("/").split("/")) and key:
            raise ValueError("a key with empty parts, . or .. is not read or written")
        return cls("gs" if scheme == "gcs" else scheme, bucket, key)

    def __str__(self) -> str:
        return f"{self.scheme}://{self.bucket}/{self.key}"

    @property
    def store(self) -> str:
        """What holds it: the same for all that one connection serves."""
        return f"{self.scheme}://{self.bucket}"

    @property
    def name(self) -> str:
        """The last part of the key, without a slash behind it."""
        return posixpath.basename(self.key.rstrip("/"))

    @property
    def folder(self) -> "Location":
        """The same as a prefix: with a slash behind the key, if there is a key."""
        return self if not self.key or self.key.endswith("/") else Location(self.scheme, self.bucket, f"{self.key}/")

    @property
    def parent(self) -> "Location":
        """The prefix that the last part of the key stands behind."""
        above = posixpath.dirname(self.key.rstrip("/"))
        return Location(self.scheme, self.bucket, f"{above}/" if above else "")

    def __truediv__(self, name: str) -> "Location":
        return Location(self.scheme, self.bucket, f"{self.folder.key}{name}")

    def with_key(self, key: str) -> "Location":
        return Location(self.scheme, self.bucket, key)

    def with_name(self, name: str) -> "Location":
        return self.parent / name

    def is_below(self, other: "Location") -> bool:
        """Whether it is the other one, or lies in it as in a folder."""
        return self.store == other.store and self.folder.key.startswith(other.folder.key)
