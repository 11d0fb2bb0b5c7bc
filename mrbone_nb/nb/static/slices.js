// Slices in up to three linked planes: no imports, no network. Front end of sliceview.py (anywidget).
// The whole scan is in the browser, so scrolling asks no kernel: the same code runs live and in a page.
// Arrays are [z][y][x] in LPS: x grows to the left, y to the back, z to the head.

const PLANES = { // across: fixed axis; right and down: axes of the picture; up: draw the vertical axis upward
  axial: { across: 0, right: 2, down: 1, up: false, edges: ['R', 'L', 'A', 'P'] },
  coronal: { across: 1, right: 2, down: 0, up: true, edges: ['R', 'L', 'S', 'I'] },
  sagittal: { across: 2, right: 1, down: 0, up: true, edges: ['A', 'P', 'S', 'I'] },
};
const VEIL = { labels: 0.35, seeds: 0.75 };

const bytes = (v) => (v instanceof DataView ? new Uint8Array(v.buffer, v.byteOffset, v.byteLength) : new Uint8Array(v));
const element = (tag, css = '', props = {}, ...children) => {
  const e = Object.assign(document.createElement(tag), props);
  e.style.cssText = css;
  e.append(...children);
  return e;
};
const strides = ([, rows, columns]) => [rows * columns, columns, 1];

async function unpack(v) {
  const stream = new Blob([bytes(v)]).stream().pipeThrough(new DecompressionStream('gzip'));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

async function unpackImage(model) {
  if (model.get('codec') === 'gzip') return unpack(model.get('image'));
  const [raw, ends, across, shape] = ['image', 'ends', 'across', 'shape'].map((k) => model.get(k));
  const [all, step] = [bytes(raw), strides(shape)];
  const [down, right] = [0, 1, 2].filter((axis) => axis !== across);
  const out = new Uint8Array(shape[0] * shape[1] * shape[2]);
  const context = element('canvas', '', { width: shape[right], height: shape[down] }).getContext('2d', { willReadFrequently: true });
  for (let k = 0; k < shape[across]; k++) {
    const picture = await createImageBitmap(new Blob([all.subarray(k ? ends[k - 1] : 0, ends[k])], { type: 'image/jpeg' }));
    context.drawImage(picture, 0, 0);
    picture.close();
    const { data } = context.getImageData(0, 0, shape[right], shape[down]);
    for (let j = 0, p = 0; j < shape[down]; j++) {
      for (let i = 0, o = k * step[across] + j * step[down]; i < shape[right]; i++, p += 4, o += step[right]) out[o] = data[p];
    }
  }
  return out;
}

/** What all views of one model share. */
class Scan {
  constructor(model) {
    Object.assign(this, { model, maps: {}, number: {}, hidden: new Set(), views: new Set() });
  }

  async load() {
    this.shape = this.model.get('shape');
    this.step = strides(this.shape);
    const maps = ['labels', 'seeds'].map((name) => this.loadMap(name));
    [this.image] = await Promise.all([unpackImage(this.model), ...maps]);
    for (const name of ['labels', 'seeds']) this.model.on('change:' + name, () => this.loadMap(name));
    for (const name of ['position', 'scale', 'fill', 'names']) this.model.on('change:' + name, () => this.tell(name));
  }

  async loadMap(name) {
    const number = (this.number[name] = (this.number[name] || 0) + 1);
    const packed = this.model.get(name);
    const map = packed && packed.byteLength ? await unpack(packed) : null;
    if (number !== this.number[name]) return; // a newer one is on its way
    this.maps[name] = map;
    this.tell('maps');
  }

  tell(what) { for (const view of this.views) view(what); }

  set(name, value) { // there may be no kernel to take it
    this.model.set(name, value);
    try { this.model.save_changes()?.catch?.(() => {}); } catch { /* no kernel */ }
  }
}

/** Canvas and slider of one plane. */
class Pane {
  constructor(scan, name, move) {
    Object.assign(this, { scan, name, ...PLANES[name] });
    [this.columns, this.rows] = [scan.shape[this.right], scan.shape[this.down]];
    this.gray = element('canvas', 'display:block;width:100%;height:100%', { width: this.columns, height: this.rows, className: 'mb-' + name });
    this.over = element('canvas', 'position:absolute;inset:0;width:100%;height:100%;cursor:crosshair;touch-action:none');
    this.slider = element('input', 'width:100%;margin:2px 0', { type: 'range', min: 0, max: scan.shape[this.across] - 1, className: 'mb-slice-' + name });
    this.slider.setAttribute('aria-label', name + ' slice');
    this.text = element('div', 'min-height:1.3em');
    this.frame = element('div', 'position:relative;background:#000', {}, this.gray, this.over);
    this.box = element('div', 'flex:0 1 auto', {}, this.frame, this.slider, this.text);
    this.context = this.gray.getContext('2d');
    this.pixels = this.context.createImageData(this.columns, this.rows);
    this.slider.oninput = () => move({ [this.across]: +this.slider.value });
    const at = (e) => {
      const area = this.over.getBoundingClientRect();
      const [u, v] = [(e.clientX - area.left) / area.width, (e.clientY - area.top) / area.height];
      return { [this.right]: Math.floor(u * this.columns), [this.down]: Math.floor((this.up ? 1 - v : v) * this.rows) };
    };
    this.over.onpointerdown = (e) => { this.over.setPointerCapture(e.pointerId); move(at(e)); };
    this.over.onpointermove = (e) => { if (e.buttons & 1) move(at(e)); };
    this.over.addEventListener('wheel', (e) => {
      e.preventDefault();
      move({ [this.across]: this.scan.model.get('position')[this.across] + Math.sign(e.deltaY) });
    }, { passive: false });
  }

  layout(scale) {
    const spacing = this.scan.model.get('spacing');
    const [width, height] = [this.columns * spacing[this.right] * scale, this.rows * spacing[this.down] * scale];
    this.box.style.width = width + 'px';
    this.frame.style.aspectRatio = `${width} / ${height}`;
    const ratio = window.devicePixelRatio || 1;
    [this.over.width, this.over.height] = [Math.round(width * ratio), Math.round(height * ratio)];
  }

  start(row, index) { // where in the array a row of the picture begins
    return index * this.scan.step[this.across] + (this.up ? this.rows - 1 - row : row) * this.scan.step[this.down];
  }

  draw(lookup) {
    const position = this.scan.model.get('position'), index = position[this.across];
    const target = new Uint32Array(this.pixels.data.buffer), step = this.scan.step[this.right];
    for (let row = 0, k = 0; row < this.rows; row++) {
      for (let column = 0, o = this.start(row, index); column < this.columns; column++, o += step) target[k++] = lookup[this.scan.image[o]];
    }
    this.context.putImageData(this.pixels, 0, 0);
    this.drawOver(index, position);
    this.slider.value = index;
    const last = this.scan.shape[this.across] - 1; // numbered as in the scan's own array, from 0
    this.text.textContent = `${this.name} slice ${this.scan.model.get('flipped')[this.across] ? last - index : index} (0 to ${last})`;
  }

  drawOver(index, position) {
    const g = this.over.getContext('2d'), { width, height } = this.over, { model, maps } = this.scan;
    const [w, h] = [width / this.columns, height / this.rows], ratio = window.devicePixelRatio || 1;
    g.clearRect(0, 0, width, height);
    if (maps.labels && model.get('fill')) this.veil(g, maps.labels, index, w, h, VEIL.labels);
    if (maps.labels) this.outline(g, maps.labels, index, w, h, 1.6 * ratio);
    if (maps.seeds) this.veil(g, maps.seeds, index, w, h, VEIL.seeds);
    g.strokeStyle = 'rgba(255,220,0,.45)';
    g.lineWidth = ratio;
    const [x, y] = [(position[this.right] + 0.5) * w, (position[this.down] + 0.5) * h];
    g.beginPath();
    g.moveTo(x, 0); g.lineTo(x, height);
    g.moveTo(0, this.up ? height - y : y); g.lineTo(width, this.up ? height - y : y);
    g.stroke();
    g.font = `${12 * ratio}px sans-serif`;
    g.textAlign = 'center';
    g.fillStyle = '#ffd';
    g.strokeStyle = '#000';
    g.lineWidth = 3 * ratio;
    const [m, places] = [9 * ratio, [[0, 0.5], [1, 0.5], [0.5, 0], [0.5, 1]]];
    this.edges.forEach((letter, k) => {
      const [u, v] = [m + places[k][0] * (width - 2 * m), m + places[k][1] * (height - 2 * m) + 4 * ratio];
      g.strokeText(letter, u, v);
      g.fillText(letter, u, v);
    });
  }

  color(value) {
    const found = this.scan.model.get('names')[value];
    return found && !this.scan.hidden.has(String(value)) ? `rgb(${found.color})` : null;
  }

  /** Fill runs of voxels of one label. */
  veil(g, map, index, w, h, strength) {
    const step = this.scan.step[this.right];
    g.globalAlpha = strength;
    for (let row = 0; row < this.rows; row++) {
      for (let column = 0, o = this.start(row, index); column < this.columns;) {
        const value = map[o], first = column;
        while (column < this.columns && map[o] === value) { column++; o += step; }
        const color = value && this.color(value);
        if (color) { g.fillStyle = color; g.fillRect(first * w, row * h, (column - first) * w, h); }
      }
    }
    g.globalAlpha = 1;
  }

  /** Draw lines along the voxels' edges, just inside each label. */
  outline(g, map, index, w, h, width) {
    const step = this.scan.step[this.right], paths = {}, inset = width / 2;
    const at = (row, column) => (row < 0 || column < 0 || row >= this.rows || column >= this.columns ? 0 : map[this.start(row, index) + column * step]);
    for (let row = 0; row < this.rows; row++) {
      for (let column = 0; column < this.columns; column++) {
        const value = at(row, column);
        if (!value) continue;
        const [left, right, top, bottom] = [column * w, (column + 1) * w, row * h, (row + 1) * h];
        const line = (x0, y0, x1, y1) => { const p = (paths[value] ||= new Path2D()); p.moveTo(x0, y0); p.lineTo(x1, y1); };
        if (at(row - 1, column) !== value) line(left, top + inset, right, top + inset);
        if (at(row + 1, column) !== value) line(left, bottom - inset, right, bottom - inset);
        if (at(row, column - 1) !== value) line(left + inset, top, left + inset, bottom);
        if (at(row, column + 1) !== value) line(right - inset, top, right - inset, bottom);
      }
    }
    g.lineWidth = width;
    g.lineCap = 'square';
    for (const value in paths) {
      const color = this.color(value);
      if (color) { g.strokeStyle = color; g.stroke(paths[value]); }
    }
  }
}

function makeView(scan, el) {
  const { model } = scan, window_ = [0, 255];
  const lookup = new Uint32Array(256);
  const move = (axes) => {
    const position = model.get('position').map((n, k) => Math.max(0, Math.min(scan.shape[k] - 1, axes[k] ?? n)));
    if (String(position) !== String(model.get('position'))) scan.set('position', position);
  };
  const panes = model.get('planes').map((name) => new Pane(scan, name, move));
  const bar = element('div', 'display:flex;flex-wrap:wrap;gap:4px 14px;align-items:center;margin:4px 0');
  const where = element('span', 'opacity:.75', { className: 'mb-where' });
  const box = element('div', 'font:13px sans-serif;outline-offset:2px;margin-top:6px', { className: 'mb-slices', tabIndex: 0 },
    element('div', 'display:flex;flex-wrap:wrap;gap:8px;align-items:flex-start', {}, ...panes.map((p) => p.box)), bar);
  box.setAttribute('role', 'group');
  box.setAttribute('aria-label', 'slices; arrow keys scroll');
  box.dataset.lmSuppressShortcuts = 'true'; // JupyterLab's own keys stay quiet
  el.append(box);

  let due = 0;
  const redraw = () => { due ||= requestAnimationFrame(() => { due = 0; panes.forEach((p) => p.draw(lookup)); tellWhere(); }); };
  function setWindow() {
    const [low, high] = window_;
    for (let k = 0; k < 256; k++) {
      const gray = Math.max(0, Math.min(255, Math.round(((k - low) / Math.max(1, high - low)) * 255)));
      lookup[k] = 0xff000000 | (gray * 0x10101);
    }
    redraw();
  }
  function tellWhere() {
    const p = model.get('position'), o = p.reduce((sum, n, k) => sum + n * scan.step[k], 0);
    const mm = model.get('affine').slice(0, 3).map((row) => row[3] + p.reduce((sum, n, k) => sum + n * row[k], 0));
    const [low, high] = model.get('values'), value = low + (scan.image[o] / 255) * (high - low);
    const label = scan.maps.labels?.[o] || scan.maps.seeds?.[o];
    const sides = mm.map((v, k) => `${(v < 0 ? 'RAI' : 'LPS')[k]} ${Math.abs(v).toFixed(1)}`).join('  ');
    where.textContent = `${sides} mm   value about ${+value.toPrecision(3)}` + (label ? `   ${model.get('names')[label]?.name || label}` : '');
  }
  const range = (text, props, oninput) => {
    const input = element('input', 'width:90px', { type: 'range', ...props });
    input.oninput = () => oninput(+input.value);
    return element('label', 'display:inline-flex;align-items:center;gap:4px', {}, text, input);
  };
  const tick = (text, checked, onchange, color) => {
    const input = element('input', '', { type: 'checkbox', checked });
    input.onchange = () => onchange(input.checked);
    const patch = color ? [element('span', `width:11px;height:11px;background:${color}`)] : [];
    return element('label', 'display:inline-flex;align-items:center;gap:4px', {}, input, ...patch, text);
  };
  function controls() {
    const names = Object.entries(model.get('names')).map(([value, { name, color }]) => tick(name, !scan.hidden.has(value), (on) => {
      if (on) scan.hidden.delete(value); else scan.hidden.add(value);
      scan.tell('hidden');
    }, `rgb(${color})`));
    bar.replaceChildren(...names,
      ...(scan.maps.labels ? [tick('fill', model.get('fill'), (on) => scan.set('fill', on))] : []),
      range('dark', { min: 0, max: 254, value: window_[0] }, (v) => { window_[0] = v; setWindow(); }),
      range('bright', { min: 1, max: 255, value: window_[1] }, (v) => { window_[1] = v; setWindow(); }),
      range('zoom', { min: 0.5, max: 8, step: 0.1, value: model.get('scale') }, (v) => scan.set('scale', v)), where);
  }
  box.addEventListener('keydown', (e) => {
    const way = { ArrowUp: 1, ArrowRight: 1, PageUp: 5, ArrowDown: -1, ArrowLeft: -1, PageDown: -5 }[e.key];
    if (!way || e.target.type === 'range') return;
    e.preventDefault();
    e.stopPropagation();
    const axis = panes[0].across;
    move({ [axis]: model.get('position')[axis] + way });
  });
  const changed = (what) => {
    if (what === 'scale') panes.forEach((p) => p.layout(model.get('scale')));
    if (what === 'names' || what === 'maps') controls();
    redraw();
  };
  scan.views.add(changed);
  panes.forEach((p) => p.layout(model.get('scale')));
  controls();
  setWindow();
  box.dataset.ready = '1';
  return () => { scan.views.delete(changed); cancelAnimationFrame(due); };
}

// One scan for each model, so that two displays of one widget stay alike.
export default () => {
  let scan, ready;
  return {
    async initialize({ model }) { scan = new Scan(model); ready = scan.load(); await ready; },
    async render({ el }) { await ready; return makeView(scan, el); },
  };
};
