"""The checks: rules that a run is judged by besides its ladder; one module for each subject, listed in `registry`."""
