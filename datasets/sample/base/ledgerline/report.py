"""Reports over a journal."""

from ledgerline.balance import balances
from ledgerline.money import Money
from ledgerline.table import render


def balance_report(transactions):
    """A table of every account and its balance."""
    rows = []
    for account, currencies in sorted(balances(transactions).items()):
        for currency, amount in sorted(currencies.items()):
            rows.append([account, Money(amount, currency)])
    return render(["Account", "Balance"], rows, "lr")
