"""The one writer of what people read after a run: JSON, the table of a terminal, a self-contained HTML page."""

from __future__ import annotations

from securefl.report.document import to_json
from securefl.report.files import check_writable, write_text
from securefl.report.page import render_page, require_plots
from securefl.report.table import summary_table

__all__ = [
    "to_json",
    "summary_table",
    "render_page",
    "require_plots",
    "check_writable",
    "write_text",
]
