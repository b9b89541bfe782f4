// Values under the pointer on figures, and tables that sort. A page without
// scripts has the same numbers.

const round = (number) => Number(number.toPrecision(4)).toString();

function nearest(series, x, y) {
  let best = { distance: Infinity };
  for (const { label, points } of series) {
    for (const point of points) {
      const distance = Math.hypot(point[0] - x, point[1] - y);
      if (distance < best.distance) best = { distance, label, point };
    }
  }
  return best;
}

function show(svg, series, tip, event) {
  const at = new DOMPoint(event.clientX, event.clientY)
    .matrixTransform(svg.getScreenCTM().inverse());
  const { distance, label, point } = nearest(series, at.x, at.y);
  tip.hidden = distance > 18;
  if (tip.hidden) return;
  const [left, top, ...numbers] = point;
  const told = numbers.map(round).join(', ');
  tip.textContent = label ? `${label}: ${told}` : told;
  const place = new DOMPoint(left, top).matrixTransform(svg.getScreenCTM());
  tip.style.left = `${Math.min(place.x, innerWidth - tip.offsetWidth - 8)}px`;
  tip.style.top = `${place.y - tip.offsetHeight - 10}px`;
}

function sort(button) {
  const head = button.closest('th');
  const table = head.closest('table');
  const column = Number(head.dataset.column);
  const up = head.getAttribute('aria-sort') !== 'ascending';
  for (const each of table.querySelectorAll('[aria-sort]')) {
    each.removeAttribute('aria-sort');
  }
  head.setAttribute('aria-sort', up ? 'ascending' : 'descending');
  const rows = [...table.tBodies[0].rows].map((row) => {
    const text = row.cells[column].textContent.trim();
    return { row, text, number: parseFloat(text) };
  });
  const known = rows.filter(({ number }) => !Number.isNaN(number));
  const words = rows.filter(({ number }) => Number.isNaN(number));
  known.sort((a, b) => a.number - b.number);
  words.sort((a, b) => a.text.localeCompare(b.text));
  if (!up) [known, words].forEach((each) => each.reverse());
  table.tBodies[0].append(...[...known, ...words].map(({ row }) => row));
}

for (const svg of document.querySelectorAll('svg[data-series]')) {
  const series = JSON.parse(svg.dataset.series);
  if (!series.some(({ points }) => points.length)) continue;
  const tip = document.createElement('div');
  tip.className = 'tip';
  tip.hidden = true;
  svg.after(tip);
  svg.addEventListener('pointermove', (event) => show(svg, series, tip, event));
  svg.addEventListener('pointerleave', () => { tip.hidden = true; });
}

for (const head of document.querySelectorAll('th[data-column]')) {
  const button = document.createElement('button');
  button.append(...head.childNodes);
  button.addEventListener('click', () => sort(button));
  head.append(button);
}
