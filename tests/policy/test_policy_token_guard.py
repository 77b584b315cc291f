"""The token-wipe guard: a wipe costs few tokens, healthy rates cost nothing, and it opens again when all is well."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pushgw.policy.token_guard import TokenGuard
from pushgw.settings import TokenSettings

NOW = 1_795_500_000.0
WINDOW = 3600.0
SETTINGS = TokenSettings(wipe_share=0.10, wipe_minimum=50, wipe_window=WINDOW)


class Removals:
    """A guard, and the tokens that are removed as long as it has not tripped."""

    def __init__(self, settings: TokenSettings = SETTINGS) -> None:
        self.guard = TokenGuard(settings)
        self.removed = 0
        self.now = NOW

    def batch(self, answered: int, dead: int, later: float = 1.0, credential: int = 1) -> bool:
        """Whether the guard lets this batch's dead tokens be removed."""
        self.now += later
        self.guard.look({credential: answered}, {credential: dead} if dead else {}, self.now)
        if credential in self.guard.tripped:
            return False
        self.removed += dead
        return True


def test_a_batch_is_judged_before_anything_of_it_is_removed() -> None:
    """A batch that is over the share by itself loses no token at all."""
    removals = Removals()
    assert not removals.batch(60, 60)
    assert removals.removed == 0
    assert "60 of 60" in removals.guard.tripped[1]


def test_a_trickle_loses_at_most_the_minimum_less_one() -> None:
    """One dead token after the other: 49 are removed, and the fiftieth and all later ones stay."""
    removals = Removals()
    results = [removals.batch(1, 1) for _ in range(500)]
    assert results == [True] * 49 + [False] * 451


@given(
    st.lists(st.integers(1, 400), min_size=1, max_size=150),
    st.lists(st.integers(1, 60), min_size=20, max_size=150),
    st.sampled_from([0.05, 1.0, 47.0]),
)
def test_healthy_pushes_before_a_wipe_do_not_pay_for_it(
    healthy: list[int], wipe: list[int], later: float
) -> None:
    """However many good answers came before, of those batches in which all tokens die at most 49 tokens are lost."""
    removals = Removals()
    for count in healthy:
        assert removals.batch(count, 0, later)
    for count in wipe:
        removals.batch(count, count, later)
    assert removals.removed <= 49


@given(
    st.lists(st.tuples(st.integers(1, 300), st.floats(0, 1)), min_size=1, max_size=200),
    st.sampled_from([0.05, 10.0, 200.0]),
)
def test_no_stretch_loses_more_than_the_larger_of_minimum_and_share(
    batches: list[tuple[int, float]], later: float
) -> None:
    """Of the last sixty batches any stretch that ends now has lost fewer than the minimum, or no more than its share."""
    removals = Removals()
    lost: list[tuple[int, int]] = []
    for answered, share in batches:
        dead = int(answered * share * 0.3)
        if not removals.batch(answered, dead, later):
            break
        lost.append((answered, dead))
        for n in range(1, min(len(lost), 60) + 1):
            sent, gone = sum(a for a, _ in lost[-n:]), sum(d for _, d in lost[-n:])
            assert gone < 50 or gone <= 0.10 * sent


def test_healthy_rates_change_nothing() -> None:
    """A day in which one token in fifty dies, a hundred thousand in all, never trips the guard."""
    removals = Removals()
    assert all(removals.batch(500, 10, 8.64) for _ in range(10_000))
    assert removals.removed == 100_000


def test_few_dead_are_no_wipe() -> None:
    """Forty-nine of forty-nine within the window, and as many in the next, are removed: a small credential may lose all."""
    removals = Removals()
    assert removals.batch(49, 49)
    assert removals.batch(49, 49, WINDOW + 1)


def test_dead_tokens_add_up_over_the_whole_window() -> None:
    """Five dead of ten every five minutes: the window has fifty of a hundred after 50 minutes."""
    removals = Removals()
    assert [removals.batch(10, 5, 300) for _ in range(12)] == [True] * 9 + [False] * 3


def test_older_batches_still_count_when_many_came_since() -> None:
    """Batches are kept one by one for a while and then by slots of the window: none is lost on the way."""
    removals = Removals(TokenSettings(wipe_minimum=200))
    results = [removals.batch(5, 1, 10) for _ in range(250)]
    assert results == [True] * 199 + [False] * 51


def test_credentials_are_apart() -> None:
    """A wipe under one credential does not hold the tokens of another."""
    removals = Removals()
    assert not removals.batch(60, 60, credential=1)
    assert removals.batch(60, 1, credential=2)
    assert set(removals.guard.tripped) == {1}


def test_a_guard_trips_once() -> None:
    """Its trip is told with the batch that trips it, and not again while it stays tripped."""
    guard = TokenGuard(SETTINGS)
    assert guard.look({1: 60}, {1: 60}, NOW) == [1]
    assert guard.look({1: 60}, {1: 60}, NOW + 1) == []


def test_a_healthy_window_opens_it() -> None:
    """It opens when a whole window has passed since the last wipe, and that window's share is under the limit."""
    removals = Removals()
    removals.batch(60, 60)
    wiped_again = 600.0
    assert not removals.batch(60, 60, wiped_again)
    assert not removals.batch(10_000, 5, WINDOW - 1)
    assert removals.batch(500, 5, 1)


def test_silence_does_not_open_it() -> None:
    """A night without pushes proves nothing: some answers are needed, and few enough dead ones among them."""
    removals = Removals()
    removals.batch(60, 60)
    assert not removals.batch(40, 0, 10 * WINDOW)
    assert not removals.batch(10, 8, 10)
    assert removals.batch(100, 0, 10)


def test_opened_by_an_operator_it_counts_from_nothing() -> None:
    """What was counted before the review does not trip it again."""
    removals = Removals()
    removals.batch(60, 60)
    removals.batch(40, 40)
    removals.guard.reopen(1)
    assert removals.batch(49, 49)
    assert not removals.batch(1, 1)


def test_share_of_one_switches_it_off() -> None:
    """wipe_share 1: tokens are removed however many die."""
    removals = Removals(TokenSettings(wipe_share=1))
    assert all(removals.batch(100, 100) for _ in range(10))
