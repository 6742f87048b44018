"""What pictures are to become."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Wanted:
    """`max_side` pixels along the longer side at most, in `format` (jpeg); None: as they are.

    `quality` is of JPEG and WebP. A picture of more than `max_pixels` is not decoded. `anew`: also what is as wanted already is
    encoded anew, so that nothing else the file carried goes along.
    """

    max_side: int | None
    format: str | None
    quality: int
    max_pixels: int
    anew: bool = False
