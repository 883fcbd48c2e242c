"""The console: pages for people, with one script of their own."""
