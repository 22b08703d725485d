from .cam import CamMaps as CamMaps
from .cam import grad_cam as grad_cam
from .curves import deletion_curve as deletion_curve
from .curves import insertion_curve as insertion_curve
from .features import FeatureMaps as FeatureMaps
from .features import feature_maps as feature_maps
from .layers import Layer as Layer
from .layers import find_layer as find_layer
from .layers import layers_of as layers_of
from .measures import FocusScore as FocusScore
from .pictures import cam_picture as cam_picture
from .pictures import feature_picture as feature_picture
from .report import Activity as Activity
from .report import Answer as Answer
from .report import Seen as Seen
from .report import attended as attended
from .report import features_seen as features_seen
from .scene import Scene as Scene
from .scene import known_boxes as known_boxes

__all__ = [
    "Activity",
    "Answer",
    "CamMaps",
    "FeatureMaps",
    "FocusScore",
    "Layer",
    "Scene",
    "Seen",
    "attended",
    "cam_picture",
    "deletion_curve",
    "feature_maps",
    "feature_picture",
    "features_seen",
    "find_layer",
    "grad_cam",
    "insertion_curve",
    "known_boxes",
    "layers_of",
]
