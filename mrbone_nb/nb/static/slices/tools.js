// What the pointer does on a plane: look around, or draw.

const DRAWING = ['brush', 'erase', 'polygon', 'lasso', 'flood'];

class Tools {
  constructor(scan, changed) {
    Object.assign(this, { scan, changed, tool: 'move', label: 1, radius: 3, ball: false, protect: false, tolerance: 12 });
    this.path = null; // of a polygon or lasso: {pane, points}
    this.hover = null;
  }

  choose(values) {
    if (values.tool && values.tool !== this.tool) this.path = null;
    Object.assign(this, values);
    this.changed();
  }

  get value() { return this.tool === 'erase' ? 0 : this.label; }

  how(pane, more = {}) {
    const { across } = pane, last = this.scan.shape[across] - 1;
    const index = this.scan.model.get('flipped')[across] ? last - pane.index : pane.index;
    return { tool: this.tool, plane: pane.name, slice: index, protect: this.protect, ...more };
  }

  attach(pane) {
    const { canvas } = pane;
    canvas.onpointerdown = (e) => this.down(pane, e);
    canvas.onpointermove = (e) => this.moved(pane, e);
    canvas.onpointerup = canvas.onpointercancel = () => this.up();
    canvas.onpointerleave = () => { this.hover = null; this.scan.tell('cursor'); };
    canvas.ondblclick = () => { if (this.tool === 'polygon') this.close(); };
    canvas.oncontextmenu = (e) => e.preventDefault();
    canvas.addEventListener('wheel', (e) => { e.preventDefault(); this.wheel(pane, e); }, { passive: false });
  }

  wheel(pane, e) {
    const way = Math.sign(e.deltaY || e.deltaX);
    if (e.ctrlKey) this.zoom(Math.exp(-way * 0.2), pane, pane.at(e));
    else if (e.shiftKey) this.choose({ radius: clamp(this.radius - way * 0.5, 0.5, 50) });
    else this.scan.moveTo({ [pane.across]: pane.index + way });
  }

  zoom(factor, pane, place) {
    const zoom = clamp(this.scan.zoom * factor, 1, 32);
    pane?.zoomAt(place, zoom);
    this.scan.zoom = zoom;
    if (zoom === 1) this.scan.tell('home'); else this.scan.tell('view');
  }

  down(pane, e) {
    pane.canvas.focus({ preventScroll: true });
    pane.canvas.setPointerCapture(e.pointerId);
    const place = pane.at(e), tool = e.button === 1 ? 'pan' : e.button === 2 ? 'window' : this.overCurtain(pane, e) ? 'curtain' : this.tool;
    this.drag = { pane, tool, last: place, x: e.clientX, y: e.clientY, window: [...this.scan.window] };
    if (tool === 'brush' || tool === 'erase') this.startBrush(pane, place);
    else if (tool === 'lasso') this.path = { pane, points: [place] };
    else if (tool === 'polygon') this.addPoint(pane, place);
    else if (tool === 'flood') this.flood(pane, place);
    else if (tool === 'move') this.cross(pane, place);
  }

  moved(pane, e) {
    const place = pane.at(e), { drag } = this;
    this.hover = { pane, place };
    if (!drag) { this.scan.tell('cursor'); return; }
    if (drag.tool === 'brush' || drag.tool === 'erase') this.line(pane, drag.last, place);
    else if (drag.tool === 'lasso' && this.path) this.path.points.push(place);
    else if (drag.tool === 'move') this.cross(pane, place);
    else if (drag.tool === 'window') this.window(drag, e);
    else if (drag.tool === 'curtain') this.scan.curtain = clamp(this.acrossPane(pane, e), 0.02, 0.98);
    else if (drag.tool === 'pan') pane.center = pane.center.map((c, k) => c - (place[k] - drag.last[k]));
    if (drag.tool === 'pan') pane.holdCenter(); else drag.last = place;
    this.scan.tell(drag.tool === 'window' ? 'window' : drag.tool === 'lasso' ? 'cursor' : 'view');
  }

  up() {
    const { drag } = this;
    this.drag = null;
    if (this.scan.history.open) this.scan.history.end();
    else if (drag?.tool === 'lasso') this.close();
  }

  acrossPane(pane, e) {
    const area = pane.canvas.getBoundingClientRect();
    return (e.clientX - area.left) / area.width;
  }

  overCurtain(pane, e) {
    return pane.halves()[1] && Math.abs(this.acrossPane(pane, e) - this.scan.curtain) * pane.canvas.clientWidth < 7;
  }

  cross(pane, [u, v]) { this.scan.moveTo({ [pane.right]: Math.floor(u), [pane.down]: Math.floor(v) }); }

  /** To the right: more contrast less; down: brighter. */
  window(drag, e) {
    const [low, high] = drag.window, dx = (e.clientX - drag.x) / 2, dy = (e.clientY - drag.y) / 2;
    const width = clamp(high - low + dx, 4, 510), middle = clamp((low + high) / 2 - dy, 0, 255);
    this.scan.window = [middle - width / 2, middle + width / 2];
  }

  // --- brush ---------------------------------------------------------------------------------------------------

  startBrush(pane, place) {
    const { radius, ball } = this;
    this.scan.history.begin(this.value, this.how(pane, { radius, ball }));
    this.stamp(pane, place);
    this.scan.tell('view');
  }

  /** A disc, or ball, of the radius in mm; the voxel under the pointer always belongs to it. */
  stamp(pane, [u, v]) {
    const { scan, radius } = this, { spacing, step, shape, history } = scan, { across, right, down } = pane;
    const [a, b, c] = [spacing[right], spacing[down], spacing[across]], k0 = pane.index;
    const deep = this.ball ? Math.floor(radius / c) : 0, span = (x, r, n) => [clamp(Math.floor(x - r), 0, n - 1), clamp(Math.floor(x + r), 0, n - 1)];
    const [j0, j1] = span(v, radius / b, pane.rows), [i0, i1] = span(u, radius / a, pane.columns);
    for (let k = Math.max(0, k0 - deep); k <= Math.min(shape[across] - 1, k0 + deep); k++) {
      const room = radius * radius - ((k - k0) * c) ** 2;
      for (let j = j0; j <= j1; j++) {
        const left = room - ((j + 0.5 - v) * b) ** 2;
        for (let i = i0; i <= i1; i++) if (((i + 0.5 - u) * a) ** 2 <= left) history.put(k * step[across] + j * step[down] + i * step[right]);
      }
    }
    if (pane.inside([u, v])) history.put(pane.voxel([u, v]));
  }

  line(pane, from, to) { // no gaps when the pointer moves fast
    if (!this.scan.history.open) return;
    const { spacing } = this.scan, mm = Math.hypot((to[0] - from[0]) * spacing[pane.right], (to[1] - from[1]) * spacing[pane.down]);
    const n = Math.max(1, Math.ceil(mm / Math.max(0.3, this.radius / 3)));
    for (let k = 1; k <= n; k++) this.stamp(pane, from.map((x, axis) => x + ((to[axis] - x) * k) / n));
  }

  // --- polygon, lasso --------------------------------------------------------------------------------------------

  addPoint(pane, place) {
    if (this.path?.pane !== pane || this.path.index !== pane.index) this.path = { pane, points: [], index: pane.index };
    this.path.points.push(place);
    this.scan.tell('cursor');
  }

  close() {
    const { path } = this;
    this.path = null;
    if (path && path.points.length > 2) {
      const points = path.points.map((p) => p.map((x) => +x.toFixed(2)));
      this.scan.history.begin(this.label, this.how(path.pane, { points: points.length }));
      this.fill(path.pane, path.points);
      this.scan.history.end();
    }
    this.scan.tell('cursor');
  }

  /** All voxels of the slice whose middle lies inside, by the even-odd rule. */
  fill(pane, points) {
    const { step, history } = this.scan, base = pane.index * step[pane.across];
    for (let j = 0; j < pane.rows; j++) {
      const y = j + 0.5, cuts = [];
      points.forEach(([x1, y1], n) => {
        const [x0, y0] = points.at(n - 1);
        if (y0 > y !== y1 > y) cuts.push(x0 + ((y - y0) * (x1 - x0)) / (y1 - y0));
      });
      cuts.sort((s, t) => s - t);
      for (let q = 0; q + 1 < cuts.length; q += 2) {
        for (let i = Math.max(0, Math.ceil(cuts[q] - 0.5)); i < Math.min(pane.columns, cuts[q + 1] - 0.5); i++) history.put(base + j * step[pane.down] + i * step[pane.right]);
      }
    }
  }

  // --- flood -----------------------------------------------------------------------------------------------------

  /** What is joined to a voxel and about as bright; on the slice, or in 3D within the brush's reach times ten. */
  flood(pane, place) {
    if (!pane.inside(place)) return;
    const { scan, tolerance, ball, radius } = this, { step, shape, image, spacing, history } = scan, first = pane.voxel(place);
    const wide = (scan.window[1] - scan.window[0]) * (tolerance / 100), limit = ball ? radius * 10 : Infinity, gray = image[first];
    const start = [0, 1, 2].map((axis) => Math.floor(first / step[axis]) % shape[axis]);
    const axes = ball ? [0, 1, 2] : [pane.right, pane.down], seen = new Set([first]), queue = [start];
    history.begin(this.label, this.how(pane, { tolerance, ball }));
    while (queue.length) {
      const at = queue.pop();
      history.put(at[0] * step[0] + at[1] * step[1] + at[2]);
      for (const axis of axes) {
        for (const way of [-1, 1]) {
          const next = [...at];
          next[axis] += way;
          if (next[axis] < 0 || next[axis] >= shape[axis] || Math.abs(next[axis] - start[axis]) * spacing[axis] > limit) continue;
          const o = next[0] * step[0] + next[1] * step[1] + next[2];
          if (seen.has(o) || Math.abs(image[o] - gray) > wide) continue;
          seen.add(o);
          queue.push(next);
        }
      }
    }
    history.end();
  }

  // --- without a pointer -----------------------------------------------------------------------------------------

  /** What a click at the crosshair would do. */
  press(pane) {
    const position = this.scan.model.get('position'), place = [position[pane.right] + 0.5, position[pane.down] + 0.5];
    if (this.tool === 'brush' || this.tool === 'erase') { this.startBrush(pane, place); this.scan.history.end(); }
    else if (this.tool === 'polygon' || this.tool === 'lasso') this.addPoint(pane, place);
    else if (this.tool === 'flood') this.flood(pane, place);
  }

  /** The kernel fills what lies between painted slices. */
  fillBetween(pane) {
    const sent = this.scan.send({ kind: 'between', label: this.label, axis: pane.across });
    if (!sent) this.scan.say('filling between slices needs the kernel');
  }

  draw(pane) {
    const g = pane.canvas.getContext('2d'), [w, h] = pane.size, ratio = window.devicePixelRatio || 1;
    const color = `rgb(${this.tool === 'erase' ? [255, 255, 255] : this.scan.color(this.label)})`;
    g.lineWidth = 1.5 * ratio;
    g.strokeStyle = color;
    if (this.hover?.pane === pane && (this.tool === 'brush' || this.tool === 'erase')) {
      const [x, y] = pane.toPixel(...this.hover.place), { spacing } = this.scan;
      g.beginPath();
      g.ellipse(x, y, (this.radius / spacing[pane.right]) * w, (this.radius / spacing[pane.down]) * h, 0, 0, 7);
      g.stroke();
    }
    if (this.path?.pane !== pane) return;
    const points = [...this.path.points, ...(this.tool === 'polygon' && this.hover?.pane === pane ? [this.hover.place] : [])];
    g.beginPath();
    points.forEach((p, n) => g[n ? 'lineTo' : 'moveTo'](...pane.toPixel(...p)));
    g.stroke();
  }
}
