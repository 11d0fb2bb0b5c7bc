/** One plane: a canvas in true proportions, a slider, and what lies between the eye and the voxels. */
class Pane {
  constructor(scan, name) {
    Object.assign(this, { scan, name, ...PLANES[name] });
    [this.columns, this.rows] = [scan.shape[this.right], scan.shape[this.down]];
    this.center = [this.columns / 2, this.rows / 2]; // of the view, in voxels
    this.canvas = element('canvas', 'display:block;width:100%;height:100%;touch-action:none;cursor:crosshair', { className: 'mb-' + name, tabIndex: 0 });
    this.canvas.setAttribute('role', 'img');
    this.slider = element('input', 'width:100%;margin:2px 0', { type: 'range', min: 0, max: scan.shape[this.across] - 1, className: 'mb-slice-' + name });
    this.slider.setAttribute('aria-label', name + ' slice');
    this.text = element('div', 'min-height:1.3em');
    this.frame = element('div', 'position:relative;background:#000', {}, this.canvas);
    this.box = element('div', 'flex:0 1 auto', {}, this.frame, this.slider, this.text);
    this.small = element('canvas', '', { width: this.columns, height: this.rows });
    this.context = this.small.getContext('2d', { willReadFrequently: true }); // kept in memory: quicker where there is no graphics card
    this.pixels = this.context.createImageData(this.columns, this.rows);
    this.slider.oninput = () => scan.moveTo({ [this.across]: +this.slider.value });
  }

  get index() { return this.scan.model.get('position')[this.across]; }

  layout() {
    const { spacing } = this.scan, scale = this.scan.model.get('scale'), ratio = window.devicePixelRatio || 1;
    const [width, height] = [this.columns * spacing[this.right] * scale, this.rows * spacing[this.down] * scale];
    this.box.style.width = width + 'px';
    this.frame.style.aspectRatio = `${width} / ${height}`;
    [this.canvas.width, this.canvas.height] = [Math.max(1, Math.round(width * ratio)), Math.max(1, Math.round(height * ratio))];
  }

  /** Pixels of the canvas for a voxel, to the right and down. */
  get size() { return [(this.canvas.width / this.columns) * this.scan.zoom, (this.canvas.height / this.rows) * this.scan.zoom]; }

  /** The canvas's pixel of a place in voxels. */
  toPixel(u, v) {
    const [w, h] = this.size, down = (v - this.center[1]) * h;
    return [this.canvas.width / 2 + (u - this.center[0]) * w, this.canvas.height / 2 + (this.up ? -down : down)];
  }

  /** The place in voxels under the pointer; whole numbers are edges. */
  at(event) {
    const area = this.canvas.getBoundingClientRect(), [w, h] = this.size;
    const x = ((event.clientX - area.left) / area.width - 0.5) * this.canvas.width;
    const y = ((event.clientY - area.top) / area.height - 0.5) * this.canvas.height;
    return [this.center[0] + x / w, this.center[1] + (this.up ? -y : y) / h];
  }

  voxel([u, v]) { return this.index * this.scan.step[this.across] + Math.floor(v) * this.scan.step[this.down] + Math.floor(u) * this.scan.step[this.right]; }

  inside([u, v]) { return u >= 0 && v >= 0 && u < this.columns && v < this.rows; }

  /** Zoom about a place, which stays where it is. */
  zoomAt(place, zoom) {
    const share = this.scan.zoom / zoom;
    this.center = this.center.map((c, k) => place[k] + (c - place[k]) * share);
    this.holdCenter();
  }

  holdCenter() { this.center = [clamp(this.center[0], 0, this.columns), clamp(this.center[1], 0, this.rows)]; }

  /** One slice of a map, as rows of the picture. */
  take(map) {
    const out = new Uint8Array(this.columns * this.rows), step = this.scan.step[this.right];
    for (let row = 0, k = 0; row < this.rows; row++) {
      let o = this.index * this.scan.step[this.across] + (this.up ? this.rows - 1 - row : row) * this.scan.step[this.down];
      for (let column = 0; column < this.columns; column++, o += step) out[k++] = map[o];
    }
    return out;
  }

  /** What is drawn left and right of the curtain; without one, all of it is left. */
  halves() {
    const { maps, image, curtain } = this.scan, both = maps.after || (maps.other && !this.scan.compare);
    const left = { gray: image, maps: ['labels', 'seeds'].filter((name) => maps[name]) };
    if (!both) return [left, null, this.columns];
    const right = { gray: maps.after || image, maps: maps.other ? ['other'] : left.maps };
    const edge = (curtain - 0.5) * this.canvas.width / this.size[0] + this.center[0];
    return [left, right, clamp(Math.round(edge), 0, this.columns)];
  }

  draw(lookup) {
    const g = this.canvas.getContext('2d', { willReadFrequently: true }), { width, height } = this.canvas, [w, h] = this.size;
    const [left, right, edge] = this.halves();
    this.paint(left, 0, edge, lookup);
    if (right) this.paint(right, edge, this.columns, lookup);
    this.context.putImageData(this.pixels, 0, 0);
    g.clearRect(0, 0, width, height);
    g.imageSmoothingEnabled = Math.min(w, h) < 3; // large voxels are shown as they are
    const [x, y] = this.toPixel(0, this.up ? this.rows : 0);
    g.drawImage(this.small, x, y, this.columns * w, this.rows * h);
    for (const [half, from, to] of [[left, 0, edge], [right, edge, this.columns]]) {
      for (const layer of half?.layers || []) drawOutlines(g, this, layer, from, to);
    }
    this.drawMarks(g, right ? edge : null);
    this.slider.value = this.index;
    const last = this.scan.shape[this.across] - 1; // numbered as in the scan's own array, from 0
    const number = this.scan.model.get('flipped')[this.across] ? last - this.index : this.index;
    this.text.textContent = `${this.name} slice ${number} (0 to ${last})`;
    this.canvas.setAttribute('aria-label', this.text.textContent);
  }

  /** Gray values with the labels that are filled, voxel by voxel. */
  paint(half, from, to, lookup) {
    const gray = this.take(half.gray), target = new Uint32Array(this.pixels.data.buffer), { columns } = this;
    half.layers = layersOf(this.scan, this, half.maps);
    for (let row = 0; row < this.rows; row++) for (let k = row * columns + from; k < row * columns + to; k++) target[k] = lookup[gray[k]];
    for (const layer of half.layers) blend(target, layer, this.rows, columns, from, to);
  }

  drawMarks(g, edge) {
    const { width, height } = this.canvas, position = this.scan.model.get('position'), ratio = window.devicePixelRatio || 1;
    const [x, y] = this.toPixel(position[this.right] + 0.5, position[this.down] + 0.5);
    g.lineWidth = ratio;
    g.strokeStyle = 'rgba(255,220,0,.45)';
    g.beginPath();
    g.moveTo(x, 0); g.lineTo(x, height); g.moveTo(0, y); g.lineTo(width, y);
    g.stroke();
    if (edge !== null) {
      const at = this.scan.curtain * width;
      g.strokeStyle = '#fff';
      g.lineWidth = 2 * ratio;
      g.beginPath(); g.moveTo(at, 0); g.lineTo(at, height); g.stroke();
    }
    this.drawLetters(g, ratio);
    this.drawRule(g, ratio);
  }

  drawLetters(g, ratio) {
    const { width, height } = this.canvas, m = 9 * ratio, places = [[0, 0.5], [1, 0.5], [0.5, 0], [0.5, 1]];
    g.font = `${12 * ratio}px sans-serif`;
    g.textAlign = 'center';
    this.edges.forEach((letter, k) => write(g, letter, m + places[k][0] * (width - 2 * m), m + places[k][1] * (height - 2 * m) + 4 * ratio, ratio));
  }

  /** A rule of 1 to 100 mm, bottom left. */
  drawRule(g, ratio) {
    const mm = this.size[0] / this.scan.spacing[this.right], long = [100, 50, 20, 10, 5, 2, 1].find((n) => n * mm < 0.3 * this.canvas.width) || 1;
    const y = this.canvas.height - 6 * ratio, x = 8 * ratio;
    g.fillStyle = '#ffd';
    g.fillRect(x, y, long * mm, 2 * ratio);
    g.textAlign = 'left';
    write(g, `${long} mm`, x, y - 4 * ratio, ratio);
  }
}

function write(g, text, x, y, ratio) {
  g.fillStyle = '#ffd';
  g.strokeStyle = '#000';
  g.lineWidth = 3 * ratio;
  g.strokeText(text, x, y);
  g.fillText(text, x, y);
}
