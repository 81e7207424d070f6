"""The tests. Beam is imported here, before all that imports it, as quickly as by the commands."""

from pipeline.runners.environment import quick_imports

with quick_imports(without_clouds=False):
    import apache_beam  # noqa: F401
