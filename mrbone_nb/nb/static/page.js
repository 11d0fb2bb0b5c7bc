// Starts the views of a page that has no kernel, no network and no widget manager. Part of share.py.
// A front end of anywidget is a module {initialize?, render} that talks to a model; these lines play the model.
const decode = (text) => {
  const raw = atob(text), out = new Uint8Array(raw.length);
  for (let k = 0; k < raw.length; k++) out[k] = raw.charCodeAt(k);
  return new DataView(out.buffer);
};
class Model {
  constructor(state) { Object.assign(this, { state, handlers: {} }); }
  get(name) { return this.state[name]; }
  set(name, value) {
    if (JSON.stringify(this.state[name]) === JSON.stringify(value)) return;
    this.state[name] = value;
    for (const handler of [...(this.handlers['change:' + name] || [])]) handler();
  }
  on(event, handler) { (this.handlers[event] ||= []).push(handler); }
  off(event, handler) { this.handlers[event] = (this.handlers[event] || []).filter((h) => h !== handler); }
  save_changes() {}
  send() { return false; } // as a kernel would not
}
const started = new Map(); // one model, however often it is shown
async function start(view) {
  const { model, module, state, buffers, style } = JSON.parse(document.getElementById(view.dataset.state).textContent);
  if (!started.has(model)) {
    for (const name in buffers) state[name] = decode(document.getElementById(buffers[name]).textContent);
    if (style) document.head.append(Object.assign(document.createElement('style'), { textContent: style }));
    const url = URL.createObjectURL(new Blob([document.getElementById(module).textContent], { type: 'text/javascript' }));
    let widget = (await import(url)).default;
    if (typeof widget === 'function') widget = await widget();
    const played = new Model(state);
    await widget.initialize?.({ model: played });
    started.set(model, { widget, played });
  }
  const { widget, played } = started.get(model), place = document.createElement('div');
  await widget.render({ model: played, el: place });
  view.replaceChildren(place);
}
for (const box of document.querySelectorAll('.mb-box')) {
  const views = [...box.querySelectorAll('.mb-view')];
  let failed = views.length === 0;
  for (const view of views) {
    try {
      await start(view);
    } catch (error) {
      failed = true;
      view.append(`This view could not be started (${error.message}): the picture stands for it.`);
    }
  }
  if (!failed) box.querySelector('.mb-still')?.remove(); // until now the still picture was there
}
document.documentElement.dataset.mbReady = '1';
