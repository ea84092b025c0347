import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from searchkit.arrays import top_k


@given(st.lists(st.integers(0, 5), max_size=40), st.integers(0, 50))
def test_top_k_is_a_stable_descending_sort_cut_at_k(values, k):
    scores = np.array(values, dtype=np.float32)
    expected = sorted(range(len(values)), key=lambda i: -values[i])[:k]
    assert top_k(scores, k).tolist() == expected
