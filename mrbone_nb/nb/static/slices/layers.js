// Label maps over the gray values: filled, outlined, or two of them compared.

// Colors that stay apart for eyes that cannot tell red from green.
const COMPARED = { 1: { name: 'only A', color: [230, 159, 0] }, 2: { name: 'only B', color: [86, 180, 233] }, 3: { name: 'A and B alike', color: [0, 158, 115] } };

const MANY_LINES = 3000;

/** The slice of each map, with how its values are drawn. */
function layersOf(scan, pane, names) {
  if (scan.compare && scan.maps.labels && scan.maps.other) {
    const [a, b] = [pane.take(scan.maps.labels), pane.take(scan.maps.other)];
    const values = a.map((n, k) => (n === b[k] ? (n ? 3 : 0) : n ? 1 : 2));
    const look = (value) => ({ color: COMPARED[value].color, fill: value === 3 ? 0.15 : 0.6, outline: value === 3 });
    return [{ values, look }];
  }
  return names.map((name) => {
    const veil = name === 'seeds', kept = {};
    const look = (value) => (kept[value] ||= lookOf(scan, value, veil));
    return { values: pane.take(scan.maps[name]), look };
  });
}

function lookOf(scan, value, veil) {
  const { hidden, opacity } = scan.look(value), style = scan.style(value);
  const fill = veil ? Math.min(1, opacity * 2) : style === 'outline' ? 0 : opacity;
  return { color: scan.color(value), fill: hidden ? 0 : fill, outline: !hidden && !veil && style !== 'fill' };
}

/** Mix the colors of filled labels into pixels. */
function blend(target, { values, look }, rows, columns, from, to) {
  let last = -1, share = 0, r = 0, g = 0, b = 0;
  for (let row = 0; row < rows; row++) {
    for (let k = row * columns + from; k < row * columns + to; k++) {
      const value = values[k];
      if (!value) continue;
      if (value !== last) { const l = look(value); share = l.fill; [r, g, b] = l.color; last = value; }
      if (!share) continue;
      const old = target[k], rest = 1 - share;
      target[k] = 0xff000000 | ((((old >> 16) & 255) * rest + b * share) << 16) | ((((old >> 8) & 255) * rest + g * share) << 8) | ((old & 255) * rest + r * share);
    }
  }
}

/** Lines along the voxels' edges, just inside each label: runs of edges are one line. Filled, since to stroke many is slow. */
function drawOutlines(g, pane, { values, look }, from, to) {
  const { rows, columns } = pane, ratio = window.devicePixelRatio || 1, width = 1.6 * ratio, cap = width / 2, lines = {};
  const [w, h] = pane.size, [x0, y0] = pane.toPixel(0, pane.up ? rows : 0);
  const at = (row, column) => (row < 0 || column < 0 || row >= rows || column >= columns ? 0 : values[row * columns + column]);
  const wanted = new Uint8Array(256);
  new Set(values).forEach((value) => { wanted[value] = value && look(value).outline ? 1 : 0; });
  const along = (value, x, y, long) => (lines[value] ||= []).push(x - cap, y, long + width, width);
  const down = (value, x, y) => (lines[value] ||= []).push(x, y - cap, width, h + width);
  for (let row = 0; row < rows; row++) {
    for (let column = from; column < to; column++) {
      const value = values[row * columns + column];
      if (!wanted[value]) continue;
      const left = x0 + column * w, right = left + w, top = y0 + row * h, bottom = top + h;
      for (const [side, y] of [[row - 1, top], [row + 1, bottom - width]]) {
        const edge = (k) => at(row, k) === value && at(side, k) !== value;
        if (!edge(column) || (column > from && edge(column - 1))) continue; // in the middle of a run
        let end = column + 1; // the whole run of edges at once
        while (end < to && edge(end)) end++;
        along(value, left, y, (end - column) * w);
      }
      if (at(row, column - 1) !== value) down(value, left, top);
      if (at(row, column + 1) !== value) down(value, right - width, top);
    }
  }
  const many = Object.values(lines).reduce((sum, all) => sum + all.length / 4, 0) > MANY_LINES;
  if (many) { fillPixels(g, lines, look); return; }
  for (const value in lines) {
    const all = lines[value];
    g.fillStyle = `rgb(${look(value).color})`;
    for (let k = 0; k < all.length; k += 4) g.fillRect(all[k], all[k + 1], all[k + 2], all[k + 3]);
  }
}

/** The same for maps that are as ragged as noise, pixel by pixel: takes no longer the more there are. */
function fillPixels(g, lines, look) {
  const { width, height } = g.canvas, picture = new ImageData(width, height), target = new Uint32Array(picture.data.buffer);
  for (const value in lines) {
    const all = lines[value], [red, green, blue] = look(value).color, color = 0xff000000 | (blue << 16) | (green << 8) | red;
    for (let k = 0; k < all.length; k += 4) {
      const x0 = Math.max(0, Math.round(all[k])), x1 = Math.min(width, Math.round(all[k] + all[k + 2]));
      const y0 = Math.max(0, Math.round(all[k + 1])), y1 = Math.min(height, Math.round(all[k + 1] + all[k + 3]));
      for (let y = y0; y < y1 && x1 > x0; y++) target.fill(color, y * width + x0, y * width + x1);
    }
  }
  const layer = element('canvas', '', { width, height });
  layer.getContext('2d', { willReadFrequently: true }).putImageData(picture, 0, 0);
  g.drawImage(layer, 0, 0);
}
