from .association import rank_correlation as rank_correlation
from .comparison import Comparison as Comparison
from .comparisons import compare_pair as compare_pair
from .comparisons import compare_pairs as compare_pairs
from .convergence import area_under_curve as area_under_curve
from .convergence import median_time as median_time
from .convergence import restricted_mean as restricted_mean
from .curves import curve_band as curve_band
from .curves import stuck as stuck
from .estimates import estimate as estimate
from .failures import failure_p as failure_p
from .failures import failure_share as failure_share
from .failures import far_seed as far_seed
from .failures import interquartile_mean as interquartile_mean
from .failures import with_failures as with_failures
from .figures import TOGETHER as TOGETHER
from .figures import Curve as Curve
from .figures import CurvePanel as CurvePanel
from .figures import ForestRow as ForestRow
from .figures import Look as Look
from .figures import MapColumn as MapColumn
from .figures import ScatterPanel as ScatterPanel
from .figures import activation_curves as activation_curves
from .figures import activation_range as activation_range
from .figures import contact_sheet as contact_sheet
from .figures import curve_panels as curve_panels
from .figures import episode_sheet as episode_sheet
from .figures import file_name as file_name
from .figures import forest_plot as forest_plot
from .figures import heat_grid as heat_grid
from .figures import interval_plot as interval_plot
from .figures import learning_curves as learning_curves
from .figures import looks as looks
from .figures import map_sheet as map_sheet
from .figures import overlays as overlays
from .figures import panel_rows as panel_rows
from .figures import rank_plot as rank_plot
from .figures import save_figure as save_figure
from .figures import scatter_panels as scatter_panels
from .figures import trajectories as trajectories
from .focus import boxes_of as boxes_of
from .focus import centre_prior as centre_prior
from .focus import compare_gains as compare_gains
from .focus import curve_area as curve_area
from .focus import energy_inside as energy_inside
from .interval import Interval as Interval
from .intervals import image_interval as image_interval
from .intervals import seed_interval as seed_interval
from .intervals import wilson as wilson
from .ranks import Ranks as Ranks
from .ranks import rank_arms as rank_arms
from .tables import Column as Column
from .tables import render_table as render_table
from .tables import short_hash as short_hash
from .wording import difference_text as difference_text

__all__ = [
    "TOGETHER",
    "Column",
    "Comparison",
    "Curve",
    "CurvePanel",
    "ForestRow",
    "Interval",
    "Look",
    "MapColumn",
    "Ranks",
    "ScatterPanel",
    "activation_curves",
    "activation_range",
    "area_under_curve",
    "boxes_of",
    "centre_prior",
    "compare_gains",
    "compare_pair",
    "compare_pairs",
    "contact_sheet",
    "curve_area",
    "curve_band",
    "curve_panels",
    "difference_text",
    "energy_inside",
    "episode_sheet",
    "estimate",
    "failure_p",
    "failure_share",
    "far_seed",
    "file_name",
    "forest_plot",
    "heat_grid",
    "image_interval",
    "interquartile_mean",
    "interval_plot",
    "learning_curves",
    "looks",
    "map_sheet",
    "median_time",
    "overlays",
    "panel_rows",
    "rank_arms",
    "rank_correlation",
    "rank_plot",
    "render_table",
    "restricted_mean",
    "save_figure",
    "scatter_panels",
    "seed_interval",
    "short_hash",
    "stuck",
    "trajectories",
    "wilson",
    "with_failures",
]
