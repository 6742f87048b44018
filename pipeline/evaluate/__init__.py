"""Scoring completions against references: metrics, intervals, comparisons. Needs the extra `evaluate`."""
