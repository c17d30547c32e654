"""Print the JSON Schema of problem files."""

from __future__ import annotations

import argparse
import json

from device_sims.problem.problem_file import ProblemFile
from spinloom.declare import schema


def arguments(parser: argparse.ArgumentParser) -> None:
    pass


def run(arguments: argparse.Namespace) -> None:
    print(json.dumps(schema(ProblemFile), indent=1))
