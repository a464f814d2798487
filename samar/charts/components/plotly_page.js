/** What every chart of a page shares: the library, whether there is WebGL, the colours of the theme. */

export const WEBGL = /^(surface|mesh3d|scatter3d|cone|streamtube|isosurface|volume)$/;
export const NO_PLOTLY =
  "The chart library plotly.js could not be loaded; reload the page, or restart the app.";
const touch = matchMedia("(pointer: coarse)").matches;

let library;
export function loadPlotly(url) {
  library ??= new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = new URL(url, document.baseURI).href;
    script.onload = () => resolve(window.Plotly);
    script.onerror = () => reject(new Error(NO_PLOTLY));
    document.head.append(script);
  });
  return library;
}

let webgl, software;
export function hasWebGL() {
  if (webgl === undefined) {
    const context = document.createElement("canvas").getContext("webgl");
    webgl = context !== null;
    const names = context?.getExtension("WEBGL_debug_renderer_info");
    software = /swiftshader|llvmpipe|software/i.test(names ? context.getParameter(names.UNMASKED_RENDERER_WEBGL) : "");
    context?.getExtension("WEBGL_lose_context")?.loseContext(); // browsers allow only a few
  }
  return webgl;
}

/** What plotly needs to know to draw in three dimensions: four pixels for one are too many without a graphics card. */
export function glConfig() {
  return hasWebGL() && software ? { plotGlPixelRatio: 1 } : {};
}

/**
 * Give traces of a 3-D plot other values. Only these go to the graphics card: 5 ms, where plotly's
 * own redraw takes 300.
 */
export function move3d(plot, changes) {
  const scene = plot._fullLayout.scene._scene;
  for (const [number, values] of changes) {
    const full = plot._fullData[number];
    scene.traces[full.uid]?.update(Object.assign(full, values));
  }
  // Nor is it drawn a second time to find what lies under the pointer: the main thread would wait for that.
  for (const drawn of scene.glplot.objects) drawn.dirty = false;
  scene.glplot.redraw();
}

function scenes(plot) {
  const full = plot._fullLayout;
  return (full?._subplots?.gl3d ?? []).map((name) => full[name]).filter(({ _scene }) => _scene);
}

/** plotly.js 4.1 stores the camera when a drag ends, but not after the mouse wheel. */
export function storeCameras(plot) {
  for (const { _scene } of scenes(plot)) _scene.saveLayout(plot.layout);
}

/**
 * A browser takes WebGL contexts away where there are many. plotly.js then waits for the same one
 * to come back, which Chromium's never does: let `redraw` draw the 3-D scenes of a plot anew, from
 * where the reader looked. To be called after each such drawing.
 */
export function outliveContexts(plot, redraw) {
  for (const { _scene } of scenes(plot))
    _scene.recoverContext = () => {
      storeCameras(plot);
      for (const scene of scenes(plot)) if (scene._scene === _scene) delete scene._scene;
      _scene.glplot.onrender = null; // else it would be drawn once more
      _scene.destroy();
      redraw();
    };
}

/** Everything neutral in a figure (paper, type, grid, marks) in the colours of Streamlit's theme. */
export function themeTemplate(element) {
  const css = getComputedStyle(element);
  const theme = (name) => css.getPropertyValue(`--st-${name}`).trim();
  const [text, grid, muted] = [theme("text-color"), theme("border-color"), theme("gray-text-color")];
  const size = 0.8125 * parseFloat(css.fontSize); // a larger root font (projector) enlarges charts too
  const axis = {
    automargin: true, gridcolor: grid, zerolinecolor: grid, linecolor: muted, tickcolor: muted,
    ticklabelstandoff: 4, tickfont: { color: muted }, title: { font: { color: muted, size }, standoff: 6 },
  };
  const wall = { ...axis, color: muted, showbackground: false, zerolinecolor: muted };
  return {
    layout: {
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      font: { family: theme("font"), size, color: text }, margin: { l: 8, r: 12, t: 44, b: 8 },
      title: { font: { size: 1.1 * size }, subtitle: { font: { size } }, x: 0, xref: "paper", xanchor: "left" },
      colorway: theme("chart-categorical-colors").split(","),
      hoverlabel: { bgcolor: theme("background-color"), bordercolor: grid, font: { size, color: text } },
      modebar: { bgcolor: "rgba(0,0,0,0)", color: muted, activecolor: text },
      xaxis: axis, yaxis: axis,
      scene: { xaxis: wall, yaxis: wall, zaxis: wall, dragmode: "turntable" },
      shapedefaults: { line: { color: muted }, label: { font: { color: muted } } },
      annotationdefaults: { arrowcolor: muted, font: { color: muted } },
      // A finger on a 2-D chart scrolls the page; the mode bar zooms.
      ...(touch && { dragmode: false }),
    },
  };
}
