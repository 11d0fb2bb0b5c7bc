// A JupyterLab extension that lets itkwidgets 1.0a55, as it is, run with no network at all. Built by offline.py.
//
// It takes the place of imjoy-jupyterlab-extension, which fetches its parts and the viewer from elsewhere. Lab loads
// this file as a module-federation container; all that it needs of one is {init, get} under window._JUPYTERLAB[NAME].
//
// How they talk: itkwidgets in the kernel displays JavaScript `window.connectPlugin(KERNEL)` and a <div id=PLUGIN>. Then
// a comm 'imjoy_rpc' is opened to that kernel and given to imjoy-core, which later calls createWindow({type:
// 'itk-vtk-viewer', src: somewhere outside, ...}); there the copy beside this file is put in instead.
(function () {
  'use strict';
  const NAME = 'mrbone-itk-offline';

  // Page config holds base_url, so this also works behind a prefix (JupyterHub: untested).
  function staticBase() {
    const cfg = JSON.parse(document.getElementById('jupyter-config-data').textContent);
    const root = (cfg.fullLabextensionsUrl || '/lab/extensions').replace(/\/$/, '');
    return new URL(root + '/' + NAME + '/static/', location.href).href;
  }

  // --- comm <-> imjoy messages -------------------------------------------------------------------
  // A message is JSON plus binary buffers; data.__buffer_paths__[i] says where buffer i belongs.
  const isBinary = (v) => v instanceof ArrayBuffer || ArrayBuffer.isView(v);
  const toArrayBuffer = (v) => {
    if (v instanceof ArrayBuffer) return v;
    const whole = v.byteOffset === 0 && v.byteLength === v.buffer.byteLength;
    return whole ? v.buffer : v.buffer.slice(v.byteOffset, v.byteOffset + v.byteLength);
  };
  function putBuffers(data, paths, buffers) {
    paths.forEach((path, i) => {
      const parent = path.slice(0, -1).reduce((node, key) => node[key], data);
      parent[path[path.length - 1]] = toArrayBuffer(buffers[i]);
    });
  }
  function takeBuffers(value, path, paths, buffers) { // -> copy of value without its binary parts
    if (value && typeof value === 'object' && typeof value.toJSON === 'function') value = value.toJSON();
    if (isBinary(value)) { paths.push(path); buffers.push(toArrayBuffer(value)); return null; }
    if (Array.isArray(value)) return value.map((v, i) => takeBuffers(v, path.concat(i), paths, buffers));
    if (value && typeof value === 'object' && value.constructor === Object) {
      return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, takeBuffers(v, path.concat(k), paths, buffers)]));
    }
    return value;
  }

  /** What imjoy-core expects of a connection: connect, disconnect, emit, on, once, off. */
  class KernelConnection {
    constructor(kernel) {
      this.handlers = new Map(); // event -> [{fn, once}]
      this.comm = kernel.createComm('imjoy_rpc');
      this.comm.open({});
      this.comm.onMsg = (msg) => {
        const { __buffer_paths__: paths = [], ...data } = msg.content.data;
        putBuffers(data, paths, msg.buffers || []);
        if (data.type === 'log' || data.type === 'info') return console.log(data.message);
        if (data.type === 'error') return console.error(data.message);
        if (data.peer_id) this.peer = data.peer_id;
        this.fire(data.type, data);
      };
    }
    connect() {}
    disconnect() { this.handlers.clear(); if (!this.comm.isDisposed) this.comm.close(); }
    emit(message) {
      const paths = [], buffers = [];
      const data = takeBuffers({ ...message, peer_id: this.peer }, [], paths, buffers);
      data.__buffer_paths__ = paths;
      this.comm.send(data, undefined, buffers);
    }
    on(event, fn, once = false) { this.handlers.set(event, [...(this.handlers.get(event) || []), { fn, once }]); }
    once(event, fn) { this.on(event, fn, true); }
    off(event, fn) {
      if (!event) this.handlers.clear();
      else this.handlers.set(event, fn ? (this.handlers.get(event) || []).filter((h) => h.fn !== fn) : []);
    }
    fire(event, data) {
      const hs = this.handlers.get(event) || [];
      this.handlers.set(event, hs.filter((h) => !h.once));
      for (const h of hs) { try { h.fn(data); } catch (e) { console.error(e); } }
    }
  }

  // --- imjoy-core, loaded once from our own static folder ----------------------------------------
  function script(src) {
    return new Promise((ok, fail) => {
      const s = Object.assign(document.createElement('script'), { src, onload: ok, onerror: () => fail(new Error('cannot load ' + src)) });
      document.head.appendChild(s);
    });
  }
  let imjoyReady = null;
  const getImjoy = () => (imjoyReady = imjoyReady || startImjoy());
  async function startImjoy() {
    const base = staticBase();
    const amd = window.define; window.define = undefined; // it is UMD: keep it out of Lab's requirejs
    try { await script(base + 'vendor/imjoy-core.min.js'); } finally { window.define = amd; }
    let imjoy;
    const api = {
      showMessage: (_, text) => console.log('imjoy:', text), showSnackbar() {}, showStatus() {}, showProgress() {},
      showDialog: (plugin, config, extra) => imjoy.pm.createWindow(plugin, config, extra),
      createWindow(plugin, win, extra) {
        if (win.type === 'itk-vtk-viewer') {
          win.src = base + 'viewer/index.html'; // instead of the hard-coded IPFS address
          const ui = win.config && win.config.uiMachineOptions;
          if (ui && ui.href) ui.href = base + 'vendor/bootstrapUIMachineOptions.js.es.js'; // instead of a CDN module
        }
        win.window_id = win.window_id || NAME + '-' + Math.random().toString(36).slice(2);
        const host = document.getElementById(plugin.id); // the <div> in the cell's output
        if (host && !document.getElementById(win.window_id)) {
          const div = Object.assign(document.createElement('div'), { id: win.window_id, className: 'imjoy-inline-window' });
          div.style.cssText = 'width:100%;height:500px;position:relative';
          host.appendChild(div);
        }
        return imjoy.pm.createWindow(plugin, win, extra);
      },
    };
    imjoy = new window.imjoyCore.ImJoy({
      imjoy_api: api, expose_api: false, flags: [], default_rpc_base_url: base + 'vendor/',
      default_base_frame: base + 'vendor/none.html', // only for plugins we never load; must not point outside
    });
    await imjoy.start({});
    imjoy.event_bus.on('add_window', (w) => {
      const el = document.getElementById(w.window_id);
      w.api = w.api || {};
      if (el) { w.inline = true; w.api.show = w.show = () => el.scrollIntoView(); }
    });
    return imjoy;
  }

  // --- the functions that itkwidgets' displayed JavaScript calls ----------------------------------
  const kernels = new Map(); // kernel id -> {kernel, plugin}
  window._connectPlugin = async (id) => {
    const k = kernels.get(id);
    if (!k) { console.warn(NAME + ': unknown kernel', id); return; }
    const imjoy = await getImjoy();
    k.plugin = await imjoy.pm.connectPlugin(new KernelConnection(k.kernel));
  };
  window._runPluginOnly = async (id) => {
    const k = kernels.get(id);
    if (k && k.plugin && k.plugin.api.run) await k.plugin.api.run({ config: {}, data: {} });
  };
  window.connectPlugin = async (id) => { await window._connectPlugin(id); await window._runPluginOnly(id); };

  const plugin = {
    id: NAME + ':plugin',
    autoStart: true,
    activate(app) {
      app.docRegistry.addWidgetExtension('Notebook', {
        createNew(panel, context) {
          const note = () => { const s = context.sessionContext.session; if (s && s.kernel) kernels.set(s.kernel.id, { kernel: s.kernel }); };
          context.sessionContext.ready.then(note);
          context.sessionContext.kernelChanged.connect(note);
          return { isDisposed: false, dispose() { this.isDisposed = true; context.sessionContext.kernelChanged.disconnect(note); } };
        },
      });
    },
  };

  window._JUPYTERLAB = window._JUPYTERLAB || {};
  window._JUPYTERLAB[NAME] = { init() {}, get: async () => () => ({ __esModule: true, default: plugin }) };
})();
