// The rows of controls below the planes.

const TOOLS = [ // name, key, what it is
  ['move', 'c', 'crosshair: click or drag to move all planes there'],
  ['pan', 'h', 'drag the zoomed picture (also: middle button)'],
  ['window', 'w', 'drag for contrast and brightness (also: right button)'],
  ['brush', 'b', 'brush; its radius is in mm'],
  ['erase', 'e', 'eraser'],
  ['polygon', 'p', 'polygon: click corners, Enter or double click closes it'],
  ['lasso', 'l', 'lasso: draw around'],
  ['flood', 'f', 'flood: what is joined to a voxel and about as bright'],
];
const WINDOWS = { 'window …': null, all: [0, 1], 'without extremes': [0.01, 0.99], 'dark tissue': [0, 0.6], 'bright tissue': [0.4, 1] };
const KEYS = [
  ['↑ ↓, wheel', 'next slice; Page Up and Page Down: five'], ['Shift + arrows', 'move the crosshair in the plane'],
  ['Ctrl + wheel, + −', 'zoom; R: back to the whole'], ['Tab', 'next plane or control'], ['Space', 'draw at the crosshair, or set a corner'],
  ['Enter, Esc', 'close or drop a polygon'], ['1 to 9, 0', 'label to draw; 0: everything else'], ['[ ]', 'smaller and larger brush'],
  ['D', 'draw in 3D or on the slice'], ['I', 'fill between painted slices'], ['Ctrl + Z, Ctrl + Y', 'undo, redo'],
  ['O', 'outlines or filled'], ['V', 'hide and show all labels'], ['X', 'compare A and B'], ['?', 'this list'],
];

function button(text, title, onclick, props = {}) {
  const b = element('button', '', { type: 'button', textContent: text, title, onclick, ...props });
  b.setAttribute('aria-label', title);
  return b;
}

function range(text, props, oninput) {
  const input = element('input', 'width:90px', { type: 'range', ...props });
  input.oninput = () => oninput(+input.value);
  return element('label', '', {}, text, input);
}

function tick(text, checked, onchange) {
  const input = element('input', '', { type: 'checkbox', checked });
  input.onchange = () => onchange(input.checked);
  return element('label', '', {}, input, text);
}

function choice(title, options, value, onchange) {
  const select = element('select', '', { title, onchange: () => onchange(select.value) },
    ...options.map(([key, text]) => element('option', '', { value: key, textContent: text, selected: String(key) === String(value) })));
  select.setAttribute('aria-label', title);
  return select;
}

/** The tools; those that draw only where something may be drawn on. */
function toolBar(scan, tools, panes) {
  const painted = scan.model.get('painted'), shown = TOOLS.filter(([name]) => painted || !DRAWING.includes(name));
  const items = shown.map(([name, key, title]) => {
    const b = button(name, `${title} (${key.toUpperCase()})`, () => tools.choose({ tool: name }), { className: 'mb-tool-' + name });
    b.setAttribute('aria-pressed', tools.tool === name);
    return b;
  });
  if (painted) items.push(...drawingControls(scan, tools, panes));
  return items;
}

function drawingControls(scan, tools, panes) {
  const { history } = scan, names = Object.entries(scan.model.get('names')).map(([value, { name }]) => [value, `${value === String(OTHER) ? '0' : value} ${name}`]);
  const items = [choice('label to draw', names, tools.label, (value) => tools.choose({ label: +value }))];
  const size = element('span', 'min-width:4.5em', { textContent: `${tools.radius} mm` });
  items.push(range('radius', { min: 0.5, max: 20, step: 0.5, value: tools.radius, className: 'mb-radius' }, (radius) => { tools.radius = radius; size.textContent = `${radius} mm`; scan.tell('cursor'); }), size);
  if (tools.tool === 'flood') items.push(range('tolerance', { min: 1, max: 60, value: tools.tolerance }, (tolerance) => { tools.tolerance = tolerance; }));
  items.push(
    tick('3D', tools.ball, (ball) => tools.choose({ ball })),
    tick('protect others', tools.protect, (protect) => tools.choose({ protect })),
    button('undo', 'undo (Ctrl+Z)', () => history.undo(), { className: 'mb-undo' }),
    button('redo', 'redo (Ctrl+Y)', () => history.redo(), { className: 'mb-redo', disabled: !history.undone.length }),
    button('fill between', 'fill between painted slices of this plane (I)', () => tools.fillBetween(panes.current), { className: 'mb-between' }),
  );
  return items;
}

/** Names of the labels: hide, draw as outline or filled, choose for the slider of opacity. */
function labelBar(scan, state) {
  const items = [], names = scan.model.get('names');
  for (const [value, { name, color }] of Object.entries(names)) {
    const look = scan.look(value), patch = button('', `${name}: outline, filled, or both`, () => {
      look.style = { outline: 'fill', fill: 'both', both: 'outline' }[scan.style(value)];
      scan.tell('names');
    }, { className: 'mb-patch' });
    const filled = scan.style(value) !== 'outline';
    patch.style.cssText = `border-color:rgb(${color});background:${filled ? `rgba(${color},${look.opacity + 0.2})` : 'transparent'}`;
    const shown = tick(name, !look.hidden, (on) => { look.hidden = !on; state.label = value; scan.tell('names'); });
    items.push(element('span', 'display:inline-flex;gap:4px;align-items:center', {}, patch, shown));
  }
  if (!items.length) return items;
  const few = state.label in names ? state.label : Object.keys(names)[0];
  items.push(element('label', '', {}, 'opacity of', choice('label for the opacity', Object.entries(names).map(([value, { name }]) => [value, name]), few, (value) => { state.label = value; scan.tell('names'); })));
  items.push(range('', { min: 0.05, max: 1, step: 0.05, value: scan.look(few).opacity, className: 'mb-opacity' }, (opacity) => {
    scan.look(few).opacity = opacity;
    if (scan.style(few) === 'outline') scan.look(few).style = 'both';
    scan.tell('view');
  }));
  items.push(tick('fill', scan.model.get('fill'), (on) => { for (const value in names) delete scan.look(value).style; scan.set('fill', on); }));
  return items;
}

/** Contrast, size, and the comparison of two maps. */
function viewBar(scan, setShare) {
  const [low, high] = scan.window, items = [];
  if (scan.maps.labels && scan.maps.other) {
    items.push(tick('compare A and B', scan.compare, (on) => { scan.compare = on; scan.tell('names'); }));
    if (scan.compare) items.push(...Object.values(COMPARED).map(({ name, color }) => element('span', `border-left:12px solid rgb(${color});padding-left:4px`, { textContent: name })));
  }
  if (scan.maps.after || (scan.maps.other && !scan.compare)) items.push(range('curtain', { min: 0, max: 1, step: 0.01, value: scan.curtain, className: 'mb-curtain' }, (v) => { scan.curtain = v; scan.tell('view'); }));
  items.push(
    choice('window', Object.keys(WINDOWS).map((name) => [name, name]), 'window …', (name) => setShare(WINDOWS[name])),
    range('dark', { min: 0, max: 254, value: low, className: 'mb-dark' }, (v) => { scan.window[0] = v; scan.tell('window'); }),
    range('bright', { min: 1, max: 255, value: high, className: 'mb-bright' }, (v) => { scan.window[1] = v; scan.tell('window'); }),
    range('zoom', { min: 0.5, max: 8, step: 0.1, value: scan.model.get('scale'), className: 'mb-zoom' }, (v) => scan.set('scale', v)),
    button('?', 'list of keys (?)', () => scan.tell('keys')),
  );
  return items;
}

function keyList() {
  const rows = [...TOOLS.map(([name, key]) => [key.toUpperCase(), name]), ...KEYS];
  const body = element('tbody', '', {}, ...rows.map(([key, text]) => element('tr', '', {}, element('td', '', { textContent: key }), element('td', '', { textContent: text }))));
  return element('div', '', { className: 'mb-keys', hidden: true }, element('table', '', {}, body));
}
