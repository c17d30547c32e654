"""A name tells its quantity: what people call it, its unit, and the unit in which they read it."""

import pytest

from spinloom.quantities import of


@pytest.mark.parametrize(
    ("name", "value", "si", "title", "told"),
    [
        ("duration_s", 2e-9, "s", "pulse width (ns)", "2 ns"),
        ("current_density_A_per_m2", -3e11, "A/m^2", "current density (MA/cm²)", "-30 MA/cm²"),
        ("zhang_li_u_m_per_s", 5.0, "m/s", "spin drift velocity (m/s)", "5 m/s"),
        ("rate_per_s", 2.0, "1/s", "rate (1/s)", "2 1/s"),
        ("energy_mean_J", 3.2e-15, "J", "energy mean (fJ)", "3.2 fJ"),
        ("polarity", -1, "1", "polarity", "-1"),
    ],
)
def test_a_name_tells_unit_and_scale(name, value, si, title, told):
    quantity = of(name)
    assert (quantity.si, quantity.title, quantity.told(value)) == (si, title, told)
