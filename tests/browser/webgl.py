"""Take the WebGL context of a 3-D chart away, as a browser does where there are too many."""

from playwright.sync_api import Locator

LOSE = """async plot => {
    // plotly.js may draw once more before the browser tells it.
    const known = event =>
        event.message.includes("Framebuffer unsupported") && event.preventDefault();
    addEventListener("error", known);
    const canvas = [...plot.querySelectorAll("canvas")].find(each => each.getContext("webgl"));
    canvas.getContext("webgl").getExtension("WEBGL_lose_context").loseContext();
    const drawing = () => plot._fullLayout.scene._scene?.glplot?.gl.isContextLost() === false;
    for (const start = Date.now(); !drawing(); await new Promise(requestAnimationFrame))
        if (Date.now() > start + 20_000) throw new Error("the scene was not drawn anew");
    removeEventListener("error", known);
}"""
INK = """plot => new Promise(resolve => requestAnimationFrame(() => {
    const { glplot } = plot._fullLayout.scene._scene;
    const { gl } = glplot;
    const [width, height] = [gl.drawingBufferWidth, gl.drawingBufferHeight];
    const pixels = new Uint8Array(4 * width * height);
    glplot.redraw();
    gl.readPixels(0, 0, width, height, gl.RGBA, gl.UNSIGNED_BYTE, pixels);
    resolve(pixels.filter((value, index) => index % 4 === 3 && value > 0).length);
}))"""


def ink(plot: Locator) -> int:
    """How many pixels of a chart's scene are drawn."""
    return int(plot.evaluate(INK))


def lose_context(plot: Locator) -> None:
    """Take it away, and wait for the scene in another."""
    plot.evaluate(LOSE)
