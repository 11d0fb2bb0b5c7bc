// A table of series with their pictures: no imports, no network. Front end of picker.py (anywidget).
// All that is shown is in the model, so the same code runs live and in a page without a kernel.

const STYLE = `
.mb-pick { font: 13px/1.4 var(--jp-ui-font-family, sans-serif); color: var(--jp-ui-font-color1, var(--ink));
  background: var(--jp-layout-color1, var(--paper)); }
.mb-pick .area { max-height: 560px; overflow: auto; border: 1px solid var(--jp-border-color2, var(--line)); }
.mb-pick table { border-collapse: separate; border-spacing: 0; width: 100%; margin: 0; font-size: 12px; color: inherit; }
.mb-pick table th, .mb-pick table td, .mb-pick table tr { text-align: left !important; vertical-align: top; padding: 6px 8px; white-space: normal;
  border-bottom: 1px solid var(--jp-border-color2, var(--line)); }
.mb-pick th { position: sticky; top: 0; z-index: 1; background: var(--jp-layout-color2, var(--paper)); }
.mb-pick tbody tr { cursor: pointer; background: transparent; scroll-margin-top: 30px; }
.mb-pick tbody tr:hover { background: var(--jp-layout-color2, var(--veil)); }
.mb-pick tr[aria-selected=true], .mb-pick tbody tr[aria-selected=true]:hover {
  background: color-mix(in srgb, var(--jp-brand-color1, var(--pick)) 16%, transparent); }
.mb-pick tbody tr:focus-visible { outline: 2px solid var(--jp-brand-color1, var(--pick)); outline-offset: -2px; }
.mb-pick tr[data-waits] { cursor: not-allowed; }
.mb-pick .mark { width: 12px; height: 12px; border-radius: 50%; border: 2px solid var(--jp-ui-font-color2, var(--soft));
  display: inline-block; box-sizing: border-box; }
.mb-pick tr[aria-selected=true] .mark { border: 4px solid var(--jp-brand-color1, var(--pick)); }
.mb-pick tr[data-waits] .mark { border-style: dotted; }
.mb-pick .frame { width: 84px; height: 84px; display: flex; align-items: center; justify-content: center; background: #000;
  color: #bbb; font-size: 11px; text-align: center; overflow: hidden; }
.mb-pick .frame img { max-width: 84px; max-height: 84px; display: block; }
.mb-pick .soft { color: var(--jp-ui-font-color2, var(--soft)); }
.mb-pick .nowrap { white-space: nowrap; }
.mb-pick .series { min-width: 110px; overflow-wrap: anywhere; }
.mb-pick .marrow { min-width: 90px; }
.mb-pick .issue { margin-bottom: 4px; min-width: 220px; }
.mb-pick .text { display: -webkit-box; -webkit-line-clamp: 2; -webkit-box-orient: vertical; overflow: hidden;
  overflow-wrap: anywhere; }
.mb-pick tr[aria-selected=true] .text, .mb-pick tr[data-open] .text { -webkit-line-clamp: unset; }
.mb-pick .level { font-weight: 600; color: var(--jp-ui-font-color2, var(--soft)); }
.mb-pick .stop { color: color-mix(in srgb, var(--jp-error-color1, var(--stop)) 80%, var(--jp-ui-font-color0, var(--ink))); }
.mb-pick .wait { color: color-mix(in srgb, var(--jp-warn-color1, var(--mind)) 60%, var(--jp-ui-font-color0, var(--ink))); }
.mb-pick label { display: inline-flex; gap: 4px; align-items: center; cursor: pointer; }
.mb-pick .call { display: flex; gap: 8px; align-items: center; margin: 8px 0 4px; }
.mb-pick code { flex: 1 1 auto; padding: 5px 8px; font: 12px/1.4 var(--jp-code-font-family, monospace); overflow-wrap: anywhere;
  color: var(--jp-content-font-color1, var(--ink)); background: var(--jp-layout-color2, var(--veil)); user-select: all; }
.mb-pick button { font: inherit; padding: 3px 12px; cursor: pointer; color: inherit; border-radius: 2px;
  background: var(--jp-layout-color2, var(--paper)); border: 1px solid var(--jp-border-color1, var(--line)); }
.mb-pick button:focus-visible, .mb-pick input:focus-visible { outline: 2px solid var(--jp-brand-color1, var(--pick)); }
.mb-pick summary { cursor: pointer; font-size: 12px; }
.mb-pick ul { margin: 4px 0; padding-left: 18px; font-size: 12px; overflow-wrap: anywhere; }
`;
const HEAD = ['', 'picture', 'series', 'matrix, spacing, times', 'marrow', 'what to mind'];
const LEVELS = { 'reading waits': 'level stop', 'export waits': 'level wait' };

const element = (tag, className = '', ...children) => {
  const e = document.createElement(tag);
  if (className) e.className = className;
  e.append(...children);
  return e;
};
const lines = (texts, className = '') => texts.filter(Boolean).map((text) => element('div', className, text));
const quoted = (name) => `'${name}'`;

/** What is accepted for a row: by the call of pick, then in its line; as picker.py has it. */
function names(model, row) {
  const [fixed, own] = [model.get('fixed'), model.get('accepted')[row.number] || []];
  const may = [...new Set(row.issues.filter((i) => i.may).map((i) => i.name))];
  return [...fixed, ...may.filter((name) => own.includes(name) && !fixed.includes(name))];
}
const waits = (model, row) => row.issues.find((i) => i.level === 'reading waits' && !(i.may && names(model, row).includes(i.name)));

function callOf(model, row) {
  const found = names(model, row).map(quoted);
  return row.begin + (found.length ? `, accept=(${found.join(', ')}${found.length === 1 ? ',' : ''}))` : ')');
}

async function copy(text, code) {
  try {
    await navigator.clipboard.writeText(text);
  } catch { // no permission, or a page that is not served securely
    const range = document.createRange();
    range.selectNodeContents(code);
    getSelection().removeAllRanges();
    getSelection().addRange(range);
    if (!document.execCommand('copy')) return false;
  }
  return true;
}

class Table {
  constructor(model, el) {
    this.model = model;
    this.rows = model.get('rows');
    this.lines = this.rows.map((row) => this.line(row));
    this.active = Math.max(0, this.rows.findIndex((row) => row.number === model.get('chosen')));
    const table = element('table', '', element('thead', '', this.header()), element('tbody', '', ...this.lines.map((l) => l.tr)));
    table.setAttribute('role', 'grid');
    table.setAttribute('aria-label', 'series; arrow keys move, Enter chooses');
    this.code = element('code');
    this.code.setAttribute('aria-label', 'the Python call');
    this.button = element('button', '', 'Copy');
    this.button.type = 'button';
    this.button.setAttribute('aria-label', 'copy the Python call');
    this.say = element('span', 'soft say');
    this.say.setAttribute('role', 'status');
    const said = model.get('remarks');
    const notes = element('details', 'soft', element('summary', '', said.length === 1 ? '1 note' : `${said.length} notes`),
      element('ul', '', ...said.map((text) => element('li', '', text))));
    notes.hidden = !said.length;
    this.area = element('div', 'area', table);
    const style = element('style', '', model.get('colors') + STYLE), call = element('div', 'call', this.code, this.button);
    const head = [element('div', 'soft', model.get('head')), ...lines(model.get('common'), 'wait common')];
    this.box = element('div', 'mb-pick', style, ...head, this.area, call, this.say, notes);
    this.box.dataset.lmSuppressShortcuts = 'true'; // JupyterLab's own keys stay quiet
    table.addEventListener('keydown', (e) => this.key(e));
    this.button.onclick = async () => {
      const done = await copy(this.code.textContent, this.code);
      this.say.textContent = done ? 'copied' : 'the browser does not allow it: select the call and copy it';
    };
    el.append(this.box);
    this.handlers = [['change:chosen', () => this.show()], ['change:accepted', () => this.show()], ['change:thumbs', () => this.draw()]];
    for (const [event, handler] of this.handlers) model.on(event, handler);
    this.show();
    this.draw();
    this.focus(this.active, false);
    this.box.dataset.ready = '1';
    requestAnimationFrame(() => this.reveal(this.active));
  }

  header() {
    const tr = element('tr', '', ...HEAD.map((text) => element('th', '', text)));
    tr.setAttribute('role', 'row');
    for (const th of tr.children) th.setAttribute('scope', 'col');
    tr.firstChild.setAttribute('aria-label', 'chosen');
    return tr;
  }

  line(row) {
    const frame = element('div', 'frame');
    const ticks = [];
    const issues = row.issues.map((issue) => {
      const first = row.issues.find((i) => i.name === issue.name) === issue; // one tick for each name
      return this.issue(row, issue, first ? ticks : null);
    });
    const mark = element('span', 'mark');
    mark.setAttribute('aria-hidden', 'true');
    const facts = [row.echo, ...row.tags].filter(Boolean).join(', ');
    const why = Object.assign(element('div', 'soft text', row.why), { title: row.why });
    const cells = [
      [element('div', 'nowrap', mark, ` ${row.number}`)], [frame],
      [element('strong', '', row.title), ...lines([row.sequence], 'soft'), ...lines([facts])],
      [...lines([row.size, row.spacing, row.plane], 'nowrap'), ...lines([row.times.join(', ')], 'soft')], [row.marrow, why], issues,
    ].map((content, k) => {
      const className = { 2: 'series', 4: 'marrow' }[k];
      const td = element('td', className, ...content);
      td.setAttribute('role', 'gridcell');
      return td;
    });
    const tr = element('tr', '', ...cells);
    tr.setAttribute('role', 'row');
    tr.setAttribute('tabindex', '-1');
    tr.dataset.number = row.number;
    tr.onclick = (e) => {
      this.focus(this.rows.indexOf(row), !e.target.closest('label'));
      if (!e.target.closest('label')) this.choose(row);
    };
    return { tr, frame, ticks };
  }

  issue(row, issue, ticks) {
    const text = element('div', 'text', element('span', LEVELS[issue.level] || 'level', `${issue.level}: `), issue.text);
    text.title = issue.text;
    const box = element('div', 'issue', text);
    if (issue.may && ticks) {
      const input = Object.assign(element('input'), { type: 'checkbox' });
      input.onchange = () => this.accept(row, issue.name, input.checked);
      ticks.push([issue.name, input]);
      box.append(element('label', '', input, `accept “${issue.name}”`));
    }
    return box;
  }

  choose(row) {
    const fault = waits(this.model, row);
    if (fault) {
      this.say.textContent = `row ${row.number} cannot be read` + (fault.may ? `: accept “${fault.name}” in its line first` : '');
      return;
    }
    this.say.textContent = '';
    this.set({ chosen: row.number });
  }

  accept(row, name, on) {
    const { [row.number]: own = [], ...others } = this.model.get('accepted');
    const now = [...own.filter((n) => n !== name), ...(on ? [name] : [])];
    this.set({ accepted: now.length ? { ...others, [row.number]: now } : others });
    const chosen = this.rows.find((r) => r.number === this.model.get('chosen'));
    if (chosen && waits(this.model, chosen)) this.set({ chosen: null });
  }

  set(values) { // there may be no kernel to take them
    for (const name in values) this.model.set(name, values[name]);
    try { this.model.save_changes()?.catch?.(() => {}); } catch { /* no kernel */ }
  }

  key(e) {
    const line = e.target.closest('tbody tr');
    if (!line) return;
    const at = this.lines.findIndex((l) => l.tr === line), last = this.rows.length - 1;
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, PageDown: at + 5, PageUp: at - 5, Home: 0, End: last }[e.key];
    const takes = (e.key === 'Enter' || e.key === ' ') && e.target === line;
    if (to === undefined && !takes) return;
    e.preventDefault();
    e.stopPropagation();
    if (takes) this.choose(this.rows[at]);
    else this.focus(Math.max(0, Math.min(last, to)), true);
  }

  /** Make a row the one that Tab comes to, with its whole text. */
  focus(at, take) {
    const before = this.lines[this.active].tr, { tr } = this.lines[at];
    before.setAttribute('tabindex', '-1');
    before.removeAttribute('data-open'); // not by :focus, which would move a tick box away while it is pressed
    this.active = at;
    tr.setAttribute('tabindex', '0');
    tr.setAttribute('data-open', '');
    if (!take) return;
    tr.focus({ preventScroll: true });
    this.reveal(at);
  }

  /** Scroll the table, not the notebook. */
  reveal(at) {
    const { tr } = this.lines[at];
    const top = tr.offsetTop - 30, bottom = tr.offsetTop + tr.offsetHeight;
    if (top < this.area.scrollTop) this.area.scrollTop = top;
    else if (bottom > this.area.scrollTop + this.area.clientHeight) {
      this.area.scrollTop = Math.min(top, bottom - this.area.clientHeight);
    }
  }

  show() {
    const chosen = this.model.get('chosen');
    this.rows.forEach((row, k) => {
      const { tr, ticks } = this.lines[k], given = names(this.model, row);
      tr.setAttribute('aria-selected', row.number === chosen);
      tr.toggleAttribute('data-waits', Boolean(waits(this.model, row))); // not aria-disabled, which would take its tick boxes along
      for (const [name, input] of ticks) {
        input.checked = given.includes(name);
        input.disabled = this.model.get('fixed').includes(name);
      }
    });
    const row = this.rows.find((r) => r.number === chosen);
    this.code.textContent = row ? callOf(this.model, row) : 'none is chosen';
    this.button.disabled = !row;
  }

  draw() {
    const thumbs = this.model.get('thumbs');
    this.rows.forEach((row, k) => {
      const found = thumbs[row.number], { frame } = this.lines[k];
      if (!found || frame.dataset.drawn) return;
      frame.dataset.drawn = '1';
      const picture = { src: found, alt: `middle slice of row ${row.number}` };
      frame.append(found.startsWith('data:') ? Object.assign(element('img'), picture) : found);
    });
  }

  close() { for (const [event, handler] of this.handlers) this.model.off(event, handler); }
}

export default {
  render({ model, el }) {
    const table = new Table(model, el);
    return () => table.close();
  },
};
