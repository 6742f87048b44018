"""How large the workloads are."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Sizes:
    """Those the figures are for. `d_rows`, `e_files` and `s3_objects`: few, then many."""

    a_rows: int = 50_000
    sdk_rows: int = 4_000
    b_rows: int = 20_000
    b_width: int = 1_000
    b_delay: float = 1.0
    c_rows: int = 2_000
    c_bytes: int = 200_000
    d_rows: tuple[int, int] = (100_000, 1_000_000)
    e_files: tuple[int, int] = (400, 2_000)
    e_bytes: int = 2_000_000
    s3_objects: tuple[int, int] = (50, 100)
    s3_rows: int = 100
    s3_bytes: int = 200_000
    resume_parts: int = 1_000
    resume_part_rows: int = 10
    tail_rows: int = 20_000
    tail_width: int = 128
    tail_delay: float = 0.2
    tail_slow: float = 30.0

    @classmethod
    def with_remote(cls, gigabytes: float) -> "Sizes":
        """Give these, with so much remote input."""
        few = cls.s3_objects[0]
        return cls(s3_objects=(few, max(few, round(gigabytes * 1e9 / (cls.s3_rows * cls.s3_bytes)))))


# To see that every part of it still runs. The figures mean nothing.
TINY = Sizes(
    a_rows=200,
    sdk_rows=50,
    b_rows=200,
    b_width=50,
    b_delay=0.02,
    c_rows=50,
    c_bytes=20_000,
    d_rows=(100, 200),
    e_files=(20, 40),
    e_bytes=20_000,
    s3_objects=(2, 4),
    s3_rows=10,
    s3_bytes=20_000,
    resume_parts=5,
    tail_rows=200,
    tail_width=20,
    tail_delay=0.01,
    tail_slow=0.2,
)
