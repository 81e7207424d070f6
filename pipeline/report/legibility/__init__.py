"""How legible pages are: what reads them, what came of it, and compression against error."""
