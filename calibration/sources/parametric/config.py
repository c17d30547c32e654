"""What a study may say of a device given by a law."""

from calibration.sources.parametric import REGISTRY
from calibration.sources.parametric.common import Common
from spinloom.declare import compose, options_of

Parametric = compose("Parametric", Common, options_of(REGISTRY))
