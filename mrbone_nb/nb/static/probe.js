// Says to volumeview.py whether this page can show itkwidgets: its host, ours or its own, defines this function.
export default {
  render({ model, el }) {
    el.style.display = 'none';
    model.send({ host: typeof window.connectPlugin === 'function' });
  },
};
