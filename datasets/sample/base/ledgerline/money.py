"""Amounts of money: a decimal and a currency."""

from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation


class MoneyError(ValueError):
    """Text that is no amount, or amounts that do not go together."""


@dataclass(frozen=True)
class Money:
    """An exact amount in one currency."""

    amount: Decimal
    currency: str

    def __add__(self, other):
        self._require_same_currency(other)
        return Money(self.amount + other.amount, self.currency)

    def __sub__(self, other):
        return self + -other

    def __neg__(self):
        return Money(-self.amount, self.currency)

    def __bool__(self):
        return bool(self.amount)

    def __str__(self):
        return f"{self.currency} {self.rounded().amount:,}"

    def rounded(self):
        """The amount in whole cents, banker's rounding."""
        return Money(self.amount.quantize(Decimal("0.01"), ROUND_HALF_EVEN), self.currency)

    def allocate(self, weights):
        """Splits the amount in proportion to the weights."""
        total = sum(weights)
        return [Money(self.amount * weight / total, self.currency).rounded() for weight in weights]

    def _require_same_currency(self, other):
        if self.currency != other.currency:
            raise MoneyError(f"cannot mix {self.currency} and {other.currency}")


def parse_money(text):
    """Reads "EUR 12.50"."""
    parts = text.split()
    if len(parts) != 2:
        raise MoneyError(f"not an amount: {text!r}")
    currency, number = parts
    try:
        return Money(Decimal(number.replace(",", "")), currency.upper())
    except InvalidOperation:
        raise MoneyError(f"not an amount: {text!r}") from None
