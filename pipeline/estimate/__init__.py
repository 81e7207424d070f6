"""The command `plan`: what a run will make, how long it takes, and whether the disk has room.

`run` asks the last of these too, before it writes anything.
"""
