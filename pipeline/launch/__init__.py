"""What happens before the graph runs: inputs, assets and the output directory are checked."""
