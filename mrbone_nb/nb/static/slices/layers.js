// Label maps over the gray values: filled, outlined, or two of them compared.

// Colors that stay apart for eyes that cannot tell red from green.
const COMPARED = { 1: { name: 'only A', color: [230, 159, 0] }, 2: { name: 'only B', color: [86, 180, 233] }, 3: { name: 'A and B alike', color: [0, 158, 115] } };

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

/** Lines along the voxels' edges, just inside each label: runs of edges are one line. */
function drawOutlines(g, pane, { values, look }, from, to) {
  const { rows, columns } = pane, ratio = window.devicePixelRatio || 1, width = 1.6 * ratio, inset = width / 2, paths = {};
  const [w, h] = pane.size, [x0, y0] = pane.toPixel(0, pane.up ? rows : 0);
  const at = (row, column) => (row < 0 || column < 0 || row >= rows || column >= columns ? 0 : values[row * columns + column]);
  const wanted = new Uint8Array(256);
  new Set(values).forEach((value) => { wanted[value] = value && look(value).outline ? 1 : 0; });
  const path = (value) => (paths[value] ||= new Path2D());
  for (let row = 0; row < rows; row++) {
    for (let column = from; column < to; column++) {
      const value = values[row * columns + column];
      if (!wanted[value]) continue;
      const left = x0 + column * w, right = left + w, top = y0 + row * h, bottom = top + h;
      if (at(row - 1, column) !== value && !(column > from && at(row, column - 1) === value && at(row - 1, column - 1) !== value)) {
        let end = column + 1; // the whole run of edges at once
        while (end < to && at(row, end) === value && at(row - 1, end) !== value) end++;
        path(value).moveTo(left, top + inset); path(value).lineTo(x0 + end * w, top + inset);
      }
      if (at(row + 1, column) !== value && !(column > from && at(row, column - 1) === value && at(row + 1, column - 1) !== value)) {
        let end = column + 1;
        while (end < to && at(row, end) === value && at(row + 1, end) !== value) end++;
        path(value).moveTo(left, bottom - inset); path(value).lineTo(x0 + end * w, bottom - inset);
      }
      if (at(row, column - 1) !== value) { path(value).moveTo(left + inset, top); path(value).lineTo(left + inset, bottom); }
      if (at(row, column + 1) !== value) { path(value).moveTo(right - inset, top); path(value).lineTo(right - inset, bottom); }
    }
  }
  g.lineWidth = width;
  g.lineCap = 'square';
  for (const value in paths) { g.strokeStyle = `rgb(${look(value).color})`; g.stroke(paths[value]); }
}
