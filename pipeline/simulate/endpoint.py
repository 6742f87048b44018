"""The simulated endpoint: what one HTTP request meets, from its key to its reply. Where it listens is server.py's."""

import asyncio
import hmac
import time
import weakref
from collections.abc import Callable
from dataclasses import replace
from typing import IO

import orjson
from aiohttp import web

from pipeline.simulate import catalogue, shapes, wire
from pipeline.simulate.acts import Bill, End, Scene
from pipeline.simulate.answers import Answer, answer
from pipeline.simulate.asked import Asked, RefusedError, read
from pipeline.simulate.counts import Counts
from pipeline.simulate.faults import Plan, RateWindow, plan
from pipeline.simulate.looks import NotAPictureError
from pipeline.simulate.script import Arrival, Player, Strike
from pipeline.simulate.settings import SimulatorSettings
from pipeline.simulate.shapes import Style

MOST_BODY_BYTES = 64 * 2**20


class Endpoint:
    """The handlers and what they remember: counts, the rate window, the script, the log. Lives on one event loop.

    `shut` is called where a fault wants nobody to listen for so many seconds.
    """

    def __init__(
        self, settings: SimulatorSettings, log: IO[str] | None = None, *, shut: Callable[[float], None] = lambda _: None
    ) -> None:
        script = settings.script
        self.counts = Counts(episodes=dict.fromkeys([each.name for each in script.episodes] if script else (), 0))
        self._settings = settings
        self._log = log
        self._shut = shut
        limit = settings.requests_per_window
        self._window = None if limit is None else RateWindow(limit, settings.window)
        self._player = None if script is None else Player(script, seed=settings.seed)
        self._first: float | None = None
        self._connections: weakref.WeakSet[asyncio.Transport] = weakref.WeakSet()

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
        reused = self._is_reused(request)
        body = await request.read()
        refused = self._refused(request, style)
        if refused is not None:
            return self._refuse(refused)
        asked = self._read(request, style, body)
        if isinstance(asked, shapes.Reply):
            return self._refuse(asked)
        settings = self._settings
        fate = plan(serial, seed=settings.seed, faults=settings.faults, latency=settings.latency, names=settings.fault_names)
        strike = self._scripted(serial, style, asked, body, reused=reused) or _by_chance(fate, reused=reused)
        if strike is None or not strike.fault.at_once:
            await asyncio.sleep(fate.latency)
        try:
            if strike is None:
                return await self._reply(request, serial, style, asked)
            return await self._strike(request, Scene(style, serial, time.time(), fate.draw, _key(request)), asked, strike)
        except NotAPictureError as error:
            return self._refuse(shapes.bad_request(style, str(error)))

    def _is_reused(self, request: web.Request) -> bool:
        transport = request.transport
        if transport is None:
            return False
        reused = transport in self._connections
        self._connections.add(transport)
        return reused

    def _scripted(self, serial: int, style: Style, asked: Asked, body: bytes, *, reused: bool) -> Strike | None:
        if self._player is None:
            return None
        now = time.monotonic()
        if self._first is None:
            self._first = now
        send = self._player.count_send(body)
        return self._player.strike(Arrival(serial + 1, now - self._first, style, asked.text, send, reused))

    async def _strike(self, request: web.Request, scene: Scene, asked: Asked, strike: Strike) -> web.StreamResponse:
        fault = strike.fault
        said = None if fault.bill is Bill.NOTHING else await self._answer(asked)
        self.counts.fault(fault.name, strike.episode)
        response, whole = await wire.perform(request, fault.play(replace(scene, answer=said), strike.given), self._shut)
        if said is not None and fault.bill is Bill.LOST:
            self.counts.lose(said)
        elif said is not None:
            self.counts.serve(said, whole=whole)
            self._note(scene.serial, said, whole)
        return response

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
        sent = _keys(request)
        right = any(hmac.compare_digest(each.encode("utf-8", "replace"), key.encode()) for each in sent)
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

    async def _reply(self, request: web.Request, serial: int, style: Style, asked: Asked) -> web.StreamResponse:
        said = await self._answer(asked)
        reply = shapes.completion(said, serial=serial, wall=time.time())
        if self._window is not None:
            reply = replace(reply, headers=shapes.rate_headers(style, self._window, time.monotonic()))
        response = _response(reply)
        whole = await _sent(request, response)
        self.counts.serve(said, whole=whole)
        self._note(serial, said, whole)
        if not whole:
            wire.end(request, End.RESET)
        return response if whole else wire.Written(keep=False)

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


def _by_chance(fate: Plan, *, reused: bool) -> Strike | None:
    fault = None if fate.fault is None else catalogue.find(fate.fault)
    return None if fault is None or (fault.reused_only and not reused) else Strike(fault)


def _keys(request: web.Request) -> list[str]:
    """Give what was sent for a key, in either header."""
    sent = [request.headers.get("x-api-key", ""), request.headers.get("authorization", "").removeprefix("Bearer ")]
    return [each.strip() for each in sent]


def _key(request: web.Request) -> str:
    return next(filter(None, _keys(request)), "")


async def _sent(request: web.Request, response: web.Response) -> bool:
    """Send it now rather than after the handler, so that what was sent can be counted. False: the client has gone."""
    if wire.is_gone(request):
        return False
    try:
        await response.prepare(request)
        await response.write_eof()
    except ConnectionError:
        return False
    return True
