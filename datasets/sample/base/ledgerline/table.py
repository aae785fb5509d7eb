"""Tables of text."""


def render(headers, rows, align=None):
    """Draws a table; align holds "l" or "r" a column."""
    align = align or "l" * len(headers)
    cells = [[str(cell) for cell in row] for row in [headers, *rows]]
    widths = [max(len(row[i]) for row in cells) for i in range(len(headers))]
    lines = [_line(row, widths, align) for row in cells]
    lines.insert(1, "-+-".join("-" * width for width in widths))
    return "\n".join(lines)


def _line(row, widths, align):
    padded = []
    for cell, width, side in zip(row, widths, align):
        padded.append(cell.rjust(width) if side == "r" else cell.ljust(width))
    return " | ".join(padded)
