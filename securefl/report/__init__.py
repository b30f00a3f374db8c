"""The one writer of what people read: of a run and of an audit JSON, the table of a terminal, a page in one file."""

from __future__ import annotations

from securefl.report.advice_document import advice_to_json
from securefl.report.advice_page import render_advice
from securefl.report.advice_table import advice_table
from securefl.report.audit_page import render_audit
from securefl.report.audit_table import audit_table
from securefl.report.document import read_audit, runs_to_json, to_json
from securefl.report.files import check_writable, write_text
from securefl.report.page import render_page, require_plots
from securefl.report.table import summary_table
from securefl.report.training_page import render_training
from securefl.report.training_table import training_table

__all__ = [
    "to_json",
    "runs_to_json",
    "read_audit",
    "summary_table",
    "training_table",
    "audit_table",
    "advice_table",
    "advice_to_json",
    "render_page",
    "render_advice",
    "render_audit",
    "render_training",
    "require_plots",
    "check_writable",
    "write_text",
]
