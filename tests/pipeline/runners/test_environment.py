import subprocess
import sys

PROGRAM = """
import sys
from pipeline.runners.environment import leave_out_file_systems
leave_out_file_systems()
import apache_beam
from apache_beam.io.filesystems import FileSystems
print([name for name in ("google.cloud.storage", "azure", "botocore") if name in sys.modules])
print(FileSystems.get_scheme("/a"), FileSystems.join("/a", "b"))
"""


def test_beam_is_imported_without_the_libraries_of_clouds() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], check=True, capture_output=True)
    assert done.stdout.decode().splitlines() == ["[]", "None /a/b"]
