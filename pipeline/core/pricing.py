"""What a reply cost, by the prices the user gave. Nothing is looked up, nothing guessed."""

from dataclasses import dataclass

from pipeline.core.types import Usage


@dataclass(frozen=True, slots=True)
class Pricing:
    """Prices in the user's currency; None where there is none."""

    prompt_per_million: float | None = None
    completion_per_million: float | None = None
    per_request: float | None = None

    @property
    def known(self) -> bool:
        return not (self.prompt_per_million is None and self.completion_per_million is None and self.per_request is None)

    def cost(self, usage: Usage) -> float | None:
        """Give the cost of a reply; None without prices, or where a priced token count is missing."""
        if not self.known:
            return None
        total = self.per_request or 0.0
        for price, tokens in (
            (self.prompt_per_million, usage.prompt),
            (self.completion_per_million, usage.completion),
        ):
            if price is not None:
                if tokens is None:
                    return None
                total += price * tokens / 1e6
        return total
