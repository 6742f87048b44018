"""The config: YAML and command-line options in, one frozen and checked Config out. Secrets are named here, never held."""

from pipeline.config.load import Override, load_config, parse_set, read_yaml
from pipeline.config.model import Config

__all__ = ["Config", "Override", "load_config", "parse_set", "read_yaml"]
