"""Problem files (`docs/problem_file.md`): each file holds the keys of a section and makes its part of the problem."""

from device_sims.problem.problem_file.content import Outputs, ProblemFile, called, load

__all__ = ["Outputs", "ProblemFile", "called", "load"]
