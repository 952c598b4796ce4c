"""The recipe language: what to build, as an immutable tree named by its digest."""
