"use strict";

// Pure functions: what the page computes. They need no document and are tested with Node.

/** Bytes of rows that were stored less the row before each, modulo 256. */
function addUp(bytes, size) {
  for (let i = size; i < bytes.length; i++) bytes[i] += bytes[i - size];
  return bytes;
}

/** Bytes of a text: base 64, inflated, rows of `size` bytes added up. */
async function unpack(text, size) {
  if (!text) return new Uint8Array(0);
  const stored = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const stream = new Blob([stored]).stream().pipeThrough(new DecompressionStream("deflate"));
  return addUp(new Uint8Array(await new Response(stream).arrayBuffer()), size);
}

/** A LEA with its bytes unpacked. */
async function unpackLea(lea) {
  const tile = lea.windowSize[0] * lea.windowSize[1] * lea.channels;
  const [inputs, own, moved, codes] = await Promise.all([
    unpack(lea.inputs, lea.size[1] * lea.channels), unpack(lea.own, tile), unpack(lea.moved, tile),
    unpack(lea.codes, 2 * lea.codeLength),
  ]);
  return { ...lea, tile, inputs, own, moved, codes };
}

/** The number of a window among those of all images. */
function windowNumber(lea, { image, row, column }) {
  return (image * lea.grid[0] + row) * lea.grid[1] + column;
}

/** The value of a code (numbered from 0) of a window. */
function ownValue(lea, number, code) {
  const at = 2 * (number * lea.codeLength + code);
  return lea.offset[code] + lea.unit[code] * (lea.codes[at] + 256 * lea.codes[at + 1]);
}

/** Where a slider can be: at every step, and at the window's own value, whose step is -1; in order of their values. */
function positions(values, own) {
  const all = values.map((value, step) => ({ value, step }));
  return [...all, { value: own, step: -1 }].sort((a, b) => a.value - b.value || a.step - b.step);
}

/** Whether codes of a window can be moved. */
function canMove(lea, number) {
  return lea.sets[number] >= 0;
}

/** The tile of a window, with code `index` (in the order of the page) at `step`; -1: as it is. */
function tileOf(lea, number, index, step) {
  if (step < 0) return lea.own.subarray(number * lea.tile, (number + 1) * lea.tile);
  const steps = lea.shownCodes[0].values.length;
  const place = (lea.sets[number] * lea.shownCodes.length + index) * steps + step;
  return lea.moved.subarray(place * lea.tile, (place + 1) * lea.tile);
}

/** The windows of an image put together, averaged where they overlap; `tile` in place of that of window `number`. */
function merge(lea, image, number = -1, tile = null) {
  const [height, width] = lea.size, channels = lea.channels;
  const sums = new Float64Array(height * width * channels), counts = new Uint16Array(height * width);
  for (let row = 0; row < lea.grid[0]; row++)
    for (let column = 0; column < lea.grid[1]; column++) {
      const here = windowNumber(lea, { image, row, column });
      const bytes = here === number ? tile : tileOf(lea, here, 0, -1);
      const [top, left] = corner(lea, row, column);
      for (let y = 0; y < lea.windowSize[0]; y++)
        for (let x = 0; x < lea.windowSize[1]; x++) {
          if (top + y < 0 || top + y >= height || left + x < 0 || left + x >= width) continue;
          const pixel = (top + y) * width + left + x, from = (y * lea.windowSize[1] + x) * channels;
          counts[pixel]++;
          for (let c = 0; c < channels; c++) sums[pixel * channels + c] += bytes[from + c];
        }
    }
  return Uint8Array.from(sums, (sum, i) => Math.round(sum / (counts[Math.floor(i / channels)] || 1)));
}

/** The first pixel (row, column) of a window; negative in the padding. */
function corner(lea, row, column) {
  return [row * lea.strides[0] - lea.before[0], column * lea.strides[1] - lea.before[1]];
}

/** The window whose centre is nearest to a pixel. */
function windowAt(lea, y, x) {
  const [row, column] = [y, x].map((at, side) => {
    const place = (at + lea.before[side] - lea.windowSize[side] / 2) / lea.strides[side];
    return Math.min(lea.grid[side] - 1, Math.max(0, Math.round(place)));
  });
  return { row, column };
}

/** The window that an arrow key leads to, or null for another key. */
function neighbour(lea, { row, column }, key) {
  const move = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[key];
  if (!move) return null;
  const within = (at, count) => Math.min(count - 1, Math.max(0, at));
  return { row: within(row + move[0], lea.grid[0]), column: within(column + move[1], lea.grid[1]) };
}

/** Red above 0, white at 0, blue below: [r, g, b] of a value between -1 and 1. */
function colour(value) {
  const rest = Math.round(255 * (1 - Math.min(1, Math.abs(value))));
  return value >= 0 ? [255, rest, rest] : [rest, rest, 255];
}

/** A number in three digits, with its sign. */
function text(value) {
  return (value < 0 ? "−" : "+") + Number(Math.abs(value).toPrecision(3));
}

if (typeof module !== "undefined") {
  module.exports = {
    addUp, unpack, unpackLea, windowNumber, ownValue, positions, canMove, tileOf, merge, corner, windowAt, neighbour,
    colour, text,
  };
}

// The page itself.

function explore(leas) {
  const get = (id) => document.getElementById(id);
  const make = (name, parent, properties = {}) => {
    const element = Object.assign(document.createElement(name), properties);
    parent.append(element);
    return element;
  };
  const state = { lea: leas[0], image: 0, row: 0, column: 0, index: -1, step: -1 };
  let rows = []; // of the sliders: {input, output, strip, places}

  function paint(canvas, bytes, height, width, channels) {
    [canvas.height, canvas.width] = [height, width];
    const context = canvas.getContext("2d"), data = context.createImageData(width, height);
    for (let i = 0; i < height * width; i++) {
      for (let c = 0; c < 3; c++) data.data[4 * i + c] = bytes[channels * i + (channels === 3 ? c : 0)];
      data.data[4 * i + 3] = 255;
    }
    context.putImageData(data, 0, 0);
  }

  const paintTile = (canvas, bytes) => paint(canvas, bytes, ...state.lea.windowSize, state.lea.channels);

  function inputOf(image) {
    const size = state.lea.size[0] * state.lea.size[1] * state.lea.channels;
    return state.lea.inputs.subarray(image * size, (image + 1) * size);
  }

  function frame(mark, top, left, height, width, size) {
    const [bottom, right] = [Math.min(size[0], top + height), Math.min(size[1], left + width)];
    [top, left] = [Math.max(0, top), Math.max(0, left)];
    Object.assign(mark.style, {
      top: `${(100 * top) / size[0]}%`, height: `${(100 * (bottom - top)) / size[0]}%`,
      left: `${(100 * left) / size[1]}%`, width: `${(100 * (right - left)) / size[1]}%`,
    });
  }

  function chooseLea(lea) {
    Object.assign(state, { lea, row: Math.floor(lea.grid[0] / 2), column: Math.floor(lea.grid[1] / 2) });
    state.image = Math.min(state.image, lea.images - 1);
    const pair = (numbers) => numbers.join("×");
    get("about").textContent = `windows of ${pair(lea.windowSize)} pixels, strides ${pair(lea.strides)} pixels, on ` +
      `${pair(lea.size)} pixels; black ${lea.black}, white ${lea.white}` + (lea.drawn ? `; drawn: ${lea.drawn}` : "");
    get("images").replaceChildren();
    for (let i = 0; i < lea.images; i++) {
      const button = make("button", get("images"), { type: "button", title: `image ${i + 1}` });
      button.setAttribute("aria-label", `image ${i + 1}`);
      paint(make("canvas", button), inputOf(i), ...lea.size, lea.channels);
      button.onclick = () => chooseImage(i);
    }
    get("notes").replaceChildren();
    for (const note of [
      "Codes were moved before this page was written, one at a time: moving one resets the others.",
      "A slider stops at every step and at the window's own value (dotted in its strip).",
      "Codes are ordered by their " + (lea.measure === "KL" ? "KL in nats (Eq. 2.24, which has no ½)" : "variance") +
        "; SD: standard deviations from the code's mean, both over all windows.",
      "Decoded values below black and above white are drawn as these. Where windows overlap, their pixels are averaged.",
      ...lea.notes,
    ]) make("li", get("notes"), { textContent: note });
    chooseImage(state.image);
  }

  function chooseImage(image) {
    const lea = state.lea;
    state.image = image;
    [...get("images").children].forEach((button, i) => button.setAttribute("aria-pressed", String(i === image)));
    paint(get("input").firstChild, inputOf(image), ...lea.size, lea.channels);
    get("maps").replaceChildren();
    for (const shown of lea.shownCodes) {
      const holder = make("figure", get("maps"));
      make("figcaption", holder, { textContent: `code ${shown.code + 1}` });
      const map = make("div", holder, { className: "map" }), canvas = make("canvas", map);
      make("i", map);
      const count = lea.grid[0] * lea.grid[1], first = windowNumber(lea, { image, row: 0, column: 0 });
      const most = Math.max(Math.abs(lea.offset[shown.code]),
        Math.abs(lea.offset[shown.code] + 65535 * lea.unit[shown.code])) || 1;
      const values = Array.from({ length: count }, (_, i) => ownValue(lea, first + i, shown.code) / most);
      paint(canvas, values.flatMap(colour), ...lea.grid, 3);
      map.title = `white 0, red up to +${Number(most.toPrecision(3))}, blue down to −${Number(most.toPrecision(3))}`;
      map.onclick = (event) => {
        const box = canvas.getBoundingClientRect();
        const at = (part, whole, cells) => Math.min(cells - 1, Math.floor((part / whole) * cells));
        chooseWindow({
          row: at(event.clientY - box.top, box.height, lea.grid[0]),
          column: at(event.clientX - box.left, box.width, lea.grid[1]),
        });
      };
    }
    chooseWindow(state);
  }

  function chooseWindow({ row, column }) {
    Object.assign(state, { row, column });
    const lea = state.lea, number = windowNumber(lea, state), [top, left] = corner(lea, row, column);
    for (const id of ["input", "merged"]) frame(get(id).lastChild, top, left, ...lea.windowSize, lea.size);
    for (const mark of get("maps").querySelectorAll("i")) frame(mark, row, column, 1, 1, lea.grid);
    get("codes").replaceChildren();
    rows = canMove(lea, number) ? lea.shownCodes.map((shown, index) => addRow(shown, index, number)) : [];
    if (!rows.length) make("p", get("codes"), { textContent: "There was no room to move the codes of this window." });
    get("place").textContent = `Image ${state.image + 1}, window in row ${row + 1} of ${lea.grid[0]}, column ` +
      `${column + 1} of ${lea.grid[1]} (first pixel: row ${top + 1}, column ${left + 1}).`;
    moveTo(-1, -1);
  }

  function addRow(shown, index, number) {
    const lea = state.lea, places = positions(shown.values, ownValue(lea, number, shown.code));
    const unit = lea.measure === "KL" ? `KL ${Number(shown.measure.toPrecision(3))} nats`
      : `variance ${Number(shown.measure.toPrecision(3))}`;
    const row = make("div", get("codes"), { className: "row" });
    const label = make("label", row, { textContent: `code ${shown.code + 1} `, htmlFor: `code${shown.code}` });
    make("small", label, { textContent: unit });
    const output = make("output", row);
    const input = make("input", row, { type: "range", id: `code${shown.code}`, min: 0, max: places.length - 1, step: 1 });
    const strip = make("div", row, { className: "strip" });
    for (const [i, place] of places.entries()) {
      const canvas = make("canvas", strip, { title: `${text(place.value)}${place.step < 0 ? ", as it is" : ""}` });
      paintTile(canvas, tileOf(lea, number, index, place.step));
      canvas.classList.toggle("own", place.step < 0);
      canvas.onclick = () => { input.value = i; moveTo(index, places[i].step); };
    }
    input.oninput = () => moveTo(index, places[input.value].step);
    return { input, output, strip, places, shown };
  }

  /** One code at a step, all others as they are; -1: that one, too. */
  function moveTo(index, step) {
    Object.assign(state, { index, step });
    const lea = state.lea, number = windowNumber(lea, state), tile = tileOf(lea, number, index, step);
    paintTile(get("window").firstChild, tile);
    paint(get("merged").firstChild, merge(lea, state.image, number, tile), ...lea.size, lea.channels);
    rows.forEach(({ input, output, strip, places, shown }, i) => {
      const at = places.findIndex((place) => place.step === (i === index ? step : -1)), value = places[at].value;
      input.value = at;
      const deviations = shown.deviation > 0 ? ` (${text((value - shown.mean) / shown.deviation)} SD)` : "";
      output.textContent = text(value) + deviations;
      input.setAttribute("aria-valuetext", `code value ${output.textContent}`);
      [...strip.children].forEach((canvas, j) => canvas.classList.toggle("here", j === at));
    });
  }

  get("input").onclick = (event) => {
    const box = get("input").firstChild.getBoundingClientRect();
    chooseWindow(windowAt(state.lea, ((event.clientY - box.top) / box.height) * state.lea.size[0],
      ((event.clientX - box.left) / box.width) * state.lea.size[1]));
  };
  get("input").onkeydown = (event) => {
    const next = neighbour(state.lea, state, event.key);
    if (next) { event.preventDefault(); chooseWindow(next); }
  };
  get("reset").onclick = () => moveTo(-1, -1);
  leas.forEach((lea) => make("option", get("lea"), { textContent: lea.name }));
  get("lea").onchange = () => chooseLea(leas[get("lea").selectedIndex]);
  chooseLea(leas[0]);
}

if (typeof document !== "undefined") {
  const message = document.getElementById("message");
  if (typeof DecompressionStream === "undefined") {
    message.textContent = "This page needs a browser with DecompressionStream: Chrome 80, Firefox 113, Safari 16.4 or later.";
  } else {
    Promise.all(JSON.parse(document.getElementById("data").textContent).map(unpackLea)).then((leas) => {
      document.querySelector("main").hidden = false;
      explore(leas);
      message.hidden = true;
    }).catch((error) => { message.textContent = `This page cannot be shown: ${error}`; });
  }
}
