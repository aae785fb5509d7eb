from decimal import Decimal

import pytest

from ledgerline.money import Money, MoneyError, parse_money


def eur(text):
    return Money(Decimal(text), "EUR")


def test_reads_currency_and_number():
    assert parse_money("EUR 12.50") == eur("12.50")
    assert parse_money("eur 1,234.50") == eur("1234.50")


def test_refuses_what_is_no_amount():
    for text in ("", "12.50", "EUR twelve", "EUR 1 2"):
        with pytest.raises(MoneyError):
            parse_money(text)


def test_adds_and_subtracts():
    assert eur("1.10") + eur("2.20") == eur("3.30")
    assert eur("1.10") - eur("2.20") == eur("-1.10")


def test_does_not_mix_currencies():
    with pytest.raises(MoneyError, match="cannot mix EUR and CHF"):
        eur("1") + Money(Decimal(1), "CHF")


def test_rounds_half_to_even():
    assert eur("0.125").rounded() == eur("0.12")
    assert eur("0.135").rounded() == eur("0.14")


def test_prints_grouped_thousands():
    assert str(eur("1234567.5")) == "EUR 1,234,567.50"
