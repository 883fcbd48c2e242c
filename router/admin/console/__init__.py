"""The console: pages for people, without scripts."""
