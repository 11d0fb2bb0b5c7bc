"""Bodies round bones: the truth, the cortex, the layers."""

import numpy as np
import pytest
from bodies import sphere
from scipy import ndimage as ndi

from mrbone_nb import Volume
from mrbone_nb import phantom as ph
from mrbone_nb.phantom.tissue import CODES


def test_truth_is_the_label_map_and_its_volume_that_of_the_ball():
    labels, _ = sphere(18.0)
    body = ph.build_body(labels.with_array(labels.array * 9), {9: "bone"})
    voxel = np.prod(labels.spacing)
    assert np.array_equal(body.bones.array, labels.array * 9)
    assert (body.bones.array == 9).sum() * voxel == pytest.approx(4 / 3 * np.pi * 18**3, rel=0.01)


def test_cortex_lies_inside_the_bone_and_has_its_thickness():
    labels, _ = sphere(18.0, spacing=(1.5, 0.5, 0.5), shape=(40, 100, 100))
    for thickness in (1.5, 3.0):
        body = ph.build_body(labels, {1: "bone"}, cortex=thickness)
        codes = body.tissue.array
        assert not (codes[labels.array == 0] == CODES["cortex"]).any()
        marrow = (codes == CODES["marrow"]).sum() * np.prod(labels.spacing)
        radius = (marrow / (4 / 3 * np.pi)) ** (1 / 3)
        assert 18 - radius == pytest.approx(thickness, abs=0.3)


def test_cortex_of_two_numbers_is_thicker_on_the_shaft(knee):
    femur = knee.bones.array == 1
    shell = femur & (knee.tissue.array == CODES["cortex"])
    z = knee.tissue.points(np.argwhere(femur))[:, 2]
    joint, shaft = z.min() + 25, z.max() - 25
    at = knee.tissue.points(np.argwhere(shell))[:, 2]
    end_share = (at < joint).sum() / (z < joint).sum()
    shaft_share = (at > shaft).sum() / (z > shaft).sum()
    assert shaft_share > 1.5 * end_share > 0.05


def test_without_flesh_there_is_air():
    labels, _ = sphere(10.0)
    body = ph.build_body(labels, {1: "bone"}, flesh=None)
    assert set(np.unique(body.tissue.array)) == {CODES["air"], CODES["cortex"], CODES["marrow"]}


def test_layers_lie_in_order_from_air_to_bone():
    labels, middle = sphere(14.0, shape=(60, 130, 110))
    body = ph.build_body(labels, {1: "bone"}, flesh=ph.Flesh(margin=(22.0, 22.0)))
    _, row, column = np.rint(labels.index([middle])[0]).astype(int)
    line = body.tissue.array[:, row, column].tolist()
    first = [line.index(CODES[name]) for name in ("air", "skin", "fat", "muscle", "cortex", "marrow")]
    assert first == sorted(first)


def test_named_tissues_are_kept_and_bones_only_make_the_truth():
    array = np.zeros((12, 20, 20), np.uint8)
    array[2:9, 4:16, 3:9], array[2:9, 4:16, 10:13] = 3, 8
    body = ph.build_body(Volume(array), {3: "bone", 8: "cartilage"})
    assert (body.tissue.array[array == 8] == CODES["cartilage"]).all()
    assert set(np.unique(body.bones.array)) == {0, 3}


def test_cartilage_appears_only_where_bones_face_each_other():
    x = np.arange(90) * 0.7
    array = np.zeros((30, 40, 90), np.uint8)
    array[8:22, 10:30, (x > 8) & (x < 28)], array[8:22, 10:30, (x > 32) & (x < 55)] = 1, 2
    body = ph.build_body(Volume(array, (0.7,) * 3), {1: "bone", 2: "bone"})
    place = body.tissue.points(np.argwhere(body.tissue.array == CODES["cartilage"]))[:, 0]
    assert len(place) > 1000
    assert 22 < place.min() < place.max() < 38
    assert np.isin(body.tissue.array[15, 20, (x > 28.7) & (x < 31.3)], [CODES["cartilage"], CODES["fluid"]]).all()


def test_bright_fat_lies_on_thin_cortex_somewhere(knee):
    """Else no method could leak, and the phantom would be too easy."""
    codes = knee.tissue.array
    marrow = np.isin(codes, [CODES["marrow"], CODES["scar"]])
    near = ndi.binary_dilation(marrow, iterations=2)
    assert (near & (codes == CODES["fat"])).sum() > 200
