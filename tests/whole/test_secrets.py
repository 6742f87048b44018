"""The key in nothing that a job leaves, whatever the endpoint says: a small version of `tests.whole.faults secrets`."""

import pytest

from tests.whole.faults.secrets import MISUSES, told_back
from tests.whole.harness import Bench


@pytest.mark.slow
@pytest.mark.network
@pytest.mark.timeout(400)
def test_a_key_that_the_endpoint_hands_back_is_in_no_file_stream_or_other_host() -> None:
    with Bench() as bench:
        claims = list(told_back(bench, ("redirect",), MISUSES[:1]))
    assert [claim for claim in claims if not claim.held] == []
