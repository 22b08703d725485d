"""Pictures of results. Matplotlib is imported when one is drawn; its global state is untouched."""

from .curves import TOGETHER as TOGETHER
from .curves import Curve as Curve
from .curves import learning_curves as learning_curves
from .forest import ForestRow as ForestRow
from .forest import forest_plot as forest_plot
from .forest import interval_plot as interval_plot
from .functions import activation_curves as activation_curves
from .functions import activation_range as activation_range
from .heat import heat_grid as heat_grid
from .looks import Look as Look
from .looks import looks as looks
from .maps import MapColumn as MapColumn
from .maps import map_sheet as map_sheet
from .overlays import overlays as overlays
from .panels import CurvePanel as CurvePanel
from .panels import curve_panels as curve_panels
from .panels import panel_rows as panel_rows
from .ranks import rank_plot as rank_plot
from .save import file_name as file_name
from .save import save_figure as save_figure
from .scatter import ScatterPanel as ScatterPanel
from .scatter import scatter_panels as scatter_panels
from .sheets import contact_sheet as contact_sheet
from .sheets import episode_sheet as episode_sheet
from .trajectories import trajectories as trajectories
