"""What a receipt counts for, read quickly, is what the whole of it says."""

import pytest

from pagecast.dataset.receipts import Receipt, ReceiptCounts, read_counts, read_images
from tests.pipeline.progress.test_counter import MODES, receipt


@pytest.mark.parametrize("samples", [0, 1, 20])
@pytest.mark.parametrize("modes", [(), ("tiny",), MODES])
@pytest.mark.parametrize("failed", [0, 2])
def test_a_tally_is_what_the_receipt_says(
    samples: int, modes: tuple[str, ...], failed: int
) -> None:
    content = receipt(1, samples, modes, failed)
    whole, images = Receipt.from_json(content), read_images(content)
    assert read_counts(content) == ReceiptCounts(
        whole.shard, whole.modes, whole.samples, whole.pages, len(whole.errors),
        whole.jsonl_bytes + sum(stored.size for stored in images.values()),
    )  # fmt: skip
    assert read_counts(content).samples == samples


def test_half_a_receipt_is_none() -> None:
    content = receipt(1, 3, failed=1)
    for end in range(len(content)):
        with pytest.raises(ValueError, match="not a"):
            read_counts(content[:end])
