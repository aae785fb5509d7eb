#include "tests/orchestrator/toy_repository.h"

namespace taskmint::orchestrator {
namespace {

constexpr const char* kHeader = R"("""Sums for children."""


def count(items):
    total = 0
    for _ in items:
        total = total + 1
    return total
)";

constexpr const char* kWrongAddition = R"(

def add(a, b):
    return a - b
)";

constexpr const char* kAddition = R"(

def add(a, b):
    if a is None or b is None:
        raise TypeError("add needs two numbers")
    result = a + b
    return result
)";

constexpr const char* kWrongDivision = R"(

def share(cake, people):
    return cake // people
)";

constexpr const char* kDivision = R"(

def share(cake, people):
    if people == 0:
        raise ValueError("nobody to share with")
    portion = cake / people
    return portion
)";

constexpr const char* kTests = R"(import pytest

from toy.sums import add, count, share


def test_count():
    assert count("abc") == 3


def test_add_nothing():
    assert add(7, 0) == 7


def test_share_evenly():
    assert share(6, 3) == 2
)";

constexpr const char* kAdditionTest = R"(

def test_add():
    assert add(2, 3) == 5


def test_add_refuses_none():
    with pytest.raises(TypeError):
        add(None, 1)
)";

constexpr const char* kDivisionTest = R"(

def test_share_unevenly():
    assert share(7, 2) == 3.5


def test_share_with_nobody():
    with pytest.raises(ValueError):
        share(1, 0)
)";

constexpr const char* kIdleTest = R"(

def test_count_nothing():
    assert count([]) == 0
)";

}  // namespace

ToyRepository::ToyRepository() {
  const std::string sums = "toy/sums.py";
  const std::string tests = "tests/test_sums.py";
  const std::string header = kHeader;
  tree.Write("LICENSE",
             "Permission is hereby granted, free of charge, to any person obtaining a copy of this "
             "software, subject to the following conditions: none but this.\n");
  tree.Write("pyproject.toml", kToyProject);
  tree.Write("toy/__init__.py", "");
  tree.Write(sums, header + kWrongAddition + kWrongDivision);
  tree.Write(tests, kTests);
  tree.Commit("Begin");

  tree.Write(sums, header + kAddition + kWrongDivision);
  tree.Write(tests, std::string(kTests) + kAdditionTest);
  addition = tree.Commit(
      "Add numbers instead of subtracting them\n\nadd(2, 3) gave -1. It should give the sum of its "
      "arguments, and refuse None with a TypeError.");

  tree.Write(sums, header + "\n# Addition." + kAddition + kWrongDivision);
  tree.Write(tests, std::string(kTests) + kAdditionTest + "\n# More to come.\n");
  silent = tree.Commit("wip");

  const std::string counted = "\"\"\"Sums for grown-ups.\"\"\"" + header.substr(header.find('\n'));
  tree.Write(sums, counted + kAddition + kWrongDivision);
  tree.Write(tests, std::string(kTests) + kAdditionTest + kIdleTest);
  idle = tree.Commit(
      "Describe the module as one for grown-ups\n\nAlso test that counting an empty list of items "
      "gives zero, which was never written down.");

  tree.Write(sums, counted + kAddition + kDivision);
  tree.Write(tests, std::string(kTests) + kAdditionTest + kIdleTest + kDivisionTest);
  division = tree.Commit(
      "Share cakes exactly\n\nshare(7, 2) gave 3, so half a cake was lost. Shares should be exact, "
      "and sharing with nobody should be a ValueError.");

  tree.Write("taskmint.toml", "test_wall_minutes_max = 4\n");
  tree.Commit("Say how long the tests may take");
}

}  // namespace taskmint::orchestrator
