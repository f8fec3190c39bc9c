"""Offers the rewards in the form that verl, EasyR1 and TRL call."""
