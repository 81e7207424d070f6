"""The steps of the graph, in its order. Knows Beam and `pagecast`, never `pipeline`."""
