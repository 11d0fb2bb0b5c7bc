"""The parts of the workbench: its steps, what runs beside, what the viewer shows, and the widgets around."""
