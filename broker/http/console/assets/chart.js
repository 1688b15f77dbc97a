// Small charts, drawn as SVG.
import {h, svg} from './dom.js';

const WIDTH = 240;
const HEIGHT = 48;
const BARS_WIDTH = 1000;
const BARS_HEIGHT = 200;

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
  const most = Math.max(...points.map((p) => p.value), 0) || 1;
  const step = BARS_WIDTH / Math.max(1, points.length);
  const gap = Math.min(8, step * 0.2);
  const marks = points.map((point, i) => {
    const tall = Math.max(1, (Math.max(0, point.value) / most) * BARS_HEIGHT);
    return svg('rect', {class: 'chart-bar', x: (i * step + gap / 2).toFixed(1),
      y: (BARS_HEIGHT - tall).toFixed(1), width: Math.max(1, step - gap).toFixed(1),
      height: tall.toFixed(1)}, svg('title', {}, `${point.label}: ${format(point.value)}`));
  });
  // Texts stand beside the picture, which is stretched to the width that there is.
  return h('div', {class: 'chart'}, h('p', {}, format(most)), svg('svg', {
    viewBox: `0 0 ${BARS_WIDTH} ${BARS_HEIGHT}`, role: 'img', 'aria-label': label,
    preserveAspectRatio: 'none'}, marks),
  h('p', {class: 'chart-feet'}, h('span', {}, points[0]?.label),
    points.length > 1 ? h('span', {}, points.at(-1).label) : null));
}
