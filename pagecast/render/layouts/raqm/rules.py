"""What the shaping rules of a font (GSUB, GPOS, kern) may do to words of plain scripts.

Two things are worth knowing for sure. That words stand alone: no rule reaches across the space
between them, so a line has the glyphs and advances of its words side by side. And that a word
keeps its glyphs: no rule applies to it but the kerning of pairs, so the same holds of its letters.

A rule is taken as the sets of glyphs that it needs somewhere near each other, whatever their
order. That is cautious, and so is the rest: anything not understood may do anything.
"""

from __future__ import annotations

import io
import re
from collections import defaultdict
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, TypeAlias

from fontTools.pens.boundsPen import ControlBoundsPen
from fontTools.ttLib import TTFont

Rule: TypeAlias = list[frozenset[str] | None]  # the glyphs it needs; None for any glyph

SPACE = 0x20
# Script tags that HarfBuzz may use for the plain scripts, or fall back to.
SCRIPT_TAGS = {"latn", "cyrl", "grek", "DFLT", "dflt"}
# Features that HarfBuzz leaves off unless asked. All others count as on.
OFF = re.compile(
    r"aalt|c2[sp]c|case|cpsp|cv\d\d|dlig|dnom|expt|frac|hist|hlig|lnum|numr|onum|ordn|pcap|pnum"
    r"|salt|sinf|smcp|ss\d\d|subs|sups|swsh|titl|tnum|unic|zero"
)
RANDOM = "rand"  # glyphs drawn by lot: one word takes the next one's ticket
# Not looked into: Apple's and Graphite's shaping rules, and images of glyphs.
FOREIGN_TABLES = {"morx", "mort", "kerx", "trak", "Silf", "EBDT", "CBDT", "sbix"}
NONE = 0xFFFF
ADVANCE_ONLY = 0x4  # the value format of kerning
IGNORE_BASES, IGNORE_LIGATURES, IGNORE_MARKS = 0x2, 0x4, 0xFF18  # marks: all, by set, by class
SKIPS = {0: 0, 1: 0, 2: IGNORE_LIGATURES, 3: IGNORE_MARKS, 4: 0}  # by GDEF class


class Rules:
    """The rules of a font's first face.

    words_stand_alone: spaces are certainly blank, and no rule for plain scripts sees them.
    units_per_em: in which the font says its lengths.
    """

    def __init__(self, font: bytes) -> None:
        self._rules: defaultdict[str, list[Rule]] = defaultdict(list)  # by a glyph it needs
        self._ligatures: list[dict[str, list[tuple[tuple[str, ...], str]]]] = []
        self._are_ligatures: set[int] = set()  # rules, by their identity
        with TTFont(io.BytesIO(font), fontNumber=0, lazy=True) as face:
            maps = [table.cmap for table in face["cmap"].tables if table.isUnicode()]
            self._glyphs: dict[int, str] = face.getBestCmap()
            self._maps_agree = all(one.items() <= self._glyphs.items() for one in maps)
            self.units_per_em: int = face["head"].unitsPerEm
            self._only_pairs_kern = not FOREIGN_TABLES & set(face.keys())
            self.words_stand_alone = self._only_pairs_kern and self._maps_agree
            if self.words_stand_alone:
                self.words_stand_alone = is_blank(self._glyphs.get(SPACE), face)
            try:
                for tag in ("GSUB", "GPOS"):
                    if tag in face and self.words_stand_alone:
                        self._read(face, tag)
                if "kern" in face and self.words_stand_alone:
                    self._read_kern(face)
            except Exception:  # tables that name what is not there, and other damage
                self.words_stand_alone = False

    def keep(self, word: str) -> bool:
        """Tell whether the word certainly keeps its glyphs, each where its advance puts it."""
        glyphs = frozenset(self._glyphs.get(ord(character), "") for character in word)
        return (
            self.words_stand_alone
            and self._only_pairs_kern
            and "" not in glyphs
            and next(self._matching(glyphs), None) is None
        )

    def units(self, word: str) -> tuple[str, ...] | None:
        """Return the characters of a word, ligatures together, that each are a glyph by itself.

        None where rules may do more to the word than to put ligatures together and kern pairs.
        """
        if self.keep(word):
            return tuple(word)
        glyphs = [self._glyphs.get(ord(character), "") for character in word]
        if len(self._ligatures) != 1 or not self._only_pairs_kern or "" in glyphs:
            return None
        if not all(id(rule) in self._are_ligatures for rule in self._matching(frozenset(glyphs))):
            return None
        units, at = [], 0
        while at < len(word):
            end = at + 1
            for components, ligature in self._ligatures[0].get(glyphs[at], ()):
                if tuple(glyphs[at + 1 : at + 1 + len(components)]) == components:
                    if self._rules.get(ligature):
                        return None  # it may be changed in turn
                    end = at + 1 + len(components)
                    break
            units.append(word[at:end])
            at = end
        return tuple(units)

    def _matching(self, glyphs: frozenset[str]) -> Iterator[Rule]:
        """Yield the rules that have what they need among glyphs."""
        for glyph in (*glyphs, ""):
            for rule in self._rules.get(glyph, ()):
                if all(needed is None or needed & glyphs for needed in rule):
                    yield rule

    def _read(self, face: TTFont, tag: str) -> None:
        table, space = face[tag].table, self._glyphs[SPACE]
        if getattr(table, "FeatureVariations", None) or not table.LookupList:
            self.words_stand_alone = not table.LookupList
            return
        direct = set(lookups_in_use(table))
        # HarfBuzz may take an unclassified glyph for a base.
        skips = SKIPS[glyph_class(space, face)] | IGNORE_BASES
        for number in with_nested(direct, table):
            if number == NONE or table.LookupList.Lookup[number].LookupFlag & skips:
                self.words_stand_alone = False  # it looks past a space, at what follows
                return
            for subtable in subtables(table, number):
                self._take(subtable, space, number in direct)

    def _take(self, subtable: Any, space: str, direct: bool) -> None:
        """Take in the rules of a subtable; those applied by other rules matter to spaces only."""
        if type(subtable).__name__ == "PairPos":
            self.words_stand_alone &= not kerns(subtable, space)
            if (subtable.ValueFormat1 | ADVANCE_ONLY, subtable.ValueFormat2) == (ADVANCE_ONLY, 0):
                return
        is_ligature = direct and type(subtable).__name__ == "LigatureSubst"
        if is_ligature:
            self._ligatures.append(
                {
                    first: [(tuple(one.Component), one.LigGlyph) for one in ligatures]
                    for first, ligatures in subtable.ligatures.items()
                }
            )
        for rule in rules_of(subtable):
            if is_ligature:
                self._are_ligatures.add(id(rule))  # which is kept below
            if any(needed is None or space in needed for needed in rule):
                self.words_stand_alone = False
            if direct:
                fewest = min(rule, key=lambda needed: len(needed or self._glyphs))
                for glyph in fewest or {""}:
                    self._rules[glyph].append(rule)

    def _read_kern(self, face: TTFont) -> None:
        """Look at the old table of pairs, which is in use where GPOS has no kerning."""
        space = self._glyphs[SPACE]
        for table in face["kern"].kernTables:
            pairs = getattr(table, "kernTable", None)
            if pairs is None or any(space in pair for pair in pairs):
                self.words_stand_alone = False
        features = face["GPOS"].table.FeatureList if "GPOS" in face else None
        tags = [record.FeatureTag for record in features.FeatureRecord] if features else []
        self._only_pairs_kern &= "kern" in tags  # else HarfBuzz kerns by moving both glyphs


@lru_cache(maxsize=4)
def read_rules(font: bytes) -> Rules:
    """Return the rules of a font file, kept since reading them takes a tenth of a second."""
    return Rules(font)


def is_blank(glyph: str | None, face: TTFont) -> bool:
    """Tell whether there is such a glyph and it has no outline."""
    pen = ControlBoundsPen(None)
    if glyph is not None:
        face.getGlyphSet()[glyph].draw(pen)
    return glyph is not None and pen.bounds is None


def glyph_class(glyph: str, face: TTFont) -> int:
    """Return the glyph's class in GDEF, 0 for none."""
    classes = face["GDEF"].table.GlyphClassDef if "GDEF" in face else None
    return int(classes.classDefs.get(glyph, 0)) if classes else 0


def lookups_in_use(table: Any) -> Iterator[int]:
    """Yield the numbers of the lookups that plain scripts use; NONE for what cannot be known."""
    features = table.FeatureList.FeatureRecord if table.FeatureList else []
    for record in table.ScriptList.ScriptRecord if table.ScriptList else []:
        if record.ScriptTag not in SCRIPT_TAGS:
            continue
        languages = [record.Script.DefaultLangSys]
        languages += [language.LangSys for language in record.Script.LangSysRecord]
        for language in filter(None, languages):
            for number in (*language.FeatureIndex, language.ReqFeatureIndex):
                if number == NONE:
                    continue
                tag = features[number].FeatureTag
                if tag == RANDOM:
                    yield NONE
                if number == language.ReqFeatureIndex or not OFF.fullmatch(tag):
                    yield from features[number].Feature.LookupListIndex


def subtables(table: Any, number: int) -> Iterator[Any]:
    """Yield the subtables of a lookup, extensions resolved."""
    for subtable in table.LookupList.Lookup[number].SubTable:
        resolved = getattr(subtable, "ExtSubTable", subtable)
        resolved.ensureDecompiled(recurse=is_contextual(resolved))  # which is looked all through
        yield resolved


def is_contextual(subtable: Any) -> bool:
    """Tell whether a subtable is of rules that look around and apply other lookups."""
    return "Context" in type(subtable).__name__


def with_nested(numbers: set[int], table: Any) -> set[int]:
    """Return the lookups and all that they apply in turn."""
    seen, unseen = {NONE} & numbers, numbers - {NONE}
    while unseen:
        number = unseen.pop()
        seen.add(number)
        for subtable in filter(is_contextual, subtables(table, number)):
            unseen |= set(applied_lookups(subtable)) - seen
    return seen


def applied_lookups(value: Any) -> Iterator[int]:
    """Yield the numbers of the lookups that a contextual rule applies, wherever in a table."""
    if hasattr(value, "LookupListIndex"):
        yield value.LookupListIndex
    parts = value if isinstance(value, list) else getattr(value, "__dict__", {}).values()
    for part in parts:
        if isinstance(part, list) or hasattr(part, "__dict__"):
            yield from applied_lookups(part)


def kerns(pairs: Any, second: str) -> bool:
    """Tell whether pair positioning covers the glyph, or moves pairs that end in it."""
    if second in pairs.Coverage.glyphs:
        return True
    if pairs.Format == 1:
        records = (record for group in pairs.PairSet for record in group.PairValueRecord)
        return any(record.SecondGlyph == second for record in records)
    column = pairs.ClassDef2.classDefs.get(second, 0)
    cells = (record.Class2Record[column] for record in pairs.Class1Record)
    values = (value for cell in cells for value in (cell.Value1, cell.Value2) if value)
    return any(any(vars(value).values()) for value in values)


def rules_of(subtable: Any) -> Iterator[Rule]:
    """Yield the rules of any subtable."""
    kind = type(subtable).__name__
    if kind in ("SingleSubst", "MultipleSubst"):
        yield [frozenset(subtable.mapping)]
    elif kind == "AlternateSubst":
        yield [frozenset(subtable.alternates)]
    elif kind == "LigatureSubst":
        for first, ligatures in subtable.ligatures.items():
            for ligature in ligatures:
                yield [frozenset([glyph]) for glyph in (first, *ligature.Component)]
    elif kind in ("MarkBasePos", "MarkLigPos", "MarkMarkPos"):
        names = ("MarkCoverage", "Mark1Coverage")
        yield [covered(getattr(subtable, name)) for name in names if hasattr(subtable, name)]
    elif kind in ("SinglePos", "CursivePos", "PairPos"):
        yield [covered(subtable.Coverage)]
    elif kind == "ReverseChainSingleSubst" or getattr(subtable, "Format", None) == 3:
        yield [covered(coverage) for coverage in coverages(subtable)]
    elif hasattr(subtable, "Coverage"):
        yield from contextual_rules(subtable)
    else:
        yield [None]


def covered(coverage: Any) -> frozenset[str]:
    """Return the glyphs of a coverage table."""
    return frozenset(coverage.glyphs)


def coverages(subtable: Any) -> Iterator[Any]:
    """Yield the coverage tables of a contextual rule, in no particular order."""
    for name in ("Coverage", "InputCoverage", "BacktrackCoverage", "LookAheadCoverage"):
        value = getattr(subtable, name, None) or []
        yield from value if isinstance(value, list) else [value]


def contextual_rules(subtable: Any) -> Iterator[Rule]:
    """Yield the rules of a context by glyphs (format 1) or by classes (format 2)."""
    (groups,) = (
        value for name, value in vars(subtable).items() if name.endswith(("RuleSet", "ClassSet"))
    )
    first: Rule = [frozenset([glyph]) for glyph in subtable.Coverage.glyphs]
    input_classes = "InputClassDef" if hasattr(subtable, "InputClassDef") else "ClassDef"
    if subtable.Format == 2:
        found = covered(subtable.Coverage)
        classes = getattr(subtable, input_classes)
        first = [found & (glyphs_of(n, classes) or found) for n in range(len(groups))]
    for index, group in enumerate(groups):
        if group is None:
            continue
        (rules,) = (value for value in vars(group).values() if isinstance(value, list))
        for rule in rules:
            needs: Rule = [first[index]]
            for part, classes in (
                ("Backtrack", "BacktrackClassDef"),
                ("Input", input_classes),
                ("Class", input_classes),
                ("LookAhead", "LookAheadClassDef"),
            ):
                for item in getattr(rule, part, None) or []:
                    needs.append(glyphs_of(item, getattr(subtable, classes, None)))
            yield needs


def glyphs_of(item: str | int, classes: Any) -> frozenset[str] | None:
    """Return what an item of a rule matches: a glyph itself, or all of a class."""
    if isinstance(item, str):
        return frozenset([item])
    if item == 0 or classes is None:
        return None  # class 0 is all that is in no other
    return frozenset(glyph for glyph, number in classes.classDefs.items() if number == item)
