// A title, a text that can be folded away, and a button that copies it. Front end of bench/codebox.py (anywidget).

const STYLE = `
.mb-code { font: 13px var(--jp-ui-font-family, sans-serif); color: var(--jp-ui-font-color1, CanvasText) }
.mb-code summary { cursor: pointer; padding: 3px 0 }
.mb-code summary:focus-visible, .mb-code :focus-visible { outline: 2px solid var(--jp-brand-color1, Highlight) }
.mb-code div { position: relative }
.mb-code pre { margin: 0; padding: 6px 76px 6px 8px; white-space: pre-wrap; overflow-wrap: anywhere; line-height: 1.4; max-height: 260px;
  overflow: auto; user-select: text; font: 12px var(--jp-code-font-family, monospace); color: var(--jp-content-font-color1, CanvasText);
  background: var(--jp-layout-color2, Canvas); border: 1px solid var(--jp-border-color2, GrayText); border-radius: 4px }
.mb-code button { position: absolute; top: 3px; right: 4px; font: inherit; color: inherit; padding: 1px 8px; min-height: 24px; border-radius: 4px;
  cursor: pointer; border: 1px solid var(--jp-border-color1, GrayText); background: var(--jp-layout-color1, Canvas) }
`;

const make = (tag, props = {}, ...children) => {
  const e = Object.assign(document.createElement(tag), props);
  e.append(...children);
  return e;
};

/** Where the clipboard is closed to the page, the text is selected, ready for the keys. */
function select(pre) {
  const range = document.createRange();
  range.selectNodeContents(pre);
  const chosen = window.getSelection();
  chosen.removeAllRanges();
  chosen.addRange(range);
  try { return document.execCommand('copy'); } catch { return false; }
}

function render({ model, el }) {
  const pre = make('pre', { tabIndex: 0 }), button = make('button', { type: 'button', textContent: 'Copy' });
  const title = make('summary'), box = make('details', { className: 'mb-code' }, make('style', { textContent: STYLE }), title, make('div', {}, pre, button));
  const show = () => {
    title.textContent = model.get('title');
    pre.textContent = model.get('text');
    pre.setAttribute('aria-label', model.get('title'));
    button.setAttribute('aria-label', 'Copy: ' + model.get('title'));
    box.open = model.get('unfolded');
  };
  const say = (text) => { button.textContent = text; setTimeout(() => { button.textContent = 'Copy'; }, 1500); };
  button.onclick = async () => {
    try { await navigator.clipboard.writeText(pre.textContent); say('Copied'); } catch { say(select(pre) ? 'Copied' : 'Ctrl+C'); }
  };
  box.ontoggle = () => { if (box.open !== model.get('unfolded')) { model.set('unfolded', box.open); try { model.save_changes(); } catch { /* no kernel */ } } };
  box.dataset.lmSuppressShortcuts = 'true'; // the notebook's own keys stay quiet
  box.dataset.jpSuppressContextMenu = 'true';
  box.addEventListener('keydown', (e) => e.stopPropagation());
  const names = ['title', 'text', 'unfolded'];
  names.forEach((name) => model.on('change:' + name, show));
  show();
  el.append(box);
  return () => names.forEach((name) => model.off('change:' + name, show));
}

export default { render };
