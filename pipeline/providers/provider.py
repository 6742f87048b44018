"""The seam to endpoints: Prompt -> Request, Response -> Reply | Fault. Pure; how providers differ is in their Dialect."""

from collections.abc import Callable, Mapping
from dataclasses import replace

from pipeline.core.errors import ConfigError
from pipeline.core.quota import Quotas, quotas
from pipeline.core.retry_after import SPOKEN, retry_after
from pipeline.core.tokens import estimate, most_completion
from pipeline.core.types import Fault, FaultKind, Prompt, Reply, Request, Response
from pipeline.providers.body import body_of, opening_of, sizes_of
from pipeline.providers.echo import prompt_texts, unquoted
from pipeline.providers.endpoint import Dialect, EndpointSettings, headers_of, origin_of, url_of
from pipeline.providers.openai import OPENAI, SIMULATED
from pipeline.providers.parse import Parsed, parse
from pipeline.providers.policy import MALFORMED, QUEUED, UNKNOWN_REQUEST, Rule, bound_resends, judge
from pipeline.providers.refusals import Refusal, excerpt, is_page, read_error_in_200, read_refusal, without_words
from pipeline.providers.replies import read_reply
from pipeline.providers.segmind import SEGMIND
from pipeline.providers.stream import join_stream, looks_like_stream

DIALECTS: Mapping[str, Dialect] = {dialect.name: dialect for dialect in (SEGMIND, OPENAI, SIMULATED)}

_MOST_MESSAGE = 500
# Sent with every answer by some, about their rate limits: a row that met a fault of the server need not wait for those.
_LIMIT_HEADERS = ("x-rate-limit-", "x-ratelimit-")


def build_provider(
    settings: EndpointSettings, *, redact: Callable[[str], str], wall: Callable[[], float], hide: Callable[[str], str] = str
) -> "ChatProvider":
    """Make the provider that `settings` name. Raises ConfigError for an address, model, header or parameter that cannot be sent.

    `redact` makes foreign text fit to be shown: one line, no keys; `hide` takes our secrets out of a reply's texts and
    leaves all else; `wall` is Unix time, for hints that are dates.
    """
    dialect = DIALECTS.get(settings.provider)
    if dialect is None:
        raise ConfigError(f"endpoint.provider: found {settings.provider!r}, allowed {', '.join(DIALECTS)}")
    if settings.detail is not None and not dialect.takes_detail:
        able = ", ".join(name for name, each in DIALECTS.items() if each.takes_detail)
        raise ConfigError(f"images.detail: {dialect.name} has no such setting, only {able}; leave it out, or see images.max_side")
    return ChatProvider(dialect, settings, redact=redact, wall=wall, hide=hide)


class ChatProvider:
    """Implements core.interfaces.Provider. `url` is where everything is posted; `origin` what the key is bound to."""

    def __init__(
        self,
        dialect: Dialect,
        settings: EndpointSettings,
        *,
        redact: Callable[[str], str],
        wall: Callable[[], float],
        hide: Callable[[str], str],
    ) -> None:
        self.url = url_of(dialect, settings)
        self.origin = origin_of(self.url)
        self._dialect = dialect
        self._settings = settings
        self._redact = redact
        self._hide = hide
        self._wall = wall
        self._headers = dict(headers_of(dialect, settings))
        self._opening = opening_of(settings.params, settings.model if dialect.model_in_body else None)
        self._most_completion = most_completion(settings.params)

    def encode(self, prompt: Prompt) -> Request:
        """Build the request; the same prompt gives equal bytes. Raises BadRowError if the row's values are no JSON."""
        text_bytes, images = sizes_of(prompt)
        tokens = estimate(text_bytes=text_bytes, images=images, most_completion=self._most_completion)
        return Request(prompt.row, self.url, self._headers, body_of(prompt, self._opening, self._settings.detail), tokens)

    def decode(self, response: Response, request: Request) -> Reply | Fault:
        """Read an answer of any status. `request` is what it answers: what it quotes of it is no word of its own."""
        if not 200 <= response.status < 300:
            return self._refused(read_refusal(response, request), response, request)
        parsed = _parsed(response)
        if parsed is not None:
            reply = read_reply(parsed.value, lossy=parsed.lossy)
            if reply is not None:
                return self._discreet(reply)
            refusal = read_error_in_200(parsed.value, response, request)
            if refusal is not None and response.status != 202:
                return self._refused(refusal, response, request)
        return self._no_completion(response, request)

    def use_key(self, key: str) -> None:
        """Send another key from now on, also with requests that are built already: they share these headers."""
        self._headers |= headers_of(self._dialect, replace(self._settings, key=key))

    def credits(self, response: Response) -> float | None:
        """Give what is left on the account, where the endpoint says so with its answers."""
        return self._dialect.credits(response.headers)

    def quotas(self, response: Response) -> Quotas | None:
        """Give what the endpoint says with its answers of what is left of its rate limits."""
        return quotas(response.headers, wall_now=self._wall())

    def _discreet(self, reply: Reply) -> Reply:
        """Hide our secrets in a reply: whole only now, if a stream brought them in pieces or JSON spelled them out."""
        said = (reply.text, reply.finish_reason, reply.model, reply.response_id, reply.extra)
        whole = "\n".join(filter(None, said))  # looked through once: no secret holds a line feed
        if self._hide(whole) == whole:
            return reply
        text, finish_reason, model, response_id, extra = (each and self._hide(each) for each in said)
        return Reply(text, finish_reason, reply.usage, model, response_id, extra)

    def _no_completion(self, response: Response, request: Request) -> Fault:
        said = excerpt(response.body)
        if response.status == 202:
            return self._fault(
                QUEUED, f"HTTP 202: a queued job instead of an answer; is the URL right? {said}", response, request
            )
        if is_page(response):
            page = self._fault(MALFORMED, f"a web page and no chat completion (is the URL right?): {said}", response, request)
            return replace(page, if_all=FaultKind.DOWN)  # a firewall's, or a network's own login
        words = f"no chat completion: {said}" if said else without_words(response)
        return self._fault(MALFORMED, words, response, request)

    def _refused(self, refusal: Refusal, response: Response, request: Request) -> Fault:
        rule = _heeding_should_retry(judge(refusal, self._dialect.rules), response)
        message = refusal.message
        if rule.error_kind == "insufficient_credits" and (left := self.credits(response)) is not None:
            # They are compared with the price of this call: zero is not the only way to have too few.
            message += f" (remaining credits: {left:g})"
        return replace(self._fault(rule, message, response, request), retry_after=self._hint(rule, refusal))

    def _fault(self, rule: Rule, message: str, response: Response, request: Request) -> Fault:
        answered = 200 <= response.status < 300
        message = self._redact(message)[:_MOST_MESSAGE]
        # A 429 speaks of the endpoint; there are many, and the prompt would be read once more for each.
        aloud = unquoted(message, prompt_texts(request.body)) if rule.kind is not FaultKind.THROTTLED else None
        return Fault(
            rule.kind,
            rule.error_kind,
            message,
            status=response.status,
            ambiguous=rule.ambiguous or (answered and rule.kind is FaultKind.TRANSIENT),
            resends=bound_resends(rule, answered_200=answered),
            unquoted=aloud,
        )

    def _hint(self, rule: Rule, refusal: Refusal) -> float | None:
        headers = refusal.headers
        if rule.kind in (FaultKind.REJECTED, FaultKind.FATAL):
            return None
        if rule.kind is not FaultKind.THROTTLED:
            headers = {name: value for name, value in headers.items() if not name.startswith(_LIMIT_HEADERS)}
        return retry_after(headers, wall_now=self._wall(), body_text=refusal.words.around(SPOKEN))


def _parsed(response: Response) -> Parsed | None:
    parsed = parse(response.body)
    if parsed is None and looks_like_stream(response.headers.get("content-type", ""), response.body):
        return join_stream(response.body)
    return parsed


def _heeding_should_retry(rule: Rule, response: Response) -> Rule:
    """Let `x-should-retry` have its say: against another attempt, or for one where the status means nothing to us."""
    word = response.headers.get("x-should-retry", "").strip().lower()
    if word == "false" and rule.kind is FaultKind.TRANSIENT and response.status >= 300:
        return replace(rule, kind=FaultKind.REJECTED, resends=None)
    if word == "true" and rule is UNKNOWN_REQUEST:
        return replace(rule, kind=FaultKind.TRANSIENT)
    return rule
