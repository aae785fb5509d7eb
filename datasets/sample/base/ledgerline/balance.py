"""Balances of accounts."""

from ledgerline.money import Money


def balances(transactions):
    """Returns {account: {currency: amount}} over all postings."""
    result = {}
    for transaction in transactions:
        for posting in transaction.postings:
            currencies = result.setdefault(posting.account, {})
            currency = posting.amount.currency
            currencies[currency] = currencies.get(currency, 0) + posting.amount.amount
    return result


def balance_of(transactions, account):
    """Returns the balance of an account and everything below it, one Money a currency."""
    totals = {}
    for name, currencies in balances(transactions).items():
        if name.startswith(account):
            for currency, amount in currencies.items():
                totals[currency] = totals.get(currency, 0) + amount
    return [Money(amount, currency) for currency, amount in totals.items()]
