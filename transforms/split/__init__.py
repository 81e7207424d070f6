"""Which sample goes to val, to train, to neither, and writing them."""
