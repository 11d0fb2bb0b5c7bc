/** Strokes as they are drawn, and the way back: each keeps what was there before. */
class History {
  constructor(scan) { Object.assign(this, { scan, done: [], undone: [], open: null }); }

  get map() { return this.scan.model.get('painted'); }

  forget() { this.done = []; this.undone = []; this.open = null; }

  begin(label, how) {
    this.open = { label, how, before: new Map() };
    this.target = this.scan.writable(this.map);
  }

  put(o) {
    const old = this.target[o], { label, how, before } = this.open;
    if (old === label || (how.protect && old && label && !before.has(o))) return;
    if (!before.has(o)) before.set(o, old);
    this.target[o] = label;
  }

  /** Close the stroke and tell the kernel; a stroke that changed nothing is none. */
  end() {
    const { label, how, before } = this.open || { before: new Map() };
    this.open = null;
    if (!before.size) return;
    const stroke = { voxels: Uint32Array.from(before.keys()), before: Uint8Array.from(before.values()), label };
    this.remember(stroke);
    this.scan.send({ kind: 'stroke', label, how }, [stroke.voxels.slice().buffer]);
    this.scan.tell('painted');
  }

  cancel() {
    if (this.open) for (const [o, old] of this.open.before) this.target[o] = old;
    this.open = null;
  }

  remember(stroke) {
    this.done.push(stroke);
    if (this.done.length > 200) this.done.shift();
    this.undone = [];
    this.keepSoon();
  }

  undo() { this.step('undo', this.done, this.undone, (stroke, k) => stroke.before[k]); }

  redo() { this.step('redo', this.undone, this.done, (stroke) => stroke.label); }

  step(kind, from, to, value) {
    const stroke = from.pop();
    if (stroke) {
      const map = this.scan.writable(this.map);
      stroke.voxels.forEach((o, k) => { map[o] = value(stroke, k); });
      to.push(stroke);
      this.keepSoon();
    }
    this.scan.send({ kind, here: Boolean(stroke) }); // what this page does not remember, the kernel does
    this.scan.tell('painted');
  }

  /** What the kernel drew, or took back: a stroke that is new, that was undone, or that was done again. */
  takeEdit(voxels, values, { label, becomes }) {
    const map = this.scan.writable(this.map), before = Uint8Array.from(voxels, (o) => map[o]);
    const same = (stroke) => stroke?.label === label && stroke.voxels.length === voxels.length;
    voxels.forEach((o, k) => { map[o] = values[k]; });
    if (becomes === 'new') this.remember({ voxels, before, label });
    else {
      const [from, to] = becomes === 'undone' ? [this.done, this.undone] : [this.undone, this.done];
      if (same(from.at(-1))) from.pop(); // it was drawn on this very page
      to.push({ voxels, before: becomes === 'undone' ? Uint8Array.from(values) : before, label });
      this.keepSoon();
    }
    this.scan.tell('painted');
  }

  /** Put the map into the model soon, so that a saved notebook shows it; the kernel has it already. */
  keepSoon() {
    clearTimeout(this.due);
    this.due = setTimeout(async () => {
      const name = this.map, packed = await pack(this.scan.writable(name));
      this.scan.setHere({ [name]: new DataView(packed.buffer) });
    }, 1000);
  }
}
