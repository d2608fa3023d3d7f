"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const canvas = document.getElementById("line"), told = document.getElementById("told"), frame = document.getElementById("frame");
  const LANE = 18, HEAD = 22, AXIS = 24;
  const rows = [], byKey = new Map();
  // Height of all lanes; the canvas is as high as the frame, and stays in it while the lanes move.
  let height = AXIS;
  for (const group of data.groups) {
    if (!group.lanes.length) continue;
    rows.push({ y: height, title: group.name });
    height += HEAD;
    for (const lane of group.lanes) {
      const row = { y: height, name: lane.name, packed: lane.spans, spans: null, kind: group.kind };
      byKey.set(lane.key, row);
      rows.push(row);
      height += LANE;
    }
  }
  height += 8;
  document.getElementById("room").style.height = `${height}px`;
  const whole = [data.begin, Math.max(data.end, data.begin + 1)];
  // The margin has the names of the lanes.
  let from = whole[0], to = whole[1], colours = {}, width = 0, margin = 0, top = 0, view = 0, waiting = false;

  // The inverse of `pack.rs`. Times may have more bits than bitwise operators take.
  const digits = new Uint8Array(128);
  [..."ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"].forEach((digit, n) => (digits[digit.charCodeAt(0)] = n));
  const unpack = (text) => {
    const spans = [];
    let next = 0, end = 0;
    const number = () => {
      let value = 0, scale = 1, digit;
      do {
        digit = digits[text.charCodeAt(next++)];
        value += (digit & 31) * scale;
        scale *= 32;
      } while (digit > 31);
      return value;
    };
    while (next < text.length) {
      const gap = number(), start = end + (gap % 2 ? -(gap + 1) / 2 : gap / 2);
      const length = number(), label = number(), count = number();
      spans.push(start, length, label, count, count === 1 ? length : number());
      end = start + length;
    }
    return spans;
  };
  // Five numbers for each stretch: start, length, label, how many were joined, their time together. Unpacked when first looked at.
  const spansOf = (row) => (row.spans ??= unpack(row.packed));
  const isSeen = (row) => row.y + LANE > top + AXIS && row.y < top + view;

  const time = (ns) => {
    const size = Math.abs(ns);
    const [unit, name] = size < 1e3 ? [1, "ns"] : size < 1e6 ? [1e3, "us"] : size < 1e9 ? [1e6, "ms"] : [1e9, "s"];
    return `${+(ns / unit).toFixed(3)}${name}`;
  };
  const x = (t) => margin + ((t - from) / (to - from)) * (width - margin);
  const at = (px) => from + ((px - margin) / (width - margin)) * (to - from);
  const theme = () => {
    const style = getComputedStyle(document.documentElement);
    for (const name of ["ground", "text", "faint", "rule", "cpu", "thread", "device", "fault", "bad", "arrow", "ending"])
      colours[name] = style.getPropertyValue(`--${name}`).trim();
  };
  // The first stretch that ends at or after `t`; stretches are in order of time.
  const first = (spans, t) => {
    let low = 0, high = spans.length / 5;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (spans[middle * 5] + spans[middle * 5 + 1] < t) low = middle + 1;
      else high = middle;
    }
    return low;
  };
  const GRAVE = new Set(["error", "wrong data", "Offline"].map((word) => data.labels.indexOf(word)));
  // How strong a joined stretch is: in steps, so that neighbours can be drawn as one.
  const STEPS = 8;
  const stretches = (c, row) => {
    const spans = spansOf(row), y = row.y - top + 2;
    let left = -1, right = -1, bad = false, strength = STEPS;
    const flush = () => {
      if (right <= left) return;
      c.globalAlpha = 0.25 + (0.75 * strength) / STEPS;
      c.fillStyle = bad ? colours.bad : colours[row.kind];
      c.fillRect(left, y, right - left, LANE - 4);
    };
    const words = [];
    for (let n = first(spans, from) * 5; n < spans.length && spans[n] <= to; n += 5) {
      const length = spans[n + 1], count = spans[n + 3], busy = spans[n + 4], grave = GRAVE.has(spans[n + 2]);
      const begin = Math.max(Math.floor(x(spans[n])), margin), end = Math.min(Math.max(Math.ceil(x(spans[n] + length)), begin + 2), width);
      // In a pixel that is taken, only what is grave is still to be seen.
      if (end <= right && (bad || !grave)) continue;
      // Joined stretches are as strong as the part of their time that was busy.
      const strong = count > 1 && length > 0 && busy > 0 ? Math.round(STEPS * Math.min(1, busy / length)) : STEPS;
      if (begin > right || grave !== bad || strong !== strength) {
        flush();
        // What is translucent does not lie on its neighbour.
        [left, bad, strength] = [grave ? begin : Math.max(begin, right), grave, strong];
      }
      right = end;
      if (count === 1 && end - begin > 60) words.push([data.labels[spans[n + 2]], begin, end]);
    }
    flush();
    c.globalAlpha = 1;
    c.fillStyle = colours.ground;
    for (const [word, begin, end] of words) c.fillText(word, begin + 3, y + 11, end - begin - 6);
  };
  const axis = (c) => {
    const step = 10 ** Math.floor(Math.log10((to - from) / 4));
    const wide = [1, 2, 5, 10].map((n) => n * step).find((n) => (to - from) / n <= Math.min(10, (width - margin) / 60)) || step * 10;
    c.strokeStyle = colours.rule;
    c.fillStyle = colours.text;
    c.beginPath();
    for (let t = Math.ceil(from / wide) * wide; t <= to; t += wide) {
      c.moveTo(x(t), AXIS - 6);
      c.lineTo(x(t), view);
      // At the right edge there is room on the left only.
      const text = time(t), room = c.measureText(text).width + 3;
      c.fillText(text, x(t) + 3 + room > width ? x(t) - room : x(t) + 3, 13);
    }
    c.stroke();
  };
  const upright = (c, t, colour, ink, text, y) => {
    if (t < from || t > to) return;
    c.strokeStyle = colour;
    c.fillStyle = ink;
    c.beginPath();
    c.moveTo(x(t), AXIS);
    c.lineTo(x(t), view);
    c.stroke();
    if (y > AXIS - 3) c.fillText(text, x(t) + 3, y);
  };
  const marks = (c) => {
    const faults = byKey.get("faults");
    for (const [t, length] of data.teardowns) {
      const end = length === null ? whole[1] : t + length;
      if (end < from || t > to) continue;
      c.globalAlpha = 0.15;
      c.fillStyle = colours.fault;
      const left = Math.max(x(t), margin);
      c.fillRect(left, AXIS, Math.max(1, Math.min(x(end), width) - left), view);
      c.globalAlpha = 1;
    }
    // A word that would stand on the one before is left out; it comes back when there is room.
    const words = (marks, colour, ink, y) => {
      let free = -1;
      for (const [t, text] of marks) {
        const room = x(t) >= free;
        upright(c, t, colour, ink, room ? text : "", y);
        if (room && t >= from) free = x(t) + c.measureText(text).width + 8;
      }
    };
    words(data.faults.map(([t, device, word]) => [t, `${word} ${device}`]), colours.fault, colours.fault, faults.y - top + 13);
    words([...data.findings].sort((one, other) => one[0] - other[0]), colours.bad, colours.ending, faults.y - top - 9);
  };
  // An arrow that the trace proves is solid; what only came next on the device is dashed.
  const arrows = (c) => {
    const lines = [new Path2D(), new Path2D()], heads = new Path2D(), drawn = new Set();
    for (const chain of data.flows) {
      const points = chain.filter(([, key]) => byKey.has(key));
      if (!points.length || points[points.length - 1][0] < from || points[0][0] > to) continue;
      for (let n = 1; n < points.length; n++) {
        const [t, key, caused] = points[n];
        const [x0, y0] = [x(points[n - 1][0]), byKey.get(points[n - 1][1]).y - top + LANE / 2];
        const [x1, y1] = [x(t), byKey.get(key).y - top + LANE / 2];
        // Of many that look the same, one is enough.
        const look = `${Math.round(x0)} ${y0} ${Math.round(x1)} ${y1} ${caused}`;
        if (Math.max(y0, y1) < 0 || Math.min(y0, y1) > view || drawn.has(look)) continue;
        drawn.add(look);
        const line = lines[caused ? 0 : 1], turn = Math.atan2(y1 - y0, x1 - x0);
        line.moveTo(x0, y0);
        line.lineTo(x1, y1);
        heads.moveTo(x1, y1);
        for (const side of [2.7, -2.7]) heads.lineTo(x1 + 8 * Math.cos(turn + side), y1 + 8 * Math.sin(turn + side));
      }
    }
    c.strokeStyle = c.fillStyle = colours.arrow;
    c.lineWidth = 1.5;
    c.stroke(lines[0]);
    c.setLineDash([5, 4]);
    c.stroke(lines[1]);
    c.setLineDash([]);
    c.fill(heads);
    c.lineWidth = 1;
  };
  const draw = () => {
    waiting = false;
    const scale = window.devicePixelRatio || 1;
    width = canvas.clientWidth;
    margin = Math.floor(Math.min(190, width * 0.35));
    top = frame.scrollTop;
    view = frame.clientHeight;
    canvas.width = width * scale;
    canvas.height = view * scale;
    canvas.style.height = `${view}px`;
    const c = canvas.getContext("2d"), seen = rows.filter(isSeen);
    c.scale(scale, scale);
    c.font = "11px system-ui, sans-serif";
    c.fillStyle = colours.ground;
    c.fillRect(0, 0, width, view);
    axis(c);
    c.save();
    c.beginPath();
    c.rect(0, AXIS, width, view);
    c.clip();
    c.fillStyle = colours.faint;
    for (const row of seen) if (row.title) c.fillRect(0, row.y - top, width, HEAD - 4);
    c.fillStyle = colours.text;
    for (const row of seen) c.fillText(row.title || row.name, row.title ? 6 : 14, row.y - top + 13, margin - 18);
    c.restore();
    c.beginPath();
    c.rect(margin, AXIS, width - margin, view);
    c.clip();
    for (const row of seen) if (!row.title) stretches(c, row);
    marks(c);
    if (document.getElementById("arrows").checked) arrows(c);
  };
  const later = () => {
    if (!waiting) requestAnimationFrame(draw);
    waiting = true;
  };
  const show = (begin, end) => {
    const wide = Math.min(Math.max(end - begin, 100), whole[1] - whole[0]);
    from = Math.min(Math.max(begin, whole[0]), whole[1] - wide);
    to = from + wide;
    later();
  };
  const zoom = (factor, around) => show(around - (around - from) * factor, around + (to - around) * factor);
  const middle = () => (from + to) / 2;

  canvas.addEventListener("wheel", (event) => {
    if (!event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    zoom(event.deltaY > 0 ? 1.25 : 0.8, at(Math.max(event.offsetX, margin)));
  }, { passive: false });
  let held = null;
  canvas.addEventListener("pointerdown", (event) => {
    held = [event.clientX, from, to];
    canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener("pointerup", () => (held = null));
  canvas.addEventListener("pointercancel", () => (held = null));
  canvas.addEventListener("pointermove", (event) => {
    if (held) {
      const moved = ((held[0] - event.clientX) / (width - margin)) * (held[2] - held[1]);
      show(held[1] + moved, held[2] + moved);
      return;
    }
    const t = at(event.offsetX);
    const y = event.offsetY + frame.scrollTop;
    const row = rows.find((row) => !row.title && y >= row.y && y < row.y + LANE);
    if (!row || event.offsetX < margin || event.offsetY < AXIS) return;
    const reach = ((to - from) / (width - margin)) * 3, spans = spansOf(row);
    const n = first(spans, t - reach) * 5;
    let text = `${time(t)}  ${row.name}`;
    if (n < spans.length && spans[n] <= t + reach) {
      text += `: ${data.labels[spans[n + 2]]} from ${time(spans[n])} for ${time(spans[n + 1])}`;
      if (spans[n + 3] > 1) text += `, ${spans[n + 3]} of them, together ${time(spans[n + 4])}`;
    }
    told.textContent = text;
  });
  canvas.addEventListener("keydown", (event) => {
    const wide = (to - from) / 5;
    const keys = {
      "+": () => zoom(0.5, middle()), "-": () => zoom(2, middle()), "0": () => show(...whole),
      ArrowLeft: () => show(from - wide, to - wide), ArrowRight: () => show(from + wide, to + wide),
    };
    if (keys[event.key]) {
      event.preventDefault();
      keys[event.key]();
    }
  });
  document.getElementById("in").onclick = () => zoom(0.5, middle());
  document.getElementById("out").onclick = () => zoom(2, middle());
  document.getElementById("all").onclick = () => show(...whole);
  document.getElementById("arrows").onchange = later;
  addEventListener("resize", later);
  frame.addEventListener("scroll", later);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { theme(); later(); });
  if (data.without_lane) told.textContent = `${data.without_lane} threads more have no lane`;
  theme();
  draw();
})();
