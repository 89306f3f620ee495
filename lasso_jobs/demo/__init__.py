"""The demo: flights that left New York City in 2013, their job files, and the flow."""
