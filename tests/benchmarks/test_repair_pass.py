"""The look-ups of a repair pass cost what is owed, not what is stored."""

from __future__ import annotations

from benchmarks.repair_pass import LOOK_UPS, OWED, measure


def test_the_look_ups_take_the_same_steps_among_three_times_as_many_records() -> None:
    few, many = ({name: steps for name, (steps, _) in measure(size).items()} for size in (5 * OWED, 15 * OWED))
    assert few == many
    assert set(few) == set(LOOK_UPS)
    assert all(steps > 500 for steps in few.values()), "a look-up found nothing"
