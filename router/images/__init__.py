"""Images: from incoming/ to rows, classes, and the instances that a destination gets."""
