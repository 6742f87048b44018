"""Endpoints: how each is asked, and what its answers mean. Pure: nothing here sends anything or reads a clock.

endpoint   settings -> URL and headers; what a Dialect is        segmind, openai   the dialects
body       Prompt -> bytes                                       provider          the seam, wiring the rest
parse, stream   bytes -> JSON value                              replies           JSON value -> Reply
refusals   error answer -> codes and words                       echo              without the prompt's own words
policy     the table: refusal -> what to do
"""

from pipeline.providers.endpoint import EndpointSettings
from pipeline.providers.provider import ChatProvider, build_provider

__all__ = ["ChatProvider", "EndpointSettings", "build_provider"]
