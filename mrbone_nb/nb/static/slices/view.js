/** One view of a scan: the planes, the rows of controls, the keys. */
class View {
  constructor(scan, el) {
    this.scan = scan;
    this.lookup = new Uint32Array(256);
    this.state = { label: '' };
    this.panes = scan.model.get('planes').map((name) => new Pane(scan, name));
    this.panes.current = this.panes[0];
    this.tools = new Tools(scan, () => this.changed('tools'));
    const painted = Object.keys(scan.model.get('names'));
    this.tools.label = +(painted[0] ?? 1);
    this.build(el);
    this.listener = (what) => this.changed(what);
    scan.views.add(this.listener);
    this.panes.forEach((pane) => { pane.layout(); this.tools.attach(pane); pane.canvas.onfocus = () => { this.panes.current = pane; }; });
    this.bars();
    this.setWindow();
    this.box.dataset.ready = '1';
  }

  build(el) {
    this.bar = element('div', '', { className: 'mb-bar mb-tools' });
    this.labels = element('div', '', { className: 'mb-bar' });
    this.looks = element('div', '', { className: 'mb-bar' });
    this.where = element('span', 'opacity:.85', { className: 'mb-where' });
    this.said = element('span', '', { className: 'mb-say' });
    this.said.setAttribute('role', 'status');
    this.keys = keyList();
    this.box = element('div', '', { className: 'mb-slices', tabIndex: 0 }, element('style', '', { textContent: STYLE }), this.bar,
      element('div', 'display:flex;flex-wrap:wrap;gap:8px;align-items:flex-start', {}, ...this.panes.map((p) => p.box)),
      this.labels, this.looks, element('div', '', { className: 'mb-bar' }, this.where, this.said), this.keys);
    this.box.setAttribute('role', 'group');
    this.box.setAttribute('aria-label', 'slices; arrow keys scroll, ? lists the keys');
    this.box.dataset.lmSuppressShortcuts = 'true'; // JupyterLab's own keys stay quiet
    this.box.dataset.jpSuppressContextMenu = 'true';
    this.box.addEventListener('keydown', (e) => this.key(e));
    el.append(this.box);
    this.forgetTheme = followTheme(this.box);
  }

  changed(what) {
    if (what === 'keys') { this.keys.hidden = !this.keys.hidden; return; }
    if (what === 'say') { this.said.textContent = this.scan.said; return; }
    if (what === 'value') { this.tellWhere(); return; }
    if (what === 'scale') this.panes.forEach((pane) => pane.layout());
    if (what === 'home') this.panes.forEach((pane) => { pane.center = [pane.columns / 2, pane.rows / 2]; });
    if (['names', 'maps', 'tools', 'painted', 'fill'].includes(what)) this.barsSoon();
    if (what === 'window') this.setWindow(); else this.redraw();
  }

  redraw() {
    this.due ||= requestAnimationFrame(() => {
      this.due = 0;
      for (const pane of this.panes) { pane.draw(this.lookup); this.tools.draw(pane); }
      this.tellWhere();
    });
  }

  /** The rows anew, but not while somebody holds a slider in them. */
  barsSoon() {
    this.dueBars ||= setTimeout(() => {
      this.dueBars = 0;
      if (this.box.contains(document.activeElement) && document.activeElement.matches('input[type=range]:active')) this.barsSoon(); else this.bars();
    }, 30);
  }

  bars() {
    const focused = [...this.box.querySelectorAll('button, input, select')].indexOf(document.activeElement);
    this.bar.replaceChildren(...toolBar(this.scan, this.tools, this.panes));
    this.labels.replaceChildren(...labelBar(this.scan, this.state));
    this.looks.replaceChildren(...viewBar(this.scan, (share) => this.setShare(share)));
    if (focused >= 0) this.box.querySelectorAll('button, input, select')[focused]?.focus({ preventScroll: true });
  }

  setWindow() {
    const [low, high] = this.scan.window;
    for (let k = 0; k < 256; k++) {
      const gray = clamp(Math.round(((k - low) / Math.max(1, high - low)) * 255), 0, 255);
      this.lookup[k] = 0xff000000 | (gray * 0x10101);
    }
    const [dark, bright] = ['.mb-dark', '.mb-bright'].map((name) => this.looks.querySelector(name));
    if (dark && dark !== document.activeElement) dark.value = low;
    if (bright && bright !== document.activeElement) bright.value = high;
    this.redraw();
  }

  /** The window between two shares of the gray values that are not black. */
  setShare(shares) {
    if (!shares) return;
    const count = new Float64Array(256), { image } = this.scan;
    for (let o = 0; o < image.length; o += 7) if (image[o]) count[image[o]]++;
    const all = count.reduce((a, b) => a + b, 0);
    let sum = 0;
    const ends = [0, 255], found = [false, false];
    count.forEach((n, gray) => {
      sum += n;
      shares.forEach((share, k) => { if (!found[k] && share > 0 && sum >= share * all) { ends[k] = gray; found[k] = true; } });
    });
    this.scan.window = [ends[0], Math.max(ends[0] + 1, ends[1])];
    this.scan.tell('window');
  }

  tellWhere() {
    const { scan } = this, { model } = scan, p = model.get('position'), o = p.reduce((sum, n, k) => sum + n * scan.step[k], 0);
    const mm = model.get('affine').slice(0, 3).map((row) => row[3] + p.reduce((sum, n, k) => sum + n * row[k], 0));
    const [low, high] = model.get('values'), about = +(low + (scan.image[o] / 255) * (high - low)).toPrecision(3);
    const exact = scan.exact && String(scan.exact.position) === String(p) ? `value ${+scan.exact.value.toPrecision(6)}` : `value about ${about}`;
    const label = scan.labelAt(o), sides = mm.map((v, k) => `${(v < 0 ? 'RAI' : 'LPS')[k]} ${Math.abs(v).toFixed(1)}`).join('  ');
    const still = scan.loaded < 1 ? `   loading ${Math.round(100 * scan.loaded)} %` : '';
    this.where.textContent = `${sides} mm   ${exact}` + (label ? `   ${model.get('names')[label]?.name || label}` : '') + still;
    if (String(p) !== this.askedAt) {
      this.askedAt = String(p);
      clearTimeout(this.dueValue);
      this.dueValue = setTimeout(() => scan.send({ kind: 'value', position: model.get('position') }), 150);
    }
  }

  close() {
    this.scan.views.delete(this.listener);
    cancelAnimationFrame(this.due);
    clearTimeout(this.dueBars);
    clearTimeout(this.dueValue);
    this.forgetTheme();
  }

  // --- keys ------------------------------------------------------------------------------------------------------

  key(e) {
    e.stopPropagation();
    const typing = e.target.matches('input[type=range], select');
    if (e.ctrlKey || e.metaKey) {
      const letter = e.key.toLowerCase();
      if (!this.scan.model.get('painted') || !'zy'.includes(letter)) return;
      if (letter === 'y' || e.shiftKey) this.scan.history.redo(); else this.scan.history.undo();
    } else if (typing && (e.key.startsWith('Arrow') || e.key.startsWith('Page') || e.key.length === 1 && e.target.matches('select'))) return;
    else if (!this.lookKey(e) && !(this.scan.model.get('painted') && this.drawKey(e))) return;
    e.preventDefault();
  }

  lookKey(e) {
    const pane = this.panes.current, { scan } = this, at = scan.model.get('position');
    const way = { ArrowUp: 1, ArrowRight: 1, PageUp: 5, ArrowDown: -1, ArrowLeft: -1, PageDown: -5 }[e.key];
    const tool = TOOLS.find(([name, key]) => key === e.key.toLowerCase() && !DRAWING.includes(name));
    if (way && e.shiftKey) {
      const axis = ['ArrowUp', 'ArrowDown'].includes(e.key) ? pane.down : pane.right;
      scan.moveTo({ [axis]: at[axis] + (axis === pane.down && !pane.up ? -way : way) });
    } else if (way) scan.moveTo({ [pane.across]: at[pane.across] + way });
    else if (e.key === '+' || e.key === '=') this.tools.zoom(1.25, pane, [at[pane.right] + 0.5, at[pane.down] + 0.5]);
    else if (e.key === '-') this.tools.zoom(0.8, pane, [at[pane.right] + 0.5, at[pane.down] + 0.5]);
    else if (e.key === 'r') { scan.zoom = 1; scan.tell('home'); }
    else if (e.key === 'o') scan.set('fill', !scan.model.get('fill'));
    else if (e.key === 'v') this.hideAll();
    else if (e.key === 'x' && scan.maps.other) { scan.compare = !scan.compare; scan.tell('names'); }
    else if (e.key === '?') scan.tell('keys');
    else if (tool) this.tools.choose({ tool: tool[0] });
    else return false;
    return true;
  }

  hideAll() {
    const names = Object.keys(this.scan.model.get('names')), hide = names.some((value) => !this.scan.look(value).hidden);
    names.forEach((value) => { this.scan.look(value).hidden = hide; });
    this.scan.tell('names');
  }

  drawKey(e) {
    const { tools } = this, tool = TOOLS.find(([name, key]) => key === e.key.toLowerCase() && DRAWING.includes(name));
    const names = this.scan.model.get('names');
    if (/^[0-9]$/.test(e.key)) { const label = +e.key || OTHER; if (label in names) tools.choose({ label }); }
    else if (e.key === '[' || e.key === ']') tools.choose({ radius: clamp(tools.radius + (e.key === ']' ? 0.5 : -0.5), 0.5, 50) });
    else if (e.key === ' ' && e.target.matches('button, input, select')) return false;
    else if (e.key === ' ') tools.press(this.panes.current);
    else if (e.key === 'Enter' && tools.path) tools.close();
    else if (e.key === 'Escape') { tools.path = null; this.scan.history.cancel(); this.scan.tell('view'); }
    else if (e.key === 'd') tools.choose({ ball: !tools.ball });
    else if (e.key === 'i') tools.fillBetween(this.panes.current);
    else if (tool) tools.choose({ tool: tool[0] });
    else return false;
    return true;
  }
}

// One scan for each model, so that two displays of one widget stay alike.
export default () => {
  let scan, ready;
  return {
    async initialize({ model }) { scan = new Scan(model); ready = scan.load(); await ready; },
    async render({ el }) { await ready; const view = new View(scan, el); return () => view.close(); },
  };
};
