"""Segmind: the model is in the URL and not in the body, the key in two headers, the rest of the credits in each answer."""

import re
from collections.abc import Mapping

from pipeline.core.types import FaultKind
from pipeline.providers.endpoint import Dialect, slug
from pipeline.providers.policy import Rule


def _path(model: str) -> str:
    return f"/{slug(model)}"


def _auth(key: str) -> Mapping[str, str]:
    """Its model pages name the first header, its documentation the second, and neither says that the other is read."""
    return {"authorization": f"Bearer {key}", "x-api-key": key}


def _remaining(headers: Mapping[str, str]) -> str:
    """An answer about credits compares them with the price of this call: zero is not the only way to have too few."""
    credits_ = headers.get("x-remaining-credits", "").strip()
    return f" (remaining credits: {credits_[:40]})" if credits_ else ""


SEGMIND = Dialect(
    name="segmind",
    base_url="https://api.segmind.com/v1",
    path=_path,
    auth=_auth,
    model_in_body=False,
    # Of its second API: the inference ran and broke, the request was not at fault.
    rules=(Rule("inference failed", FaultKind.TRANSIENT, "server_error", {422}, codes=re.compile("failed"), resends=1),),
    money_note=_remaining,
)
