import subprocess
import sys

PROGRAM = """
import gc, sys
from pipeline.runners.environment import quick_imports
with quick_imports():
    import apache_beam
from apache_beam.io.filesystems import FileSystems
clouds = ("google.cloud.storage", "google.cloud.bigquery", "azure", "botocore", "pandas")
print([name for name in clouds if name in sys.modules], gc.isenabled())
print(FileSystems.get_scheme("/a"), FileSystems.join("/a", "b"))
import pandas
"""


def test_beam_is_imported_without_the_libraries_of_clouds() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], check=True, capture_output=True)
    assert done.stdout.decode().splitlines() == ["[] True", "None /a/b"]
