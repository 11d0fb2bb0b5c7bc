// Slices in up to three linked planes: no imports, no network. Front end of sliceview.py and painting.py (anywidget).
// The files of this folder are joined into one module, in the order that sliceview.py names. The same code runs
// live, where a kernel answers, and in a page, where none does.
// Arrays are [z][y][x] in LPS: x grows to the left, y to the back, z to the head.

const PLANES = { // across: fixed axis; right and down: axes of the picture; up: draw the vertical axis upward
  axial: { across: 0, right: 2, down: 1, up: false, edges: ['R', 'L', 'A', 'P'] },
  coronal: { across: 1, right: 2, down: 0, up: true, edges: ['R', 'L', 'S', 'I'] },
  sagittal: { across: 2, right: 1, down: 0, up: true, edges: ['A', 'P', 'S', 'I'] },
};
const OTHER = 255; // the stroke label for everything else
const clamp = (x, low, high) => Math.max(low, Math.min(high, x));
const bytes = (v) => (v instanceof DataView ? new Uint8Array(v.buffer, v.byteOffset, v.byteLength) : new Uint8Array(v));
const strides = ([, rows, columns]) => [rows * columns, columns, 1];

const element = (tag, css = '', props = {}, ...children) => {
  const e = Object.assign(document.createElement(tag), props);
  e.style.cssText = css;
  e.append(...children);
  return e;
};

async function through(data, Stream) {
  return new Uint8Array(await new Response(new Blob([data]).stream().pipeThrough(new Stream('gzip'))).arrayBuffer());
}
const unpack = (v) => through(bytes(v), DecompressionStream);
const pack = (v) => through(v, CompressionStream);

/** Gray values of one JPEG picture, written into `out` along two axes of the scan. */
async function unpackSlice(jpeg, context, out, offset, down, right) {
  const picture = await createImageBitmap(new Blob([jpeg], { type: 'image/jpeg' }));
  const { width, height } = context.canvas;
  context.drawImage(picture, 0, 0);
  picture.close();
  const { data } = context.getImageData(0, 0, width, height);
  for (let j = 0, p = 0; j < height; j++) for (let i = 0, o = offset + j * down; i < width; i++, p += 4, o += right) out[o] = data[p];
}

/** Light or dark, as the page is: so that sliders and boxes fit. */
function followTheme(box) {
  const say = () => {
    const [r, g, b] = (getComputedStyle(box).color.match(/[\d.]+/g) || [0, 0, 0]).map(Number); // none before it is on the page
    box.style.colorScheme = 0.3 * r + 0.6 * g + 0.1 * b > 127 ? 'dark' : 'light';
  };
  requestAnimationFrame(say);
  const watch = new MutationObserver(say);
  watch.observe(document.body, { attributes: true });
  return () => watch.disconnect();
}

const STYLE = `
.mb-slices { font: 13px var(--jp-ui-font-family, sans-serif); color: var(--jp-ui-font-color1, CanvasText);
  outline-offset: 2px; margin-top: 6px; position: relative; max-width: 100% }
.mb-slices:focus-visible, .mb-slices :focus-visible { outline: 2px solid var(--jp-brand-color1, Highlight) }
.mb-bar { display: flex; flex-wrap: wrap; gap: 4px 10px; align-items: center; margin: 4px 0 }
.mb-bar label { display: inline-flex; align-items: center; gap: 4px }
.mb-slices button, .mb-slices select { font: inherit; color: inherit; padding: 2px 7px; min-height: 26px; border-radius: 4px;
  cursor: pointer; border: 1px solid var(--jp-border-color1, GrayText); background: var(--jp-layout-color2, Canvas) }
.mb-slices button[aria-pressed=true] { background: var(--jp-brand-color1, Highlight); color: var(--jp-ui-inverse-font-color1, HighlightText) }
.mb-slices button:disabled { opacity: .4; cursor: default }
.mb-slices .mb-patch { width: 22px; min-height: 16px; padding: 0; border-width: 3px }
.mb-slices .mb-chosen { font-weight: bold; text-decoration: underline }
.mb-keys { position: absolute; inset: 10px auto auto 10px; z-index: 5; padding: 10px 14px; max-width: 90%;
  background: var(--jp-layout-color1, Canvas); border: 1px solid var(--jp-border-color1, GrayText); border-radius: 6px }
.mb-keys td:first-child { font-weight: bold; padding-right: 12px; white-space: nowrap }
.mb-say { color: var(--jp-warn-color0, #a60) }
`;
