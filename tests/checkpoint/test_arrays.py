"""Arrays built without pyarrow.array() are what it would have given, and nothing imports pandas."""

import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.checkpoint import arrays

pa.array([0])  # imports pandas, before hypothesis looks at the clock

KINDS = {
    "string": (pa.string(), st.text(max_size=8)),
    "int64": (pa.int64(), st.integers(-(2**63), 2**63 - 1)),
    "int32": (pa.int32(), st.integers(-(2**31), 2**31 - 1)),
    "float64": (pa.float64(), st.floats(allow_nan=False)),
}


@pytest.mark.parametrize(("kind", "values"), KINDS.values(), ids=KINDS)
@given(data=st.data())
def test_values_come_back_as_they_were(kind: pa.DataType, values: st.SearchStrategy[object], data: st.DataObject) -> None:
    given_values = data.draw(st.lists(st.none() | values, max_size=20))
    built = arrays.build(given_values, kind)
    built.validate(full=True)
    assert built.equals(pa.array(given_values, kind))
    assert built.null_count == given_values.count(None)


STORY = """
import sys
from pathlib import Path
import pyarrow as pa
from pipeline.checkpoint.entries import StoredJob
from tests.checkpoint import desk
desk.JOB = StoredJob({"model": "m"}, {}, pa.schema([]))
desk.Desk(Path(sys.argv[1])).make().run()
assert "pandas" not in sys.modules
"""


def test_a_job_is_recorded_sealed_and_published_without_pandas(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", STORY, str(tmp_path / "job")], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
