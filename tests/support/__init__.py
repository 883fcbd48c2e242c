"""What tests share, by what it stands for; README.md has a line for each."""
