"""The command line: what each command is told, by options or by a file of them."""
