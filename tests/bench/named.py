"""All workloads by their names."""

from tests.bench.remote import remote, resume
from tests.bench.workloads import a, b, c, d, e, tail

WORKLOADS = {"A": a, "B": b, "C": c, "D": d, "E": e, "S3": remote, "resume": resume, "tail": tail}
