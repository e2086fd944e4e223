// The summary of load.js: a few lines of text, and a plot as SVG. Nothing is
// loaded from elsewhere.

const trends = [['transaction', 'transactions'], ['connecting', 'connecting, with log-in'], ['warm_up', 'first transaction of a user']];

export function text(data) {
  const m = data.metrics;
  const lines = ['', `${'milliseconds'.padEnd(28)}${['count', 'median', 'p90', 'p99', 'worst'].map((s) => s.padStart(10)).join('')}`];
  for (const [name, title] of trends) {
    lines.push(row(title, m[name]));
  }
  for (const name of Object.keys(m).sort()) {
    const part = /^transaction\{(phase|kind):(\w+)\}$/.exec(name);
    if (part !== null) {
      lines.push(row(`  ${part[1]} ${part[2]}`, m[name]));
    }
  }
  lines.push('');
  for (const name of ['transaction', 'success', 'wrong_rows']) {
    for (const [condition, { ok }] of Object.entries((m[name] && m[name].thresholds) || {})) {
      lines.push(`${ok ? 'ok    ' : 'MISSED'} ${name} ${condition}`);
    }
  }
  const rate = m.success ? m.success.values.rate : 0;
  const failures = m.success ? m.success.values.fails : 0;
  lines.push(`succeeded: ${(rate * 100).toFixed(3)} % (${failures} did not)`, '');
  return lines.join('\n');
}

function row(title, metric) {
  const v = metric && metric.values;
  if (!v || !v.count) {
    return `${title.padEnd(28)}${'0'.padStart(10)}`;
  }
  const numbers = [v.med, v['p(90)'], v['p(99)'], v.max].map((n) => n.toFixed(2).padStart(10));
  return `${title.padEnd(28)}${String(v.count).padStart(10)}${numbers.join('')}`;
}

const width = 860;
const height = 380;
const box = { left: 60, right: 800, top: 50, bottom: 330 };

// plot draws median, p99 and worst of each slice of time, on a logarithmic scale, over the number of users.
export function plot(data, { stages, slice, limit }) {
  const seconds = stages.reduce((sum, s) => sum + s.seconds, 0);
  const most = Math.max(...stages.map((s) => s.users));
  const x = (t) => box.left + (t / seconds) * (box.right - box.left);
  const users = (n) => box.bottom - (n / most) * (box.bottom - box.top) * 0.9;

  const lines = { max: [], 'p(99)': [], med: [] };
  for (let at = 0; at < seconds / slice; at++) {
    const metric = data.metrics[`transaction{at:${at}}`];
    if (metric && metric.values.count > 0) {
      for (const name in lines) {
        lines[name].push([(at + 0.5) * slice, metric.values[name]]);
      }
    }
  }
  const all = [].concat(...Object.values(lines)).map(([, ms]) => ms).filter((ms) => ms > 0);
  const low = 10 ** Math.floor(Math.log10(Math.min(limit / 10, ...all)));
  const high = 10 ** Math.ceil(Math.log10(Math.max(limit * 10, ...all)));
  const y = (ms) => box.bottom - (Math.log10(Math.max(ms, low) / low) / Math.log10(high / low)) * (box.bottom - box.top);

  const out = [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="12">`,
    `<rect width="${width}" height="${height}" fill="#fff"/>`,
    `<text x="${box.left}" y="20" font-size="14" font-weight="bold">Milliseconds for one tenant's transaction</text>`,
  ];
  let t = 0;
  const area = [[x(0), users(0)]];
  for (const s of stages) {
    t += s.seconds;
    area.push([x(t), users(s.users)]);
  }
  out.push(`<polygon points="${points([...area, [x(seconds), box.bottom], [x(0), box.bottom]])}" fill="#e8eef4"/>`);
  for (const n of new Set(stages.map((s) => s.users).filter((n) => n > 0))) {
    out.push(`<text x="${box.right + 6}" y="${(users(n) + 4).toFixed(1)}" fill="#7a8b9c">${n} users</text>`);
  }
  for (let ms = low; ms <= high * 1.0001; ms *= 10) {
    out.push(`<line x1="${box.left}" x2="${box.right}" y1="${y(ms).toFixed(1)}" y2="${y(ms).toFixed(1)}" stroke="#ccc"/>`,
      `<text x="${box.left - 6}" y="${(y(ms) + 4).toFixed(1)}" text-anchor="end">${Number(ms.toPrecision(1))}</text>`);
  }
  const step = [1, 2, 5, 10, 20, 50, 100].find((n) => seconds / n <= 12) || 100;
  for (let s = 0; s <= seconds; s += step) {
    out.push(`<text x="${x(s).toFixed(1)}" y="${box.bottom + 18}" text-anchor="middle">${s} s</text>`);
  }
  out.push(`<line x1="${box.left}" x2="${box.right}" y1="${y(limit).toFixed(1)}" y2="${y(limit).toFixed(1)}" stroke="#c00" stroke-dasharray="6 4"/>`);
  const looks = { max: ['worst', '#b9b9b9'], 'p(99)': ['p99', '#d9730d'], med: ['median', '#1f6fb2'] };
  let at = box.left;
  for (const [name, [title, colour]] of Object.entries(looks)) {
    out.push(`<polyline points="${points(lines[name].map(([s, ms]) => [x(s), y(ms)]))}" fill="none" stroke="${colour}" stroke-width="2"/>`);
    at = legend(out, at, title, colour, '');
  }
  legend(out, at, `p99 of the whole run must stay below ${limit}`, '#c00', '6 4');
  out.push('</svg>', '');
  return out.join('\n');
}

function legend(out, at, title, colour, dashes) {
  out.push(`<line x1="${at}" x2="${at + 22}" y1="36" y2="36" stroke="${colour}" stroke-width="2" stroke-dasharray="${dashes}"/>`,
    `<text x="${at + 28}" y="40">${title}</text>`);
  return at + 50 + title.length * 7;
}

function points(list) {
  return list.map(([px, py]) => `${px.toFixed(1)},${py.toFixed(1)}`).join(' ');
}
