import pytest

from pipeline.core.errors import ConfigError
from pipeline.core.types import Message, Prompt
from pipeline.providers import ChatProvider, EndpointSettings, build_provider

KEY = "sg-canary-0123456789"
PROMPT = Prompt(0, (Message("user", ("hello",)),))


def built(settings: EndpointSettings) -> ChatProvider:
    return build_provider(settings, redact=str, wall=lambda: 0.0)


@pytest.mark.parametrize(
    ("settings", "url"),
    [
        pytest.param(
            EndpointSettings("segmind", "mixtral-8x22b-instruct"),
            "https://api.segmind.com/v1/mixtral-8x22b-instruct",
            id="segmind",
        ),
        pytest.param(
            EndpointSettings("segmind", "org/model:tag", base_url="http://127.0.0.1:8000/v1/"),
            "http://127.0.0.1:8000/v1/org/model:tag",
            id="segmind-elsewhere",
        ),
        pytest.param(EndpointSettings("openai", "gpt"), "https://api.openai.com/v1/chat/completions", id="openai"),
        pytest.param(
            EndpointSettings("openai", "m", base_url="http://localhost:8000/v1"),
            "http://localhost:8000/v1/chat/completions",
            id="vllm",
        ),
        pytest.param(
            EndpointSettings("openai", "m", base_url="http://localhost:8000/v1/"),
            "http://localhost:8000/v1/chat/completions",
            id="trailing-slash",
        ),
        pytest.param(
            EndpointSettings("openai", "m", base_url="http://localhost:8080"),
            "http://localhost:8080/chat/completions",
            id="no-path",
        ),
        pytest.param(
            EndpointSettings("openai", "m", base_url="https://x.example/deployments/d?api-version=2"),
            "https://x.example/deployments/d/chat/completions?api-version=2",
            id="query-stays-behind-the-path",
        ),
        pytest.param(
            EndpointSettings("openai", "m", url="https://x.example/own//path/"),
            "https://x.example/own//path/",
            id="url-as-written",
        ),
        pytest.param(
            EndpointSettings("segmind", url="https://x.example/v1/other"),
            "https://x.example/v1/other",
            id="segmind-url-needs-no-model",
        ),
        pytest.param(
            EndpointSettings("simulated", "simulated", base_url="http://127.0.0.1:9/v1"),
            "http://127.0.0.1:9/v1/chat/completions",
            id="simulated",
        ),
    ],
)
def test_requests_go_to_the_address_the_settings_spell(settings: EndpointSettings, url: str) -> None:
    provider = built(settings)
    assert provider.url == url
    assert provider.encode(PROMPT).url == url


@pytest.mark.parametrize(
    "model",
    [
        "../../v1/credits",
        "x\r\nHost: evil",
        "a b",
        "",
        "/etc",
        "a//b",
        "a/./b",
        "a/",
        "a?b",
        "a#b",
        "a..b",
        "ä",
        "a\n",
        "a%2e%2e",
    ],
)
def test_a_segmind_model_cannot_lead_out_of_its_place_in_the_url(model: str) -> None:
    with pytest.raises(ConfigError, match=r"endpoint\.model"):
        built(EndpointSettings("segmind", model))


def test_an_openai_model_may_be_any_name_because_it_stands_in_the_body() -> None:
    body = built(EndpointSettings("openai", "/models/my model..gguf")).encode(PROMPT).body
    assert body == b'{"model":"/models/my model..gguf","messages":[{"role":"user","content":"hello"}]}'


@pytest.mark.parametrize(
    ("settings", "names"),
    [
        pytest.param(EndpointSettings("azure", "m"), r"endpoint\.provider.*segmind, openai", id="unknown-provider"),
        pytest.param(EndpointSettings("simulated", "m"), r"endpoint\.base_url", id="simulated-without-address"),
        pytest.param(EndpointSettings("openai", "m", base_url="localhost:8000"), r"endpoint\.base_url", id="no-scheme"),
        pytest.param(EndpointSettings("openai", "m", base_url="file:///etc/passwd"), r"endpoint\.base_url", id="file"),
        pytest.param(EndpointSettings("openai", "m", url="http://h/ a"), r"endpoint\.url", id="blank"),
        pytest.param(EndpointSettings("openai", "m", url="http://h\r\nx: y"), r"endpoint\.url", id="line-break"),
        pytest.param(EndpointSettings("openai", "m", url="http://h:99999/"), r"endpoint\.url", id="port"),
        pytest.param(EndpointSettings("openai", "m", url="http://[::1/"), r"endpoint\.url", id="bracket"),
        pytest.param(EndpointSettings("openai", "m", url="http:///x"), r"endpoint\.url", id="no-host"),
        pytest.param(EndpointSettings("openai", "m", url="http://h/x#y"), r"endpoint\.url", id="fragment"),
        pytest.param(
            EndpointSettings("openai", "m", base_url="http://h/v1/chat/completions"), r"endpoint\.url", id="whole-address-as-base"
        ),
        pytest.param(EndpointSettings("openai", "m", headers={"a b": "c"}), r"endpoint\.headers", id="header-name"),
        pytest.param(EndpointSettings("openai", "m", headers={"a": "b\nc"}), r"endpoint\.headers", id="header-value"),
        pytest.param(EndpointSettings("openai", "m", headers={"X-API-Key": "k"}), r"endpoint\.api_key_env", id="key-as-header"),
        pytest.param(EndpointSettings("openai", "m", key="a\nb"), "key", id="key-with-line-break"),
        pytest.param(EndpointSettings("openai", "m", key=""), "key", id="blank-key"),
        pytest.param(EndpointSettings("openai", "m", params={"temperature": float("nan")}), r"request\.temperature", id="nan"),
        pytest.param(
            EndpointSettings("openai", "m", params={"a": {"b": [1.0, float("inf")]}}), r"request\.a\.b\[1\]", id="nested-inf"
        ),
        pytest.param(EndpointSettings("openai", "m", params={"seed": 2**70}), r"request\.seed", id="integer-past-64-bits"),
        pytest.param(EndpointSettings("openai", "m", params={"stop": {"a"}}), r"request\.stop", id="set"),
    ],
)
def test_what_cannot_be_sent_is_a_config_error_that_names_the_key(settings: EndpointSettings, names: str) -> None:
    with pytest.raises(ConfigError, match=names) as caught:
        built(settings)
    assert "\n" not in str(caught.value)


def test_a_password_in_an_address_is_refused_and_not_repeated() -> None:
    for url in ("https://user:canary@x.example/v1", "https://user:canary@x.example/ v1"):
        with pytest.raises(ConfigError) as caught:
            built(EndpointSettings("openai", "m", base_url=url))
        assert "canary" not in str(caught.value)


def test_segmind_gets_the_key_in_both_headers_and_openai_in_one() -> None:
    segmind = built(EndpointSettings("segmind", "m", key=KEY)).encode(PROMPT).headers
    assert (segmind["authorization"], segmind["x-api-key"]) == (f"Bearer {KEY}", KEY)
    openai = built(EndpointSettings("openai", "m", key=KEY)).encode(PROMPT).headers
    assert openai["authorization"] == f"Bearer {KEY}"
    assert "x-api-key" not in openai


def test_without_a_key_nothing_is_claimed() -> None:
    headers = built(EndpointSettings("openai", "m")).encode(PROMPT).headers
    assert headers == {"content-type": "application/json", "accept": "application/json"}


def test_a_header_of_the_user_s_own_replaces_ours_whatever_its_case() -> None:
    headers = built(EndpointSettings("openai", "m", headers={"Accept": "*/*", "X-Team": "vision"})).encode(PROMPT).headers
    assert headers == {"content-type": "application/json", "accept": "*/*", "x-team": "vision"}


def test_the_key_is_in_no_repr() -> None:
    settings = EndpointSettings("segmind", "m", key=KEY, headers={"x-tenant": KEY})
    provider = built(settings)
    assert KEY not in repr(settings) + repr(provider) + repr(provider.encode(PROMPT))


def test_the_origin_is_scheme_host_and_port() -> None:
    assert built(EndpointSettings("openai", "m", base_url="http://LocalHost:8000/v1")).origin == "http://localhost:8000"


@pytest.mark.parametrize(("provider", "names"), [("openai", ["authorization"]), ("segmind", ["authorization", "x-api-key"])])
def test_a_new_key_goes_out_with_requests_that_were_built_before_it(provider: str, names: list[str]) -> None:
    chat = built(EndpointSettings(provider, "m", key=KEY, headers={"x-team": "blue"}))
    before = chat.encode(PROMPT)
    chat.use_key("sg-another-0123456789")
    for request in (before, chat.encode(PROMPT)):
        assert all(request.headers[name].endswith("sg-another-0123456789") for name in names)
        assert request.headers["x-team"] == "blue"
        assert KEY not in "".join(request.headers.values())
