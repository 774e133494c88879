"""Prints the page of explained differences."""

import sys

from lemonade_testbed.differential.explained import read_explanations
from lemonade_testbed.differential.page import TABLE, page

sys.stdout.write(page(read_explanations(TABLE)))
