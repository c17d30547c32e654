"""Print the JSON Schema of problem files."""

from __future__ import annotations

import argparse
import json

from device_sims.problem import problem_file


def arguments(parser: argparse.ArgumentParser) -> None:
    pass


def run(arguments: argparse.Namespace) -> None:
    print(json.dumps(problem_file.schema(), indent=1))
