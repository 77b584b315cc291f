"""Cutting: within the limit, at a border, and never through what a reader sees as one sign."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushgw.vendor.texts import ELLIPSIS, cut_bytes, cut_chars, cut_utf16, is_border

CLUSTERS = [
    "a",
    "中",
    "\r\n",
    "e\u0301",
    "👍🏽",
    "👩\u200d👩\u200d👧\u200d👦",
    "❤\ufe0f",
    "1\ufe0f\u20e3",
    "🇨🇳",
    "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
    "\u1112\u1161\u11ab",
    "한",
    "가\u11a8",
    "\u0915\u094d\u0937\u093f",
    "\u0600\u0661",
    "\ud83d\ude00",  # an emoji whose halves were decoded apart
]
CUTS: list[tuple[Callable[[str, int], str], Callable[[str], int]]] = [
    (cut_chars, len),
    (cut_utf16, lambda text: len(text.encode("utf-16-le", "surrogatepass")) // 2),
    (cut_bytes, lambda text: len(text.encode("utf-8", "surrogatepass"))),
]
each_cut = pytest.mark.parametrize(("cut", "size"), CUTS, ids=["chars", "utf16", "bytes"])


@each_cut
@given(text=st.text(st.characters(exclude_categories=())), limit=st.integers(0, 60))
def test_any_text_keeps_the_limit(
    cut: Callable[[str, int], str], size: Callable[[str], int], text: str, limit: int
) -> None:
    """The result fits; it is the text itself where that fits, else a beginning of it with an ellipsis if one fits."""
    result = cut(text, limit)
    assert size(result) <= limit
    if size(text) <= limit:
        assert result == text
    elif limit >= size(ELLIPSIS):
        assert result.endswith(ELLIPSIS)
        assert text.startswith(result.removesuffix(ELLIPSIS))
    else:
        assert text.startswith(result)


@each_cut
@given(clusters=st.lists(st.sampled_from(CLUSTERS), min_size=1), limit=st.integers(3, 60))
def test_signs_stay_whole(
    cut: Callable[[str, int], str], size: Callable[[str], int], clusters: list[str], limit: int
) -> None:
    """The cut falls between two signs, and no sign that would have fitted is lost."""
    clusters = [c for pair in zip(clusters, ["|"] * len(clusters), strict=True) for c in pair]
    text = "".join(clusters)
    result = cut(text, limit)
    if result == text:
        return
    kept = result.removesuffix(ELLIPSIS)
    beginnings = ["".join(clusters[:n]) for n in range(len(clusters) + 1)]
    fitting = [b for b in beginnings if size(b) + size(ELLIPSIS) <= limit]
    assert kept == fitting[-1]


@pytest.mark.parametrize("cluster", CLUSTERS, ids=ascii)
def test_no_border_inside_a_sign(cluster: str) -> None:
    """Nothing that is seen as one sign may be parted."""
    assert [i for i in range(1, len(cluster)) if is_border(cluster, i)] == []


def test_flags_part_in_pairs() -> None:
    """A row of flags is parted between flags only."""
    flags = "🇨🇳🇯🇵🇰🇷"
    assert [i for i in range(7) if is_border(flags, i)] == [0, 2, 4, 6]


@pytest.mark.parametrize(
    ("cut", "limit", "expected"),
    [(cut_chars, 4, "你好世…"), (cut_utf16, 4, "你好世…"), (cut_bytes, 9, "你好…"), (cut_bytes, 2, "")],
)
def test_known_cuts(cut: Callable[[str, int], str], limit: int, expected: str) -> None:
    """The ellipsis counts, in the unit of the limit."""
    assert cut("你好世界啊", limit) == expected
