"""A terminal of few abilities: what a person would see after some output, row by row."""

from __future__ import annotations

import re

PIECES = re.compile(r"\x1b\[\??([\d;]*)([A-Za-z])|([\r\n])|([^\x1b\r\n]+)")


class Screen:
    """Rows of text that wrap at `width` columns; `cursor` tells whether that can be seen."""

    def __init__(self, width: int = 80) -> None:
        self.width = width
        self.cells: list[list[str]] = [[]]
        self.row = self.column = 0
        self.cursor = True

    @property
    def rows(self) -> list[str]:
        """What stands there, without empty rows at the end."""
        return "\n".join("".join(row).rstrip() for row in self.cells).rstrip("\n").split("\n")

    def show(self, output: str) -> Screen:
        """Take output as a terminal does."""
        for number, letter, control, text in PIECES.findall(output):
            if control:
                self.column = 0
                self._down(rows=control == "\n")
            elif letter == "A":
                self.row = max(0, self.row - int(number or 1))
            elif letter == "K":
                assert number == "2", "the whole row"
                self.cells[self.row] = []
            elif letter in ("h", "l"):
                self.cursor = letter == "h"
            else:
                assert text or letter == "m", f"unknown sequence {letter}"
                self._put(text)
        return self

    def _put(self, text: str) -> None:
        for character in text:
            if self.column == self.width:
                self.column = 0
                self._down()
            cells = self.cells[self.row]
            cells += " " * (self.column + 1 - len(cells))
            cells[self.column] = character
            self.column += 1

    def _down(self, rows: int = 1) -> None:
        self.row += rows
        if self.row == len(self.cells):
            self.cells.append([])
