"""What is said of work under way, to the figure, by a clock that the test moves."""

from typing import Any

import pytest

from portal.engine.meter import Meter

MB = 1_000_000


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def meter(clock: Clock) -> Meter:
    return Meter(clock)


def said(meter: Meter) -> tuple[int, str, dict[str, Any]]:
    reading = meter.read()
    return reading.percent, reading.code, reading.params


def each_second(clock: Clock, meter: Meter, *done: float, total: float | None = None, **params: Any) -> None:
    for amount in done:
        clock.now += 1
        meter.moved(amount, total, **params)


def test_before_anything_began(meter: Meter) -> None:
    assert said(meter) == (0, "", {})


def test_a_download_with_a_length(clock: Clock, meter: Meter) -> None:
    meter.step("downloading", (0, 50))
    each_second(clock, meter, 1 * MB, 2 * MB, 3 * MB, total=10 * MB)
    assert said(meter) == (15, "downloading", {"bytes": 3 * MB, "total": 10 * MB, "rate": MB, "left": 7})


def test_the_rate_is_of_the_last_four_seconds(clock: Clock, meter: Meter) -> None:
    meter.step("downloading", (0, 50))
    each_second(clock, meter, *(10 * MB * second for second in range(1, 11)), total=200 * MB)
    each_second(clock, meter, *(100 * MB + MB * second for second in range(1, 5)), total=200 * MB)
    params = {"bytes": 104 * MB, "total": 200 * MB, "rate": MB, "left": 96}  # on average it was 7.4 MB a second
    assert said(meter) == (26, "downloading", params)


def test_many_small_pieces_give_the_same_rate(clock: Clock, meter: Meter) -> None:
    meter.step("downloading", (0, 50))
    for piece in range(1, 10_001):
        clock.now += 0.001
        meter.moved(piece * 100, 2 * MB)
    assert said(meter)[2]["rate"] == pytest.approx(100_000, rel=0.03)
    assert said(meter)[2]["left"] == 10


def test_a_server_that_falls_silent_is_told_without_a_new_byte(clock: Clock, meter: Meter) -> None:
    meter.step("downloading", (0, 50))
    each_second(clock, meter, MB, 2 * MB, total=10 * MB)
    clock.now += 2
    assert said(meter) == (10, "downloading", {"bytes": 2 * MB, "total": 10 * MB, "rate": MB // 2, "left": 16})
    clock.now += 2
    assert said(meter) == (10, "stalled", {"bytes": 2 * MB, "total": 10 * MB})
    each_second(clock, meter, 3 * MB, total=10 * MB)
    assert said(meter) == (15, "downloading", {"bytes": 3 * MB, "total": 10 * MB, "rate": MB // 4, "left": 28})


def test_without_a_length_nothing_is_promised(clock: Clock, meter: Meter) -> None:
    meter.step("downloading", (0, 50))
    each_second(clock, meter, 32 * 1024**2)
    rate = 32 * 1024**2
    assert said(meter) == (16, "downloading", {"bytes": rate, "total": None, "rate": rate, "left": None})
    each_second(clock, meter, 10**12)
    assert said(meter)[0] == 49


def test_unpacking(clock: Clock, meter: Meter) -> None:
    meter.step("unpacking", (50, 60))
    assert said(meter) == (50, "unpacking", {"left": None})
    each_second(clock, meter, 2 * MB, total=8 * MB, bytes=20 * MB)
    assert said(meter) == (52, "unpacking", {"bytes": 20 * MB, "left": 3})


def test_converting_anew_keeps_the_bar_and_measures_again(clock: Clock, meter: Meter) -> None:
    meter.step("converting", (60, 97))
    assert said(meter) == (60, "converting", {"share": 0, "left": None})
    each_second(clock, meter, 0.25, 0.5, total=1)
    assert said(meter) == (78, "converting", {"share": 50, "left": 2})
    each_second(clock, meter, 0, 0.1, total=1)
    assert said(meter) == (78, "converting", {"share": 10, "left": 9})


def test_it_never_falls_and_never_ends(clock: Clock, meter: Meter) -> None:
    meter.step("storing", (97, 100))
    each_second(clock, meter, 10, total=10)
    assert said(meter) == (99, "storing", {})
    meter.step("downloading", (1, 50))
    assert said(meter)[0] == 99
