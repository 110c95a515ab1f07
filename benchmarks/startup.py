"""`imgan --help` against a bare typer app's: whole processes, how many times as long.

python benchmarks/startup.py [RUNS]
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

BARE = '''
import typer

app = typer.Typer()


@app.command()
def greet(name: str = "world") -> None:
    """Greet someone."""


app()
'''


def main(runs: int = 15) -> None:
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "bare.py"
        script.write_text(BARE)
        commands = {"bare": [str(script)], "imgan": ["-m", "imgan.cli"]}
        seconds: dict[str, list[float]] = {name: [] for name in commands}
        for _ in range(runs + 1):
            for name, command in commands.items():  # in turn: other load slows both down
                seconds[name].append(timed([sys.executable, *command, "--help"]))
    bare, imgan = (statistics.median(values[1:]) for values in seconds.values())
    print(f"bare typer app {bare * 1e3:.0f} ms, imgan {imgan * 1e3:.0f} ms")
    print(f"ratio: {imgan / bare:.2f}")


def timed(command: list[str]) -> float:
    started = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - started


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
