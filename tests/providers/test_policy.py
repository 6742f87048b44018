"""Answers that are no reply: what the run does about each. The bodies follow providers' own pages and public reports."""

import json
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.types import ERROR_KINDS, Fault, FaultKind, Request, Response
from pipeline.providers import ChatProvider, EndpointSettings, build_provider
from pipeline.providers.policy import RULES

NOW = 1_795_485_600.0  # Tue, 24 Nov 2026 02:00:00 GMT
THROTTLED, DOWN, TRANSIENT = FaultKind.THROTTLED, FaultKind.DOWN, FaultKind.TRANSIENT
REJECTED, FATAL = FaultKind.REJECTED, FaultKind.FATAL
PAGE = {"content-type": "text/html; charset=UTF-8"}


def provider(name: str = "openai") -> ChatProvider:
    return build_provider(EndpointSettings(name, "m"), redact=str, wall=lambda: NOW)


def asked(*texts: str) -> Request:
    messages = [{"role": "user", "content": text} for text in texts]
    return Request(0, "http://127.0.0.1/", {}, json.dumps({"messages": messages}).encode())


def fault(
    status: int, body: object = b"", headers: Mapping[str, str] | None = None, *, prompt: str = "hi", name: str = "openai"
) -> Fault:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    found = provider(name).decode(Response(status, headers or {"content-type": "application/json"}, raw), asked(prompt))
    assert isinstance(found, Fault)
    return found


def error(message: str, **fields: object) -> dict[str, object]:
    return {"error": {"message": message, **fields}}


MONEY = (
    "insufficient_quota",
    "credit_balance_exhausted",
    "organization_spend_limit_exceeded",
    "project_spend_limit_exceeded",
    "organization_usage_limit_exceeded",
    "billing_hard_limit_reached",
    "enforced_spend_limit_reached",
    "billing_error",
    "insufficient_credits",
)
SEGMIND = [
    pytest.param(400, {"error": "Bad Request"}, REJECTED, "bad_request", id="Bad Request"),
    pytest.param(401, {"error": "Unauthorized"}, FATAL, "unauthorized", id="Unauthorized"),
    pytest.param(403, {"error": "Forbidden"}, FATAL, "forbidden", id="Forbidden"),
    pytest.param(404, {"error": "Not Found"}, FATAL, "not_found", id="Not Found"),
    pytest.param(406, {"error": "Insufficient Credits"}, FATAL, "insufficient_credits", id="Insufficient Credits"),
    pytest.param(429, {"error": "Rate Limited"}, THROTTLED, "rate_limited", id="Rate Limited"),
    pytest.param(500, {"error": "Server Error"}, TRANSIENT, "server_error", id="Server Error"),
    pytest.param(502, {"error": "Bad Gateway"}, TRANSIENT, "bad_gateway", id="Bad Gateway"),
    pytest.param(504, {"error": "Timeout"}, TRANSIENT, "timeout", id="Timeout"),
]


@pytest.mark.parametrize(("status", "body", "kind", "error_kind"), SEGMIND)
def test_each_error_name_of_segmind_s_page_maps_onto_one_kind(
    status: int, body: dict[str, str], kind: FaultKind, error_kind: str
) -> None:
    with_status = fault(status, body, name="segmind")
    in_a_200 = fault(200, body, name="segmind")
    for found in (with_status, in_a_200):
        assert (found.kind, found.error_kind) == (kind, error_kind)
    assert with_status.message == body["error"]
    assert (with_status.status, in_a_200.status) == (status, 200)


@pytest.mark.parametrize(
    ("status", "body", "kind", "error_kind"),
    [
        pytest.param(
            406,
            {"error": "Insufficient credits. Your balance is 0.02, this call needs 0.05"},
            FATAL,
            "insufficient_credits",
            id="406-credits",
        ),
        pytest.param(406, {"error": "Team spend limit reached"}, FATAL, "insufficient_credits", id="406-team-limit"),
        pytest.param(406, {"error": "Invalid content type"}, FATAL, "bad_request", id="406-content-type"),
        pytest.param(406, {"error": "temperature must be between 0 and 1"}, REJECTED, "bad_request", id="406-parameter"),
        pytest.param(
            401,
            {"error": "Unauthorized", "error_description": "Missing Authorization or x-api-key in header", "status_code": 401},
            FATAL,
            "unauthorized",
            id="401-variant",
        ),
        pytest.param(405, b"<!doctype html><title>405 Method Not Allowed</title>", FATAL, "bad_request", id="405-page"),
        pytest.param(410, {"error": "This model is retired"}, FATAL, "not_found", id="410-retired"),
        pytest.param(
            422, {"status": "FAILED", "error": "inference failed"}, TRANSIENT, "server_error", id="422-inference-failed"
        ),
        pytest.param(422, {"error": "prompt is required"}, REJECTED, "bad_request", id="422-other"),
        pytest.param(202, {"request_id": "r-1", "status": "QUEUED"}, FATAL, "bad_response", id="202-queue"),
    ],
)
def test_segmind_s_statuses_mean_what_its_pages_say(status: int, body: object, kind: FaultKind, error_kind: str) -> None:
    found = fault(status, body, name="segmind")
    assert (found.kind, found.error_kind, found.status) == (kind, error_kind, status)
    assert found.resends == (1 if kind is TRANSIENT else None)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        *[
            pytest.param(status, error("no", code=code), id=f"{code}-{status}")
            for status in (200, 400, 402, 403, 406, 429)
            for code in MONEY
        ],
        *[pytest.param(429, error("no", type=code), id=f"type-{code}") for code in MONEY],
        *[
            pytest.param(status, error(f"Sorry: {words}."), id=f"{words}-{status}")
            for status in (401, 402, 403, 406, 429)
            for words in (
                "insufficient credits",
                "insufficient balance",
                "insufficient funds",
                "insufficient quota",
                "credit balance is too low",
                "exceeded your current quota",
                "spend limit",
                "spending limit",
                "crossed budget",
                "exceeded budget",
                "budget_exceeded",
                "payment required",
                "billing",
                "no credits found",
            )
        ],
        pytest.param(
            429,
            {
                "type": "error",
                "error": {"type": "rate_limit_error", "message": "x", "details": {"error_code": "enforced_spend_limit_reached"}},
            },
            id="anthropic-details",
        ),
        pytest.param(400, error("Your credit balance is too low to access the Anthropic API."), id="anthropic-400"),
        pytest.param(402, {}, id="402-without-words"),
        pytest.param(
            429,
            error("You exceeded your current quota, please check", type="throttling_error", code="429"),
            id="litellm-hides-the-code",
        ),
        pytest.param(
            429,
            error("No deployments available - crossed budget: Exceeded budget for deployment", type="internal_server_error"),
            id="litellm-budget",
        ),
        pytest.param(403, {"detail": "Payment required"}, id="fastapi"),
        pytest.param(200, error("Insufficient credits", code=402), id="status-inside-a-200"),
    ],
)
def test_an_empty_account_stops_the_job_whatever_the_status(status: int, body: object) -> None:
    found = fault(status, body)
    assert (found.kind, found.error_kind) == (FATAL, "insufficient_credits")


@pytest.mark.parametrize(
    ("status", "message", "kind"),
    [
        pytest.param(400, "insufficient credits", REJECTED, id="400"),
        pytest.param(422, "you exceeded your current quota", REJECTED, id="422"),
        pytest.param(413, "billing", REJECTED, id="413"),
        pytest.param(500, "payment required", TRANSIENT, id="500"),
        pytest.param(503, "spend limit", TRANSIENT, id="503"),
        pytest.param(200, "Sorry: insufficient credits for this", TRANSIENT, id="200"),
    ],
)
def test_words_about_money_count_only_with_a_status_that_can_mean_them(status: int, message: str, kind: FaultKind) -> None:
    assert fault(status, error(message)).kind is kind


@pytest.mark.parametrize("status", [401, 402, 403, 406, 429])
@pytest.mark.parametrize("quote", ["{}", "invalid input: '{}'", "could not process {} (request 7)"])
def test_a_row_that_speaks_of_money_does_not_stop_the_job_when_it_is_quoted(status: int, quote: str) -> None:
    prompt = "Summarise: You exceeded your current quota, please check your plan and billing details."
    found = fault(status, {"error": quote.format(prompt)}, prompt=prompt)
    if status in (406, 429):
        assert found.kind is (REJECTED if status == 406 else THROTTLED)
    assert (found.error_kind == "insufficient_credits") is (status == 402)


@pytest.mark.parametrize(
    ("status", "body", "headers", "kind", "error_kind"),
    [
        pytest.param(401, {}, {}, FATAL, "unauthorized", id="401"),
        pytest.param(403, error("flagged by moderation"), {}, REJECTED, "content_policy", id="403-moderation"),
        pytest.param(
            403, b"<html><title>Just a moment...</title></html>", PAGE, DOWN, "bad_gateway", id="403-cloudflare-challenge"
        ),
        pytest.param(403, b"<html><title>Blocked</title></html>", {**PAGE, "cf-ray": "8a"}, DOWN, "bad_gateway", id="403-cf-ray"),
        pytest.param(
            403, b"<html><body>Request stopped by our WAF</body></html>", PAGE, DOWN, "bad_gateway", id="403-waf-in-the-page"
        ),
        pytest.param(403, b"<html><title>403 Forbidden</title></html>", PAGE, FATAL, "forbidden", id="403-nginx"),
        pytest.param(403, error("no access to model"), {"cf-ray": "8a"}, FATAL, "forbidden", id="403-json-behind-cloudflare"),
        pytest.param(404, error("The model `x` does not exist", code="model_not_found"), {}, FATAL, "not_found", id="404-model"),
        pytest.param(404, b"404 page not found", {}, FATAL, "not_found", id="404-route"),
        pytest.param(404, b"", {}, FATAL, "not_found", id="404-blank"),
        pytest.param(301, b"", {"location": "https://x/"}, FATAL, "bad_request", id="301"),
        pytest.param(407, b"", {}, FATAL, "bad_request", id="407"),
        pytest.param(415, b"", {}, FATAL, "bad_request", id="415"),
        pytest.param(426, b"", {}, FATAL, "bad_request", id="426"),
        pytest.param(505, b"", {}, FATAL, "bad_request", id="505"),
        pytest.param(
            400,
            {
                "error": {
                    "code": 400,
                    "message": "request (4019 tokens) exceeds the available context size (512 tokens), try increasing it",
                    "type": "exceed_context_size_error",
                }
            },
            {},
            REJECTED,
            "too_large",
            id="context-llama.cpp",
        ),
        pytest.param(
            400,
            error("This model's maximum context length is 8192 tokens", code="context_length_exceeded"),
            {},
            REJECTED,
            "too_large",
            id="context-openai",
        ),
        pytest.param(
            400,
            {"object": "error", "message": "This model's maximum context length is 4096", "type": "BadRequestError", "code": 400},
            {},
            REJECTED,
            "too_large",
            id="context-vllm-old-shape",
        ),
        pytest.param(
            200,
            {
                "object": "error",
                "message": "This model's maximum context length is 4096",
                "type": "BadRequestError",
                "code": 40303,
            },
            {},
            REJECTED,
            "too_large",
            id="context-vllm-in-a-200",
        ),
        pytest.param(400, error("litellm.ContextWindowExceededError: x"), {}, REJECTED, "too_large", id="context-litellm"),
        pytest.param(422, error("too many tokens"), {}, REJECTED, "too_large", id="context-422"),
        pytest.param(500, error("the request exceeds the available context size"), {}, REJECTED, "too_large", id="context-500"),
        pytest.param(
            400,
            {
                "error": {
                    "code": "content_filter",
                    "message": "The response was filtered",
                    "innererror": {"code": "ResponsibleAIPolicyViolation"},
                }
            },
            {},
            REJECTED,
            "content_policy",
            id="policy-azure",
        ),
        pytest.param(400, error("no", code="content_policy_violation"), {}, REJECTED, "content_policy", id="policy-openai"),
        pytest.param(
            200, {"promptFeedback": {"blockReason": "SAFETY"}}, {}, REJECTED, "content_policy", id="policy-gemini-prompt"
        ),
        pytest.param(400, error("Invalid image data", code="invalid_image"), {}, REJECTED, "bad_request", id="image-invalid"),
        pytest.param(400, error("You uploaded an unsupported image."), {}, REJECTED, "bad_request", id="image-unsupported"),
        pytest.param(400, error("Failed to download image from URL"), {}, TRANSIENT, "bad_request", id="image-not-fetched"),
        pytest.param(400, error("Timeout while downloading the image"), {}, TRANSIENT, "bad_request", id="image-timeout"),
        pytest.param(
            400,
            error("Field 'temperature': [json.exception.type_error.302] type must be number", code=400),
            {},
            REJECTED,
            "bad_request",
            id="parameter-llama.cpp",
        ),
        pytest.param(
            422,
            {"detail": [{"loc": ["body", "messages"], "msg": "Field required", "type": "missing"}]},
            {},
            REJECTED,
            "bad_request",
            id="fastapi-422",
        ),
        pytest.param(408, b"", {}, TRANSIENT, "timeout", id="408"),
        pytest.param(409, b"", {}, TRANSIENT, "server_error", id="409"),
        pytest.param(425, b"", {}, TRANSIENT, "server_error", id="425"),
        pytest.param(499, b"", {}, TRANSIENT, "timeout", id="499"),
        pytest.param(413, b"<html><title>413 Request Entity Too Large</title></html>", PAGE, REJECTED, "too_large", id="413"),
        pytest.param(429, b"", {}, THROTTLED, "rate_limited", id="429"),
        pytest.param(
            429,
            error(
                "Rate limit reached for gpt-4o on tokens per min (TPM): Limit 30000, Used 29000, Requested 2000. Try again.",
                type="tokens",
                code="rate_limit_exceeded",
            ),
            {},
            THROTTLED,
            "rate_limited",
            id="429-tokens-used-up",
        ),
        pytest.param(
            429,
            error("Request too large for gpt-4o on tokens per min (TPM): Limit 30000, Requested 43000.", type="tokens"),
            {},
            REJECTED,
            "too_large",
            id="429-too-large-by-itself",
        ),
        pytest.param(
            429, error("TPM limit: 30,000; requested: 43,000"), {}, REJECTED, "too_large", id="429-too-large-by-figures"
        ),
        pytest.param(429, error("limit: ,1 requested: ,2"), {}, THROTTLED, "rate_limited", id="429-figures-that-are-none"),
        pytest.param(
            429, error("Rate limit reached for requests per day (RPD)"), {}, THROTTLED, "rate_limited", id="429-per-day"
        ),
        pytest.param(
            429,
            error(
                "Rate limit reached. Visit https://platform.openai.com/account/billing to add a payment method.", type="requests"
            ),
            {},
            THROTTLED,
            "rate_limited",
            id="429-that-links-to-billing",
        ),
        pytest.param(
            429,
            [
                {
                    "error": {
                        "code": 429,
                        "status": "RESOURCE_EXHAUSTED",
                        "message": "You exceeded your current quota, please check your plan and billing details.",
                    }
                }
            ],
            {},
            THROTTLED,
            "rate_limited",
            id="429-google-s-limit-per-minute",
        ),
        pytest.param(503, error("slow down", code="slow_down"), {}, THROTTLED, "rate_limited", id="503-slow-down"),
        pytest.param(200, error("no", code="rate_limit_exceeded"), {}, THROTTLED, "rate_limited", id="200-rate-limit"),
        pytest.param(500, b"Internal Server Error", {}, TRANSIENT, "server_error", id="500-plain"),
        pytest.param(501, b"", {}, TRANSIENT, "server_error", id="501"),
        pytest.param(502, b"<html><title>502 Bad Gateway</title></html>", PAGE, TRANSIENT, "bad_gateway", id="502-nginx"),
        pytest.param(503, b"", {}, TRANSIENT, "bad_gateway", id="503"),
        pytest.param(504, b"", {}, TRANSIENT, "timeout", id="504"),
        pytest.param(520, b"", {}, TRANSIENT, "bad_gateway", id="520"),
        pytest.param(
            524, b"<html><title>524: A timeout occurred</title></html>", PAGE, TRANSIENT, "timeout", id="524-cloudflare"
        ),
        pytest.param(527, b"", {}, TRANSIENT, "bad_gateway", id="527"),
        pytest.param(530, b"", {}, TRANSIENT, "bad_gateway", id="530"),
        pytest.param(
            529,
            {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}},
            {},
            TRANSIENT,
            "server_error",
            id="529-anthropic",
        ),
        pytest.param(200, error("Overloaded", type="overloaded_error"), {}, TRANSIENT, "server_error", id="200-overloaded"),
        pytest.param(200, error("upstream", code=502), {}, TRANSIENT, "bad_gateway", id="200-code-502"),
        pytest.param(200, error("something odd"), {}, TRANSIENT, "bad_response", id="200-unknown-error"),
        pytest.param(
            200, b'data: {"error":{"message":"no","code":429}}\n\n', {}, THROTTLED, "rate_limited", id="200-error-in-a-stream"
        ),
        pytest.param(418, b"", {}, REJECTED, "bad_request", id="unknown-4xx"),
        pytest.param(599, b"", {}, TRANSIENT, "server_error", id="unknown-5xx"),
        pytest.param(101, b"", {}, TRANSIENT, "bad_response", id="101"),
        pytest.param(999, b"", {}, TRANSIENT, "bad_response", id="999"),
    ],
)
def test_each_answer_falls_to_its_rule(
    status: int, body: object, headers: Mapping[str, str], kind: FaultKind, error_kind: str
) -> None:
    found = fault(status, body, headers)
    assert (found.kind, found.error_kind, found.status) == (kind, error_kind, status)
    assert found.message


@pytest.mark.parametrize(
    ("status", "body", "kind", "error_kind"),
    [
        pytest.param(
            401,
            error("Invalid API Key", type="authentication_error", code=401),
            *(FATAL, "unauthorized"),
            id="llama.cpp-wrong-key",
        ),
        pytest.param(
            503, error("Loading model", type="unavailable_error", code=503), TRANSIENT, "bad_gateway", id="llama.cpp-loading"
        ),
        pytest.param(
            400,
            error(
                "You passed 5000 input tokens and requested 100 output tokens. However, the model's context length is only 4096"
            ),
            *(REJECTED, "too_large"),
            id="vllm-new-words",
        ),
        pytest.param(500, error("EngineDeadError: engine is dead"), TRANSIENT, "server_error", id="vllm-engine-dead"),
        pytest.param(404, error("The model `x` does not exist", code=404), FATAL, "not_found", id="vllm-unknown-model"),
        pytest.param(
            400, error("The model `x` does not exist", code="model_not_found"), FATAL, "not_found", id="unknown-model-in-a-400"
        ),
        pytest.param(503, error("Model x is currently loading"), TRANSIENT, "bad_gateway", id="hugging-face-loading"),
        pytest.param(500, error("no available capacity"), TRANSIENT, "server_error", id="no-capacity"),
        pytest.param(503, error("x", code="server_is_overloaded"), TRANSIENT, "bad_gateway", id="openai-overloaded"),
        pytest.param(503, error("Please slow down"), THROTTLED, "rate_limited", id="slow-down-in-words"),
        pytest.param(
            400,
            error("Invalid model name passed in model=x. Call `/v1/models` to view available models", code="400"),
            # Words alone of a 400 may be one row's doing: if they come for the first rows of a job, its guard stops it.
            *(REJECTED, "bad_request"),
            id="litellm-unknown-model",
        ),
        pytest.param(
            400, error("No connected db.", type="no_db_connection", code="400"), REJECTED, "bad_request", id="litellm-wrong-key"
        ),
        pytest.param(500, b"Internal Server Error", TRANSIENT, "server_error", id="litellm-empty-key"),
        pytest.param(
            500,
            error("litellm.APIError: Connection reset by peer", type="api_error", code="500"),
            *(TRANSIENT, "server_error"),
            id="litellm-upstream-reset",
        ),
        pytest.param(
            429,
            error("litellm.RateLimitError: too fast", type="throttling_error", code="429"),
            *(THROTTLED, "rate_limited"),
            id="litellm-rate-limit",
        ),
        pytest.param(403, error("x", code="unsupported_country_region_territory"), FATAL, "forbidden", id="openai-country"),
        pytest.param(403, error("insufficient_scope"), FATAL, "forbidden", id="scope"),
        pytest.param(
            406,
            {"error": "Insufficient credits: balance 0.4, required 0.5"},
            FATAL,
            "insufficient_credits",
            id="too-few-for-this-call",
        ),
    ],
)
def test_what_real_servers_were_seen_to_say(status: int, body: object, kind: FaultKind, error_kind: str) -> None:
    found = fault(status, body)
    assert (found.kind, found.error_kind, found.status) == (kind, error_kind, status)


@pytest.mark.parametrize("status", [*range(520, 524), *range(525, 528), 530, 502, 503])
def test_a_gateway_with_nobody_behind_it_is_no_fault_of_the_row(status: int) -> None:
    for body, headers in ((b"", {}), (b"<html><title>Oops</title></html>", PAGE), (b'{"error":"no"}', {})):
        found = fault(status, body, headers)
        assert (found.kind, found.error_kind, found.ambiguous) == (TRANSIENT, "bad_gateway", False)


def test_litellm_s_copy_of_the_hint_is_heeded() -> None:
    assert fault(429, error("too fast"), {"llm_provider-retry-after": "60"}).retry_after == 60.0


@pytest.mark.parametrize(
    ("status", "body", "ambiguous", "resends"),
    [
        pytest.param(504, b"", True, None, id="504"),
        pytest.param(524, b"", True, None, id="524"),
        pytest.param(502, b"", False, None, id="502"),
        pytest.param(429, b"", False, None, id="429"),
        pytest.param(400, error("failed to download image"), False, 1, id="image-once-more"),
        pytest.param(200, error("something odd"), True, 1, id="unknown-error-in-a-200"),
        pytest.param(200, error("x", code=502), True, 3, id="gateway-error-in-a-200"),
        pytest.param(200, error("x", code=429), False, None, id="rate-limit-in-a-200"),
    ],
)
def test_what_may_have_been_billed_is_said_and_bounded(status: int, body: object, ambiguous: bool, resends: int | None) -> None:
    found = fault(status, body)
    assert (found.ambiguous, found.resends) == (ambiguous, resends)


@pytest.mark.parametrize(
    ("status", "word", "kind"),
    [
        pytest.param(500, "false", REJECTED, id="no-more-of-a-500"),
        pytest.param(503, "False", REJECTED, id="any-case"),
        pytest.param(429, "false", THROTTLED, id="a-rate-limit-is-time-not-an-attempt"),
        pytest.param(401, "false", FATAL, id="never-over-a-fatal-one"),
        pytest.param(418, "true", TRANSIENT, id="an-unknown-one-again"),
        pytest.param(400, "true", REJECTED, id="not-a-known-one"),
        pytest.param(401, "true", FATAL, id="not-a-fatal-one"),
        pytest.param(500, "maybe", TRANSIENT, id="garbage"),
    ],
)
def test_x_should_retry_is_heeded_where_the_status_leaves_it_open(status: int, word: str, kind: FaultKind) -> None:
    assert fault(status, b"", {"x-should-retry": word}).kind is kind


@pytest.mark.parametrize(
    ("body", "message"),
    [
        pytest.param({"error": "plain"}, "plain", id="error-text"),
        pytest.param(
            {"error": "Denied", "error_description": "the key has expired"}, "Denied | the key has expired", id="description"
        ),
        pytest.param(error("nested"), "nested", id="error-object"),
        pytest.param({"message": "top"}, "top", id="message"),
        pytest.param({"detail": "one"}, "one", id="fastapi-text"),
        pytest.param(
            {"detail": [{"loc": ["body", "messages", 0], "msg": "Field required"}]},
            "body.messages.0: Field required",
            id="fastapi-list",
        ),
        pytest.param([error("listed")], "listed", id="google-list"),
        pytest.param(b'"just text"', "just text", id="json-text"),
        pytest.param(b"just  \n text", "just text", id="plain"),
        pytest.param(b"<html><head><title>\n 400 Bad &amp; odd </title></head>", "400 Bad & odd", id="title"),
        pytest.param(b"<html><style>p{}</style><body>No <b>way</b></body>", "No way", id="page-without-title"),
        pytest.param(b"", "HTTP 400 Bad Request, with an empty body", id="blank"),
        pytest.param({"error": {"code": 7}}, '{"error": {"code": 7}}', id="no-words-at-all"),
        pytest.param(b'{"error":{"message":"broken off","co', "broken off", id="cut-short"),
        pytest.param(
            b'{"detail":[{"msg":"Input too deep","input":"' + b"A" * 200_000 + b'"}]}', "Input too deep", id="echoes-its-input"
        ),
        pytest.param(b'{"error":"caf\xe9 \\ud800"}', "caf\ufffd \ufffd", id="odd-characters"),
    ],
)
def test_the_endpoint_s_own_words_are_found_wherever_they_stand(body: object, message: str) -> None:
    assert fault(400, body).message == message


def test_every_message_is_redacted_and_cut() -> None:
    seen: list[str] = []

    def redact(text: str) -> str:
        seen.append(text)
        return text.replace("sk-canary", "***")

    hiding = build_provider(EndpointSettings("openai", "m"), redact=redact, wall=lambda: NOW)
    bodies = [b'{"error":"key sk-canary is wrong"}', b"sk-canary", b'{"error":"' + b"sk-canary " * 400 + b'"}']
    for status in (200, 202, 401, 500):
        for body in bodies:
            found = hiding.decode(Response(status, {}, body), asked("hi"))
            assert isinstance(found, Fault)
            assert "sk-canary" not in found.message
            assert len(found.message) <= 500
    assert len(seen) == 12


def test_a_redirect_names_its_host_and_nothing_more_of_it() -> None:
    page = b"<html><title>307 Moved</title><a href='https://evil.example/steal?token=canary'>canary</a></html>"
    found = fault(307, page, {**PAGE, "location": "https://evil.example/steal?token=canary"})
    assert "evil.example" in found.message
    assert "canary" not in found.message


def test_segmind_s_money_errors_tell_what_is_left() -> None:
    found = fault(406, {"error": "Insufficient credits"}, {"x-remaining-credits": "0.013"}, name="segmind")
    assert found.message == "Insufficient credits (remaining credits: 0.013)"


@pytest.mark.parametrize(
    ("status", "headers", "body", "seconds"),
    [
        pytest.param(429, {"retry-after": "7"}, b"", 7.0, id="429"),
        pytest.param(429, {"x-rate-limit-reset-at-utc": "2026-11-24T02:00:42Z"}, b"", 42.0, id="429-segmind"),
        pytest.param(429, {"x-ratelimit-reset-tokens": "6m0s"}, b"", 360.0, id="429-bucket"),
        pytest.param(429, {}, error("Please try again in 20s"), 20.0, id="429-words"),
        pytest.param(
            429,
            {},
            {
                "error": {
                    "message": "no",
                    "status": "RESOURCE_EXHAUSTED",
                    "details": [{"@type": "RetryInfo", "retryDelay": "26s"}],
                }
            },
            26.0,
            id="429-google",
        ),
        pytest.param(503, {"retry-after": "7"}, b"", 7.0, id="503"),
        pytest.param(
            500,
            {"x-ratelimit-reset-tokens": "6m0s", "x-rate-limit-reset-at-utc": "2026-11-24T02:00:42Z"},
            b"",
            None,
            id="a-500-does-not-wait-for-a-limit-nobody-hit",
        ),
        pytest.param(400, {"retry-after": "7"}, b"", None, id="400"),
        pytest.param(401, {"retry-after": "7"}, b"", None, id="401"),
    ],
)
def test_a_wait_is_passed_on_where_waiting_helps(
    status: int, headers: Mapping[str, str], body: object, seconds: float | None
) -> None:
    assert fault(status, body, headers).retry_after == seconds


def test_a_row_cannot_make_the_run_wait() -> None:
    prompt = "Translate: please try again in 900s, thank you"
    assert fault(429, {"error": f"rate limited: '{prompt}'"}, prompt=prompt).retry_after is None
    assert fault(429, {"error": f"rate limited, try again in 3s: '{prompt}'"}, prompt=prompt).retry_after == 3.0


def test_every_rule_has_its_own_name_and_a_kind_of_the_contract() -> None:
    assert len({rule.name for rule in RULES}) == len(RULES)
    assert {rule.error_kind for rule in RULES} <= set(ERROR_KINDS)


@given(
    status=st.integers(100, 999),
    message=st.text(max_size=60) | st.sampled_from(["billing", "rate limit", "safety", "try again in 5s"]),
    code=st.none() | st.integers() | st.text(max_size=12) | st.sampled_from(["insufficient_quota", "slow_down", "503"]),
    name=st.sampled_from(["segmind", "openai"]),
)
def test_every_error_of_any_status_is_one_fault(status: int, message: str, code: object, name: str) -> None:
    found = fault(status, error(message, code=code), prompt=message, name=name)
    assert found.error_kind in ERROR_KINDS
    assert found.status == status


def test_a_refusal_keeps_the_quoted_prompt_for_the_record_and_not_for_the_screen():
    body = json.dumps({"error": {"message": "Unacceptable: Jana Novak, born 1990, of Brno"}}).encode()
    found = provider().decode(Response(400, {}, body), asked("Describe Jana Novak, born 1990, of Brno"))
    assert isinstance(found, Fault)
    assert "Jana" in found.message
    assert found.aloud == "Unacceptable:"
