"""What may still be spent."""

from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.budget import Budget
from pipeline.core.pricing import Pricing
from pipeline.core.types import Usage

PRICES = Pricing(prompt_per_million=1.0, completion_per_million=10.0, per_request=0.001)


def budget(most: float = 1.0, *, spent: float = 0.0, choices: int = 1) -> Budget:
    return Budget(most, spent=spent, pricing=PRICES, most_completion=100, choices=choices)


def test_the_worst_case_is_a_token_a_byte_and_the_longest_reply():
    # 400 bytes of text are estimated at 100 tokens, with the reply's 100 at 200 together.
    assert budget().worst(200) == 400 * 1e-6 + 100 * 10e-6 + 0.001


def test_every_choice_may_be_as_long_as_the_limit():
    assert budget(choices=3).worst(200) - budget().worst(200) == 200 * 10e-6


def test_a_prompt_that_cost_more_than_a_token_a_byte_teaches_caution():
    it = budget()
    before = it.worst(200)
    it.learn(200, Usage(prompt=1000))
    assert it.worst(200) > before
    it.learn(200, Usage(prompt=10))
    it.learn(200, Usage())
    assert it.worst(200) > before


@given(
    st.lists(st.tuples(st.floats(0.001, 0.4), st.floats(0, 1)), max_size=60),
    st.floats(0.1, 2),
    st.floats(0, 1),
)
def test_what_is_spent_and_set_aside_never_exceeds_the_budget(requests, most, spent):
    it = budget(most, spent=min(spent, most))
    open_: list[tuple[float, float]] = []
    for worst, share in requests:
        if it.reserve(worst):
            open_.append((worst, share))
        elif open_:
            worst, share = open_.pop(0)
            it.settle(worst, worst * share)
        assert it.spent + it.reserved <= most + 1e-9
