"""What administrators look at while the node runs."""
