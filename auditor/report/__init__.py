"""What an audit found → one self-contained HTML page a researcher can doubt, print and send."""

from auditor.report.page import ReportData, render

__all__ = ["ReportData", "render"]
