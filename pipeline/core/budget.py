"""Spending no more than the user allows: what is recorded, plus the worst that requests in flight may come to."""

from pipeline.core.pricing import Pricing
from pipeline.core.tokens import BYTES_PER_TOKEN
from pipeline.core.types import Usage


class Budget:
    """`most` is `stop.max_cost`, `spent` what the job has recorded so far, both in the currency of `pricing`.

    `most_completion` is the request's own limit of completion tokens for each of its `choices`.
    """

    def __init__(self, most: float, *, spent: float, pricing: Pricing, most_completion: int, choices: int = 1) -> None:
        self.most = most
        self.spent = spent
        self.reserved = 0.0
        self._pricing = pricing
        self._most_completion = most_completion
        self._choices = choices
        # No vocabulary needs more than one token a byte, and the estimates count this many bytes a token. Pictures may cost
        # more than that: then the dearest prompt so far, as a multiple of its estimate, is the measure.
        self._factor = float(BYTES_PER_TOKEN)

    def worst(self, tokens: int) -> float:
        """Give what a request may cost at most, by its estimate of prompt and completion tokens together."""
        prompt = max(tokens - self._most_completion, 0) * self._factor
        return self._pricing.cost(Usage(round(prompt), self._most_completion * self._choices)) or 0.0

    def reserve(self, worst: float) -> bool:
        """Set so much aside for a request, or tell that it does not fit beside those in flight."""
        if self.spent + self.reserved + worst > self.most:
            return False
        self.reserved += worst
        return True

    def settle(self, worst: float, cost: float) -> None:
        """Note what a request came to for which `worst` was set aside."""
        self.reserved = max(self.reserved - worst, 0.0)
        self.spent += cost

    def learn(self, tokens: int, usage: Usage) -> None:
        """Compare a request's estimate with what the endpoint counted."""
        estimate = tokens - self._most_completion
        if usage.prompt is not None and estimate > 0:
            self._factor = max(self._factor, usage.prompt / estimate)
