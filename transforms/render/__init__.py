"""Pages of samples: drawn by a DoFn, stored by a sink."""
