from ledgerline.table import render


def test_aligns_columns():
    assert render(["Name", "Price"], [["Tea", 4], ["Biscuits", 12]], "lr").splitlines() == [
        "Name     | Price",
        "---------+------",
        "Tea      |     4",
        "Biscuits |    12",
    ]
