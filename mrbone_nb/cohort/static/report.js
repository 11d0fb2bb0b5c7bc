'use strict';
// The cohort's report: a table to sort and filter; pictures and models of a scan are made when its row is opened.
// All texts are set as text, never as HTML.
const data = JSON.parse(document.getElementById('data').textContent);
const $ = (id) => document.getElementById(id);
const make = (tag, props = {}, ...inside) => {
  const e = Object.assign(document.createElement(tag), props);
  e.append(...inside.filter((x) => x !== null && x !== undefined));
  return e;
};
const state = (scan) => (scan.status === 'done' && scan.flags ? 'flagged' : scan.status);
const RANK = { failed: 0, skipped: 1, waiting: 2, flagged: 3, done: 4 };
const MOST_OPEN = 6; // a browser keeps few 3D views alive at a time
const opened = new Map();
let order = { key: 'status', up: true };

function facts(pairs) {
  return pairs.filter(([, v]) => v !== null && v !== undefined && v !== '').flatMap(([k, v]) => [make('dt', {}, k), make('dd', {}, String(v))]);
}

function number(value, column) {
  if (value === null || value === undefined || value === '') return '–';
  return typeof value === 'number' ? (value * column.scale).toFixed(column.digits) : String(value);
}

// --- the models: front end of mesh.js, which asks a model for its values ---
let front = null;
function frontEnd() {
  front ||= import(URL.createObjectURL(new Blob([$('mesh').textContent], { type: 'text/javascript' })));
  return front;
}
async function models(part, place) {
  if (!part.meshes.length) return null;
  const values = { ...part, width: 340, height: 260, data: Uint8Array.from(atob(part.data), (c) => c.charCodeAt(0)).buffer };
  const widget = (await frontEnd()).default;
  return widget.render({ model: { get: (name) => values[name], on() {}, off() {}, set() {}, save_changes() {} }, el: place });
}

// --- one scan ---
function details(scan, k) {
  const box = make('div', { className: 'inside' });
  const text = $(`part-${k}`)?.textContent;
  if (text) {
    const part = JSON.parse(text);
    const place = make('div', { className: 'models' });
    box.append(place, ...part.pictures.map((p) => make('img', { src: `data:image/jpeg;base64,${p}`, alt: `slice of ${scan.id} with outlines` })));
    models(part, place).then((end) => {
      place.dataset.ready = '1';
      opened.get(k) ? opened.get(k).push(end) : end?.();
    }).catch((error) => place.append(`The models cannot be shown: ${error.message}`));
  } else if (scan.status === 'done') box.append(make('p', { className: 'note' }, data.left_out));
  box.append(make('dl', {}, ...facts([
    ['folder', scan.status === 'done' ? scan.id : ''], ['error', scan.error], ['look at', scan.flags], ['notes', scan.notes],
    ['recipe', scan.recipe], ['recipe SHA-256', scan.recipe_sha256], ['key of inputs, recipe and version', scan.key],
    ['time', scan.seconds && `${scan.seconds} s`], ['largest memory', scan.peak_mb && `${scan.peak_mb} MB`],
    ['tries', scan.tries], ['made', scan.resumed ? 'in an earlier run' : ''],
  ])));
  return box;
}
function close(k) {
  opened.get(k)?.forEach((end) => end?.());
  opened.delete(k);
  const body = bodies[k];
  body.querySelector('.inside')?.closest('tr').remove();
  body.querySelector('.open').setAttribute('aria-expanded', 'false');
}
function toggle(k) {
  if (opened.has(k)) { close(k); return; }
  opened.set(k, []);
  if (opened.size > MOST_OPEN) close(opened.keys().next().value);
  bodies[k].querySelector('.open').setAttribute('aria-expanded', 'true');
  const width = 3 + data.columns.length;
  bodies[k].append(make('tr', {}, make('td', { colSpan: width }, details(data.scans[k], k))));
}
function body(scan, k) {
  const kind = state(scan), rows = scan.rows.length ? scan.rows : [{}];
  const open = make('button', { className: 'open', type: 'button', onclick: () => toggle(k) }, scan.id);
  open.setAttribute('aria-expanded', 'false');
  const image = scan.thumb && make('img', { src: `data:image/jpeg;base64,${scan.thumb}`, alt: '', loading: 'lazy', onclick: () => toggle(k) });
  const about = make('td', { rowSpan: rows.length }, open, make('div', { className: `status ${kind}` }, kind),
    make('div', { className: 'say' }, scan.error || scan.flags || ''));
  const lines = rows.map((row, n) => {
    const name = [row.side, row.name].filter(Boolean).join(' ');
    const swatch = row.color && make('span', { className: 'swatch' });
    if (swatch) swatch.style.background = row.color;
    const tr = make('tr', {}, ...(n ? [] : [make('td', { className: 'thumb', rowSpan: rows.length }, image), about]),
      make('td', { className: 'bone' }, swatch, name),
      ...data.columns.map((c) => {
        if (!c.whole) return make('td', { className: 'number' }, number(row[c.key], c));
        return n ? null : make('td', { className: 'number', rowSpan: rows.length }, number(scan[c.key], c));
      }));
    tr.dataset.bone = name;
    return tr;
  });
  return make('tbody', { className: 'scan' }, ...lines);
}

// --- order and filter ---
function valueOf(scan) {
  if (order.key === 'id') return scan.id;
  if (order.key === 'status') return RANK[state(scan)];
  if (order.key === 'bone') return scan.rows.map((r) => r.name).join();
  if (order.key in scan) return scan[order.key];
  const bone = $('bone').value;
  const found = scan.rows.filter((r) => !bone || [r.side, r.name].filter(Boolean).join(' ') === bone)
    .map((r) => r[order.key]).filter((v) => typeof v === 'number');
  return found.length ? Math[order.up ? 'min' : 'max'](...found) : null;
}
function arrange() {
  const empty = (v) => v === null || v === undefined || v === '';
  const ranked = data.scans.map((scan, k) => [valueOf(scan), scan.id, k]);
  ranked.sort(([a, x], [b, y]) => {
    if (empty(a) || empty(b)) return empty(a) - empty(b) || (x < y ? -1 : 1); // what has no value goes last
    const way = typeof a === 'string' ? a.localeCompare(b, 'en', { numeric: true }) : a - b;
    return (order.up ? way : -way) || x.localeCompare(y, 'en', { numeric: true });
  });
  $('scans').append(...ranked.map(([, , k]) => bodies[k]));
  for (const th of $('scans').querySelectorAll('th')) {
    th.setAttribute('aria-sort', th.dataset.key === order.key ? (order.up ? 'ascending' : 'descending') : 'none');
  }
}
function filter() {
  const words = $('find').value.toLowerCase().split(/\s+/).filter(Boolean), kind = $('status').value, bone = $('bone').value;
  let count = 0;
  data.scans.forEach((scan, k) => {
    const text = [scan.id, state(scan), scan.error, scan.flags, scan.recipe, ...scan.rows.map((r) => `${r.side} ${r.name}`)].join(' ').toLowerCase();
    const has = !bone || scan.rows.some((r) => [r.side, r.name].filter(Boolean).join(' ') === bone);
    const good = words.every((w) => text.includes(w)) && (!kind || state(scan) === kind) && has;
    bodies[k].hidden = !good;
    count += good;
    for (const tr of bodies[k].querySelectorAll('tr[data-bone]')) tr.classList.toggle('other', Boolean(bone) && tr.dataset.bone !== bone);
  });
  $('shown').value = `${count} of ${data.scans.length} scans`;
}
function head() {
  const columns = [['id', 'Scan', ''], ['bone', 'Bone', ''], ...data.columns.map((c) => [c.key, c.title, 'number'])];
  const cells = columns.map(([key, title, className]) => {
    const sort = () => { order = { key, up: order.key === key ? !order.up : true }; arrange(); };
    const th = make('th', { className, scope: 'col' }, make('button', { type: 'button', onclick: sort }, title));
    th.dataset.key = key;
    return th;
  });
  $('scans').querySelector('thead').append(make('tr', {}, make('th', {}, ''), ...cells));
}

const bodies = data.scans.map(body);
const kinds = Object.keys(RANK).filter((kind) => data.scans.some((scan) => state(scan) === kind));
const bones = [...new Set(data.scans.flatMap((scan) => scan.rows.map((r) => [r.side, r.name].filter(Boolean).join(' '))))].sort();
$('status').append(make('option', { value: '' }, 'all'), ...kinds.map((v) => make('option', { value: v }, v)));
$('bone').append(make('option', { value: '' }, 'all'), ...bones.map((v) => make('option', { value: v }, v)));
$('summary').textContent = kinds.map((kind) => `${data.scans.filter((s) => state(s) === kind).length} ${kind}`).join(', ') +
  ` of ${data.scans.length} scans · table ${data.table.name} · recipe ${data.recipe} · ${data.time.slice(0, 16).replace('T', ' ')} UTC`;
$('made').querySelector('dl').append(...facts(data.made));
for (const id of ['find', 'status', 'bone']) $(id).addEventListener('input', () => { filter(); if (id === 'bone') arrange(); });
$('controls').addEventListener('submit', (event) => event.preventDefault());
head();
arrange();
filter();
document.documentElement.dataset.ready = '1';
