from ledgerline.duration import format_duration, parse_duration


def test_reads_units():
    assert parse_duration("90") == 90
    assert parse_duration("1h 30m") == 5400
    assert parse_duration("2d1s") == 172801


def test_writes_units():
    assert format_duration(5403) == "1h 30m 3s"
    assert format_duration(86400) == "1d"
