"""Fills the items of CLAIM and TRIPOD-LLM, two checklists of medical journals, from what a run recorded."""
