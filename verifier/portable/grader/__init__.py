"""Grades the final state of a repository by running its tests; see grade.py."""
