"""Report."""
def write_report(folder):
    """Write."""
