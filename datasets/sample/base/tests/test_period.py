import datetime

from ledgerline.period import add_months, days_in_month, every_month


def day(text):
    return datetime.date.fromisoformat(text)


def test_knows_leap_years():
    assert days_in_month(2024, 2) == 29
    assert days_in_month(2023, 2) == 28


def test_adds_months_across_the_year():
    assert add_months(day("2024-11-15"), 3) == day("2025-02-15")


def test_lists_months():
    assert every_month(day("2024-01-10"), day("2024-03-10")) == [
        day("2024-01-10"),
        day("2024-02-10"),
        day("2024-03-10"),
    ]
