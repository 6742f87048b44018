"""What each refusal means, as a table: the first rule that matches decides. No rule looks at a completion.

What a rule can ask for: a status, a code, words of the message (never the prompt's own, quoted back), that it is an HTML page.
A verdict against the whole job from words alone is confined to statuses with which an endpoint may mean it.
"""

import re
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass

from pipeline.core.retry import MOST_LOST_PER_ROW
from pipeline.core.types import FaultKind
from pipeline.providers.refusals import Refusal

THROTTLED, DOWN, TRANSIENT = FaultKind.THROTTLED, FaultKind.DOWN, FaultKind.TRANSIENT
REJECTED, FATAL = FaultKind.REJECTED, FaultKind.FATAL

ANY = range(100, 1000)
OK = 200


@dataclass(frozen=True, slots=True)
class Rule:
    """One line of the table. Each condition that is set must hold; of `codes` and `words` one is enough."""

    name: str
    kind: FaultKind
    error_kind: str
    statuses: Container[int] = ANY
    codes: re.Pattern[str] | None = None
    words: re.Pattern[str] | None = None
    test: Callable[[Refusal], bool] | None = None
    ambiguous: bool = False
    resends: int | None = None

    def matches(self, refusal: Refusal) -> bool:
        if refusal.status not in self.statuses or (self.test and not self.test(refusal)):
            return False
        if self.codes is None and self.words is None:
            return True
        coded = self.codes is not None and any(map(self.codes.fullmatch, refusal.codes))
        return coded or (self.words is not None and refusal.says(self.words))


def _any_of(*phrases: str) -> re.Pattern[str]:
    return re.compile("|".join(phrases), re.IGNORECASE)


def _is_firewall(refusal: Refusal) -> bool:
    return refusal.page is not None and ("cf-ray" in refusal.headers or bool(_FIREWALL.search(refusal.page)))


def _asks_too_much(refusal: Refusal) -> bool:
    """Tell a request that no waiting helps: "Request too large … Limit 30000, Requested 43000"."""
    if refusal.says(_TOO_LARGE):
        return True
    figures = _FIGURES.search(refusal.words.own)
    return figures is not None and _figure(figures[2]) > _figure(figures[1])


def _figure(text: str) -> int:
    return int(text.replace(",", ""))


_FIREWALL = _any_of(r"just a moment", r"attention required", r"\bwaf\b", r"cloudflare")
_TOO_LARGE = _any_of(r"request too large")
_FIGURES = re.compile(r"limit:? (\d[\d,]{0,19})\b.{0,60}?requested:? (\d[\d,]{0,19})\b")

MONEY_CODES = _any_of(
    "insufficient_quota",
    "credit_balance_exhausted",
    "organization_spend_limit_exceeded",
    "project_spend_limit_exceeded",
    "organization_usage_limit_exceeded",
    "billing_hard_limit_reached",
    "enforced_spend_limit_reached",
    "billing_error",
    "insufficient_credits",
    "budget_exceeded",  # LiteLLM
)
# Anthropic's words, with which it answers 400; no other wording of a 400 may speak for the whole job.
_LOW_BALANCE = r"credit balance is too low"
MONEY_WORDS = _any_of(
    _LOW_BALANCE,
    r"insufficient (?:\w+ )?(?:credit|balance|fund|quota)",
    r"exceeded your current quota",
    r"spend(?:ing)? limit",
    r"crossed budget",
    r"exceeded budget",
    r"budget_exceeded",
    r"budget has been exceeded",
    r"payment required",
    r"billing",
    r"no credits found",
)
# Google answers a limit per minute with the words of an empty account; only this code tells it from one.
GOOGLE_LIMIT = _any_of("resource_exhausted")
RATE_CODES = _any_of(r"slow_?down", r"rate_?limit\w*", r"too_many_requests", r"throttl\w*", r"resource_exhausted")

CONTEXT = _any_of(
    r"context_length_exceeded",
    r"maximum context length",
    r"too many tokens",
    r"input tokens and requested",
    r"context length is only",
    r"exceed_context_size_error",
    r"exceeds the available context size",
    r"contextwindowexceeded",
    r"prompt is too long",
)
POLICY = _any_of(r"content[ _-]?(?:filter|policy|management)", r"moderation", r"safety", r"responsibleai", r"flagged")
_IMAGE = r"(?:image|picture|photo)"
_FETCHING = r"(?:download|fetch|retriev|load)"
IMAGE_FETCH = _any_of(
    rf"(?:failed|unable|could not|couldn't|cannot|can't|error|time[d ]*out)[^.]{{0,60}}{_FETCHING}",
    rf"{_FETCHING}\w* [^.]{{0,60}}(?:failed|time[d ]*out|error)",
    r"(?:image|url)[^.]{0,60}time[d ]*out",
)
IMAGE = _any_of(
    rf"(?:invalid|unsupported|corrupt\w*|malformed|broken|unreadable)[ _](?:\w+[ _]){{0,2}}{_IMAGE}",
    rf"{_IMAGE}[ _](?:\w+[ _]){{0,3}}(?:invalid|unsupported|not supported|corrupt\w*|malformed|parse_error)",
    rf"(?:cannot|can't|could not|couldn't|unable to|failed to) (?:identify|decode|open|process|read|parse)[^.]{{0,40}}{_IMAGE}",
)
CONTENT_TYPE = _any_of(r"content[ -]?type")
OVERLOADED = _any_of(
    r"overloaded_error",
    r"server_is_overloaded",
    r"engine ?(?:is )?dead",
    r"model is (?:currently )?loading",
    r"loading model",  # llama.cpp
    r"no available capacity",
)

_SPEAKING_FOR_ALL = frozenset({401, 402, 403, 406, 429})
_UNPROCESSABLE = frozenset({400, 422})
_GATEWAY = frozenset({502, 503, *range(520, 528), 530})

RULES: Sequence[Rule] = (
    Rule("money by code", FATAL, "insufficient_credits", codes=MONEY_CODES),
    Rule("Google's limits", THROTTLED, "rate_limited", {429}, codes=GOOGLE_LIMIT),
    Rule("money by words", FATAL, "insufficient_credits", _SPEAKING_FOR_ALL, words=MONEY_WORDS),
    Rule("money by Anthropic's words", FATAL, "insufficient_credits", {400}, words=_any_of(_LOW_BALANCE)),
    Rule("money", FATAL, "insufficient_credits", {402}),
    Rule("key", FATAL, "unauthorized", {401}),
    Rule("forbidden content", REJECTED, "content_policy", {403}, words=POLICY),
    Rule("firewall", DOWN, "bad_gateway", {403}, test=_is_firewall),
    Rule("access", FATAL, "forbidden", {403}),
    Rule("model by code", FATAL, "not_found", _UNPROCESSABLE, codes=_any_of("model_not_found")),
    Rule("model or path", FATAL, "not_found", {404, 410}),
    Rule("wrong URL", FATAL, "bad_request", {405, 407, 415, 426, 505, *range(300, 400)}),
    Rule("content type", FATAL, "bad_request", {406}, words=CONTENT_TYPE),
    Rule("parameter value", REJECTED, "bad_request", {406}),
    # 500: as older llama.cpp servers and LiteLLM answer; it would be the same at every attempt.
    Rule("context length", REJECTED, "too_large", {OK, 500, *_UNPROCESSABLE}, words=CONTEXT),
    Rule("content", REJECTED, "content_policy", {OK, *_UNPROCESSABLE}, words=POLICY),
    Rule("image not fetched", TRANSIENT, "bad_request", {OK, *_UNPROCESSABLE}, words=IMAGE_FETCH, resends=1),
    Rule("image", REJECTED, "bad_request", {OK, *_UNPROCESSABLE}, words=IMAGE),
    Rule("request", REJECTED, "bad_request", _UNPROCESSABLE),
    Rule("try again", TRANSIENT, "timeout", {408}),
    Rule("gave up waiting", TRANSIENT, "timeout", {499}, ambiguous=True),
    Rule("conflict", TRANSIENT, "server_error", {409, 425}),
    Rule("body size", REJECTED, "too_large", {413}),
    Rule("above the limit by itself", REJECTED, "too_large", {429}, test=_asks_too_much),
    Rule("rate limit", THROTTLED, "rate_limited", {429}),
    Rule("rate limit by code", THROTTLED, "rate_limited", codes=RATE_CODES),
    Rule("slow down", THROTTLED, "rate_limited", {503}, words=_any_of(r"slow[ _]?down")),
    Rule("gateway timeout", TRANSIENT, "timeout", {504, 524}, ambiguous=True),
    Rule("gateway", TRANSIENT, "bad_gateway", _GATEWAY),
    Rule("overloaded", TRANSIENT, "server_error", {OK, *range(500, 600)}, words=OVERLOADED),
    Rule("server", TRANSIENT, "server_error", range(500, 600)),
    Rule("error in a 200", TRANSIENT, "bad_response", range(200, 300), ambiguous=True, resends=1),
)
UNKNOWN_REQUEST = Rule("unknown 4xx", REJECTED, "bad_request", range(400, 500))
NO_ANSWER = Rule("no final answer", TRANSIENT, "bad_response", resends=1)
MALFORMED = Rule("malformed 200", TRANSIENT, "bad_response", ambiguous=True, resends=1)
QUEUED = Rule("queued job", FATAL, "bad_response", {202})


def judge(refusal: Refusal, own_rules: Sequence[Rule] = ()) -> Rule:
    """Give the rule that applies; `own_rules` are a provider's, asked first."""
    return next((rule for rule in (*own_rules, *RULES, UNKNOWN_REQUEST, NO_ANSWER) if rule.matches(refusal)), NO_ANSWER)


def bound_resends(rule: Rule, *, answered_200: bool) -> int | None:
    """Give how often a row may be sent again: after a 200, which was probably billed, never without bound."""
    if rule.resends is not None or rule.kind is not TRANSIENT or not answered_200:
        return rule.resends
    return MOST_LOST_PER_ROW
