"""`lemonade bench`: how fast the reference servers are beside those of other makers, measured in one run."""
