"""Parametric bones of a right hip, shoulder, knee and forearm, in mm, LPS, round the center of the joint.

Sizes are those of an average adult, rounded; no person was measured.
"""

from __future__ import annotations

import numpy as np

from .fields import smoothstep
from .shapes import Place, ball, ellipsoid, outline, plate, tube, union


def femur_hip(place: Place) -> np.ndarray:
    """Upper femur: head at the origin, neck at 127°, trochanters, shaft."""
    head = ball(place, (0, 0, 0), 23.5)
    neck = tube(place, [(-6, 1, -5), (-22, 3, -18), (-40, 6, -32)], [18, 15.5, 19])
    shaft = tube(place, [(-40, 6, -34), (-43, 4, -75), (-38, 0, -220)], [20, 15.5, 13.5])
    greater = ellipsoid(place, (-53, 12, -16), (12, 18, 24))
    lesser = ellipsoid(place, (-27, 20, -62), (9, 9, 13))
    return union(head, union(neck, shaft, greater, lesser, blend=7), blend=4)


def hip_bone(place: Place) -> np.ndarray:
    """Hip bone: socket, thin wing of the ilium, pubis and ischium with its tuberosity."""
    x, y, z = place
    far = np.sqrt(x**2 + y**2 + z**2)
    facing = (-0.78 * x - 0.35 * y - 0.52 * z).astype(np.float32)  # the socket opens to the side, front and foot
    socket = np.maximum(np.maximum(far - 35.5, 28.0 - far), facing - 6)
    notch = tube(place, [(6, -4, -20), (10, 0, -36)], [9, 11])
    socket = np.maximum(socket, -notch)
    body = np.maximum(ellipsoid(place, (20, 6, 16), (15, 24, 20)), 28.0 - far)
    edge = outline(
        y + 0 * z, z + 0 * y, [(-28, 20), (-44, 62), (-30, 100), (10, 116), (58, 92), (76, 48), (48, 30), (24, 10)]
    )
    height = x - (17 + 0.42 * (y - 10) - 0.34 * (z - 25) - 0.004 * (z - 25) ** 2 * smoothstep(z, 20, 80))
    thick = 6.0 + 7.0 * smoothstep(edge, -22, -2) + 10.0 * (1 - smoothstep(z, 22, 55))
    wing = np.maximum(plate(edge, height * 0.86, thick), 28.0 - far)
    pubis = tube(place, [(22, -22, -8), (52, -40, -24), (80, -44, -36), (78, -36, -56)], [11, 7, 10, 8])
    ramus = tube(place, [(78, -36, -56), (56, -14, -76), (26, 14, -86)], [8, 6, 9])
    ischium = tube(place, [(20, 26, -10), (14, 32, -50), (16, 24, -82)], [15, 13, 16])
    bones = union(body, wing, pubis, ramus, ischium, blend=6)
    return union(np.maximum(bones, 27.6 - far), socket, blend=2)


def humerus(place: Place) -> np.ndarray:
    """Upper humerus: head at the origin, tubercles with the groove between, shaft."""
    head = ball(place, (0, 0, 0), 23.5)
    greater = ellipsoid(place, (-17, 3, -6), (11, 15, 20))
    lesser = ellipsoid(place, (-9, -18, -10), (9, 8, 13))
    shaft = tube(place, [(-6, 0, -8), (-12, 0, -42), (-15, 0, -75), (-15, 0, -190)], [22, 15.5, 12, 10.5])
    groove = tube(place, [(-19, -17, 20), (-20, -17, -50)], [3.0, 2.0])
    return np.maximum(union(head, greater, lesser, shaft, blend=6), -groove)


def scapula(place: Place) -> np.ndarray:
    """Scapula: shallow socket, thin bent blade, spine, acromion and coracoid."""
    x, y, z = place
    far = np.sqrt(x**2 + y**2 + z**2)
    along = 0.86 * (x - 30) + 0.51 * (y - 4)  # from the socket to the medial border
    height = -0.51 * (x - 30) + 0.86 * (y - 4) - 0.0022 * (along - 30) ** 2 + 2
    edge = outline(along + 0 * z, z + 0 * along, [(10, 22), (70, 46), (84, 14), (74, -118), (56, -112), (14, -24)])
    blade = plate(edge, height, 3.0 + 5.0 * smoothstep(edge, -9, -1))
    border = tube(place, [(42, 10, -20), (68, 26, -70), (86, 34, -108)], [6.5, 5, 4])
    neck = tube(place, [(36, 6, -2), (54, 16, -4)], [14, 8])
    socket = ellipsoid(place, (33, 5, -2), (9, 15, 19))
    spine = tube(place, [(100, 52, 22), (72, 52, 28), (38, 50, 34), (4, 42, 38), (-18, 30, 38)], [3, 4, 5, 6.5, 5])
    # The blade of the spine: a thin sheet from the ridge forward to the body, wide open to the side (the notch).
    root = outline(x + 0 * y, y + 0 * x, [(100, 52), (36, 52), (46, 22), (96, 50)])
    sheet = plate(root, z - (22 + 0.19 * (100 - x)) + 0.3 * (52 - y), 3.5)
    acromion = ellipsoid(place, (-16, 14, 39), (15, 23, 5.5))
    coracoid = tube(place, [(44, 2, 16), (40, -14, 30), (26, -30, 26), (12, -36, 18)], [8, 7, 6, 5.5])
    bones = union(blade, border, neck, socket, sheet, spine, acromion, coracoid, blend=3)
    return np.maximum(bones, 28.0 - far)


def femur_knee(place: Place) -> np.ndarray:
    """Lower femur: shaft, two condyles with the notch between, trochlea."""
    medial = ellipsoid(place, (21, 8, 20), (16, 29, 22))
    lateral = ellipsoid(place, (-22, 7, 21), (16, 29, 22))
    front = ellipsoid(place, (0, -12, 28), (27, 15, 22))
    shaft = tube(place, [(0, -4, 34), (0, -8, 62), (0, -10, 130)], [22, 16.5, 13.5])
    groove = tube(place, [(0, -32, 46), (0, -31, 22), (0, -14, -6)], [7, 7, 7])
    notch = tube(place, [(0, 40, 12), (0, 14, 4), (0, 4, -6)], [11, 10, 9])
    solid = union(medial, lateral, front, shaft, blend=8)
    return np.maximum(solid, -union(groove, notch))


def tibia(place: Place) -> np.ndarray:
    """Upper tibia: plateau with its eminence, tubercle, shaft."""
    plateau = ellipsoid(place, (0, 6, -20), (38, 25, 15))
    plateau = union(np.maximum(plateau, place[2] + 6.5), ellipsoid(place, (0, 8, -7), (7, 8, 4)), blend=3)
    shaft = tube(place, [(0, 4, -24), (0, 2, -55), (2, 2, -130)], [25, 16, 12.5])
    tubercle = tube(place, [(-3, -14, -32), (-2, -16, -52)], [9, 7])
    return union(plateau, shaft, tubercle, blend=8)


def patella(place: Place) -> np.ndarray:
    """Patella, in front of the trochlea."""
    return union(ellipsoid(place, (0, -41, 32), (21, 9, 19)), ball(place, (0, -42, 14), 5), blend=6)


def fibula(place: Place) -> np.ndarray:
    """Upper fibula, behind the tibia's outer side."""
    return tube(place, [(-36, 22, -26), (-36, 22, -38), (-34, 18, -60), (-33, 18, -130)], [9, 8, 6, 6.5])


def radius(place: Place) -> np.ndarray:
    """Lower two thirds of the radius, palm to the front: bowed shaft, broad end with its styloid and the notch."""
    shaft = tube(place, [(-13, 0, 16), (-15, 2, 42), (-17, 1, 90), (-13, 0, 160)], [9.5, 7.2, 7.4, 7.6])
    end = np.maximum(ellipsoid(place, (-12, 0, 10), (17, 10.5, 16)), 0.4 - place[2])
    styloid = tube(place, [(-23, 0, 10), (-25, 0, -4)], [5.5, 3])
    listers = ellipsoid(place, (-12, 9.5, 14), (3, 3, 7))  # the tubercle on the back, with a tendon on each side
    notch = tube(place, [(13, 4, -10), (13, 4, 20)], [11.2, 11.2])  # the ulna's head turns in it
    return np.maximum(union(shaft, end, styloid, listers, blend=4), -notch)


def ulna(place: Place) -> np.ndarray:
    """Lower two thirds of the ulna: shaft that thins out, round head and styloid."""
    shaft = tube(place, [(13, 4, 10), (13, 5, 50), (14, 5, 100), (12, 4, 160)], [6, 5.8, 6.8, 7.8])
    head = ellipsoid(place, (13, 4, 8), (8.7, 8.7, 8.5))
    styloid = tube(place, [(17, 8, 6), (19, 10, -3)], [3.2, 2.2])
    return union(shaft, head, styloid, blend=3)
