"""Segmind: the model is in the URL and not in the body, the key in two headers, the rest of the credits in each answer."""

import math
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


def _credits(headers: Mapping[str, str]) -> float | None:
    """Read what each answer says is left on the account."""
    try:
        left = float(headers.get("x-remaining-credits", ""))
    except ValueError:
        return None
    return left if math.isfinite(left) else None


SEGMIND = Dialect(
    name="segmind",
    base_url="https://api.segmind.com/v1",
    path=_path,
    auth=_auth,
    model_in_body=False,
    # Of its second API: the inference ran and broke, the request was not at fault.
    rules=(Rule("inference failed", FaultKind.TRANSIENT, "server_error", {422}, codes=re.compile("failed"), resends=1),),
    credits=_credits,
)
