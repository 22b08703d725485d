"""Intervals, paired comparisons, curves, tables and figures: NumPy, SciPy, Matplotlib, no torch."""

from .crossed import crossed_interval as crossed_interval
from .curves import curve_band as curve_band
from .curves import stuck as stuck
from .curves import time_to_accuracy as time_to_accuracy
from .figures import activation_curves as activation_curves
from .figures import activation_range as activation_range
from .figures import contact_sheet as contact_sheet
from .figures import episode_sheet as episode_sheet
from .figures import heat_grid as heat_grid
from .figures import learning_curves as learning_curves
from .figures import save_figure as save_figure
from .figures import trajectories as trajectories
from .interval import Interval as Interval
from .intervals import episode_interval as episode_interval
from .intervals import image_interval as image_interval
from .intervals import seed_interval as seed_interval
from .intervals import wilson as wilson
from .paired import Difference as Difference
from .paired import holm as holm
from .paired import paired_difference as paired_difference
from .tables import Column as Column
from .tables import render_table as render_table
from .tables import short_hash as short_hash
