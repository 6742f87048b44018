"""For all tests: hypothesis asserts no time. On a busy machine any example may take a second."""

from hypothesis import HealthCheck, settings

settings.register_profile("rowcall", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("rowcall")
