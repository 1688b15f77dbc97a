// Small charts, drawn as SVG.
import {svg} from './dom.js';

const WIDTH = 240;
const HEIGHT = 48;

/** A line over time. `values` may hold null where nothing is known. */
export function sparkline(label) {
  const area = svg('path', {class: 'spark-area'});
  const line = svg('path', {class: 'spark-line', 'vector-effect': 'non-scaling-stroke'});
  const node = svg('svg', {class: 'spark', viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: 'img',
    'aria-label': label, preserveAspectRatio: 'none'}, svg('line', {
    class: 'spark-floor', x1: 0, x2: WIDTH, y1: HEIGHT - 1, y2: HEIGHT - 1,
    'vector-effect': 'non-scaling-stroke'}), area, line);
  return {node, set(values, places) {
    const most = Math.max(...values.filter((v) => v !== null), 0) || 1;
    const step = WIDTH / Math.max(1, places - 1);
    const from = WIDTH - step * (values.length - 1);
    let path = '';
    let begun = false;
    values.forEach((value, i) => {
      if (value === null) return;
      const y = HEIGHT - 2 - (value / most) * (HEIGHT - 6);
      path += `${begun ? 'L' : 'M'}${(from + i * step).toFixed(1)} ${y.toFixed(1)}`;
      begun = true;
    });
    line.setAttribute('d', path);
    const first = values.findIndex((v) => v !== null);
    area.setAttribute('d', path && `${path}L${WIDTH} ${HEIGHT}L${(from + first * step).toFixed(1)} ${HEIGHT}Z`);
  }};
}

/** Bars. `points`: [{label, value}]; `format` writes a value. */
export function bars(label, points, format = String) {
  const width = 640;
  const height = 160;
  const floor = height - 20;
  const most = Math.max(...points.map((p) => p.value), 0) || 1;
  const step = width / Math.max(1, points.length);
  const gap = Math.min(4, step * 0.2);
  const marks = points.map((point, i) => {
    const tall = Math.max(1, (Math.max(0, point.value) / most) * (floor - 16));
    return svg('rect', {class: 'chart-bar', x: (i * step + gap / 2).toFixed(1), rx: 2,
      y: (floor - tall).toFixed(1), width: Math.max(1, step - gap).toFixed(1),
      height: tall.toFixed(1)}, svg('title', {}, `${point.label}: ${format(point.value)}`));
  });
  const text = (x, anchor, what, y = height - 5) => svg('text', {class: 'chart-text', x, y,
    'text-anchor': anchor}, what);
  return svg('svg', {class: 'chart', viewBox: `0 0 ${width} ${height}`, role: 'img',
    'aria-label': label}, svg('line', {class: 'chart-floor', x1: 0, x2: width, y1: floor, y2: floor}),
  marks, text(0, 'start', format(most), 11),
  points.length > 0 ? text(0, 'start', points[0].label) : null,
  points.length > 1 ? text(width, 'end', points.at(-1).label) : null);
}
