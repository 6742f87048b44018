"""A stand-in endpoint, to rehearse a job at no cost: latency, rate limits and faults by script, answers by looking and counting.

settings   what to play                      server    in a thread, or in the foreground
endpoint   one request from key to reply     shapes    OpenAI's and Segmind's wire
faults     latency, mishaps, rate: pure      counts    what was served, for /stats
asked      reading the request               answers   what is said: looks (pictures), sums, facts
"""

from pipeline.simulate.faults import Latency
from pipeline.simulate.server import Simulator, run_forever, serve
from pipeline.simulate.settings import SimulatorSettings

__all__ = ["Latency", "Simulator", "SimulatorSettings", "run_forever", "serve"]
