"""Reads journals: dated transactions, each with postings to accounts."""

import datetime
import re
from dataclasses import dataclass, field

from ledgerline.money import Money, MoneyError, parse_money


class JournalError(ValueError):
    """A journal that cannot be read, with the line that is to blame."""


@dataclass
class Posting:
    account: str
    amount: Money


@dataclass
class Transaction:
    date: datetime.date
    description: str
    postings: list = field(default_factory=list)


_HEADER = re.compile(r"(\d{4})-(\d{2})-(\d{2})\s+(.*)")


def parse_journal(text):
    """Returns the transactions of a journal in the order in which they stand there."""
    transactions = []
    for line in text.splitlines():
        if not line.strip() or line.startswith(";"):
            continue
        if line[0].isspace():
            transactions[-1].postings.append(_parse_posting(line.strip()))
            continue
        match = _HEADER.fullmatch(line)
        if not match:
            raise JournalError(f"neither a date nor a posting: {line!r}")
        year, month, day, description = match.groups()
        transactions.append(
            Transaction(datetime.date(int(year), int(month), int(day)), description.strip())
        )
    for transaction in transactions:
        _complete(transaction)
    return transactions


def _parse_posting(text):
    account, _, amount = text.partition("  ")
    if not amount.strip():
        return Posting(account.strip(), None)
    try:
        return Posting(account.strip(), parse_money(amount))
    except MoneyError as error:
        raise JournalError(str(error)) from None


def _complete(transaction):
    """Fills in the one amount that may be left out."""
    known = [posting.amount for posting in transaction.postings if posting.amount is not None]
    if len(known) == len(transaction.postings):
        return
    total = known[0]
    for amount in known[1:]:
        total = total + amount
    for posting in transaction.postings:
        if posting.amount is None:
            posting.amount = -total
