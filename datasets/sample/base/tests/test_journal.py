import datetime
from decimal import Decimal

import pytest

from ledgerline.journal import JournalError, parse_journal
from ledgerline.money import Money

RENT = """\
; January
2024-01-31 Rent
    Expenses:Rent    EUR 800.00
    Assets:Bank
"""


def test_reads_a_transaction():
    (transaction,) = parse_journal(RENT)
    assert transaction.date == datetime.date(2024, 1, 31)
    assert transaction.description == "Rent"
    assert [posting.account for posting in transaction.postings] == ["Expenses:Rent", "Assets:Bank"]


def test_fills_in_the_amount_left_out():
    (transaction,) = parse_journal(RENT)
    assert transaction.postings[1].amount == Money(Decimal("-800.00"), "EUR")


def test_names_the_line_that_is_neither_date_nor_posting():
    with pytest.raises(JournalError, match="yesterday"):
        parse_journal("yesterday Rent\n")
