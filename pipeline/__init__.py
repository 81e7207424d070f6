"""The decisions: options, the graph, its launch, and what a person sees."""
