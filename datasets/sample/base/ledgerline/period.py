"""Calendar periods."""

import calendar
import datetime


def days_in_month(year, month):
    return calendar.monthrange(year, month)[1]


def add_months(date, months):
    """The same day some months later; the last day of the month where there is no such day."""
    month = date.month + months
    year = date.year
    if month > 12:
        year += 1
        month -= 12
    return datetime.date(year, month, min(date.day, 28))


def quarter(date):
    """The quarter of a date as (year, 1 to 4)."""
    return date.year, date.month // 4 + 1


def every_month(start, until):
    """The dates a month apart from start, up to and including until."""
    dates = []
    date = start
    while date <= until:
        dates.append(date)
        date = add_months(date, 1)
    return dates
