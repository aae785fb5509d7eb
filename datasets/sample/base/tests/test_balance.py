from decimal import Decimal

from ledgerline.balance import balance_of, balances
from ledgerline.journal import parse_journal
from ledgerline.money import Money

JOURNAL = """\
2024-01-02 Salary
    Assets:Bank:Current     EUR 2500.00
    Income:Salary

2024-01-05 Savings
    Assets:Bank:Savings     EUR 300.00
    Assets:Bank:Current
"""


def test_sums_each_account():
    assert balances(parse_journal(JOURNAL)) == {
        "Assets:Bank:Current": {"EUR": Decimal("2200.00")},
        "Assets:Bank:Savings": {"EUR": Decimal("300.00")},
        "Income:Salary": {"EUR": Decimal("-2500.00")},
    }


def test_rolls_up_what_lies_below_an_account():
    assert balance_of(parse_journal(JOURNAL), "Assets") == [Money(Decimal("2500.00"), "EUR")]
