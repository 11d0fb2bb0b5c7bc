"""Radial slices: their axis, and a template fitted to them without a volume in between."""

from dataclasses import replace

import numpy as np
import pytest
from solids import RADII, egg, grid, marrow_and_cortex, off, radial_slices

from mrbone_nb.errors import InputError
from mrbone_nb.intake import Slice, SliceSet
from mrbone_nb.measure import dice
from mrbone_nb.shape import Landmarks, Template, fit_axis, fit_template, parts_of
from mrbone_nb.shape.fill import inside_mesh

TRUTH = egg(middle=(2.0, -1.0, 1.0))
BALL = egg((13.0, 12.0, 19.0))
POINTS = {"top": (0, 0, 19.0), "left": (13.0, 0, 0), "front": (0, -12.0, 0)}
TEMPLATE = Template(BALL, Landmarks(POINTS), "egg")
GIVEN = {"top": (2, -1, 21.0), "left": (16.0, -1, 1), "front": (2, -12.0, 1)}


@pytest.fixture(scope="module")
def slices():
    rng = np.random.default_rng(3)
    return [marrow_and_cortex(TRUTH, part, rng, noise=0.05) for part in radial_slices()]


def test_the_axis_is_found():
    found = fit_axis(radial_slices(point=(1.0, -2.0, 3.0), axis=(0.3, 0.1, 1.0)))
    line = np.array((0.3, 0.1, 1.0)) / np.linalg.norm((0.3, 0.1, 1.0))
    assert abs(found.direction @ line) == pytest.approx(1)
    beside = found.point - (1.0, -2.0, 3.0)
    assert np.abs(beside - line * (beside @ line)).max() < 1e-6 and np.abs(found.offsets).max() < 1e-6
    assert np.diff(np.sort(found.angles)) == pytest.approx(20) and found.gap_deg == pytest.approx(20)
    assert fit_axis(radial_slices()[:5]).gap_deg == pytest.approx(100)


def test_a_slice_that_keeps_off_is_named():
    planes = radial_slices()
    normal = np.reshape(planes[4].direction, (3, 3))[:, 2]
    near, far = (replace(planes[4], origin=tuple(planes[4].origin + away * normal)) for away in (0.8, 4.0))
    found = fit_axis([*planes[:4], near, *planes[5:]])
    assert np.abs(found.offsets).argmax() == 4 and 0.4 < abs(found.offsets[4]) < 0.8
    with pytest.raises(InputError, match=r"slice 5 passes [23]\.\d mm beside the common axis"):
        fit_axis([*planes[:4], far, *planes[5:]])
    tilted = radial_slices(axis=(0.3, 0.4, 1.0))[4]
    with pytest.raises(InputError, match=r"tilted by \d+\.\d° against the common axis"):
        fit_axis([*planes[:4], tilted, *planes[5:]])
    with pytest.raises(InputError, match="parallel"):
        fit_axis([planes[0]] * 3)
    with pytest.raises(InputError, match="2 slices: expected 3"):
        fit_axis(planes[:2])


def test_a_template_is_fitted_to_radial_slices(slices):
    found = fit_template(slices, TEMPLATE, GIVEN)
    part = grid((1.0, 1.0, 1.0))
    truth = inside_mesh(TRUTH, part)
    before, after = (dice(inside_mesh(mesh, part), truth) for mesh in (found.placed, found.mesh))
    assert before < 0.93 and after > 0.95 and off(found.mesh, RADII) < 0.7
    again = fit_template(slices, TEMPLATE, GIVEN)
    assert np.array_equal(found.mesh.vertices, again.mesh.vertices)  # the same bits
    mask = found.mask(0.8)
    assert mask.spacing == (0.8, 0.8, 0.8) and mask.array.sum() * 0.8**3 == pytest.approx(found.mesh.volume, rel=0.02)
    assert found.mask(like=part).same_grid(part)


def test_masks_of_some_slices_teach_the_forest(slices):
    masks = [inside_mesh(TRUTH, part) if k % 3 == 0 else None for k, part in enumerate(slices)]
    found = fit_template(slices, TEMPLATE, GIVEN, masks=masks)
    part = grid((1.0, 1.0, 1.0))
    assert dice(inside_mesh(found.mesh, part), inside_mesh(TRUTH, part)) > 0.95
    with pytest.raises(InputError, match="2 masks for 9 slices"):
        fit_template(slices, TEMPLATE, GIVEN, masks=masks[:2])
    with pytest.raises(InputError, match="expected that of its slice"):
        fit_template(slices, TEMPLATE, GIVEN, masks=[np.zeros((3, 3), bool)] * 9)


def test_a_slice_set_is_taken_as_it_is(slices):
    planes = tuple(Slice(p.array[0], p.spacing[1:], p.origin, p.direction, None if k else 3.0) for k, p in enumerate(slices))
    parts = parts_of(SliceSet(planes))
    assert [part.shape for part in parts] == [part.shape for part in slices]
    assert np.allclose(parts[3].points([(0, 5, 7)]), slices[3].points([(0, 5, 7)]))
    with pytest.raises(InputError, match="expected a Volume, or slices"):
        parts_of("scan")


def test_landmarks_of_another_scan_are_told(slices):
    far = {name: np.add(point, 500) for name, point in GIVEN.items()}
    with pytest.raises(InputError, match="outside the scan; do the landmarks belong to it"):
        fit_template(slices, TEMPLATE, far)
    with pytest.raises(InputError, match="constant"):
        fit_template([part.with_array(np.zeros(part.shape, np.float32)) for part in slices], TEMPLATE, GIVEN)
