"""A style sheet: weighted styles whose fields may vary, and which style a sample's pages get.

What a sample gets depends on the seed and its id alone. `u64` is the first 8 bytes, big-endian, of
a SHA-256: that of "{seed}:{id}:style" draws the style, and for each field that may vary that of
"{seed}:{id}:{field}" draws its value.

- Of styles it is the first of which the weight, with those before it, is more than u64 / 2^64 of
  the sum of all.
- Of a list of n values it is number u64 * n // 2^64, from 0.
- Of a range it is A + u64 * (B - A + 1) // 2^64 in whole numbers; what is none counts in
  thousandths.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from typing import Any

from pagecast.dataset.split import CANDIDATE_BITS, KEY_BITS, article_key, u64
from pagecast.style.entry import StyleEntry, style_of
from pagecast.style.style import PageStyle, StyleError


@dataclass(frozen=True)
class StyleSheet:
    """The styles of a dataset, and which one a sample's pages get. Hashable, small, picklable.

    >>> sheet = StyleSheet((StyleEntry.of({"size": [9, 10, 11]}, "small"),), seed=42)
    >>> sheet.style_of("sample_000001_chunk_0")[0]
    'small size=9'

    Attributes:
      entries: the styles; the first one, with the first value of each field, is the sheet's first.
      seed: of what is drawn.
      candidates: None, or of how many of 4096 equal ranges of article keys all samples get the
        first style: those that val is taken from.

    Raises:
      StyleError: there is no style, or two have one name.
    """

    entries: tuple[StyleEntry, ...] = (StyleEntry(),)
    seed: int = 42
    candidates: int | None = None

    def __post_init__(self) -> None:
        if not self.entries:
            raise StyleError("styles", "an empty list: give one style at least")
        names = [entry.name for entry in self.entries]
        if twice := [name for name in names if names.count(name) > 1]:
            raise StyleError("name", f"two styles have the name {twice[0]}")

    def with_fields(self, given: Mapping[str, Any]) -> StyleSheet:
        """Return the sheet with some fields the same in all styles.

        Raises:
          StyleError: as `StyleEntry.of`.
        """
        return self._with([{**entry.plain(), **given} for entry in self.entries])

    def with_fonts(self, found: Mapping[str, Sequence[str]]) -> StyleSheet:
        """Return the sheet with other names for its fonts, each name one or several in its place.

        A style without fonts gets those that "" stands for.
        """
        every = []
        for entry in self.entries:
            chains: tuple[tuple[str, ...], ...] = entry.values_of("fonts")
            fonts = [[n for name in chain or ("",) for n in found[name]] for chain in chains]
            every.append({**entry.plain(), "fonts": fonts})
        return self._with(every)

    def _with(self, every: Sequence[Mapping[str, Any]]) -> StyleSheet:
        entries = (
            StyleEntry.of(given, entry.name, entry.weight)
            for given, entry in zip(every, self.entries, strict=True)
        )
        return replace(self, entries=tuple(entries))

    def style_of(
        self, sample: str, wiki_id: str = "", fonts: Mapping[str, bytes] | None = None
    ) -> tuple[str, PageStyle]:
        """Return the label and the style of a sample's pages.

        Args:
          sample: its id. wiki_id: of its article, needed where there are `candidates`.
          fonts: the contents of the sheet's fonts by name; without them the style has none.
        """
        entry, values = self.drawn(sample, wiki_id)
        return entry.label(values), style_of(values, fonts)

    def drawn(self, sample: str, wiki_id: str) -> tuple[StyleEntry, dict[str, Any]]:
        """Return which style a sample gets, and the fields of it that are not the default's."""
        if not self.is_varied or self._keeps_first(wiki_id):
            return self.entries[0], self.entries[0].first
        entry = self._drawn_entry(u64(f"{self.seed}:{sample}:style"))
        return entry, {
            name: option.draw(u64(f"{self.seed}:{sample}:{name}")) for name, option in entry.options
        }

    def _keeps_first(self, wiki_id: str) -> bool:
        if self.candidates is None:
            return False
        key = article_key(self.seed, wiki_id).key
        return key >> (KEY_BITS - CANDIDATE_BITS) < self.candidates

    def _drawn_entry(self, chance: int) -> StyleEntry:
        wanted = Fraction(chance, 1 << KEY_BITS) * sum(Fraction(e.weight) for e in self.entries)
        for entry in self.entries:
            wanted -= Fraction(entry.weight)
            if wanted < 0:
                return entry
        raise AssertionError("the chance is less than 1")

    def representatives(self) -> Iterator[dict[str, Any]]:
        """Yield all fonts, layouts and line breaks that go together in some style, each once."""
        names = ("fonts", "layout", "line_break")
        seen = []
        for entry in self.entries:
            for values in entry.combinations(*names):
                found = {name: values[name] for name in names}
                if found not in seen:
                    seen.append(found)
                    yield found

    @cached_property
    def is_varied(self) -> bool:
        """Whether two samples may get different styles."""
        return len(self.entries) > 1 or bool(self.entries[0].varied)

    @cached_property
    def most_pages(self) -> int:
        """How many pages a text may take at most."""
        every = (e.combinations("size", "min_size", "max_pages") for e in self.entries)
        return max(style_of(values).most_pages for found in every for values in found)

    @property
    def is_paged(self) -> bool:
        """Whether a text may take more than one page."""
        return self.most_pages > 1

    def page_sizes(self, px: int) -> set[tuple[int, int]]:
        """Return all widths and heights that pages may have whose longer side is `px` pixels."""
        every = (entry.combinations("shape") for entry in self.entries)
        return {style_of(values).page_size(px) for found in every for values in found}

    @cached_property
    def is_coloured(self) -> bool:
        """Whether pages may be of mode "RGB"."""
        return any(isinstance(c, str) for n in ("ink", "paper") for c in self.values_of(n))

    @property
    def fonts(self) -> tuple[str, ...]:
        """The names of all fonts, in the order of the styles."""
        return tuple(dict.fromkeys(name for chain in self.values_of("fonts") for name in chain))

    def values_of(self, name: str) -> tuple[Any, ...]:
        """Return the values that a field may have in any style; of ranges their ends."""
        return tuple(dict.fromkeys(v for entry in self.entries for v in entry.values_of(name)))
