"""Time the workbench as a hand feels it: slider, wheel and brush to new pixels, in JupyterLab in a real browser.

    python benchmarks/latency.py [--shape 160 384 384] [--moves 15]

A scan of two noisy tubes is made, a JupyterLab of its own is started on this machine, and a headless Chromium moves sliders,
turns the wheel and paints. Times run from the event in the browser to the first frame whose pixels differ. What
the page shows of other work on the machine counts too: run it on a quiet one.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "browser"))

from lab import BROWSER, Lab, page_of

SCAN = """\
import gc, time, numpy as np, mrbone_nb as mb
shape = {shape}
z, y, x = np.ogrid[:shape[0], :shape[1], :shape[2]]
image = np.random.default_rng(0).random(shape, np.float32) * 0.6
seeds = np.zeros(shape, np.uint8)
for number, (cy, cx) in enumerate(((0.35, 0.5), (0.7, 0.5)), 1):
    far = np.hypot(y - cy * shape[1], x - cx * shape[2])
    size = 0.13 * shape[1] * (1 + 0.1 * np.sin(z / 7))
    image += np.where(far < size, 0.8, 0).astype(np.float32)
    seeds[np.broadcast_to(far < 0.5 * size, shape)] = number
    edge = np.broadcast_to((far > 1.25 * size) & (far < 1.3 * size), shape)
    seeds[edge & (seeds == 0)] = 255
volume = mb.Volume(image, (0.9, 0.45, 0.45), name="phantom")
rss = lambda: int(open("/proc/self/status").read().split("VmRSS:")[1].split()[0]) / 1024
"""
BENCH = """\
bench = mb.workbench(volume, {steps!r}, bones=("femur", "tibia"), seeds=seeds, planes=("axial",))
bench"""
# Watch the canvas frame by frame: the time from an event to the first frame that differs.
WATCH = """\
([selector, act]) => new Promise((done) => {
  const canvas = document.querySelector(selector), small = new OffscreenCanvas(96, 96);
  const g = small.getContext('2d', { willReadFrequently: true });
  const look = () => { g.drawImage(canvas, 0, 0, 96, 96); return g.getImageData(0, 0, 96, 96).data; };
  const before = look().slice();
  const began = performance.now();
  const end = began + 5000;
  const watch = () => {
    const now = look();
    let differ = 0;
    for (let k = 0; k < now.length; k += 4) if (now[k] !== before[k]) differ++;
    if (differ > 3) done(performance.now() - began);
    else if (performance.now() > end) done(null);
    else requestAnimationFrame(watch);
  };
  window.mbActs[act[0]](...act.slice(1));
  requestAnimationFrame(watch);
})"""
ACTS = """\
() => {
  const canvas = () => document.querySelector('.mb-workbench .mb-axial');
  const point = (type, x, y) => {
    const area = canvas().getBoundingClientRect();
    const at = { clientX: area.left + x * area.width, clientY: area.top + y * area.height, pointerId: 1, bubbles: true, button: 0, buttons: 1 };
    canvas().dispatchEvent(new PointerEvent(type, at));
  };
  HTMLCanvasElement.prototype.setPointerCapture = () => {};
  window.mbActs = {
    key: (n, key) => {
      const handle = document.querySelectorAll('.mb-workbench .noUi-handle')[n];
      handle.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true }));
    },
    wheel: (way) => canvas().dispatchEvent(new WheelEvent('wheel', { deltaY: way * 100, bubbles: true, cancelable: true })),
    down: (x, y) => point('pointerdown', x, y),
    move: (x, y) => point('pointermove', x, y),
    up: (x, y) => point('pointerup', x, y),
  };
}"""
STEPS = {  # by what they do live: the chain, the number of the chosen step, the slider
    "median": ["median"],
    "nonlocal_means": ["nonlocal_means"],
    "gradient_anisotropic_diffusion": ["gradient_anisotropic_diffusion"],
    "local_threshold": ["local_threshold"],
    "watershed": ["watershed"],
    "grow_from_seeds": ["grow_from_seeds"],
    "random_walker": ["random_walker"],
    "gaussian": ["gaussian"],
    "threshold": ["threshold"],
}
KERNEL = """\
live, row, used = bench.panel.live, bench.panel.steps._rows[bench.calls[0].step], []
control = next(c for c in row.values() if hasattr(c, "min"))
for k in range(5):
    bench.set(0, **{name: c.value for name, c in row.items()})
    control.value += (1 if k % 2 == 0 else -1) * control.step
    began = time.process_time()
    live.draw(True)
    used.append(time.process_time() - began)
print(f"{1000 * sorted(used)[2]:.0f} ms;", live.error or live.note)"""
TARGETS = {"slider": 100, "wheel": 100, "brush": 50}


def row(what: str, times: list[float], target: float, note: str = "") -> None:
    """One line of the table."""
    good = [t for t in times if t is not None]
    if not good:
        print(f"{what:42} no new pixels  {note}", flush=True)
        return
    middle, most = statistics.median(good), sorted(good)[max(0, round(0.9 * len(good)) - 1)]
    print(f"{what:42} {middle:6.0f} ms {most:6.0f} ms {target:6.0f} ms  {len(good)}/{len(times)} {note}", flush=True)


def sliders(page, lab, moves: int) -> None:
    """Each step that is live: the first slider, one key at a time."""
    for name, steps in STEPS.items():
        lab.ask(page, f"bench.load({steps!r}); bench.panel.choose(0); bench.panel.live.draw()")
        page.wait_for_timeout(1500)
        times = []
        for k in range(moves):
            times.append(page.evaluate(WATCH, [".mb-workbench .mb-axial", ["key", 0, "PageUp" if k % 2 == 0 else "PageDown"]]))
            page.wait_for_timeout(700)
        note = lab.ask(page, KERNEL)
        row(f"slider, {name}", times, TARGETS["slider"], note)


def wheel_and_brush(page, lab, moves: int) -> None:
    """The wheel, and a stroke of the brush."""
    lab.ask(page, "bench.panel.live.show('result')")
    page.wait_for_timeout(1500)
    times = []
    for k in range(moves):
        times.append(page.evaluate(WATCH, [".mb-workbench .mb-axial", ["wheel", 1 if k % 6 < 3 else -1]]))
        page.wait_for_timeout(100)
    row("wheel to the next slice", times, TARGETS["wheel"])
    page.locator(".mb-workbench .mb-tool-brush").click()
    page.wait_for_timeout(300)
    down, moved = [], []
    for k in range(moves):
        x, y = 0.1 + 0.05 * (k % 8), 0.1 + 0.1 * (k // 8)
        down.append(page.evaluate(WATCH, [".mb-workbench .mb-axial", ["down", x, y]]))
        moved.append(page.evaluate(WATCH, [".mb-workbench .mb-axial", ["move", x + 0.04, y]]))
        page.evaluate("([x, y]) => window.mbActs.up(x, y)", [x, y])
        page.wait_for_timeout(400)
    row("brush, first dab", down, TARGETS["brush"])
    row("brush, drawn on", moved, TARGETS["brush"])


def many_moves(page, lab, count: int = 500) -> None:
    """Many moves as fast as the browser sends them: no backlog, no leak."""
    lab.ask(page, "bench.load(['median', 'gradient_anisotropic_diffusion']); bench.panel.choose(1)")
    page.wait_for_timeout(2500)
    devtools = page.context.new_cdp_session(page)

    def heap() -> float:
        devtools.send("HeapProfiler.collectGarbage")
        return page.evaluate("() => performance.memory.usedJSHeapSize") / 1e6

    def burst() -> None:
        for k in range(count):
            page.evaluate("([n, key]) => window.mbActs.key(n, key)", [0, "ArrowRight" if k % 40 < 20 else "ArrowLeft"])

    burst()  # once before, so that what is kept for good is there
    page.wait_for_timeout(4000)
    memory, js = float(lab.ask(page, "gc.collect(); print(rss())")), heap()
    drawn = int(lab.ask(page, "print(bench.panel.live.drawn)"))
    page.wait_for_timeout(500)
    began = time.perf_counter()
    burst()
    sent = time.perf_counter() - began
    began = time.perf_counter()
    lab.ask(page, "pass")
    lab.idle(page)
    answered = time.perf_counter() - began
    page.wait_for_timeout(3000)
    drawn = int(lab.ask(page, "print(bench.panel.live.drawn)")) - drawn
    after, js_after = float(lab.ask(page, "gc.collect(); print(rss())")), heap()
    print(f"{count} moves in {sent:.1f} s: {drawn} pictures; the kernel answers {1000 * answered:.0f} ms afterwards")
    print(f"memory of the kernel {memory:.0f} -> {after:.0f} MB, of the page {js:.0f} -> {js_after:.0f} MB", flush=True)


def main() -> None:
    """Run all and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--shape", type=int, nargs=3, default=(160, 384, 384))
    parser.add_argument("--moves", type=int, default=15)
    options = parser.parse_args()
    from playwright.sync_api import sync_playwright

    cells = [SCAN.format(shape=tuple(options.shape)), BENCH.format(steps=["median"]), "pass"]
    with sync_playwright() as play, Lab(cells) as lab:
        browser = play.chromium.launch(**{**BROWSER, "args": [*BROWSER["args"], "--enable-precise-memory-info"]})
        page = page_of(browser)
        lab.run(page)
        page.locator(".mb-workbench .mb-slices[data-ready]").first.wait_for(timeout=120_000)
        page.wait_for_function("() => !/loading/.test(document.querySelector('.mb-where').innerText)", timeout=120_000)
        page.evaluate(ACTS)
        print(f"{options.shape[0]} slices of {options.shape[1]} x {options.shape[2]}; software rendering\n")
        print(f"{'':42} {'median':>9} {'90 %':>9} {'target':>9}  seen   kernel's own processor time")
        sliders(page, lab, options.moves)
        wheel_and_brush(page, lab, options.moves)
        many_moves(page, lab)
        browser.close()


if __name__ == "__main__":
    main()
