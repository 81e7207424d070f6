"""What a receipt counts for, read quickly, is what the whole of it says."""

import pytest

from pagecast.dataset.receipts import Receipt, Tally, read_pictures, read_tally
from tests.pipeline.progress.test_ledger import MODES, receipt


@pytest.mark.parametrize("samples", [0, 1, 20])
@pytest.mark.parametrize("modes", [(), ("tiny",), MODES])
@pytest.mark.parametrize("failed", [0, 2])
def test_a_tally_is_what_the_receipt_says(
    samples: int, modes: tuple[str, ...], failed: int
) -> None:
    content = receipt(1, samples, modes, failed)
    whole, pictures = Receipt.from_json(content), read_pictures(content)
    assert read_tally(content) == Tally(
        whole.shard, whole.modes, whole.samples, whole.pages, len(whole.errors),
        whole.jsonl_bytes + sum(stored.size for stored in pictures.values()),
    )  # fmt: skip
    assert read_tally(content).samples == samples


def test_half_a_receipt_is_none() -> None:
    content = receipt(1, 3, failed=1)
    for end in range(len(content)):
        with pytest.raises(ValueError, match="not a"):
            read_tally(content[:end])
