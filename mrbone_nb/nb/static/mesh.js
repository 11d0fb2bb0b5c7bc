// Surfaces that turn, in plain WebGL 2: no imports, no network. Front end of meshview.py (anywidget).
// `meshes`: [{name, color: [r, g, b], vertices, triangles}]; `data`: gzip of, mesh after mesh, 16-bit
// positions (steps in the common `bounds`, LPS mm), padding to 4 bytes, and 32-bit triangles.

const VERTEX = `#version 300 es
in vec3 place; in vec3 normal; uniform mat4 camera; uniform mat3 turn; uniform vec3 low, size; out vec3 n;
void main() { n = turn * normal; gl_Position = camera * vec4(low + place * size, 1.); }`;
const FRAGMENT = `#version 300 es
precision highp float; in vec3 n; uniform vec3 color; out vec4 pixel;
void main() {
  vec3 m = normalize(gl_FrontFacing ? n : -n);
  float shine = pow(max(dot(m, normalize(vec3(.3, .4, 1.))), 0.), 30.);
  pixel = vec4(color * (.25 + .7 * abs(m.z)) + .18 * shine, 1.);
}`;
const DISTANCE = 3.2, FOCUS = 3.4; // the same numbers as in render.py

const bytes = (v) => (v instanceof DataView ? new Uint8Array(v.buffer, v.byteOffset, v.byteLength) : new Uint8Array(v));
const element = (tag, css = '', props = {}) => {
  const e = Object.assign(document.createElement(tag), props);
  e.style.cssText = css;
  return e;
};

// Matrices are column by column, as WebGL takes them.
const product = (n, a, b) => {
  const r = new Float32Array(n * n);
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < n; j++) for (let k = 0; k < n; k++) r[i * n + j] += a[k * n + j] * b[i * n + k];
  }
  return r;
};
const rotation = (x, y) => { // about the screen's y axis by y, then about its x axis by x
  const [c, s, k, m] = [Math.cos(x), Math.sin(x), Math.cos(y), Math.sin(y)];
  return [k, s * m, -c * m, 0, c, s, m, -s * k, c * k];
};
// From in front, head up, turned a little: LPS x to the right, z up, y away.
const FRONT = product(3, rotation(0.15, 0.35), [1, 0, 0, 0, 0, -1, 0, 1, 0]);

function normals(places, triangles, step) {
  const out = new Float32Array(places.length);
  for (let t = 0; t < triangles.length; t += 3) {
    const [a, b, c] = [3 * triangles[t], 3 * triangles[t + 1], 3 * triangles[t + 2]];
    const u = [], v = [];
    for (let k = 0; k < 3; k++) {
      u.push((places[b + k] - places[a + k]) * step[k]);
      v.push((places[c + k] - places[a + k]) * step[k]);
    }
    const n = [u[1] * v[2] - u[2] * v[1], u[2] * v[0] - u[0] * v[2], u[0] * v[1] - u[1] * v[0]];
    for (const i of [a, b, c]) for (let k = 0; k < 3; k++) out[i + k] += n[k];
  }
  return out;
}

async function unpack(model) {
  const stream = new Blob([bytes(model.get('data'))]).stream().pipeThrough(new DecompressionStream('gzip'));
  const buffer = await new Response(stream).arrayBuffer();
  const [low, high] = model.get('bounds');
  const step = high.map((h, k) => (h - low[k]) / 65535);
  let offset = 0;
  return model.get('meshes').map((mesh) => {
    const places = new Uint16Array(buffer, offset, 3 * mesh.vertices);
    offset += Math.ceil((6 * mesh.vertices) / 4) * 4;
    const triangles = new Uint32Array(buffer, offset, 3 * mesh.triangles);
    offset += 12 * mesh.triangles;
    return { places, triangles, normals: normals(places, triangles, step) };
  });
}

function program(gl) {
  const shader = (kind, text) => {
    const s = gl.createShader(kind);
    gl.shaderSource(s, text);
    gl.compileShader(s);
    if (!gl.getShaderParameter(s, gl.COMPILE_STATUS)) throw new Error(gl.getShaderInfoLog(s));
    return s;
  };
  const p = gl.createProgram();
  gl.attachShader(p, shader(gl.VERTEX_SHADER, VERTEX));
  gl.attachShader(p, shader(gl.FRAGMENT_SHADER, FRAGMENT));
  gl.bindAttribLocation(p, 0, 'place');
  gl.bindAttribLocation(p, 1, 'normal');
  gl.linkProgram(p);
  gl.useProgram(p);
  return (name) => gl.getUniformLocation(p, name);
}

function upload(gl, mesh) {
  const array = gl.createVertexArray();
  gl.bindVertexArray(array);
  const buffers = [mesh.places, mesh.normals, mesh.triangles].map((values, k) => {
    const target = k === 2 ? gl.ELEMENT_ARRAY_BUFFER : gl.ARRAY_BUFFER;
    const buffer = gl.createBuffer();
    gl.bindBuffer(target, buffer);
    gl.bufferData(target, values, gl.STATIC_DRAW);
    if (k < 2) {
      gl.enableVertexAttribArray(k);
      gl.vertexAttribPointer(k, 3, k === 0 ? gl.UNSIGNED_SHORT : gl.FLOAT, k === 0, 0, 0);
    }
    return buffer;
  });
  return { array, count: mesh.triangles.length, free: () => { gl.deleteVertexArray(array); buffers.forEach((b) => gl.deleteBuffer(b)); } };
}

function pointer(canvas, view, redraw, reset) {
  let drag = null;
  canvas.onpointerdown = (e) => {
    canvas.setPointerCapture(e.pointerId);
    canvas.focus({ preventScroll: true });
    drag = { x: e.clientX, y: e.clientY, move: e.button === 2 || e.shiftKey };
  };
  canvas.onpointermove = (e) => {
    if (!drag) return;
    const [dx, dy] = [e.clientX - drag.x, e.clientY - drag.y];
    Object.assign(drag, { x: e.clientX, y: e.clientY });
    if (drag.move) {
      const mm = (2 * DISTANCE / FOCUS) / (canvas.clientHeight * view.zoom);
      view.shift = [view.shift[0] + dx * mm, view.shift[1] - dy * mm];
    } else view.turn = product(3, rotation(dy * 0.01, dx * 0.01), view.turn);
    redraw();
  };
  canvas.onpointerup = canvas.onpointercancel = () => { drag = null; };
  const zoom = (factor) => { view.zoom = Math.max(0.3, Math.min(8, view.zoom * factor)); redraw(); };
  canvas.addEventListener('wheel', (e) => { e.preventDefault(); zoom(Math.exp(-e.deltaY * 0.001)); }, { passive: false });
  canvas.ondblclick = reset;
  canvas.oncontextmenu = (e) => e.preventDefault();
  const arrows = { ArrowLeft: [0, -0.1], ArrowRight: [0, 0.1], ArrowUp: [-0.1, 0], ArrowDown: [0.1, 0] };
  canvas.onkeydown = (e) => {
    if (arrows[e.key]) { view.turn = product(3, rotation(...arrows[e.key]), view.turn); redraw(); }
    else if (e.key === '+' || e.key === '=') zoom(1.1);
    else if (e.key === '-') zoom(1 / 1.1);
    else if (e.key === 'Home') reset();
    else return;
    e.preventDefault();
    e.stopPropagation(); // JupyterLab's own keys stay quiet
  };
}

function cameraOf(view, low, high, aspect) {
  const middle = low.map((a, k) => (a + high[k]) / 2);
  const radius = Math.hypot(...low.map((a, k) => high[k] - a)) / 2 || 1;
  const [near, far, q] = [0.1 * radius, 12 * radius, view.turn];
  const lens = [FOCUS / aspect, 0, 0, 0, 0, FOCUS, 0, 0, 0, 0, -(far + near) / (far - near), -1, 0, 0, (-2 * far * near) / (far - near), 0];
  const t = [0, 1, 2].map((k) => -(q[k] * middle[0] + q[3 + k] * middle[1] + q[6 + k] * middle[2]));
  const place = [t[0] + view.shift[0] * radius, t[1] + view.shift[1] * radius, t[2] - (DISTANCE * radius) / view.zoom, 1];
  return product(4, lens, [q[0], q[1], q[2], 0, q[3], q[4], q[5], 0, q[6], q[7], q[8], 0, ...place]);
}

async function render({ model, el }) {
  const [width, height, ratio] = [model.get('width'), model.get('height'), window.devicePixelRatio || 1];
  const canvas = element('canvas', `width:${width}px;max-width:100%;aspect-ratio:${width}/${height};touch-action:none;cursor:grab;background:#000;margin-top:6px`,
    { width: width * ratio, height: height * ratio, className: 'mb-mesh', tabIndex: 0 });
  canvas.setAttribute('role', 'img');
  canvas.setAttribute('aria-label', '3D view; arrow keys turn it, + and - zoom, Home goes back');
  canvas.dataset.lmSuppressShortcuts = canvas.dataset.jpSuppressContextMenu = 'true';
  const bar = element('div', 'font:13px sans-serif;display:flex;gap:12px;flex-wrap:wrap;padding:4px 0');
  el.append(canvas, bar);
  const gl = canvas.getContext('webgl2', { preserveDrawingBuffer: true, antialias: true });
  if (!gl) throw new Error('this browser has no WebGL 2');
  const uniform = program(gl);
  const view = {};
  let parts = [], shown = {}, due = 0, newest = 0;
  const redraw = () => { due ||= requestAnimationFrame(draw); };
  const reset = () => { Object.assign(view, { turn: FRONT, zoom: 1, shift: [0, 0] }); redraw(); };

  function draw() {
    due = 0;
    const [low, high] = model.get('bounds');
    gl.viewport(0, 0, canvas.width, canvas.height);
    gl.clearColor(0, 0, 0, 1);
    gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
    gl.enable(gl.DEPTH_TEST);
    gl.uniformMatrix4fv(uniform('camera'), false, cameraOf(view, low, high, width / height));
    gl.uniformMatrix3fv(uniform('turn'), false, view.turn);
    gl.uniform3fv(uniform('low'), low);
    gl.uniform3fv(uniform('size'), high.map((h, k) => h - low[k]));
    model.get('meshes').forEach((mesh, k) => {
      if (!parts[k] || shown[mesh.name] === false) return;
      gl.bindVertexArray(parts[k].array);
      gl.uniform3fv(uniform('color'), mesh.color.map((c) => c / 255));
      gl.drawElements(gl.TRIANGLES, parts[k].count, gl.UNSIGNED_INT, 0);
    });
  }
  function names() {
    bar.replaceChildren(...model.get('meshes').map((mesh) => {
      const box = element('input', '', { type: 'checkbox', checked: shown[mesh.name] !== false });
      box.onchange = () => { shown[mesh.name] = box.checked; redraw(); };
      const label = element('label', 'display:inline-flex;align-items:center;gap:4px');
      label.append(box, element('span', `width:11px;height:11px;background:rgb(${mesh.color})`), mesh.name);
      return label;
    }));
  }
  async function load() {
    const number = ++newest;
    const found = await unpack(model);
    if (number !== newest) return; // a newer one is on its way
    parts.forEach((p) => p.free());
    parts = found.map((mesh) => upload(gl, mesh));
    names();
    redraw();
  }
  pointer(canvas, view, redraw, reset);
  reset();
  model.on('change:data', load);
  await load();
  canvas.dataset.ready = '1';
  return () => {
    model.off('change:data', load);
    gl.getExtension('WEBGL_lose_context')?.loseContext();
  };
}
export default { render };
