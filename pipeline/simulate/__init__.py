"""A stand-in endpoint, to rehearse a job at no cost: latency, rate limits and faults by script, answers by looking and counting.

settings   what to play                      server     in a thread, or in the foreground
endpoint   one request from key to reply     door       where it listens, and shuts for a while
shapes     OpenAI's and Segmind's wire       counts     what was served, for /stats
asked      reading the request               answers    what is said: looks (pictures), sums, facts

faults     latency, chance, rate: pure       catalogue  every fault by name: misdelivering, answering, refusing
script     episodes: when, and which fault   reading    plain values, checked
acts       what a fault does, as values      wire       does it, on the connection
"""

from pipeline.simulate.catalogue import lines as fault_lines
from pipeline.simulate.catalogue import parse_chance
from pipeline.simulate.faults import Latency
from pipeline.simulate.script import Script, read_script
from pipeline.simulate.server import Simulator, run_forever, serve
from pipeline.simulate.settings import SimulatorSettings

__all__ = [
    "Latency",
    "Script",
    "Simulator",
    "SimulatorSettings",
    "fault_lines",
    "parse_chance",
    "read_script",
    "run_forever",
    "serve",
]
