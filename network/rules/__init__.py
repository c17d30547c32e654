"""Learning rules by name. A new rule is one file with a `Rule` and one line in `REGISTRY`."""

from __future__ import annotations

from network.rules.accumulate_quantise_program import AccumulateQuantiseProgram
from network.rules.base import Context, Rule, Signals
from network.rules.bop import Bop
from network.rules.discrete_state_transition import DiscreteStateTransition
from network.rules.float_baseline import FloatBaseline
from network.rules.mean_variance_probability import MeanVarianceProbability
from network.rules.outer_product_probability import OuterProductProbability
from network.rules.stochastic_coincidence import StochasticCoincidence
from network.rules.stochastic_rounding import StochasticRounding
from network.rules.straight_through import StraightThrough
from network.rules.tiki_taka import TikiTaka
from network.rules.train_then_deploy import TrainThenDeploy
from spinloom.errors import UserError

REGISTRY: dict[str, type[Rule]] = {
    rule.name: rule
    for rule in (
        AccumulateQuantiseProgram,
        TrainThenDeploy,
        DiscreteStateTransition,
        StochasticCoincidence,
        OuterProductProbability,
        MeanVarianceProbability,
        Bop,
        TikiTaka,
        StraightThrough,
        StochasticRounding,
        FloatBaseline,
    )
}

__all__ = ["REGISTRY", "Context", "Rule", "Signals", "get"]


def get(name: str) -> type[Rule]:
    """Return the rule called ``name``; `UserError` if there is none."""
    if name not in REGISTRY:
        raise UserError(f"network.rule: found {name!r}, allowed {', '.join(REGISTRY)}")
    return REGISTRY[name]
