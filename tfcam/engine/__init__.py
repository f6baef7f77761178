"""One batch in, one compiled function, maps out."""
