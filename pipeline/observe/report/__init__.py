"""The report: one HTML page that needs nothing else. This package turns a Report into that page; jobs/report.py fills it."""
