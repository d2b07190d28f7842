"""Where processes ask each other."""

HELD = "/internal/held"
READ = "/internal/read"
WATCH = "/internal/watch"
