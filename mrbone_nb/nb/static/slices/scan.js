/** What all views of one model share: gray values, label maps, and how they are looked at. */
class Scan {
  constructor(model) {
    Object.assign(this, { model, maps: {}, number: {}, looks: {}, views: new Set(), loaded: 1, own: false });
    this.window = [0, 255];
    this.zoom = 1;
    this.curtain = 0.5;
    this.compare = false;
    this.said = '';
  }

  async load() {
    this.shape = this.model.get('shape');
    this.spacing = this.model.get('spacing');
    this.step = strides(this.shape);
    this.history = new History(this);
    this.model.on('msg:custom', (message, buffers) => this.hear(message, buffers || []));
    const names = ['labels', 'seeds', 'other', 'after'];
    await Promise.all([this.loadImage(), ...names.map((name) => this.loadMap(name))]);
    for (const name of names) this.model.on('change:' + name, () => this.own || this.loadMap(name));
    this.model.on('change:image', () => this.own || this.loadImage());
    for (const name of ['position', 'scale', 'fill', 'names', 'painted']) this.model.on('change:' + name, () => this.tell(name));
  }

  async loadImage() {
    const codec = this.model.get('codec'), size = this.shape[0] * this.shape[1] * this.shape[2];
    if (codec === 'gzip') this.image = await unpack(this.model.get('image'));
    else {
      this.image ||= new Uint8Array(size);
      if (codec === 'jpeg') await this.unpackAll(); else this.stream();
    }
    this.tell('maps');
  }

  /** Where a slice across the axis of the JPEG pictures begins, and a canvas of its size. */
  slicer() {
    const across = this.model.get('across'), [down, right] = [0, 1, 2].filter((axis) => axis !== across);
    const size = { width: this.shape[right], height: this.shape[down] };
    const context = element('canvas', '', size).getContext('2d', { willReadFrequently: true });
    return (k, jpeg) => unpackSlice(jpeg, context, this.image, k * this.step[across], this.step[down], this.step[right]);
  }

  async unpackAll() {
    const put = this.slicer(), all = bytes(this.model.get('image')), ends = this.model.get('ends');
    for (let k = 0; k < ends.length; k++) await put(k, all.subarray(k ? ends[k - 1] : 0, ends[k]));
  }

  /** Ask the kernel for the slices, those near the one that is shown first; a few at a time. */
  stream() {
    const count = this.shape[this.model.get('across')];
    this.jpegs = new Array(count).fill(null);
    this.asked = new Set();
    this.put = this.slicer();
    this.loaded = 0;
    this.ask();
    this.ask();
  }

  ask() {
    const here = this.model.get('position')[this.model.get('across')];
    const missing = [...this.jpegs.keys()].filter((k) => !this.asked.has(k)).sort((a, b) => Math.abs(a - here) - Math.abs(b - here));
    const wanted = missing.slice(0, this.asked.size ? 8 : 1); // the one that is shown comes alone, at once
    wanted.forEach((k) => this.asked.add(k));
    if (wanted.length && !this.send({ kind: 'want', slices: wanted })) this.say('the scan cannot be loaded without its kernel');
  }

  async take(slices, buffers) {
    for (const [n, k] of slices.entries()) {
      this.jpegs[k] = bytes(buffers[n]).slice();
      await this.put(k, this.jpegs[k]);
    }
    this.loaded = this.jpegs.filter(Boolean).length / this.jpegs.length;
    this.tell('image');
    if (this.loaded === 1) this.keep(); else this.ask();
  }

  /** Put what came piece by piece into the model, so that a saved notebook holds it; nothing goes back to the kernel. */
  keep() {
    const ends = [];
    this.jpegs.reduce((sum, jpeg) => { ends.push(sum + jpeg.length); return sum + jpeg.length; }, 0);
    const all = new Uint8Array(ends.at(-1));
    this.jpegs.forEach((jpeg, k) => all.set(jpeg, k ? ends[k - 1] : 0));
    this.setHere({ image: new DataView(all.buffer), ends, codec: 'jpeg' });
    this.jpegs = [];
  }

  setHere(values) {
    this.own = true;
    for (const name in values) this.model.set(name, values[name]);
    this.own = false;
  }

  async loadMap(name) {
    const number = (this.number[name] = (this.number[name] || 0) + 1);
    const packed = this.model.get(name);
    const map = packed && packed.byteLength ? await unpack(packed) : null;
    if (number !== this.number[name]) return; // a newer one is on its way
    this.maps[name] = map;
    if (name === this.model.get('painted')) this.history.forget();
    this.tell('maps');
  }

  /** A map that can be written to; empty where there is none yet. */
  writable(name) {
    return (this.maps[name] ||= new Uint8Array(this.shape.reduce((a, b) => a * b)));
  }

  hear(message, buffers) {
    if (message.kind === 'slices') this.take(message.slices, buffers);
    else if (message.kind === 'slab') this.takeSlab(message, bytes(buffers[0]));
    else if (message.kind === 'whole') this.loadMap(message.map);
    else if (message.kind === 'edit') this.history.takeEdit(new Uint32Array(bytes(buffers[0]).slice().buffer), bytes(buffers[1]), message);
    else if (message.kind === 'say') this.say(message.text);
    else if (message.kind === 'value') { this.exact = message; this.tell('value'); }
  }

  /** Some slices of a map, computed anew; elsewhere it is empty until the whole is computed. */
  takeSlab({ map, axis, first, count }, data) {
    this.number[map] = (this.number[map] || 0) + 1; // whatever is still being unpacked is older
    const fresh = !this.maps[map], into = this.writable(map), { shape, step } = this;
    if (this.slabbed?.[map] !== `${axis}:${first}:${count}`) into.fill(0);
    this.slabbed = { ...this.slabbed, [map]: `${axis}:${first}:${count}` };
    const ends = [...shape];
    ends[axis] = count;
    for (let z = 0, p = 0; z < ends[0]; z++) {
      for (let y = 0; y < ends[1]; y++) {
        const o = z * step[0] + y * step[1] + first * step[axis];
        into.set(data.subarray(p, p + ends[2]), o);
        p += ends[2];
      }
    }
    this.tell(fresh ? 'maps' : 'image'); // the rows of controls change with the first alone
  }

  say(text) { this.said = text; this.tell('say'); }

  tell(what) { for (const view of this.views) view(what); }

  set(name, value) { // there may be no kernel to take it
    this.model.set(name, value);
    try { this.model.save_changes()?.catch?.(() => {}); } catch { /* no kernel */ }
  }

  send(message, buffers) { // false where there is no kernel
    try { return this.model.send(message, undefined, buffers) !== false; } catch { return false; }
  }

  moveTo(axes) {
    const old = this.model.get('position');
    const position = old.map((n, k) => clamp(axes[k] ?? n, 0, this.shape[k] - 1));
    if (String(position) !== String(old)) this.set('position', position);
  }

  /** How a label is drawn. */
  look(value) {
    return (this.looks[value] ||= { hidden: false, opacity: 0.35 });
  }

  style(value) { return this.look(value).style ?? (this.model.get('fill') ? 'both' : 'outline'); }

  color(value) { return this.model.get('names')[value]?.color ?? [255, 255, 255]; }

  labelAt(o) { return this.maps.labels?.[o] || this.maps.seeds?.[o] || 0; }
}
