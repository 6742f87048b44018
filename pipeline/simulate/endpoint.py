"""The simulated endpoint: what one HTTP request meets, from its key to its reply. Where it listens is server.py's."""

import asyncio
import hmac
import socket
import struct
import time
from dataclasses import replace
from typing import IO

import orjson
from aiohttp import web

from pipeline.simulate import shapes
from pipeline.simulate.answers import Answer, answer
from pipeline.simulate.asked import Asked, RefusedError, read
from pipeline.simulate.counts import Counts
from pipeline.simulate.faults import Mishap, Plan, RateWindow, plan
from pipeline.simulate.looks import NotAPictureError
from pipeline.simulate.settings import SimulatorSettings
from pipeline.simulate.shapes import Style

MOST_BODY_BYTES = 64 * 2**20
# The pause that a 429 played as a fault asks for: long enough to be seen, short enough to rehearse a job with thousands.
BRIEF_HOLD_S = 0.25
# With lingering on and no time to linger, closing a socket sends RST where FIN would be polite.
_LINGER_NOT = struct.pack("ii", 1, 0)


class Endpoint:
    """The handlers and what they remember: counts, the rate window, the log. Lives on one event loop."""

    def __init__(self, settings: SimulatorSettings, log: IO[str] | None = None) -> None:
        self.counts = Counts()
        self._settings = settings
        self._log = log
        limit = settings.requests_per_window
        self._window = None if limit is None else RateWindow(limit, settings.window)

    def application(self) -> web.Application:
        app = web.Application(client_max_size=MOST_BODY_BYTES)
        app.add_routes(
            [
                web.get("/stats", self._stats),
                web.get("/v1/models", self._models),
                web.post("/v1/chat/completions", self._openai),
                web.post("/chat/completions", self._openai),
                web.post("/v1/{model:.+}", self._segmind),
                web.route("*", "/{anywhere:.*}", self._nowhere),
            ]
        )
        return app

    async def _stats(self, request: web.Request) -> web.StreamResponse:
        counted = self.counts.picture(each_digest="digests" in request.query)
        return web.Response(body=orjson.dumps(counted), content_type="application/json")

    async def _models(self, request: web.Request) -> web.StreamResponse:
        return _response(self._key_refused(request, Style.OPENAI) or shapes.models())

    async def _nowhere(self, request: web.Request) -> web.StreamResponse:
        return _response(shapes.not_found(request.method, request.path))

    async def _openai(self, request: web.Request) -> web.StreamResponse:
        return await self._counted(request, Style.OPENAI)

    async def _segmind(self, request: web.Request) -> web.StreamResponse:
        return await self._counted(request, Style.SEGMIND)

    async def _counted(self, request: web.Request, style: Style) -> web.StreamResponse:
        serial = self.counts.arrive()
        try:
            return await self._play(request, style, serial)
        finally:
            self.counts.leave()

    async def _play(self, request: web.Request, style: Style, serial: int) -> web.StreamResponse:
        body = await request.read()
        refused = self._refused(request, style)
        if refused is not None:
            return self._refuse(refused)
        settings = self._settings
        fate = plan(serial, seed=settings.seed, faults=settings.faults, latency=settings.latency)
        if fate.mishap is not None:
            self.counts.fault(fate.mishap)
        if fate.mishap is Mishap.RATE_LIMITED:  # a limiter answers at once, it does not work first
            return _response(shapes.rate_limited(style, wait=BRIEF_HOLD_S, wall=time.time()))
        asked = self._read(request, style, body)
        if isinstance(asked, shapes.Reply):
            return self._refuse(asked)
        if fate.latency:
            await asyncio.sleep(fate.latency)
        if fate.mishap is None or fate.mishap is Mishap.CUT:
            return await self._reply(request, style, serial, asked, fate)
        if fate.mishap is Mishap.RESET:
            return _reset(request)
        return _response(shapes.mishap(style, fate.mishap, wait=BRIEF_HOLD_S, wall=time.time()))

    def _refused(self, request: web.Request, style: Style) -> shapes.Reply | None:
        """Judge key, then content type, then rate, as gateways do."""
        refused = self._key_refused(request, style)
        if refused is not None:
            return refused
        if style is Style.SEGMIND and request.content_type != "application/json":
            return shapes.wrong_content_type()
        now = time.monotonic()
        if self._window is None or self._window.admit(now):
            return None
        return shapes.rate_limited(style, wait=self._window.resets_in(now), wall=time.time())

    def _key_refused(self, request: web.Request, style: Style) -> shapes.Reply | None:
        key = self._settings.require_key
        if key is None:
            return None
        sent = [request.headers.get("x-api-key", ""), request.headers.get("authorization", "").removeprefix("Bearer ")]
        right = any(hmac.compare_digest(each.strip().encode("utf-8", "replace"), key.encode()) for each in sent)
        return None if right else shapes.unauthorized(style, missing=not any(sent))

    def _read(self, request: web.Request, style: Style, body: bytes) -> Asked | shapes.Reply:
        try:
            asked = read(body)
        except RefusedError as error:
            return shapes.bad_request(style, str(error))
        if style is Style.SEGMIND:
            return replace(asked, model=request.match_info["model"])
        return asked if asked.model else shapes.bad_request(style, "you must provide a model parameter")

    def _refuse(self, refused: shapes.Reply) -> web.Response:
        self.counts.refuse(refused.status)
        return _response(refused)

    async def _reply(self, request: web.Request, style: Style, serial: int, asked: Asked, fate: Plan) -> web.StreamResponse:
        try:
            said = await self._answer(asked)
        except NotAPictureError as error:
            return self._refuse(shapes.bad_request(style, str(error)))
        reply = shapes.completion(said, serial=serial, wall=time.time())
        if fate.mishap is Mishap.CUT:
            return await _cut(request, reply, fate.cut)
        if self._window is not None:
            reply = replace(reply, headers=shapes.rate_headers(style, self._window, time.monotonic()))
        response = _response(reply)
        whole = await _sent(request, response)
        self.counts.serve(said, whole=whole)
        self._note(serial, said, whole)
        return response if whole else _reset(request)

    async def _answer(self, asked: Asked) -> Answer:
        if any(isinstance(image, bytes) for image in asked.images):  # decoding takes milliseconds, and lets other threads run
            return await asyncio.to_thread(answer, asked, seed=self._settings.seed, wrong=self._settings.wrong)
        return answer(asked, seed=self._settings.seed, wrong=self._settings.wrong)

    def _note(self, serial: int, said: Answer, whole: bool) -> None:
        if self._log is not None:
            line = {"serial": serial, "time": time.time(), "whole": whole, "digests": said.digests, "text": said.text}
            self._log.write(orjson.dumps(line).decode() + "\n")


def _response(reply: shapes.Reply) -> web.Response:
    return web.Response(status=reply.status, body=reply.body, headers=reply.headers, content_type=reply.content_type)


async def _sent(request: web.Request, response: web.Response) -> bool:
    """Send it now rather than after the handler, so that what was sent can be counted. False: the client has gone."""
    if request.transport is None or request.transport.is_closing():
        return False
    try:
        await response.prepare(request)
        await response.write_eof()
    except ConnectionError:
        return False
    return True


async def _cut(request: web.Request, reply: shapes.Reply, share: float) -> web.StreamResponse:
    """Announce the whole body, send a share of it, and close."""
    response = web.StreamResponse(headers={"Content-Type": reply.content_type, "Content-Length": str(len(reply.body))})
    try:
        await response.prepare(request)
        await response.write(reply.body[: int(len(reply.body) * share)])
    except ConnectionError:
        return response
    if request.transport is not None:
        request.transport.close()
    return response


def _reset(request: web.Request) -> web.StreamResponse:
    """Break the connection off without a word. What is returned goes nowhere."""
    if request.transport is not None:
        connection = request.transport.get_extra_info("socket")
        if connection is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
        request.transport.abort()
    return web.Response()
