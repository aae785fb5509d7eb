from ledgerline.journal import parse_journal
from ledgerline.report import balance_report

JOURNAL = """\
2024-01-31 Rent
    Expenses:Rent    EUR 800.00
    Assets:Bank
"""


def test_shows_every_account():
    assert balance_report(parse_journal(JOURNAL)).splitlines() == [
        "Account       |     Balance",
        "--------------+------------",
        "Assets:Bank   | EUR -800.00",
        "Expenses:Rent |  EUR 800.00",
    ]
