"""OpenAI's own API and everything that speaks it: vLLM, llama.cpp, Ollama, LiteLLM, and the embedded simulator."""

from pipeline.providers.endpoint import COMPLETIONS, Dialect

OPENAI = Dialect(
    name="openai",
    base_url="https://api.openai.com/v1",
    path=lambda _: COMPLETIONS,
    auth=lambda key: {"authorization": f"Bearer {key}"},
    model_in_body=True,
    takes_detail=True,
)
# The run that starts the simulator knows its address.
SIMULATED = Dialect(
    name="simulated",
    base_url=None,
    path=lambda _: COMPLETIONS,
    auth=lambda key: {"authorization": f"Bearer {key}"},
    model_in_body=True,
    takes_detail=True,
)
