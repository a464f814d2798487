/**
 * Sets a point in a two-dimensional plotly picture by a click, or by dragging the trace whose `meta`
 * is "start": `tell` gets its coordinates when the button is released.
 */
export function pick(plot, down, tell) {
  if (!down.isPrimary || down.button !== 0 || down.target.closest(".legend, .modebar")) return;
  const { xaxis, yaxis } = plot._fullLayout;
  const box = plot.getBoundingClientRect();
  const left = down.clientX - box.left - xaxis._offset;
  const top = down.clientY - box.top - yaxis._offset;
  if (left < 0 || top < 0 || left > xaxis._length || top > yaxis._length) return;
  const marker = plot.data.findIndex(({ meta }) => meta === "start");
  const start = plot.data[marker];
  const [x, y] = [xaxis.d2p(start.x[0]), yaxis.d2p(start.y[0])];
  const grabbed = Math.hypot(x - left, y - top) < (down.pointerType === "touch" ? 28 : 16);
  const at = ({ clientX, clientY }) => [
    xaxis.p2d(Math.max(0, Math.min(xaxis._length, clientX - box.left - xaxis._offset))),
    yaxis.p2d(Math.max(0, Math.min(yaxis._length, clientY - box.top - yaxis._offset))),
  ];
  const mark = plot.querySelector(`.trace${plot._fullData[marker].uid} .point`);
  const drag = (event) => {
    const [newX, newY] = at(event);
    mark?.setAttribute("transform", `translate(${xaxis.d2p(newX)},${yaxis.d2p(newY)})`);
  };
  const end = (event) => {
    window.removeEventListener("pointermove", drag, true);
    for (const type of ["pointerup", "pointercancel"]) window.removeEventListener(type, end, true);
    const moved = Math.hypot(event.clientX - down.clientX, event.clientY - down.clientY);
    if (event.type === "pointerup" && (grabbed ? moved > 2 : moved < 6)) tell(at(event));
  };
  if (grabbed) window.addEventListener("pointermove", drag, true);
  for (const type of ["pointerup", "pointercancel"]) window.addEventListener(type, end, true);
}
