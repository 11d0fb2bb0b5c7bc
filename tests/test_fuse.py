"""Thick stacks joined: a ball comes out round, motion is undone, strokes and masks come along."""

from dataclasses import replace

import numpy as np
import pytest
from test_channels import motion

from mrbone_nb import InputError, Volume
from mrbone_nb.fuse import fuse_masks, fuse_seeds, fuse_stacks
from mrbone_nb.measure import assd, dice
from mrbone_nb.phantom.scanner import PLANES

CENTER = np.array([1.0, -2.0, 0.5])
RADII = np.array([11.0, 8.0, 9.5])
SIDE = 36.0
TWICE = {"stacks": [{"matrix": np.eye(4).tolist()}] * 2}
MOVED, TURNED = ((1.5, -1.0, 2.0), (-1.0, 2.0, 1.0)), ((2.0, -3.0, 1.0), (-2.0, 1.0, 3.0))


def stack(plane, spacing=(4.0, 0.9, 1.0), parts=8):
    """An egg, bright with dark bumps, averaged over thick slices; and the voxels that it fills by more than half."""
    axes = PLANES[plane]
    shape = np.floor(SIDE / np.array(spacing)).astype(int)
    origin = -axes @ ((shape[::-1] - 1) / 2 * spacing[::-1])
    grid = Volume(np.zeros(shape, np.uint8), spacing, tuple(origin), tuple(axes.ravel()), name=plane)
    layers = []
    for part in (np.arange(parts) + 0.5) / parts - 0.5:
        index = np.indices(shape).reshape(3, -1).T + (part, 0, 0)
        layers.append(egg(grid.points(index)).reshape(shape))
    gray = 100 + 900 * np.mean(layers, axis=0)
    return grid.with_array(gray.astype(np.float32)), grid.with_array(np.mean([x > 0.5 for x in layers], axis=0) > 0.5)


def egg(points):
    """1 well inside, 0 outside, with a notch, so that it can be told how it is turned."""
    far = 8.0 * (np.linalg.norm((points - CENTER) / RADII, axis=1) - 1)
    notch = 4.0 - np.linalg.norm(points - CENTER - (7.0, 4.0, 3.0), axis=1)
    return np.clip(0.5 - np.maximum(far, notch), 0, 1)


@pytest.fixture(scope="module")
def stacks():
    return [stack(plane) for plane in ("sagittal", "coronal", "axial")]


@pytest.fixture(scope="module")
def fused(stacks):
    return fuse_stacks([image for image, _ in stacks], 1.0, register=False)


def truth(grid):
    return egg(grid.points(np.indices(grid.shape).reshape(3, -1).T)).reshape(grid.shape)


def test_the_volume_has_equal_voxels_and_is_sharper_than_any_stack(stacks, fused):
    assert fused.spacing == (1.0, 1.0, 1.0) and fused.array.dtype == np.float32
    right = 100 + 900 * truth(fused)
    off = np.sqrt(np.mean((fused.array - right) ** 2))
    alone = [np.sqrt(np.mean((image.resample(like=fused).array - right) ** 2)) for image, _ in stacks]
    mean = np.mean([image.resample(like=fused).array for image, _ in stacks], axis=0)
    assert off < 0.5 * min(alone) and off < 0.7 * np.sqrt(np.mean((mean - right) ** 2))


def test_stacks_of_another_gain_join_as_well(stacks, fused):
    first, *others = (image for image, _ in stacks)
    louder = [first, *(image.with_array(image.array * 3) for image in others)]
    assert np.allclose(fuse_stacks(louder, 1.0, register=False).array, fused.array, atol=1.0)


def test_the_outline_is_nearer_than_in_a_stack(stacks, fused):
    right = truth(fused) > 0.5
    cut = assd(fused.array > 550, right, fused.spacing)
    alone = min(assd(image.resample(like=fused).array > 550, right, fused.spacing) for image, _ in stacks)
    assert cut < 0.5 * alone


def test_axes_in_another_order_make_no_difference(stacks, fused):
    images = [image for image, _ in stacks]
    order = [1, 2, 0]  # as a file would store it whose planes come last
    axes = np.reshape(images[1].direction, (3, 3))[:, ::-1][:, order][:, ::-1]
    spacing = tuple(images[1].spacing[axis] for axis in order)
    turned = replace(images[1], array=images[1].array.transpose(order), spacing=spacing, direction=tuple(axes.ravel()))
    again = fuse_stacks([images[0], turned, images[2]], 1.0, register=False)
    np.testing.assert_allclose(again.array, fused.array, atol=0.5)


def test_motion_is_found_and_undone(stacks, fused):
    still, *others = [image for image, _ in stacks]
    wanted = [motion(o, shift, angles) for o, shift, angles in zip(others, MOVED, TURNED, strict=True)]
    moved = [replace(m, matrix=np.linalg.inv(m.matrix)).apply(o) for m, o in zip(wanted, others, strict=True)]
    again = fuse_stacks([still, *moved], 1.0)
    assert np.array_equal(again.array, fuse_stacks([still, *moved], 1.0).array)
    for entry, right in zip(again.meta["stacks"][1:], wanted, strict=True):
        corners = np.c_[still.corners() / 2, np.ones(8)]
        apart = np.linalg.norm((corners @ (np.array(entry["matrix"]) - right.matrix).T)[:, :3], axis=1)
        assert apart.max() < 1.0
    right = truth(again) > 0.5
    blind = fuse_stacks([still, *moved], 1.0, register=False)
    assert assd(again.array > 550, right, again.spacing) < 0.5 * assd(blind.array > 550, truth(blind) > 0.5, (1, 1, 1))


def test_strokes_of_a_stack_fall_where_they_were_drawn(stacks, fused):
    image, bone = stacks[0]
    drawn = np.zeros(image.shape, np.uint8)
    drawn[4, 15:24, 18], drawn[4, 2, 3:30] = 7, 255
    seeds = fuse_seeds([None, image.with_array(drawn)], replace(fused, meta=TWICE))
    assert seeds.same_grid(fused) and set(np.unique(seeds.array)) <= {0, 7, 255}
    seeds = fuse_seeds([image.with_array(drawn), None, None], fused)
    assert set(np.unique(seeds.array)) == {0, 7, 255}
    for value in (7, 255):
        apart = fused.points(np.argwhere(seeds.array == value))[:, None] - image.points(np.argwhere(drawn == value))
        assert np.abs(apart).max(axis=2).min(axis=1).max() <= 0.501


def test_strokes_that_contradict_each_other_mark_nothing(stacks, fused):
    image = stacks[0][0]
    one, two = np.zeros((2, *image.shape), np.uint8)
    one[4, 10, 10:20], two[4, 10, 16:26] = 1, 2
    seeds = fuse_seeds([image.with_array(one), image.with_array(two)], replace(fused, meta=TWICE)).array
    alone = fuse_seeds([image.with_array(one), None], replace(fused, meta=TWICE)).array
    assert (alone == 1).sum() == 10 and (seeds == 1).sum() == 6 and (seeds == 2).sum() == 6


def test_masks_join_by_their_distances(stacks, fused):
    labels = fuse_masks([mask.with_array(3 * mask.array.astype(np.uint8)) for _, mask in stacks], fused)
    right = truth(fused) > 0.5
    assert labels.same_grid(fused) and set(np.unique(labels.array)) == {0, 3}
    assert dice(labels.array == 3, right) > 0.95
    alone = min(assd(mask.resample(like=fused).array, right, fused.spacing) for _, mask in stacks)
    assert assd(labels.array == 3, right, fused.spacing) < 0.8 * alone


def test_a_label_that_one_stack_lacks_is_made_by_the_others(stacks, fused):
    maps = [mask.with_array(mask.array.astype(np.uint8)) for _, mask in stacks]
    maps[0] = maps[0].with_array(0 * maps[0].array)
    assert dice(fuse_masks(maps, fused).array == 1, truth(fused) > 0.5) > 0.9


def test_what_cannot_be_joined_is_refused(stacks, fused):
    images = [image for image, _ in stacks]
    away = replace(images[1], origin=tuple(np.add(images[1].origin, 100)))
    frames = [replace(image, meta={"frame_hash": str(k)}) for k, image in enumerate(images)]
    for words, said in (
        (([images[0]],), "1 stacks given"),
        ((images, 0.01), "spacing=0.01 mm: expected 0.2 to 5 mm"),
        (([images[0], away], 1.0, False), "no place lies in all"),
        ((frames, 1.0, False), "another frame of reference"),
        (([images[0], "x"],), "fuse_stacks: str given"),
        (([images[0], images[1].with_array(images[1].array * np.nan)],), "NaN"),
    ):
        with pytest.raises(InputError, match=said):
            fuse_stacks(*words)
    with pytest.raises(InputError, match="1 given and .* 3 stacks"):
        fuse_seeds([images[0]], fused)
    empty = [mask.with_array(np.zeros(mask.shape, np.uint8)) for _, mask in stacks]
    with pytest.raises(InputError, match="no label in any"):
        fuse_masks(empty, fused)
    with pytest.raises(InputError, match="no stroke lies in"):
        fuse_seeds(empty, fused)
